"""The trees of a folder, run by ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geochg.errors import ModelError
from geochg.models.deltavlm.runtime.onnx_file import start_session
from geochg.models.trees.card import GRAPH_FILE, HINT, TreesCard, checksum_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

INPUT, PROBABILITY = "features", "probability"
"""Names of the input and the output of the graph."""

_MOST_BYTES = 256 << 20


@dataclass(frozen=True, eq=False)
class TreeEnsemble:
    """Trees, ready to be applied.

    Attributes:
        file: Their file.
        session: An `onnxruntime.InferenceSession` of it.
    """

    file: Path
    session: Any

    @classmethod
    def open(cls, folder: Path, card: TreesCard) -> TreeEnsemble:
        """Opens the trees of a folder.

        Raises:
            ModelError: If there are none, they were altered since they were made, or are of other
                features than their card tells.
        """
        file = folder / GRAPH_FILE
        try:
            if file.stat().st_size > _MOST_BYTES:
                raise ModelError(f"{file} is too large for trees", HINT)
            content = file.read_bytes()
        except OSError as error:
            raise ModelError(f"{file} cannot be read: {error.strerror}", HINT) from error
        if checksum_of(content) != card.sha256:
            raise ModelError(f"{file} is not the file that its card tells of", HINT)
        session = start_session(file, "cpu", HINT)
        inputs = [(part.name, list(part.shape)[1:]) for part in session.get_inputs()]
        outputs = [(part.name, list(part.shape)[1:]) for part in session.get_outputs()]
        if inputs != [(INPUT, [card.columns])] or outputs != [(PROBABILITY, [1])]:
            raise ModelError(f"{file} takes or gives other values than its card tells", HINT)
        return cls(file, session)

    def probability(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """`(n,)` the probability that each tile changed.

        Args:
            vectors: `(n, columns)` float32, finite.

        Raises:
            ModelError: If the trees give what is no number.
        """
        (outputs,) = self.session.run([PROBABILITY], {INPUT: vectors})
        probability = outputs[:, 0].astype(np.float64)
        if not np.isfinite(probability).all():
            raise ModelError(f"{self.file} gives what is no number", HINT)
        return np.asarray(np.clip(probability, 0.0, 1.0), np.float64)
