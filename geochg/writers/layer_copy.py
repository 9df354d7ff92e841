"""One layer copied from a GeoPackage of its own into another, within a transaction of SQLite.

All that GeoPackage and GDAL keep about a layer goes with it: its CRS, index, triggers and metadata.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from string import ascii_lowercase, ascii_uppercase

BESIDE = (
    *("gpkg_geometry_columns", "gpkg_extensions", "gpkg_metadata"),
    *("gpkg_metadata_reference", "gpkg_ogr_contents"),
)
"""Tables about layers that a GeoPackage may lack, in an order in which they can be made."""

_SMALL_LETTERS = str.maketrans(ascii_uppercase, ascii_lowercase)


def put_layer(database: sqlite3.Connection, source: str, layer: str) -> None:
    """Replaces a layer by that of the same name in an attached GeoPackage.

    Args:
        database: The GeoPackage that takes it, in a transaction.
        source: Name under which the other GeoPackage is attached.
        layer: The layer's name.

    Raises:
        sqlite3.Error: If it cannot be written.
    """
    with _without_triggers(database, "gpkg%"):
        _put_layer(database, source, layer)
    # Those of its own are made last: nothing that is copied is to run them.
    for (trigger,) in database.execute(
        f"SELECT sql FROM {source}.sqlite_master WHERE type = 'trigger' AND tbl_name = ?",
        (layer,),
    ).fetchall():
        database.execute(trigger)


def append_rows(database: sqlite3.Connection, source: str, layer: str) -> None:
    """Puts the rows of a layer of an attached GeoPackage behind those of the same layer.

    Args:
        database: The GeoPackage that takes them, in a transaction.
        source: Name under which the other GeoPackage is attached.
        layer: The name of both layers, which have the same columns and CRS.

    Raises:
        sqlite3.Error: If they cannot be written.
    """
    ((last,),) = database.execute(f"SELECT ifnull(max(fid), 0) FROM main.{_q(layer)}")
    column = _geometry_column(database, layer)
    names = [name for name in _columns(database, source, layer) if name != "fid"]
    with _without_triggers(database, layer):
        for table, key, others in (
            (layer, "fid", names),
            (f"rtree_{layer}_{column}", "id", ["minx", "maxx", "miny", "maxy"]),
        ):
            column_list = ", ".join(map(_q, others))
            database.execute(
                f"INSERT INTO main.{_q(table)} ({key}, {column_list})"
                f" SELECT {key} + ?, {column_list} FROM {source}.{_q(table)}",
                (last,),
            )
    database.execute(
        "UPDATE main.gpkg_ogr_contents SET feature_count ="
        f" (SELECT count(*) FROM main.{_q(layer)}) WHERE table_name = ?",
        (layer,),
    )
    database.execute(
        "UPDATE main.gpkg_contents AS own SET min_x = min(own.min_x, part.min_x),"
        " min_y = min(own.min_y, part.min_y), max_x = max(own.max_x, part.max_x),"
        f" max_y = max(own.max_y, part.max_y) FROM {source}.gpkg_contents AS part"
        " WHERE own.table_name = ?1 AND part.table_name = ?1",
        (layer,),
    )


@contextmanager
def _without_triggers(database: sqlite3.Connection, pattern: str) -> Iterator[None]:
    """Takes the triggers of some tables away while it lasts.

    Those that GeoPackage knows check what we never write, or call functions of GDAL's; others may
    do anything.

    Args:
        database: The GeoPackage.
        pattern: Names of the tables, as LIKE takes them.
    """
    triggers = database.execute(
        "SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger' AND tbl_name LIKE ?",
        (pattern,),
    ).fetchall()
    for name, _ in triggers:
        database.execute(f"DROP TRIGGER main.{_q(name)}")
    yield
    for _, sql in triggers:
        database.execute(sql)


def _put_layer(database: sqlite3.Connection, source: str, layer: str) -> None:
    for table in BESIDE:
        if table not in table_names(database, "table"):
            ((sql,),) = database.execute(
                f"SELECT sql FROM {source}.sqlite_master WHERE name = ?", (table,)
            )
            database.execute(sql)
    for table in ("gpkg_metadata", "gpkg_metadata_reference"):
        _copy_rows(database, source, "gpkg_extensions", "table_name = ?", table, ignore=True)
    _drop_layer(database, layer)
    srs_id = _put_reference_system(database, source, layer)
    ((sql,),) = database.execute(
        f"SELECT sql FROM {source}.sqlite_master WHERE type = 'table' AND name = ?", (layer,)
    )
    database.execute(sql)
    _copy_rows(database, source, layer)
    # Another layer may go by this name as its title, which may stand there but once.
    is_taken = database.execute("SELECT 1 FROM gpkg_contents WHERE identifier = ?", (layer,))
    omitted = "identifier" if is_taken.fetchone() else ""
    _copy_rows(
        database,
        source,
        "gpkg_contents",
        "table_name = ?",
        layer,
        omitted=omitted,
    )
    for table in ("gpkg_geometry_columns", "gpkg_extensions", "gpkg_ogr_contents"):
        _copy_rows(database, source, table, "table_name = ?", layer)
    _place(database, layer, srs_id)
    _copy_index(database, source, layer)
    _copy_metadata(database, source, layer)


def _copy_rows(
    database: sqlite3.Connection,
    source: str,
    table: str,
    condition: str = "1",
    *values: str,
    ignore: bool = False,
    omitted: str = "",
) -> None:
    columns = [name for name in _columns(database, source, table) if name != omitted]
    column_list = ", ".join(map(_q, columns))
    database.execute(
        f"INSERT {'OR IGNORE ' if ignore else ''}INTO main.{_q(table)} ({column_list})"
        f" SELECT {column_list} FROM {source}.{_q(table)} WHERE {condition}",
        values,
    )


def _columns(database: sqlite3.Connection, schema: str, table: str) -> list[str]:
    return [name for _, name, *_ in database.execute(f"PRAGMA {schema}.table_info({_q(table)})")]


def _drop_layer(database: sqlite3.Connection, layer: str) -> None:
    """Removes a layer, its index and what is said of it; styles saved for it stay."""
    for name, column in database.execute(
        "SELECT table_name, column_name FROM gpkg_geometry_columns"
        " WHERE lower(table_name) = lower(?)",
        (layer,),
    ).fetchall():
        database.execute(f"DROP TABLE IF EXISTS main.{_q(f'rtree_{name}_{column}')}")
    numbers = database.execute(
        "SELECT md_file_id FROM gpkg_metadata_reference WHERE lower(table_name) = lower(?)",
        (layer,),
    ).fetchall()
    for table in (
        *("gpkg_metadata_reference", "gpkg_ogr_contents", "gpkg_extensions"),
        *("gpkg_geometry_columns", "gpkg_data_columns", "gpkg_contents"),
    ):
        if table in table_names(database, "table"):
            database.execute(f"DELETE FROM {table} WHERE lower(table_name) = lower(?)", (layer,))
    for number in numbers:
        database.execute(
            "DELETE FROM gpkg_metadata WHERE id = ?1"
            " AND ?1 NOT IN (SELECT md_file_id FROM gpkg_metadata_reference)",
            number,
        )
    database.execute(f"DROP TABLE IF EXISTS main.{_q(layer)}")


def _put_reference_system(database: sqlite3.Connection, source: str, layer: str) -> int:
    """The number of the layer's CRS in the GeoPackage, where it is added unless it is there."""
    _add_missing_columns(database, source, "gpkg_spatial_ref_sys")
    columns = [
        name for name in _columns(database, source, "gpkg_spatial_ref_sys") if name != "srs_id"
    ]
    column_list = ", ".join(map(_q, columns))
    ((own_id, *values),) = database.execute(
        f"SELECT srs_id, {column_list} FROM {source}.gpkg_spatial_ref_sys WHERE srs_id ="
        f" (SELECT srs_id FROM {source}.gpkg_geometry_columns WHERE table_name = ?)",
        (layer,),
    )
    row = dict(zip(columns, values, strict=True))
    is_coded = str(row["organization"]).upper() != "NONE"
    code = ("organization", "organization_coordsys_id")
    identifying = code if is_coded else ("definition", "srs_name")
    known_row = database.execute(
        "SELECT srs_id FROM main.gpkg_spatial_ref_sys WHERE "
        + " AND ".join(f"upper({name}) = upper(?)" for name in identifying),
        [row[name] for name in identifying],
    ).fetchone()
    if known_row is not None:
        return int(known_row[0])
    taken_ids = {
        number for (number,) in database.execute("SELECT srs_id FROM gpkg_spatial_ref_sys")
    }
    row["srs_id"] = own_id if own_id not in taken_ids else max(100_000, *taken_ids) + 1
    for name in _columns(database, "main", "gpkg_spatial_ref_sys"):
        row.setdefault(name, "undefined")  # WKT 2, where the file has a column for it
    database.execute(
        f"INSERT INTO main.gpkg_spatial_ref_sys ({', '.join(map(_q, row))})"
        f" VALUES ({', '.join('?' * len(row))})",
        list(row.values()),
    )
    return int(row["srs_id"])


