"""Which labelled pairs lie in one place, and must stay together in cross-validation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from geochg.datasets.pairs import PairFiles
from geochg.datasets.splits import connected_groups
from geochg.errors import OptionError
from geochg.evaluation.column_groups import columns_of_pairs

USUAL_COLUMN = "place"
"""Column that tells the place where no other one is named."""

LEAST_PLACES = 3
"""Fewest places between which anything can be cross-validated."""

_NUMBER = re.compile(
    r"(?:[\s_.,-]+(?:row|col|tile|part|crop|patch|[rcxy])?|(?<=\d)[rcxy])-?\d+$", re.IGNORECASE
)
"""The last number of a name, such as that of a tile or a coordinate, and what leads to it."""


class PairPlaces(NamedTuple):
    """The places of pairs.

    Attributes:
        names: Name of the place of each pair.
        divided_by: How they were found, in words.
    """

    names: tuple[str, ...]
    divided_by: str


def places_of(pairs: Sequence[PairFiles], column: str = "", file: Path | None = None) -> PairPlaces:
    """The places of pairs: of a column, or of the names of their files.

    Names are cut before their last numbers as often as that leaves enough places: `town_1_0_256`
    lies in `town_1`, unless all lie in so few towns. Pairs that share a picture share their place.

    Args:
        pairs: The pairs.
        column: Column that tells the place; empty for `USUAL_COLUMN`, or the names where there is
            none.
        file: A file of further columns; None for none.

    Raises:
        InputError: If the file cannot be read, or lacks a pair.
        OptionError: If there is no such column, or a pair has nothing in it.
    """
    further: Mapping[str, Mapping[str, str]] = {}
    if file is not None:
        further = columns_of_pairs(file, (pair.name for pair in pairs))
    columns = [{**pair.columns, **further.get(pair.name, {})} for pair in pairs]
    if column or any(USUAL_COLUMN in of_pair for of_pair in columns):
        column = column or USUAL_COLUMN
        names, divided_by = _of_column(pairs, columns, column), f"the column {column}"
    else:
        names, divided_by = _of_names(_file_names(pairs))
    keys = [
        {("place", name), ("group", pair.group)} for pair, name in zip(pairs, names, strict=True)
    ]
    return PairPlaces(tuple(names[first] for first in connected_groups(keys)), divided_by)


def _of_column(
    pairs: Sequence[PairFiles], columns: Sequence[Mapping[str, str]], column: str
) -> list[str]:
    if not any(column in of_pair for of_pair in columns):
        column_names = ", ".join(sorted({name for of_pair in columns for name in of_pair}))
        raise OptionError(
            f"there is no column {column!r} that tells the place",
            f"columns: {column_names}"
            if column_names
            else "give it with --place-file, or leave out --place",
        )
    names = [of_pair.get(column, "") for of_pair in columns]
    if "" in names:
        pair = pairs[names.index("")].name
        raise OptionError(f"nothing is in the column {column!r} of the pair {pair}", "fill it in")
    return names


def _file_names(pairs: Sequence[PairFiles]) -> list[str]:
    """What tells pairs apart: the names of their files, or of folders where those are alike."""
    stems = [pair.before.stem for pair in pairs]
    if len(pairs) > 1 and len(set(stems)) == 1:
        return [pair.before.parent.name for pair in pairs]
    return stems


def _of_names(names: Sequence[str]) -> tuple[list[str], str]:
    best, cuts = list(names), 0
    cut_names = list(names)
    for count in range(1, 9):
        cut_names = [_NUMBER.sub("", name) or name for name in cut_names]
        if len(set(cut_names)) < LEAST_PLACES:
            break
        if cut_names == best:
            break
        best, cuts = list(cut_names), count
    if not cuts:
        return best, "the names of the files: each is a place of its own"
    return best, (
        f"the names of the files before their last {'number' if cuts == 1 else f'{cuts} numbers'}: "
        f"{names[0]} lies in {best[0]}"
    )
