"""Which labels a tile gained and lost, from the labels of both dates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from geochg.models.detectors.sentences import NO_CHANGE
from geochg.records import (
    GRID_CELLS,
    Answer,
    Caption,
    Change,
    Label,
    Locations,
    Presence,
    Question,
    SceneAnswers,
    Task,
    Unparsed,
)


class LabelMove(NamedTuple):
    """A label that is told at one date only.

    Attributes:
        name: The label.
        change: Whether it appeared or disappeared.
        probability: Probability of that, 0-1; None where a date has none.
    """

    name: str
    change: Change
    probability: float | None


@dataclass(frozen=True, slots=True)
class LabelMoves:
    """The labels that a tile gained and lost.

    Attributes:
        moves: The labels that are told at one date only, and likely enough.
        unlikely: The highest probability of a label that is no such move, at most the threshold;
            None where none was measured.
        senseless: Labels to which an answer made no sense at either date.
    """

    moves: tuple[LabelMove, ...]
    unlikely: float | None
    senseless: tuple[str, ...]

    @classmethod
    def of(cls, before: SceneAnswers, after: SceneAnswers, threshold: float) -> Self:
        """The moves between two dates; see `LabelsOptions.threshold`."""
        moves, unlikely, senseless = [], list[float](), []
        for name, old in before.labels.items():
            new = after.labels.get(name, Label(None))
            if old.present is None or new.present is None:
                senseless.append(name)
                continue
            gain, loss = _probability(old, new), _probability(new, old)
            change, likely = Change.APPEARED, gain
            if old.present or (loss is not None and gain is not None and loss > gain):
                change, likely = Change.DISAPPEARED, loss
            if old.present != new.present and (likely is None or likely > threshold):
                moves.append(LabelMove(name, change, likely))
            elif likely is not None:
                unlikely.append(min(likely, threshold))
        return cls(tuple(moves), max(unlikely, default=None), tuple(senseless))

    def answer(self, question: Question) -> Answer:
        """The answer to a question of `Task.PRESENCE`, `LOCATE` or `CAPTION`.

        Where nothing moved and some answer made no sense, nobody knows whether anything did.
        """
        if not self.moves and self.senseless:
            reason = f"no sense in the answers about {', '.join(self.senseless)}"
            return Unparsed(question.task, "", reason)
        if question.task is Task.PRESENCE:
            return self._presence()
        if question.task is Task.LOCATE:
            return self._locations()
        if question.task is Task.CAPTION:
            return Caption(self._sentence() or NO_CHANGE, changed=bool(self.moves))
        raise ValueError(f"{question.task} is not among the tasks of this backend")

    def _presence(self) -> Presence:
        if not self.moves:
            return Presence(False, self.unlikely)
        measured = [move.probability for move in self.moves if move.probability is not None]
        return Presence(True, max(measured, default=None))

    def _locations(self) -> Locations:
        """Each move in all cells: a label is told of the tile as a whole."""
        return Locations(
            {move.name: dict.fromkeys(GRID_CELLS, move.probability) for move in self.moves},
            {move.name: move.change for move in self.moves},
        )

    def _sentence(self) -> str:
        """A sentence such as "New: solar panels; gone: forest."."""
        words = {Change.APPEARED: "new", Change.DISAPPEARED: "gone"}
        by_change: Mapping[str, Sequence[str]] = {
            word: [move.name for move in self.moves if move.change is change]
            for change, word in words.items()
        }
        text = "; ".join(
            f"{word}: {', '.join(names)}" for word, names in by_change.items() if names
        )
        return f"{text[0].upper()}{text[1:]}." if text else ""


def _probability(absent: Label, present: Label) -> float | None:
    """Probability that a label is not there at one date, and there at the other."""
    if absent.probability is None or present.probability is None:
        return None
    return round((1 - absent.probability) * present.probability, 4)
