"""A head that was learned from a review, opened and applied."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from geochg.errors import InputError, ModelError
from geochg.features.descriptors import Descriptors
from geochg.features.judging import ChangeFacts, Judgement
from geochg.learning.card import CUT, GRAPH_FILE, SURE, Card, checksum_of
from geochg.learning.example_features import FeatureTable, feature_table
from geochg.learning.graph import CLASS_SHARES, INPUT, PROBABILITY
from geochg.models.deltavlm.runtime.onnx_file import start_session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geochg.models.base import ModelIdentity
    from geochg.options import Geometry

RELABEL_SHARE = 0.5
"""Share that another class must reach to be given."""

_MOST_BYTES = 32 << 20
_MADE_SO = ("id", "checksum", "adapter")
_HINT = "make it again by `geochg learn`"


def names_checksum(names: tuple[str, ...]) -> str:
    """A checksum of the names of features, by which a head knows them again."""
    return checksum_of("\n".join(names).encode())


@dataclass(frozen=True, eq=False)
class Head:
    """A head, ready to be applied.

    Attributes:
        folder: Its folder.
        card: Its card.
        session: An `onnxruntime.InferenceSession` of its graph.
    """

    folder: Path
    card: Card
    session: Any

    @classmethod
    def open(cls, folder: Path) -> Head:
        """Opens the head of a folder.

        Raises:
            InputError: If the folder holds none, or one that was altered since it was made.
        """
        card = Card.read(folder)
        file = folder / GRAPH_FILE
        if not file.is_file():
            raise InputError(f"{folder} has no {GRAPH_FILE}", _HINT)
        try:
            if file.stat().st_size > _MOST_BYTES:
                raise InputError(f"{file} is too large for what geochg learn writes", _HINT)
            content = file.read_bytes()
        except OSError as error:
            raise InputError(f"{file} cannot be read: {error.strerror}", _HINT) from error
        if checksum_of(content) != card.head_sha256:
            raise InputError(f"{file} is not the file that its card tells of", _HINT)
        try:
            session = start_session(file, "cpu", _HINT)
        except ModelError as error:
            raise InputError(error.message, _HINT) from error
        inputs = [(part.name, list(part.shape)[1:]) for part in session.get_inputs()]
        outputs = {part.name: list(part.shape)[1:] for part in session.get_outputs()}
        expected_outputs = {PROBABILITY: [1]}
        if card.class_names:
            expected_outputs[CLASS_SHARES] = [len(card.class_names)]
        if inputs != [(INPUT, [card.columns])] or outputs != expected_outputs:
            raise InputError(f"{file} takes or gives other values than its card tells", _HINT)
        return cls(folder, card, session)

    def check_model(self, identity: ModelIdentity, geometry: Geometry) -> None:
        """Refuses to judge the changes of another model.

        Args:
            identity: The model.
            geometry: How its changes are drawn.

        Raises:
            InputError: If the head was made for another model, or another version of it.
        """
        card_model, run_model = self.card.model, asdict(identity)
        if any(card_model.get(name) != run_model[name] for name in _MADE_SO):
            version = "another version of " if card_model.get("id") == run_model["id"] else ""
            raise InputError(
                f"{self.folder} was learned with {version}the model {card_model.get('id')}, and "
                f"this run uses {run_model['id']}",
                "learn again from layers of this model",
            )
        if self.card.geometry != geometry:
            raise InputError(
                f"{self.folder} was learned from changes drawn as {self.card.geometry}",
                f"add --geometry {self.card.geometry}",
            )

    def probability(self, table: FeatureTable) -> NDArray[np.float64]:
        """`(n,)` the probability that each change is one.

        Raises:
            InputError: If the features are others than those it learned from.
        """
        return self.judged(table)[0]

    def judged(self, table: FeatureTable) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]:
        """As `probability`, and `(n, classes)` shares of the classes, None where it tells none."""
        names = table.names
        if len(names) != self.card.columns or names_checksum(names) != self.card.names_checksum:
            raise InputError(
                f"{self.folder} was learned from other features than this model gives",
                "learn again from layers of this model",
            )
        if not len(table.values):
            return np.zeros(0), None
        outputs = self.session.run(None, {INPUT: table.values})
        names_out = [part.name for part in self.session.get_outputs()]
        by_name = dict(zip(names_out, outputs, strict=True))
        probability = by_name[PROBABILITY][:, 0].astype(np.float64)
        if not np.isfinite(probability).all():
            raise InputError(f"{self.folder / GRAPH_FILE} gives what is no number", _HINT)
        return np.clip(probability, 0, 1), by_name.get(CLASS_SHARES)


@dataclass(eq=False)
class HeadJudge:
    """Judges the changes of a run by a head, and counts what came of it; see `Judge`.

    Attributes:
        head: The head.
        counts: Changes left out, added, and given another class.
    """

    COUNTED: ClassVar = ("rejected", "added", "relabelled")

    head: Head
    counts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(
        self, facts: ChangeFacts, descriptors: Descriptors, candidate: NDArray[np.bool_]
    ) -> Judgement:
        """Judges some changes; see `Judge`."""
        probability, shares = self.head.judged(feature_table(facts, descriptors))
        keeps = np.where(candidate, probability >= SURE, probability >= CUT)
        names = [name for name, _ in facts.kinds]
        relabelled = 0
        if shares is not None:
            for row in np.flatnonzero(keeps & (shares.max(axis=1) >= RELABEL_SHARE)).tolist():
                name = self.head.card.class_names[int(shares[row].argmax())]
                relabelled += name != names[row]
                names[row] = name
        with self._lock:
            self.counts["rejected"] += int((~keeps & ~candidate).sum())
            self.counts["added"] += int((keeps & candidate).sum())
            self.counts["relabelled"] += relabelled
        return Judgement(keeps, probability, names)
