"""The answers of a model about labelled pairs, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from geochg import __version__
from geochg.errors import InputError
from geochg.files.text_file import parsed_json, read_text
from geochg.options import VERSION_KEY

KIND = "geochg predictions"
"""Kind of file that the first line names."""

FORMAT = 2
"""Format of the files written; 1 had no number and no `content`, and is still read."""

CONTENT = "presence"
"""Content that the first line of a file about labelled pairs names; see also `answers`."""

HINT = "make it again with geochg evaluate --predictions"
"""Hint for a file that cannot be used."""


_COUNT = "items"
"""Key of the first line for the number of lines that follow."""

_ATTRIBUTES = {"said": "answer"}
"""Names of attributes of `Prediction` that the file calls otherwise."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer about one item, and its truth.

    Attributes:
        item: Name of the pair, or of a tile of a pair that has a mask.
        group: Group of pairs that share pictures, see `datasets.pairs`.
        changed: Whether it changed in truth.
        answer: Whether the model answers that it changed; None where it gave no answer.
        probability: The model's probability of change (0-1), None where it has none.
        difference: Mean absolute difference of the two dates, in 8-bit steps.
    """

    item: str
    group: str
    changed: bool
    answer: bool | None
    probability: float | None
    difference: float


@dataclass(frozen=True)
class Predictions:
    """The answers of a model about labelled pairs: all that a scoring needs.

    Attributes:
        model: Value of `--model`.
        model_options: The model's own options, as they were given.
        opened: Whether it was asked with its presence threshold as low as it goes, to fit it.
        identity: `ModelIdentity` as plain values.
        options: Other options that shaped the answers.
        rows: One prediction for each item.
    """

    model: str
    model_options: Mapping[str, Any]
    opened: bool
    identity: Mapping[str, str]
    options: Mapping[str, Any]
    rows: Sequence[Prediction]

    def write(self, path: Path) -> None:
        """Writes the file: a line of JSON about the model, then one for each item.

        Raises:
            OSError: If it cannot be written.
        """
        head = {name: value for name, value in vars(self).items() if name != "rows"}
        rows = (json.dumps(_file_values(row), allow_nan=False) for row in self.rows)
        lines = [head_line(CONTENT, {**head, _COUNT: len(self.rows)}), *rows]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads what `write` wrote.

        Raises:
            InputError: If the file cannot be read, a line is no prediction, or lines are missing
                or were added; files of earlier versions do not tell how many there are.
        """
        head, *rows = json_lines(path)
        if head.get("content", CONTENT) != CONTENT:
            raise InputError(f"{path} holds no answers about labelled pairs", HINT)
        types = {
            "model": str,
            "model_options": dict,
            "opened": bool,
            "identity": dict,
            "options": dict,
        }
        check_head(head, types, path)
        if not rows:
            raise InputError(f"{path} holds no answers", HINT)
        predictions = tuple(_row(path, number, row) for number, row in enumerate(rows, start=2))
        if head.get(_COUNT, len(rows)) != len(rows):
            count = f"{head[_COUNT]}"[:20]
            raise InputError(
                f"{path} holds {len(rows)} answers, where its first line names {count}", HINT
            )
        return cls(**{name: head[name] for name in types}, rows=predictions)


def head_line(content: str, head: Mapping[str, Any]) -> str:
    """The first line of a file of predictions.

    Args:
        content: Content of the rows.
        head: Facts about the model and its questions, as plain JSON values.
    """
    kind = {"kind": KIND, "content": content, "format": FORMAT, VERSION_KEY: __version__}
    return json.dumps({**kind, **head}, allow_nan=False)


def check_head(head: Mapping[str, Any], types: Mapping[str, type], path: Path) -> None:
    """Refuses the first line of a file that lacks something or does not name a model.

    Args:
        head: Values of the line.
        types: Type of each value that it must have.
        path: The file.

    Raises:
        InputError: If a value is missing or holds NaN or Infinity, or the identity names no model.
    """
    try:
        # Python reads such numbers, and no report can hold them.
        json.dumps(head, allow_nan=False)
    except ValueError as error:
        raise InputError(f"{path}, line 1 holds a number that is not finite", HINT) from error
    for name, type_ in types.items():
        if not isinstance(head.get(name), type_):
            raise InputError(f"{path}, line 1: there is no {name!r}", HINT)
    identity = head["identity"]
    is_text = all(isinstance(value, str) for value in identity.values())
    if not is_text or not {"id", "checksum"} <= identity.keys():
        raise InputError(f"{path}, line 1 does not name the model", HINT)


def merged_by_item(rows: Iterable[Prediction]) -> list[Prediction]:
    """One prediction for each item: a pair with one label has changed where any tile of it has."""
    by_item: dict[str, list[Prediction]] = {}
    for row in rows:
        by_item.setdefault(row.item, []).append(row)
    return [_merged_prediction(tiles) for tiles in by_item.values()]


def _merged_prediction(tiles: Sequence[Prediction]) -> Prediction:
    answers = [row.answer for row in tiles]
    likely = [row.probability for row in tiles if row.probability is not None]
    return Prediction(
        tiles[0].item,
        tiles[0].group,
        any(row.changed for row in tiles),
        True if True in answers else None if None in answers else False,
        max(likely) if len(likely) == len(tiles) else None,
        max(row.difference for row in tiles),
    )


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of predictions, of whatever content; the head is the first.

    Raises:
        InputError: If it cannot be read, is no file of predictions, is of a newer geochg, or a line
            is no JSON object.
    """
    lines = read_text(path, "the predictions").split("\n")
    if lines[-1] == "":
        lines.pop()
    values = [_object(path, number, line) for number, line in enumerate(lines, start=1)]
    head = values[0] if values else {}
    if head.get("kind") != KIND:
        raise InputError(f"{path} is no file of predictions", HINT)
    number = head.get("format", 1)
    if type(number) is not int or not 1 <= number <= FORMAT:
        raise InputError(
            f"{path} is of format {number!r}, written by geochg {head.get(VERSION_KEY)!r}; this is "
            f"geochg {__version__}, which reads formats up to {FORMAT}",
            "update geochg, or make the predictions again",
        )
    return values


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = parsed_json(line)
    except ValueError as error:
        raise InputError(f"{path}, line {number} is not JSON", HINT) from error
    if not isinstance(value, dict):
        raise InputError(f"{path}, line {number} is no JSON object", HINT)
    return value


def _file_values(row: Prediction) -> dict[str, Any]:
    keys = {attribute: key for key, attribute in _ATTRIBUTES.items()}
    return {keys.get(name, name): value for name, value in asdict(row).items()}


def _row(path: Path, number: int, values: Mapping[str, Any]) -> Prediction:
    try:
        row = Prediction(**{_ATTRIBUTES.get(name, name): v for name, v in values.items()})
    except TypeError as error:
        raise InputError(f"{path}, line {number} has other keys than a prediction", HINT) from error
    sound = (
        isinstance(row.item, str)
        and isinstance(row.group, str)
        and isinstance(row.changed, bool)
        and (row.answer is None or isinstance(row.answer, bool))
        and (row.probability is None or _is_number(row.probability, 1.0))
        and _is_number(row.difference, 255.0)
    )
    if not sound:
        raise InputError(f"{path}, line {number} has a value that makes no sense", HINT)
    return row


def _is_number(value: object, greatest: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= greatest
