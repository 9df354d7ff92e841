"""Talks about places, kept in the project."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from qgis.core import QgsProject

_SCOPE, _KEY = "geochg", "talks"


@dataclass
class Talk:
    """A place and what was said about it.

    Attributes:
        lon: In degrees.
        lat: In degrees.
        exchanges: Questions and answers, oldest first.
    """

    lon: float
    lat: float
    exchanges: list[list[str]] = field(default_factory=list)

    @property
    def title(self) -> str:
        """For lists."""
        first = f": {self.exchanges[0][0]}" if self.exchanges else ""
        return f"{self.lat:.5f}, {self.lon:.5f}{first}"


def kept_talks() -> list[Talk]:
    """The talks of the project; what does not read as one is left out."""
    text, _ = QgsProject.instance().readEntry(_SCOPE, _KEY, "[]")
    try:
        known = json.loads(text)
    except ValueError:
        return []
    return [Talk(**each) for each in known if _is_talk(each)] if isinstance(known, list) else []


def keep_talks(talks: list[Talk]) -> None:
    """Keeps talks in the project, to be saved with it."""
    QgsProject.instance().writeEntry(_SCOPE, _KEY, json.dumps([asdict(each) for each in talks]))


def _is_talk(value: Any) -> bool:  # noqa: ANN401
    """Project files come from anywhere."""
    if not isinstance(value, dict) or set(value) != {"lon", "lat", "exchanges"}:
        return False
    place = all(isinstance(value[name], (int, float)) for name in ("lon", "lat"))
    said = value["exchanges"]
    return (
        place
        and isinstance(said, list)
        and all(
            isinstance(each, list) and len(each) == 2 and all(isinstance(t, str) for t in each)
            for each in said
        )
    )