def _add_missing_columns(database: sqlite3.Connection, source: str, table: str) -> None:
    """Adds the columns of an extension (WKT 2) that the new layer brings."""
    known_columns = _columns(database, "main", table)
    for _, name, kind, _, default, _ in database.execute(
        f"PRAGMA {source}.table_info({_q(table)})"
    ):
        if name not in known_columns:
            usual = "'undefined'" if default is None and kind == "TEXT" else default
            database.execute(
                f"ALTER TABLE main.{_q(table)} ADD COLUMN {_q(name)} {kind}"
                + (f" DEFAULT {usual}" if usual is not None else "")
            )
            _copy_rows(database, source, "gpkg_extensions", "table_name = ?", table, ignore=True)


def _place(database: sqlite3.Connection, layer: str, srs_id: int) -> None:
    """Writes the number of the layer's CRS wherever it stands, also before each geometry."""
    for table in ("gpkg_contents", "gpkg_geometry_columns"):
        database.execute(
            f"UPDATE main.{table} SET srs_id = ? WHERE table_name = ?", (srs_id, layer)
        )
    column = _geometry_column(database, layer)
    database.create_function("geochg_placed", 1, lambda blob: _with_srs_id(blob, srs_id))
    database.execute(
        f"UPDATE main.{_q(layer)} SET {_q(column)} = geochg_placed({_q(column)})"
        f" WHERE {_q(column)} IS NOT NULL"
    )


