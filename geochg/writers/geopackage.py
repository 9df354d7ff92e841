"""One layer of a GeoPackage replaced, and everything else in it kept.

GDAL deletes the old layer before it writes the new one, and a file that is replaced as a whole
takes all its layers with it. Here a layer that GDAL wrote into a file of its own is copied in one
transaction of SQLite, so that whoever has the GeoPackage open sees the old layer or the new one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from geochg.errors import InputError, OptionError, RunError
from geochg.files.sqlite import has_locks, open_database
from geochg.writers.layer_copy import BESIDE, append_rows, folded, put_layer, table_names
from geochg.writers.recognition import METADATA_KEY
from geochg.writers.reviews import refuse_reviewed_table

WAIT_S = 5.0
"""Seconds to wait for a program that is writing to the GeoPackage."""

_NEEDED = {"gpkg_contents", "gpkg_spatial_ref_sys"}
_RESERVED = ("gpkg_", "sqlite_", "rtree_", "geochg_")
_MOST_LETTERS = 100


def check_layer_name(name: str) -> None:
    """Refuses what cannot be the name of a layer.

    Raises:
        OptionError: If it cannot.
    """
    if not name.strip() or name != name.strip() or len(name) > _MOST_LETTERS:
        raise OptionError(
            f"{name[:40]!r} cannot be the name of a layer",
            f"write one of 1 to {_MOST_LETTERS} characters without blanks around it",
        )
    if not name.isprintable() or '"' in name:
        raise OptionError(
            f"the layer name {name!r} holds quotes or control characters", "write a plain name"
        )
    if name.lower().startswith(_RESERVED):
        raise OptionError(
            f"layer {name!r} is a name that GeoPackage keeps for itself", "choose another --layer"
        )


def is_geopackage(path: Path) -> bool:
    """Whether a file is a GeoPackage, and not damaged.

    Raises:
        OSError: If it cannot be read at all.
        InputError: If another program keeps it from being read.
    """
    with path.open("rb") as file:
        if not file.read(16).startswith(b"SQLite format 3\0"):
            return False
    try:
        with closing(open_database(path, "ro", locks=_is_lockable(path))) as database:
            return _NEEDED <= table_names(database, "table")
    except sqlite3.OperationalError as error:
        raise _geopackage_error(path, error) from error
    except sqlite3.DatabaseError:
        return False


def check_layer(path: Path, layer: str, *, overwrite: bool) -> None:
    """Refuses a GeoPackage that could not take a layer at the end of the run.

    Args:
        path: A GeoPackage, see `is_geopackage`.
        layer: The layer's name, see `check_layer_name`.
        overwrite: Whether a layer may be replaced that geochg did not write, or that was reviewed.

    Raises:
        InputError: If the layer is someone else's or was reviewed, the name is taken by something
            that is no layer, or another program holds the file.
    """
    try:
        locks = _is_lockable(path)
        with closing(open_database(path, "ro", locks=locks)) as database:
            _check_name_free(database, path, layer, overwrite=overwrite)
        if locks:
            with closing(open_database(path, wait_s=WAIT_S)) as database:
                database.execute("BEGIN IMMEDIATE")
                database.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise _geopackage_error(path, error) from error


def _geopackage_error(path: Path, error: sqlite3.Error) -> InputError:
    return InputError(
        f"cannot write into {path}: {_reason(error)}",
        f"{_remedy(path, error)}, or choose another output",
    )


def _check_name_free(
    database: sqlite3.Connection, path: Path, layer: str, *, overwrite: bool
) -> None:
    views = {folded(name) for name in table_names(database, "view")}
    if odd := sorted(views & {*BESIDE, folded(layer)}):
        raise InputError(
            f"{path} has a view {odd[0]!r} where a table is to be written",
            "choose another --layer, or another file",
        )
    kinds = dict(database.execute("SELECT lower(table_name), data_type FROM gpkg_contents"))
    kind = kinds.get(folded(layer))
    taken_names = {folded(name) for name in table_names(database, "table")}
    if kind not in (None, "features") or (kind is None and folded(layer) in taken_names):
        raise InputError(
            f"{path} holds {layer!r} already, which is no layer of features",
            "choose another --layer, or another file",
        )
    if kind and not overwrite and not _is_our_layer(database, layer):
        raise InputError(
            f"{path} has a layer {layer!r} already that geochg did not write",
            "choose another --layer or file, or add --overwrite to replace that layer",
        )
    if kind and not overwrite:
        refuse_reviewed_table(database, path, layer)


def _is_our_layer(database: sqlite3.Connection, layer: str) -> bool:
    if not {"gpkg_metadata", "gpkg_metadata_reference"} <= table_names(database, "table"):
        return False
    rows = database.execute(
        "SELECT metadata FROM gpkg_metadata JOIN gpkg_metadata_reference ON md_file_id = id"
        " WHERE lower(table_name) = lower(?)",
        (layer,),
    )
    return any(f'key="{METADATA_KEY}"' in str(text) for (text,) in rows)


# --- writing -------------------------------------------------------------------------------------


class LayerChange:
    """Layers put into a GeoPackage, which nobody sees before `commit`.

    A context manager; left before `commit`, the GeoPackage is as it was.

    Args:
        path: The GeoPackage.
        layers: Name of each layer, and the GeoPackage of its own that holds it.
        locks: Whether to lock the file against others; False for a copy nobody knows of.

    Raises:
        RunError: If another program holds it, or it cannot be written.
    """

    def __init__(self, path: Path, layers: dict[str, Path], *, locks: bool = True) -> None:
        self._path = path
        with _failures_named(path):
            self._database = open_database(path, locks=locks, wait_s=WAIT_S)
            try:
                for number, layer_file in enumerate(layers.values()):
                    self._database.execute(
                        f"ATTACH DATABASE ? AS made{number}", (_attached_name(layer_file),)
                    )
                self._database.execute("BEGIN IMMEDIATE")
                for number, layer in enumerate(layers):
                    put_layer(self._database, f"made{number}", layer)
            except BaseException:
                self._database.close()
                raise

    def commit(self) -> None:
        """Makes the layers seen.

        Raises:
            RunError: If that fails; then the GeoPackage is as it was.
        """
        with _failures_named(self._path):
            self._database.execute("COMMIT")
        self.close()

    def close(self) -> None:
        """Takes back what was not committed."""
        self._database.close()


def append_layer(path: Path, part: Path, layer: str) -> None:
    """Puts the rows of a layer behind those of the same layer in another GeoPackage.

    Args:
        path: The GeoPackage that takes them; nobody else knows of it.
        part: A GeoPackage of its own, with a layer of the same name and columns.
        layer: The layer's name.

    Raises:
        OSError: If it cannot be written.
    """
    try:
        with closing(open_database(path, locks=False)) as database:
            database.execute("ATTACH DATABASE ? AS part", (_attached_name(part),))
            database.execute("PRAGMA synchronous = OFF")
            database.execute("BEGIN IMMEDIATE")
            append_rows(database, "part", layer)
            database.execute("COMMIT")
    except sqlite3.Error as error:
        raise OSError(_reason(error)) from error


def _attached_name(path: Path) -> str:
    from urllib.parse import quote

    name = quote(path.resolve().as_posix())
    return f"file://{name if name.startswith('/') else f'/{name}'}?mode=ro&nolock=1"


@contextmanager
def _failures_named(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise RunError(
            f"cannot write into {path}: {_reason(error)}",
            f"{_remedy(path, error)}, then go on with --resume",
        ) from error


def _is_lockable(path: Path) -> bool:
    return has_locks(path.resolve().parent)


def _remedy(path: Path, error: sqlite3.Error) -> str:
    """What to do about an error, which depends on its kind."""
    # Extended codes have the plain one in their lowest byte.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_BUSY) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
        return f"the file is damaged: save what it holds anew (ogr2ogr mended.gpkg {path.name})"
    if code == sqlite3.SQLITE_FULL:
        return "make room on that disk"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return "close it in QGIS, see to it that you may write to the file and its folder"
    return "close it in QGIS and other programs"


def _reason(error: sqlite3.Error) -> str:
    if "locked" in str(error):
        return "another program, such as QGIS, has it open and is writing"
    return str(error)
