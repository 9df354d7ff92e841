"""Ensembles of trees of scikit-learn as attributes of ONNX's `TreeEnsembleRegressor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPSET, TREES_OPSET, IR_VERSION = 17, 3, 9
"""Versions of ONNX that the graphs are written in."""


class TreeNodes(NamedTuple):
    """The nodes of one tree; a row goes left where its feature is at most the threshold.

    Attributes:
        is_leaf: `(nodes,)` bool.
        feature: `(nodes,)` int, the feature that decides; of leaves it does not matter.
        threshold: `(nodes,)` float64, likewise.
        left: `(nodes,)` int, number of the next node.
        right: As `left`.
        value: `(nodes,)` float64, the output of leaves.
    """

    is_leaf: NDArray[np.bool_]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]


def ensemble_attributes(trees: Sequence[TreeNodes], base_value: float = 0.0) -> dict[str, Any]:
    """The attributes of ONNX's `TreeEnsembleRegressor` that adds up trees.

    Args:
        trees: The trees.
        base_value: What is added to their sum.
    """
    attributes: dict[str, list[Any]] = {
        f"nodes_{name}": []
        for name in (
            *("treeids", "nodeids", "featureids", "values", "modes"),
            *("truenodeids", "falsenodeids"),
        )
    }
    attributes |= {f"target_{name}": [] for name in ("treeids", "nodeids", "ids", "weights")}
    for number, tree in enumerate(trees):
        count, leaf = len(tree.is_leaf), tree.is_leaf
        attributes["nodes_treeids"] += [number] * count
        attributes["nodes_nodeids"] += range(count)
        attributes["nodes_featureids"] += np.where(leaf, 0, tree.feature).tolist()
        attributes["nodes_values"] += _float32_below(np.where(leaf, 0, tree.threshold)).tolist()
        attributes["nodes_modes"] += np.where(leaf, "LEAF", "BRANCH_LEQ").tolist()
        attributes["nodes_truenodeids"] += np.where(leaf, 0, tree.left).tolist()
        attributes["nodes_falsenodeids"] += np.where(leaf, 0, tree.right).tolist()
        leaves = np.flatnonzero(leaf)
        attributes["target_treeids"] += [number] * len(leaves)
        attributes["target_nodeids"] += leaves.tolist()
        attributes["target_ids"] += [0] * len(leaves)
        attributes["target_weights"] += tree.value[leaves].tolist()
    return {**attributes, "n_targets": 1, "base_values": [base_value], "post_transform": "NONE"}


def boosting_trees(model: Any) -> tuple[list[TreeNodes], float]:  # noqa: ANN401
    """The trees of a `HistGradientBoostingClassifier` of two classes, and its base value."""
    # scikit-learn tells its trees nowhere else; skl2onnx reads them here too.
    nodes = [predictor.nodes for (predictor,) in model._predictors]
    trees = [
        TreeNodes(
            of_tree["is_leaf"].astype(bool),
            of_tree["feature_idx"].astype(np.int64),
            of_tree["num_threshold"].astype(np.float64),
            of_tree["left"].astype(np.int64),
            of_tree["right"].astype(np.int64),
            of_tree["value"].astype(np.float64),
        )
        for of_tree in nodes
    ]
    return trees, float(np.ravel(model._baseline_prediction)[0])


def forest_trees(model: Any) -> list[TreeNodes]:  # noqa: ANN401
    """The trees of a `RandomForestClassifier` of two classes; they add up to the share of one."""
    trees = []
    for estimator in model.estimators_:
        tree = estimator.tree_
        values = tree.value[:, 0, :]
        share = values[:, 1] / values.sum(axis=1) / len(model.estimators_)
        leaf = tree.children_left < 0
        trees.append(
            TreeNodes(
                *(leaf, tree.feature, tree.threshold, tree.children_left, tree.children_right),
                share,
            )
        )
    return trees


def _float32_below(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 that is no larger: float32 features then go the same ways."""
    rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded)
