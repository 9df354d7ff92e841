"""What a model said of labelled pairs, and the file that keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from geochg import __version__
from geochg.errors import InputError
from geochg.files.text_file import parsed_json, read_text
from geochg.options import VERSION_KEY

KIND = "geochg predictions"
"""What the first line of a file says it is."""

FORMAT = 2
"""Of the files written; 1 had no number and no `content`, and is still read."""

CONTENT = "presence"
"""What the first line of a file of labelled pairs says it holds; see also `answers`."""

HINT = "make it again with geochg evaluate --predictions"
"""What to do about a file that cannot be used."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer beside the truth.

    Attributes:
        item: What is judged: a pair, or a tile of one that has a mask.
        group: Its group of pairs, which share pictures; see `datasets.pairs`.
        changed: Whether it changed in truth.
        said: Whether the model says so; None where it gave no answer.
        probability: The model's probability of change (0-1), None where it has none.
        difference: Mean absolute difference of the two dates, in 8-bit steps.
    """

    item: str
    group: str
    changed: bool
    said: bool | None
    probability: float | None
    difference: float


@dataclass(frozen=True)
class Predictions:
    """All that a scoring needs.

    Attributes:
        model: What `--model` was.
        model_options: The model's own options, as they were given.
        opened: Whether it was asked with its presence threshold as low as it goes, to fit it.
        identity: `ModelIdentity` as plain values.
        options: What else shaped the answers.
        rows: One an item.
    """

    model: str
    model_options: Mapping[str, Any]
    opened: bool
    identity: Mapping[str, str]
    options: Mapping[str, Any]
    rows: Sequence[Prediction]

    def lines(self) -> Iterator[str]:
        """The file: a line of JSON about the model, then one an item."""
        head = {name: value for name, value in vars(self).items() if name != "rows"}
        kind = {"kind": KIND, "content": CONTENT, "format": FORMAT, VERSION_KEY: __version__}
        yield json.dumps({**kind, **head})
        for row in self.rows:
            yield json.dumps(asdict(row), allow_nan=False)

    def write(self, path: Path) -> None:
        """Writes the file; may raise `OSError`."""
        path.write_text("".join(f"{line}\n" for line in self.lines()), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads what `write` wrote.

        Raises:
            InputError: If the file cannot be read or a line is no such thing.
        """
        head, *rows = json_lines(path)
        if head.get("content", CONTENT) != CONTENT:
            raise InputError(f"{path} holds no answers about labelled pairs", HINT)
        wanted = {
            "model": str,
            "model_options": dict,
            "opened": bool,
            "identity": dict,
            "options": dict,
        }
        for name, kind in wanted.items():
            if not isinstance(head.get(name), kind):
                raise InputError(f"{path}, line 1: there is no {name!r}", HINT)
        check_identity(head["identity"], path)
        return cls(
            **{name: head[name] for name in wanted},
            rows=tuple(_row(path, number, row) for number, row in enumerate(rows, start=2)),
        )


def check_identity(identity: Mapping[str, Any], path: Path) -> None:
    """Refuses what does not name a model.

    Args:
        identity: As the first line of a file has it.
        path: The file.

    Raises:
        InputError: Then.
    """
    is_text = all(isinstance(value, str) for value in identity.values())
    if not is_text or not {"id", "checksum"} <= identity.keys():
        raise InputError(f"{path}, line 1 does not name the model", HINT)


def merged_by_item(rows: Iterable[Prediction]) -> list[Prediction]:
    """One prediction an item: a pair with one label has changed where any tile of it has."""
    parts: dict[str, list[Prediction]] = {}
    for row in rows:
        parts.setdefault(row.item, []).append(row)
    return [_merged_prediction(part) for part in parts.values()]


def _merged_prediction(part: Sequence[Prediction]) -> Prediction:
    said = [row.said for row in part]
    likely = [row.probability for row in part if row.probability is not None]
    return Prediction(
        part[0].item,
        part[0].group,
        any(row.changed for row in part),
        True if True in said else None if None in said else False,
        max(likely) if len(likely) == len(part) else None,
        max(row.difference for row in part),
    )


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of predictions, of whatever content; the head is the first.

    Raises:
        InputError: If it cannot be read, is no such file, is of a newer geochg, or a line is no
            JSON object.
    """
    lines = read_text(path, "the predictions").split("\n")
    if lines[-1] == "":
        lines.pop()
    found = [_object(path, number, line) for number, line in enumerate(lines, start=1)]
    head = found[0] if found else {}
    if head.get("kind") != KIND:
        raise InputError(f"{path} is no file of predictions", HINT)
    number = head.get("format", 1)
    if type(number) is not int or not 1 <= number <= FORMAT:
        raise InputError(
            f"{path} is of format {number!r}, written by geochg {head.get(VERSION_KEY)!r}; this is "
            f"geochg {__version__}, which reads formats up to {FORMAT}",
            "update geochg, or make the predictions again",
        )
    return found


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = parsed_json(line)
    except ValueError as error:
        raise InputError(f"{path}, line {number} is not JSON", HINT) from error
    if not isinstance(value, dict):
        raise InputError(f"{path}, line {number} is no JSON object", HINT)
    return value


def _row(path: Path, number: int, values: Mapping[str, Any]) -> Prediction:
    try:
        row = Prediction(**values)
    except TypeError as error:
        raise InputError(f"{path}, line {number} has other members", HINT) from error
    sound = (
        isinstance(row.item, str)
        and isinstance(row.group, str)
        and isinstance(row.changed, bool)
        and (row.said is None or isinstance(row.said, bool))
        and (row.probability is None or _is_number(row.probability, 1.0))
        and _is_number(row.difference, 255.0)
    )
    if not sound:
        raise InputError(f"{path}, line {number} has a value that makes no sense", HINT)
    return row


def _is_number(value: object, most: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= most
