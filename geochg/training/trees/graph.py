"""Ensembles of trees as ONNX graphs, which ONNX Runtime runs without scikit-learn."""

from __future__ import annotations

import numpy as np

from geochg.extras import require_packages
from geochg.learning.tree_ensembles import (
    IR_VERSION,
    OPSET,
    TREES_OPSET,
    boosting_trees,
    ensemble_attributes,
    forest_trees,
)
from geochg.models.trees.ensemble import INPUT, PROBABILITY
from geochg.training.trees.fitting import LEAST_SHARE, FittedTrees
from geochg.training.trees.options import TreeClassifier


def trees_graph(fitted: FittedTrees, columns: int) -> bytes:
    """Fitted trees as the content of an ONNX file.

    Input `(n, columns)` float32; output `(n, 1)`, the calibrated probability of change.

    Args:
        fitted: The trees.
        columns: Number of the features.

    Raises:
        MissingExtraError: If onnx is not installed.
    """
    require_packages("learn", "onnx")
    from onnx import TensorProto, helper, numpy_helper

    constants = {"slope": fitted.slope, "intercept": fitted.intercept}
    node = helper.make_node
    if fitted.classifier is TreeClassifier.FOREST:
        constants |= {"least": LEAST_SHARE, "greatest": 1 - LEAST_SHARE, "one": 1.0}
        trees = ensemble_attributes(forest_trees(fitted.model))
        nodes = [
            node("TreeEnsembleRegressor", [INPUT], ["sum"], domain="ai.onnx.ml", **trees),
            node("Clip", ["sum", "least", "greatest"], ["share"]),
            node("Sub", ["one", "share"], ["rest"]),
            node("Div", ["share", "rest"], ["odds"]),
            node("Log", ["odds"], ["logit"]),
        ]
    else:
        trees = ensemble_attributes(*boosting_trees(fitted.model))
        nodes = [node("TreeEnsembleRegressor", [INPUT], ["logit"], domain="ai.onnx.ml", **trees)]
    nodes += [
        node("Mul", ["logit", "slope"], ["sloped"]),
        node("Add", ["sloped", "intercept"], ["calibrated"]),
        node("Sigmoid", ["calibrated"], [PROBABILITY]),
    ]
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "geochg_trees",
        [helper.make_tensor_value_info(INPUT, kind, ["n", columns])],
        [helper.make_tensor_value_info(PROBABILITY, kind, ["n", 1])],
        [numpy_helper.from_array(np.asarray(v, np.float32), name) for name, v in constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", TREES_OPSET)]
    model = helper.make_model(
        graph, producer_name="geochg", ir_version=IR_VERSION, opset_imports=opsets
    )
    content: bytes = model.SerializeToString()
    return content
