"""Text files as people and other programs write them: the one place that reads them.

Editors put a byte order mark before a text, PowerShell writes UTF-16, spreadsheets divide columns
by semicolons, and line ends differ.
"""

from __future__ import annotations

import codecs
import io
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geochg.errors import InputError

_MARKS = (
    # That of UTF-16 begins that of UTF-32.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
DELIMITERS = (",", ";", "\t", "|")
"""What may divide the columns of a table."""


def decoded_text(content: bytes) -> str:
    r"""The text of bytes: UTF-8, or what a byte order mark tells; every line ends in `\n`.

    Raises:
        UnicodeDecodeError: If they are no text in that encoding.
    """
    name = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    return content.decode(name).replace("\r\n", "\n").replace("\r", "\n")


def is_wide(content: bytes) -> bool:
    """Whether a byte order mark tells of UTF-16 or UTF-32."""
    return any(content.startswith(mark) for mark, name in _MARKS if name != "utf-8-sig")


def read_text(path: Path, kind: str = "") -> str:
    """The text of a file, see `decoded_text`.

    Args:
        path: The file.
        kind: What the file is, in words, for the messages, such as `the options file`.

    Raises:
        InputError: If it cannot be read, is a device, which may have no end, or is no text.
    """
    file_label = f"{kind} {path}" if kind else str(path)
    try:
        if path.is_char_device() or path.is_block_device():
            raise InputError(f"cannot read {file_label}: it is a device", "check the path")
        text = decoded_text(path.read_bytes())
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeError):
            raise InputError(
                f"{path} is not text in UTF-8, or in UTF-16 with a byte order mark: {error}",
                "save it as UTF-8",
            ) from error
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot read {file_label}: {reason}", "check the path") from error
    if "\0" in text:
        raise InputError(
            f"{path} holds zero bytes: it is UTF-16 without a byte order mark, or no text",
            "save it as UTF-8",
        )
    return text


def read_toml(path: Path, kind: str, hint: str) -> dict[str, Any]:
    """What a TOML file holds.

    Args:
        path: The file.
        kind: What the file holds, for the message: `options`, `prompts`.
        hint: How such a file is written.

    Raises:
        InputError: If it cannot be read or is not TOML.
    """
    text = read_text(path, f"the {kind} file")
    try:
        return tomllib.loads(text)
    # Beside its own error: whole numbers of thousands of digits, and tables nested as deep.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a TOML file: {error}", hint) from error


def parsed_json(text: str) -> Any:  # noqa: ANN401
    """What a JSON text holds.

    Raises:
        ValueError: If it is no JSON, nested too deep, or holds a number of thousands of digits. A
            `json.JSONDecodeError` tells line and column.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def json_value(text: str, source: Path, hint: str, first_line: int = 1) -> Any:  # noqa: ANN401
    """The value of a JSON text.

    Args:
        text: The text.
        source: File that holds it.
        hint: Hint of the error.
        first_line: Line of the file at which the text begins.

    Raises:
        InputError: If it is no JSON; it names file, line and column.
    """
    try:
        return parsed_json(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise InputError(
            f"{source}, line {line}, column {error.colno}: not JSON: {error.msg}", hint
        ) from error
    except ValueError as error:
        raise InputError(f"{source} cannot be read as JSON: {error}", hint) from error


@dataclass(frozen=True)
class Table:
    """A table with a line of names above it.

    Attributes:
        path: The file.
        columns: The names, in order.
        delimiter: What divides the columns.
        lines_above: Lines up to that of the names.
        text: What stands below them.
    """

    path: Path
    columns: tuple[str, ...]
    delimiter: str
    lines_above: int
    text: str

    def rows(self) -> Iterator[tuple[int, Mapping[str, str]]]:
        """The rows, with the number of the line on which each ends.

        Cells that a row lacks are empty; blanks around a cell go.

        Raises:
            InputError: If it is no table, or a row has more cells than there are columns.
        """
        import csv

        lines = csv.reader(io.StringIO(self.text), delimiter=self.delimiter, strict=True)
        try:
            for cells in lines:
                if any(cells[len(self.columns) :]):
                    raise csv.Error(f"a row has more than {len(self.columns)} columns")
                if cells:
                    padded = cells + [""] * (len(self.columns) - len(cells))
                    values = (cell.strip() for cell in padded)
                    number = lines.line_num + self.lines_above
                    yield number, dict(zip(self.columns, values, strict=False))
        except csv.Error as error:
            raise InputError(
                f"{self.path}, line {lines.line_num + self.lines_above}: not a CSV file: {error}",
                "save it as CSV, UTF-8, with texts in quotes",
            ) from error


def read_table(path: Path) -> Table:
    """Reads a CSV file; columns may be divided by commas, semicolons, tabs or bars.

    Raises:
        InputError: If it cannot be read, or is no text.
    """
    head, _, text = read_text(path).partition("\n")
    lines_above = 1
    delimiter = max(DELIMITERS, key=head.count)
    if len(head) == 5 and head.lower().startswith("sep="):
        # So spreadsheets tell in a line of its own what divides the columns.
        delimiter = head[4]
        head, _, text = text.partition("\n")
        lines_above = 2
    return Table(path, _names(head, delimiter), delimiter, lines_above, text)


def _names(head: str, delimiter: str) -> tuple[str, ...]:
    import csv

    try:
        names = next(csv.reader([head], delimiter=delimiter), [])
    except csv.Error:
        return ()
    return tuple(name.strip() for name in names)