def _geometry_column(database: sqlite3.Connection, layer: str) -> str:
    ((column,),) = database.execute(
        "SELECT column_name FROM main.gpkg_geometry_columns WHERE table_name = ?", (layer,)
    )
    return str(column)


def _with_srs_id(blob: bytes, srs_id: int) -> bytes:
    """A geometry with another number of its CRS, four bytes in the order that its flags tell."""
    order = "little" if blob[3] & 1 else "big"
    return blob[:4] + srs_id.to_bytes(4, order, signed=True) + blob[8:]  # type: ignore[arg-type]


def _copy_index(database: sqlite3.Connection, source: str, layer: str) -> None:
    column = _geometry_column(database, layer)
    index = f"rtree_{layer}_{column}"
    row = database.execute(
        f"SELECT sql FROM {source}.sqlite_master WHERE name = ?", (index,)
    ).fetchone()
    if row is not None:
        database.execute(row[0])
        _copy_rows(database, source, index)


def _copy_metadata(database: sqlite3.Connection, source: str, layer: str) -> None:
    for scope, standard, kind, text, reference, stamp in database.execute(
        "SELECT md_scope, md_standard_uri, mime_type, metadata, reference_scope, timestamp"
        f" FROM {source}.gpkg_metadata JOIN {source}.gpkg_metadata_reference ON md_file_id = id"
        " WHERE table_name = ?",
        (layer,),
    ).fetchall():
        number = database.execute(
            "INSERT INTO main.gpkg_metadata (md_scope, md_standard_uri, mime_type, metadata)"
            " VALUES (?, ?, ?, ?)",
            (scope, standard, kind, text),
        ).lastrowid
        database.execute(
            "INSERT INTO main.gpkg_metadata_reference"
            " (reference_scope, table_name, timestamp, md_file_id) VALUES (?, ?, ?, ?)",
            (reference, layer, stamp, number),
        )


def table_names(database: sqlite3.Connection, kind: str) -> set[str]:
    """Names in the schema of the main database.

    Args:
        database: A connection.
        kind: `table` or `view`.
    """
    rows = database.execute("SELECT name FROM main.sqlite_master WHERE type = ?", (kind,))
    return {str(name) for (name,) in rows}


def folded(name: str) -> str:
    """A name as SQLite compares names: in small letters, as far as they are ASCII."""
    return name.translate(_SMALL_LETTERS)


def _q(name: str) -> str:
    """A name in quotes, as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'
