"""A fitted head as an ONNX graph, which ONNX Runtime runs without scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from geochg.extras import require_packages
from geochg.learning.fitting import WIDEST, FittedHead
from geochg.learning.tree_ensembles import (
    IR_VERSION,
    OPSET,
    TREES_OPSET,
    boosting_trees,
    ensemble_attributes,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

INPUT, PROBABILITY, CLASS_SHARES = "features", "probability", "class_shares"
"""Names of the input and of the outputs."""

FACTS = "geochg"
"""Key of the metadata under which the graph tells what it was made for."""


class ClassHead(NamedTuple):
    """The linear part that tells the class of a change from its scaled features.

    Attributes:
        class_names: The classes.
        weights: `(columns, classes)`.
        bias: `(classes,)`.
    """

    class_names: tuple[str, ...]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]


def head_graph(head: FittedHead, class_head: ClassHead | None, facts: str) -> bytes:
    """The graph of a head as the content of an ONNX file.

    Input `(n, columns)` float32; outputs `(n, 1)` the probability that each change is one, and with
    a class head `(n, classes)` the share of each class.

    Args:
        head: The head.
        class_head: What tells classes; None to leave them as they are.
        facts: What the graph was made for, kept in its metadata.
    """
    require_packages("learn", "onnx")
    from onnx import TensorProto, helper

    columns = len(head.scaling.mean)
    graph = _Graph()
    graph.add("Sub", [INPUT, graph.constant("mean", head.scaling.mean)], "centred")
    graph.add("Div", ["centred", graph.constant("spread", head.scaling.spread)], "standard")
    limits = [graph.constant(name, np.float32(value)) for name, value in _LIMITS.items()]
    graph.add("Clip", ["standard", *limits], "clipped")
    graph.add("Mul", ["clipped", graph.constant("weight", head.scaling.weight)], "scaled")
    if head.classifier == "gradient boosting":
        trees = ensemble_attributes(*boosting_trees(head.model))
        graph.add("TreeEnsembleRegressor", ["scaled"], "logit", "ai.onnx.ml", **trees)
    else:
        weights = np.asarray(head.model.coef_, np.float32).T
        graph.add("MatMul", ["scaled", graph.constant("coefficients", weights)], "product")
        bias = np.asarray(head.model.intercept_, np.float32)
        graph.add("Add", ["product", graph.constant("bias", bias)], "logit")
    graph.add("Mul", ["logit", graph.constant("slope", np.float32(head.slope))], "sloped")
    intercept = graph.constant("intercept", np.float32(head.intercept))
    graph.add("Add", ["sloped", intercept], "calibrated")
    graph.add("Sigmoid", ["calibrated"], PROBABILITY)
    outputs = [(PROBABILITY, 1)]
    if class_head is not None:
        graph.add("MatMul", ["scaled", graph.constant("class_weights", class_head.weights)], "tied")
        graph.add("Add", ["tied", graph.constant("class_bias", class_head.bias)], "class_logits")
        graph.add("Softmax", ["class_logits"], CLASS_SHARES, axis=1)
        outputs.append((CLASS_SHARES, len(class_head.class_names)))
    kind = TensorProto.FLOAT
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "geochg_head",
            [helper.make_tensor_value_info(INPUT, kind, ["n", columns])],
            [helper.make_tensor_value_info(name, kind, ["n", width]) for name, width in outputs],
            graph.constants,
        ),
        producer_name="geochg",
        ir_version=IR_VERSION,
        opset_imports=[
            helper.make_opsetid("", OPSET),
            helper.make_opsetid("ai.onnx.ml", TREES_OPSET),
        ],
    )
    helper.set_model_props(model, {FACTS: facts})
    content: bytes = model.SerializeToString()
    return content


_LIMITS = {"least": -WIDEST, "greatest": WIDEST}


class _Graph:
    """Nodes and constants of a graph that is being made."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, values: NDArray[np.float32] | np.float32) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def add(
        self,
        operator: str,
        inputs: list[str],
        output: str,
        domain: str = "",
        **attributes: Any,  # noqa: ANN401
    ) -> None:
        from onnx import helper

        node = helper.make_node(operator, inputs, [output], domain=domain, **attributes)
        self.nodes.append(node)
