"""Tables of numbers as CSV, which spreadsheets, QGIS and programs read alike."""

from __future__ import annotations

import csv
import io
import re
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

from geochg.safety.untrusted_text import printable

if TYPE_CHECKING:
    from pandas import DataFrame

TABLE_SUFFIXES = (".csv",)
"""Suffixes `write_table` knows."""

_FORMULA = re.compile(r"\s*[=+\-@]|[\t\r\n]")
"""How what a spreadsheet computes begins."""

_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")


def write_table(frame: DataFrame, path: Path) -> None:
    """Writes a table as CSV: UTF-8, commas, points in numbers, one header line.

    Texts of models, files and people that a spreadsheet would take for a formula get an apostrophe
    before them; numbers stay. A missing value is an empty cell. The same table gives the same
    bytes.

    Args:
        frame: The table; its index is left out.
        path: Where to write; what is there is replaced.

    Raises:
        OSError: If it cannot be written.
    """
    path.write_text(csv_text(frame), encoding="utf-8", newline="")


def csv_text(frame: DataFrame) -> str:
    """The table as `write_table` writes it."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(frame.columns)
    is_text = [frame[name].dtype == "string" for name in frame.columns]
    for row in frame.itertuples(index=False, name=None):
        writer.writerow(
            _safe_cell(value) if text else _number_cell(value)
            for value, text in zip(row, is_text, strict=True)
        )
    return content.getvalue()


def _safe_cell(value: object) -> str:
    """A text as a cell; empty where there is none."""
    if not isinstance(value, str):
        return ""
    text = printable(value).replace("\n", " ").replace("\t", " ")
    is_formula = _FORMULA.match(text) and not _NUMBER.fullmatch(text.strip())
    return f"'{text}" if is_formula else text


def _number_cell(value: object) -> str:
    """A number as a cell: all of its digits, without an exponent; empty where there is none."""
    if not isinstance(value, Real) or value != value:  # None, NaN, NA
        return ""
    if isinstance(value, float):
        text = repr(float(value))
        return f"{value:.17f}".rstrip("0").rstrip(".") if "e" in text else text
    return str(value)
