"""Lists of pairs as people and catalogues write them: CSV, JSON, STAC and GeoJSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geochg.batch.option_cells import option_names, option_of_cell
from geochg.batch.stac_items import StacRow, is_stac, stac_rows
from geochg.errors import InputError, OptionError
from geochg.files.text_file import json_value, parsed_json, read_table, read_text
from geochg.safety.untrusted_text import cleaned

OWN_COLUMNS = ("id", "before", "after", "options")
"""Columns of a list beside those that are options."""

_HINT = "write a CSV file with the columns before, after and id, or see docs/batch.md"


@dataclass(frozen=True)
class ListedPair:
    """A row of a list as it stands there, before anything of it is checked.

    Attributes:
        place: Where it stands: `line 3`, `pair 2`, `item S2A_1`.
        id: Its id; empty where it has none.
        before: The earlier raster, as written.
        after: The later raster.
        folder: The folder that relative paths in it start from.
        options: Options of the analysis for this pair alone.
        fault: Why it cannot be used; empty where that is not known yet.
    """

    place: str
    id: str
    before: str
    after: str
    folder: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""


def read_pair_list(path: Path) -> list[ListedPair]:
    """Reads a list of pairs.

    Args:
        path: A CSV file with the columns `before` and `after`; a JSON file with an array of
            objects, or an object with such an array `pairs`; a static STAC catalogue, collection,
            item or item collection whose items have the assets `before` and `after`; or GeoJSON
            whose features have these properties.

    Raises:
        InputError: If it cannot be read, is none of these, or holds no pair.
        OptionError: If a column of a table is no option.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder", "name the file with the list of pairs in it")
    suffix = path.suffix.lower()
    if suffix in (".json", ".geojson"):
        rows = _of_json(path)
    elif suffix in (".csv", ".tsv", ".txt"):
        rows = list(_of_table(path))
    else:
        raise InputError(
            f"cannot tell what kind of list {path} is",
            "known suffixes: .csv, .tsv, .txt, .json, .geojson",
        )
    if not rows:
        raise InputError(f"{path} holds no pair", _HINT)
    return rows


def listed_pairs(pairs: Iterable[Mapping[str, Any]], folder: Path) -> list[ListedPair]:
    """Pairs as Python gives them: objects with `before`, `after`, `id` and `options`.

    Args:
        pairs: The objects.
        folder: The folder that relative paths start from.

    Raises:
        InputError: If there is none.
    """
    rows = [_of_object(pair, f"pair {n}", folder) for n, pair in enumerate(pairs, start=1)]
    if not rows:
        raise InputError("there is no pair", "give at least one with before and after")
    return rows


def _of_table(path: Path) -> Iterator[ListedPair]:
    table = read_table(path)
    names = [name.lower() for name in table.columns]
    if missing := [name for name in ("before", "after") if name not in names]:
        raise InputError(f"{path} has no column {missing[0]!r} in its first line", _HINT)
    known_options = option_names()
    fields: dict[str, str] = {}
    for column, name in zip(table.columns, names, strict=True):
        key = name if name in OWN_COLUMNS else known_options.get(name.lstrip("-"))
        if key is None:
            raise OptionError(
                f"{path} has a column {cleaned(column, 40)!r}, which is no option of a pair",
                f"columns are {', '.join(OWN_COLUMNS)} and options such as model or tile_size_px",
            )
        if key in fields.values():
            raise InputError(f"{path} has two columns for {key}", "remove one of them")
        fields[column] = key
    for line, cells in table.rows():
        values = {fields[column]: text for column, text in cells.items()}
        if any(values.values()):
            yield _of_cells(values, f"line {line}", path.parent)


def _of_cells(values: Mapping[str, str], place: str, folder: Path) -> ListedPair:
    """A row of a table; its empty cells say nothing."""
    options: dict[str, Any] = {}
    fault = ""
    try:
        if text := values.get("options", ""):
            options |= _options_object(parsed_json(text))
        for name, text in values.items():
            if name not in OWN_COLUMNS and text:
                options[name] = option_of_cell(name, text)
    except OptionError as error:
        fault = "; ".join(filter(None, (error.message, error.hint)))
    except ValueError as error:
        fault = f"its options are no JSON object: {cleaned(error)}"
    return ListedPair(
        place, values.get("id", ""), values["before"], values["after"], folder, options, fault
    )


def _of_json(path: Path) -> list[ListedPair]:
    content = json_value(read_text(path, "the list of pairs"), path, _HINT)
    if is_stac(content):
        return [
            _of_object(row.values, row.place, row.folder) if not row.fault else _faulty(row)
            for row in stac_rows(content, path)
        ]
    if isinstance(content, Mapping) and content.get("type") == "FeatureCollection":
        return _of_features(content, path)
    rows = content.get("pairs") if isinstance(content, Mapping) else content
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise InputError(f"{path} is neither a list of pairs nor a STAC catalogue", _HINT)
    return [_of_object(row, f"pair {n}", path.parent) for n, row in enumerate(rows, start=1)]


def _of_features(content: Mapping[str, Any], path: Path) -> list[ListedPair]:
    """Features of GeoJSON, whose properties are a pair; their shapes are not looked at."""
    features = content.get("features")
    if not isinstance(features, list):
        raise InputError(f"{path} is GeoJSON without features", _HINT)
    rows = []
    for number, feature in enumerate(features, start=1):
        place = f"feature {number}"
        properties = feature.get("properties") if isinstance(feature, Mapping) else None
        values = dict(properties) if isinstance(properties, Mapping) else {}
        if "id" not in values and isinstance(feature, Mapping) and "id" in feature:
            values["id"] = feature["id"]
        known_values = {name: values[name] for name in OWN_COLUMNS if name in values}
        rows.append(_of_object(known_values, place, path.parent))
    return rows


def _faulty(row: StacRow) -> ListedPair:
    return ListedPair(row.place, str(row.values.get("id", "")), "", "", row.folder, {}, row.fault)


def _of_object(values: object, place: str, folder: Path) -> ListedPair:
    """A pair as an object of JSON; what is wrong with it is kept as its fault."""
    if not isinstance(values, Mapping):
        return ListedPair(place, "", "", "", folder, {}, "it is no object with before and after")
    given_id = values.get("id")
    id_text = "" if given_id is None or isinstance(given_id, bool) else str(given_id)
    before, after = (_raster_name(values.get(name)) for name in ("before", "after"))
    fault, options = "", dict[str, Any]()
    if unknown := sorted(str(name) for name in values if name not in OWN_COLUMNS):
        fault = f"it has a member {cleaned(unknown[0], 40)!r}; members are {', '.join(OWN_COLUMNS)}"
    else:
        try:
            options = _options_object(values.get("options"))
        except ValueError as error:
            fault = str(error)
    return ListedPair(place, id_text, before, after, folder, options, fault)


def _raster_name(value: object) -> str:
    """The name of a raster; empty where it is none."""
    return str(value) if isinstance(value, str | Path) else ""


def _options_object(value: object) -> dict[str, Any]:
    """The options of a row.

    Raises:
        ValueError: If they are no object.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError("its options are no object of names and values")
    return dict(value)
