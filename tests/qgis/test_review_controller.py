"""Large edits of a review, written in parts: all of one or nothing of it."""

import pytest
from qgis.core import QgsFeature, QgsVectorLayer

from geochg_qgis.layers.result_fields import REVIEW
from geochg_qgis.layers.review_edits import FeatureState, ReviewEdit
from geochg_qgis.link.errors import LinkError
from geochg_qgis.panel import review_controller
from geochg_qgis.panel.review_controller import ReviewController


@pytest.fixture
def layer(qgis_new_project):
    fields = "field=review:string&field=review_class:string"
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:32640&{fields}", "result", "memory")
    layer.dataProvider().addFeatures([QgsFeature(layer.fields()) for _ in range(7)])
    return layer


@pytest.fixture
def controller(layer, monkeypatch):
    monkeypatch.setattr(review_controller, "_PART", 2)
    controller = ReviewController()
    controller.set_layer(layer)
    yield controller
    controller.set_layer(None)


def accepting(layer):
    ids = layer.allFeatureIds()
    empty, accepted = FeatureState({REVIEW: None}), FeatureState({REVIEW: "accepted"})
    return ReviewEdit(dict.fromkeys(ids, empty), dict.fromkeys(ids, accepted))


def reviews(layer):
    return [feature[REVIEW] or "" for feature in layer.getFeatures()]


def test_all_parts_are_written_and_undone_as_one(controller, layer, qtbot):
    with qtbot.waitSignal(controller.edited):
        controller.make(accepting(layer))
    assert reviews(layer) == ["accepted"] * 7
    with qtbot.waitSignal(controller.edited):
        controller.undo()
    assert reviews(layer) == [""] * 7


@pytest.mark.parametrize("failing", [1, 2, 4])
def test_where_one_part_fails_none_stays_written(controller, layer, qtbot, monkeypatch, failing):
    real, calls = review_controller.apply_edit, []

    def apply(target, edit):
        calls.append(edit)
        if len(calls) == failing:
            raise LinkError("the disk is full", "")
        return real(target, edit)

    monkeypatch.setattr(review_controller, "apply_edit", apply)
    with qtbot.waitSignal(controller.failed):
        controller.make(accepting(layer))
    qtbot.waitUntil(lambda: not controller.is_busy)
    assert reviews(layer) == [""] * 7
    assert not controller.stack.can_undo
