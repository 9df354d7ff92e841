"""The groups of the layer tree that hold the results of a pair with its images."""

from __future__ import annotations

from qgis.core import QgsLayerTreeGroup, QgsLayerTreeLayer, QgsProject

_PAIR = "geochg/pair"
"""Property of a group: the ids of its images' layers."""

_RESULT = "geochg/result"


def group_of_pair(before: str, after: str, name: str) -> QgsLayerTreeGroup:
    """The group of a pair, a new one on top where there is none.

    Args:
        before: Id of the earlier image's layer.
        after: Id of the later image's layer.
        name: Name for a new group.
    """
    pair = f"{before} {after}"
    for group in _pair_groups():
        if group.customProperty(_PAIR) == pair:
            return group
    group = QgsProject.instance().layerTreeRoot().insertGroup(0, name)
    group.setCustomProperty(_PAIR, pair)
    return group


def dissolve_empty_groups() -> None:
    """Removes groups whose last result was removed; their other layers take the group's place."""
    for group in _pair_groups():
        nodes = group.findLayers()
        has_result = any(
            node.layer() is not None and node.layer().customProperty(_RESULT) for node in nodes
        )
        if not has_result:
            _dissolve(group, nodes)


def _pair_groups() -> list[QgsLayerTreeGroup]:
    groups = QgsProject.instance().layerTreeRoot().findGroups(True)
    return [group for group in groups if group.customProperty(_PAIR)]


def _dissolve(group: QgsLayerTreeGroup, nodes: list[QgsLayerTreeLayer]) -> None:
    parent = group.parent()
    place = parent.children().index(group)
    # Before the group goes: with their nodes, QGIS would remove the layers themselves.
    for offset, node in enumerate(nodes):
        parent.insertChildNode(place + offset, node.clone())
    for child in group.children():
        group.removeChildNode(child)
    parent.removeChildNode(group)
