"""Talks about places, kept in the project."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from qgis.core import QgsProject

_SCOPE, _KEY = "geochg", "talks"


class Subject(NamedTuple):
    """What is asked about, and who is asked.

    Attributes:
        before: Id of the earlier image's layer.
        after: Id of the later one's.
        model: As the worker takes it.
        words: The three for the user.
    """

    before: str
    after: str
    model: str
    words: str


@dataclass
class Talk:
    """A place and what was said about it, by one model about one pair.

    Attributes:
        lon: In degrees.
        lat: In degrees.
        exchanges: Questions and answers, oldest first.
        before: As in `Subject`; empty before the first question.
        after: As in `Subject`.
        model: As in `Subject`.
        words: As in `Subject`.
    """

    lon: float
    lat: float
    exchanges: list[list[str]] = field(default_factory=list)
    before: str = ""
    after: str = ""
    model: str = ""
    words: str = ""

    @property
    def title(self) -> str:
        """For lists."""
        first = f": {self.exchanges[0][0]}" if self.exchanges else ""
        return f"{self.lat:.5f}, {self.lon:.5f}{first}"

    def is_about(self, subject: Subject) -> bool:
        """Whether a question about a subject goes on with it; one without questions takes any."""
        return not self.exchanges or subject[:3] == (self.before, self.after, self.model)

    def take(self, subject: Subject) -> None:
        """Belongs to a subject from now on."""
        self.before, self.after, self.model, self.words = subject


def kept_talks() -> list[Talk]:
    """The talks of the project; what does not read as one is left out."""
    text, _ = QgsProject.instance().readEntry(_SCOPE, _KEY, "[]")
    try:
        known = json.loads(text)
    except ValueError:
        return []
    return [Talk(**each) for each in known if _is_talk(each)] if isinstance(known, list) else []


def keep_talks(talks: list[Talk]) -> None:
    """Keeps talks in the project, to be saved with it; places nothing was asked about go."""
    kept = [asdict(each) for each in talks if each.exchanges]
    QgsProject.instance().writeEntry(_SCOPE, _KEY, json.dumps(kept))


def _is_talk(value: Any) -> bool:  # noqa: ANN401
    """Project files come from anywhere."""
    if not isinstance(value, dict) or not {"lon", "lat", "exchanges"} <= set(value):
        return False
    place = all(isinstance(value[name], (int, float)) for name in ("lon", "lat"))
    # Projects of the first version do not have them.
    rest = {name: value[name] for name in value if name not in ("lon", "lat", "exchanges")}
    named = set(rest) <= {"before", "after", "model", "words"}
    said = value["exchanges"]
    return (
        place
        and named
        and all(isinstance(text, str) for text in rest.values())
        and isinstance(said, list)
        and all(
            isinstance(each, list) and len(each) == 2 and all(isinstance(t, str) for t in each)
            for each in said
        )
    )
