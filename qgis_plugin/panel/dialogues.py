"""Dialogues about places, stored in the project."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from qgis.core import QgsProject

_SCOPE, _KEY = "geochg", "talks"
_SUBJECT_KEYS = ("before", "after", "model", "words")
"""Keys in project files, in the order of `DialogueSubject`."""

_OUTLINE = "outline"


class DialogueSubject(NamedTuple):
    """The pair and model of a question.

    Attributes:
        before: Source of the earlier image.
        after: Source of the later image.
        model: Model, as the worker takes it.
        label: Names of the three for the user.
    """

    before: str
    after: str
    model: str
    label: str


_NO_SUBJECT = DialogueSubject("", "", "", "")


@dataclass
class PlaceDialogue:
    """The questions and answers about a place, with one model about one pair.

    Attributes:
        lon: Longitude in degrees.
        lat: Latitude in degrees.
        exchanges: Questions and answers, oldest first.
        subject: Pair and model; empty texts before the first question.
        outline: Longitudes and latitudes of a ring around the ground that the answers are about;
            empty before the first answer.
    """

    lon: float
    lat: float
    exchanges: list[list[str]] = field(default_factory=list)
    subject: DialogueSubject = _NO_SUBJECT
    outline: list[list[float]] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Title in lists."""
        first = f": {self.exchanges[0][0]}" if self.exchanges else ""
        return f"{self.lat:.5f}, {self.lon:.5f}{first}"

    def to_text(self) -> str:
        """Questions and answers with their place, pair and model, to be copied."""
        lines = [f"{self.lat:.5f}, {self.lon:.5f}", self.subject.label]
        exchanges = [f"> {question}\n{answer}" for question, answer in self.exchanges]
        return "\n\n".join(["\n".join(line for line in lines if line), *exchanges])

    def is_about(self, subject: DialogueSubject) -> bool:
        """Whether a question about a subject may go on with the dialogue."""
        return not self.exchanges or subject[:3] == self.subject[:3]


def load_dialogues() -> list[PlaceDialogue]:
    """The dialogues of the project, without entries that are not well-formed."""
    text, _ = QgsProject.instance().readEntry(_SCOPE, _KEY, "[]")
    try:
        entries = json.loads(text)
    except ValueError:
        return []
    if not isinstance(entries, list):
        return []
    return [
        PlaceDialogue(
            entry["lon"],
            entry["lat"],
            entry["exchanges"],
            DialogueSubject(*(entry.get(key, "") for key in _SUBJECT_KEYS)),
            entry.get(_OUTLINE, []),
        )
        for entry in entries
        if _is_dialogue(entry)
    ]


def store_dialogues(dialogues: list[PlaceDialogue]) -> None:
    """Stores dialogues in the project, to be saved with it, without those that are empty."""
    entries = [
        {
            "lon": dialogue.lon,
            "lat": dialogue.lat,
            "exchanges": dialogue.exchanges,
            _OUTLINE: dialogue.outline,
            **dict(zip(_SUBJECT_KEYS, dialogue.subject)),
        }
        for dialogue in dialogues
        if dialogue.exchanges
    ]
    QgsProject.instance().writeEntry(_SCOPE, _KEY, json.dumps(entries))


def _is_dialogue(entry: Any) -> bool:  # noqa: ANN401
    """Whether an entry is well-formed: project files come from anywhere."""
    if not isinstance(entry, dict) or not {"lon", "lat", "exchanges"} <= set(entry):
        return False
    # Projects of the first version do not have the subject.
    others = ("lon", "lat", "exchanges", _OUTLINE)
    subject = {key: text for key, text in entry.items() if key not in others}
    exchanges = entry["exchanges"]
    return is_outline(entry.get(_OUTLINE, [])) and (
        all(isinstance(entry[key], (int, float)) for key in ("lon", "lat"))
        and set(subject) <= set(_SUBJECT_KEYS)
        and all(isinstance(text, str) for text in subject.values())
        and isinstance(exchanges, list)
        and all(map(_is_exchange, exchanges))
    )


def is_outline(value: object) -> bool:
    """Whether a value is a list of longitudes and latitudes."""
    return isinstance(value, list) and all(
        isinstance(point, list)
        and len(point) == 2
        and all(isinstance(number, (int, float)) for number in point)
        for point in value
    )


def _is_exchange(value: object) -> bool:
    return (
        isinstance(value, list) and len(value) == 2 and all(isinstance(text, str) for text in value)
    )
