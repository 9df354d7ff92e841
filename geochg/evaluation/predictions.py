"""The answers of a model about labelled pairs, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from geochg import __version__
from geochg.errors import InputError
from geochg.evaluation.agreement import VIEWS, Views
from geochg.files.text_file import parsed_json, read_text
from geochg.options import VERSION_KEY
from geochg.records import Task

KIND = "geochg predictions"
"""Kind of file that the first line names."""

FORMAT = 4
"""Format of the files written; 1 had no number and no `content`, 2 no exchanged pairs, columns,
views and pairs without labels, 3 no `zero_shot`. All are still read."""

CONTENT = "presence"
"""Content that the first line of a file about labelled pairs names; see also `answers`."""

HINT = "make it again with geochg evaluate --predictions"
"""Hint for a file that cannot be used."""


_COUNT, _EXCHANGED = "items", "exchanged"
"""Keys of the first line for the numbers of lines that follow: of pairs, of exchanged pairs."""

ZERO_SHOT_THRESHOLD = "zero_shot_threshold"
"""Key of the options for the threshold of the zero-shot method, of models that know one."""

_ATTRIBUTES = {"said": "answer"}
"""Names of attributes of `Prediction` that the file calls otherwise."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer about one item, and its truth.

    Attributes:
        item: Name of the pair, or of a tile of a pair that has a mask.
        group: Group of pairs that share pictures, see `datasets.pairs`.
        changed: Whether it changed in truth; None where that is not known. Of an exchanged pair it
            is that of the pair which the before image is of.
        answer: Whether the model answers that it changed; None where it gave no answer.
        probability: The model's probability of change (0-1), None where it has none.
        difference: Mean absolute difference of the two dates, in 8-bit steps.
        partner: Name of the pair which the after image is of, where it was exchanged; else empty.
        columns: Further columns of the table of pairs, such as a sensor, by name.
        views: Whether each of the model's answers tells a change, for each tile; empty where only
            one question was asked.
        zero_shot: How far the posteriors of classes moved, 0-2 (`tile_features`); None where the
            model tells none.
    """

    item: str
    group: str
    changed: bool | None
    answer: bool | None
    probability: float | None
    difference: float
    partner: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    views: Sequence[Views] = ()
    zero_shot: float | None = None

    @property
    def pair(self) -> str:
        """Name of the pair, also of a tile of it."""
        return self.item.partition("/")[0]


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
        exchanged: One for each item of the exchanged pairs.
    """

    model: str
    model_options: Mapping[str, Any]
    opened: bool
    identity: Mapping[str, str]
    options: Mapping[str, Any]
    rows: Sequence[Prediction]
    exchanged: Sequence[Prediction] = ()

    def write(self, path: Path) -> None:
        """Writes the file: a line of JSON about the model, then one for each item.

        Raises:
            OSError: If it cannot be written.
        """
        head = {name: vars(self)[name] for name in _HEAD}
        counts = {_COUNT: len(self.rows), _EXCHANGED: len(self.exchanged)}
        lines = [head_line(CONTENT, {**head, **counts})]
        lines += [prediction_line(row) for row in (*self.rows, *self.exchanged)]
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
        check_head(head, _HEAD, path)
        if not rows:
            raise InputError(f"{path} holds no answers", HINT)
        predictions = [prediction_of(path, n, row) for n, row in enumerate(rows, start=2)]
        exchanged = tuple(row for row in predictions if row.partner)
        as_they_are = tuple(row for row in predictions if not row.partner)
        for key, count in ((_COUNT, len(as_they_are)), (_EXCHANGED, len(exchanged))):
            if head.get(key, count) != count:
                named_count = f"{head[key]}"[:20]
                raise InputError(
                    f"{path} holds {count} answers, where its first line names {named_count}", HINT
                )
        if not as_they_are:
            raise InputError(f"{path} holds no answers", HINT)
        return cls(**{name: head[name] for name in _HEAD}, rows=as_they_are, exchanged=exchanged)


_HEAD: Mapping[str, type] = {
    "model": str,
    "model_options": dict,
    "opened": bool,
    "identity": dict,
    "options": dict,
}
"""Type of each attribute of `Predictions` in the first line of a file."""


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
    zero_shot = [row.zero_shot for row in tiles if row.zero_shot is not None]
    return Prediction(
        tiles[0].item,
        tiles[0].group,
        None if tiles[0].changed is None else any(row.changed for row in tiles),
        True if True in answers else None if None in answers else False,
        max(likely) if len(likely) == len(tiles) else None,
        max(row.difference for row in tiles),
        tiles[0].partner,
        tiles[0].columns,
        tuple(views for row in tiles for views in row.views),
        max(zero_shot) if len(zero_shot) == len(tiles) else None,
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


def prediction_line(row: Prediction) -> str:
    """A prediction as a line of JSON, without what is empty."""
    keys = {attribute: key for key, attribute in _ATTRIBUTES.items()}
    values: dict[str, Any] = {}
    for of_row in fields(Prediction):
        value = getattr(row, of_row.name)
        is_needed = of_row.default is MISSING and of_row.default_factory is MISSING
        if is_needed or value or value == 0.0:
            values[keys.get(of_row.name, of_row.name)] = value
    return json.dumps(values, allow_nan=False)


def prediction_of(path: Path, number: int, values: Mapping[str, Any]) -> Prediction:
    """The prediction of which `prediction_line` gave the values.

    Args:
        path: The file.
        number: Number of the line.
        values: Values of the line.

    Raises:
        InputError: If they are of no prediction.
    """
    given_values = {_ATTRIBUTES.get(name, name): value for name, value in values.items()}
    try:
        row = Prediction(**given_values)
    except TypeError as error:
        raise InputError(f"{path}, line {number} has other keys than a prediction", HINT) from error
    sound = (
        isinstance(row.item, str)
        and isinstance(row.group, str)
        and isinstance(row.changed, bool | None)
        and isinstance(row.answer, bool | None)
        and (row.probability is None or _is_number(row.probability, 1.0))
        and _is_number(row.difference, 255.0)
        and isinstance(row.partner, str)
        and are_columns(row.columns)
        and isinstance(row.views, list | tuple)
        and all(map(_are_views, row.views))
        and (row.zero_shot is None or _is_number(row.zero_shot, 2.0))
    )
    if not sound:
        raise InputError(f"{path}, line {number} has a value that makes no sense", HINT)
    views = tuple({Task(name): view for name, view in of_tile.items()} for of_tile in row.views)
    return replace(row, views=views)


def are_columns(values: object) -> bool:
    """Whether a JSON value is a table of texts, as columns are kept."""
    return isinstance(values, dict) and all(isinstance(text, str) for text in values.values())


def _are_views(values: object) -> bool:
    return (
        isinstance(values, dict)
        and set(VIEWS) >= values.keys()
        and all(isinstance(view, bool | None) for view in values.values())
    )


def _is_number(value: object, greatest: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= greatest
