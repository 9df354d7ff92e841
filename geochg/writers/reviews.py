"""Whether people have judged or drawn changes of a layer, which a new run would lose."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from geochg.errors import InputError
from geochg.writers.recognition import PARQUET_SUFFIXES

_VECTOR_SUFFIXES = (".geojson", ".json", ".fgb")
_REVIEW_COLUMNS = {"review": "review IS NOT NULL", "source": "source = 'hand'"}
"""Columns that a review fills, and which of their rows it filled."""


def refuse_reviewed_file(path: Path) -> None:
    """Refuses to replace a file with decisions or drawn changes.

    A GeoPackage is judged layer by layer, see `refuse_reviewed_table`.

    Args:
        path: A file that geochg wrote.

    Raises:
        InputError: If it holds any.
        OSError: If it cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix in PARQUET_SUFFIXES:
        _refuse(path, _reviewed_rows(path))
    elif suffix in _VECTOR_SUFFIXES and path.stat().st_size:
        _refuse(path, _reviewed_features(path))


def refuse_reviewed_table(database: sqlite3.Connection, path: Path, table: str) -> None:
    """Refuses to replace a layer of a GeoPackage with decisions or drawn changes.

    Args:
        database: The GeoPackage, opened for reading.
        path: Its file, for the message.
        table: Name of the layer's table, of any case.

    Raises:
        InputError: If it holds any.
        sqlite3.Error: If it cannot be read.
    """
    quoted_table = '"' + table.replace('"', '""') + '"'
    columns = {row[1] for row in database.execute(f"PRAGMA table_info({quoted_table})")}
    if condition := _condition(columns):
        query = f"SELECT count(*) FROM {quoted_table} WHERE {condition}"
        _refuse(path, database.execute(query).fetchone()[0])


def _condition(columns: Iterable[str]) -> str:
    """What is true of reviewed rows, in SQL; empty where a layer has no column of a review."""
    known_columns = sorted(set(columns) & set(_REVIEW_COLUMNS))
    return " OR ".join(_REVIEW_COLUMNS[name] for name in known_columns)


def _refuse(path: Path, number: int) -> None:
    if number:
        changes = "a reviewed change" if number == 1 else f"{number:,} reviewed changes"
        raise InputError(
            f"{path} holds {changes}, which would be lost",
            "choose another output, or add --overwrite to replace them",
        )


def _reviewed_features(path: Path) -> int:
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        columns = [name for name in pyogrio.read_info(path)["fields"] if name in _REVIEW_COLUMNS]
        if not columns:
            return 0
        rows = pyogrio.read_dataframe(
            path, columns=columns, where=_condition(columns), read_geometry=False
        )
        return len(rows)
    # An IndexError: a damaged file opens, and holds no layer. There is nothing to lose.
    except (DataSourceError, DataLayerError, IndexError):
        return 0


def _reviewed_rows(path: Path) -> int:
    import pyarrow
    import pyarrow.parquet

    try:
        columns = set(pyarrow.parquet.read_schema(path).names) & set(_REVIEW_COLUMNS)
        rows = pyarrow.parquet.read_table(path, columns=sorted(columns)).to_pylist()
    except pyarrow.ArrowException:
        return 0
    return sum(row.get("review") is not None or row.get("source") == "hand" for row in rows)
