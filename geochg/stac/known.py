"""Catalogues and collections that are known: those that come with geochg, and the user's own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from geochg.errors import InputError
from geochg.files.text_file import read_toml
from geochg.stac.collection import Collection, collection_of_entry

DEFAULT_CATALOG = "earth-search"
"""The catalogue that is asked where none is named."""

_FILE_NAME = "catalogs.toml"
_CATALOG_KEYS = {"url", "about", "token", "token_host"}


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A catalogue that is known by name.

    Attributes:
        name: The name that `--catalog` takes.
        url: Root of a STAC API, or the file or address of a static catalogue.
        about: One line.
        token: Address of a token for a collection, with `{collection}` for its id; empty where
            assets are open.
        token_host: End of the names of the servers that take the token.
    """

    name: str
    url: str
    about: str = ""
    token: str = ""
    token_host: str = ""


@dataclass(frozen=True)
class KnownCatalogs:
    """The catalogues and collections that are known, the user's own first.

    Attributes:
        catalogs: The catalogues by name.
        collections: Collections of all catalogues.
    """

    catalogs: Mapping[str, CatalogEntry]
    collections: tuple[Collection, ...]

    def catalog(self, text: str) -> CatalogEntry:
        """The catalogue of that name or address; empty for the default.

        Raises:
            InputError: If it is neither a known name nor an address nor a file.
        """
        text = text or DEFAULT_CATALOG
        if text in self.catalogs:
            return self.catalogs[text]
        for entry in self.catalogs.values():
            if entry.url.rstrip("/") == text.rstrip("/"):
                return entry
        if text.lower().startswith(("http://", "https://")) or Path(text).is_file():
            return CatalogEntry(text, text)
        raise InputError(
            f"{text!r} is neither a catalogue that is known nor an address nor a file",
            f"known catalogues: {', '.join(self.catalogs)}; else give http(s)://... or a file",
        )

    def collection(self, catalog: CatalogEntry, collection_id: str) -> Collection | None:
        """What is known of a collection of a catalogue; None where it is not known there."""
        for collection in self.collections:
            if collection.id == collection_id and collection.catalog in (catalog.name, catalog.url):
                return collection
        return None

    def namesakes(self, catalog: CatalogEntry, collection_id: str) -> list[Collection]:
        """Collections of that id in other catalogues, moved to this one: mirrors are alike."""
        return [
            replace(collection, catalog=catalog.name)
            for collection in self.collections
            if collection.id == collection_id
        ]


def user_file() -> Path:
    """Where the user's own catalogues stand, in the folder of settings of the system."""
    if sys.platform == "win32":
        folder = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return folder / "geochg" / _FILE_NAME


def read_known_catalogs() -> KnownCatalogs:
    """The known catalogues and collections; an entry of the user's counts before ours.

    Raises:
        InputError: If the user's file cannot be read.
    """
    tables = [_read_table(Path(str(files("geochg.stac") / _FILE_NAME)))]
    path = user_file()
    if path.is_file():
        tables.insert(0, _read_table(path))
    catalogs: dict[str, CatalogEntry] = {}
    collections: dict[tuple[str, str], Collection] = {}
    for table in tables:
        for name, entry in table.catalogs.items():
            catalogs.setdefault(name, entry)
        for collection in table.collections:
            collections.setdefault((collection.catalog, collection.id), collection)
    return KnownCatalogs(catalogs, tuple(collections.values()))


def copy_for_user() -> Path:
    """Makes the user's own file a copy of the one that comes with geochg, if there is none yet.

    Returns:
        The file.

    Raises:
        InputError: If it cannot be written.
    """
    path = user_file()
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(files("geochg.stac") / _FILE_NAME), path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}", "make its folder") from error
    return path


def _read_table(path: Path) -> KnownCatalogs:
    content = read_toml(path, "catalogues", f"correct it, or remove {path} to have ours back")
    entries, tables = content.get("catalogs", {}), content.get("collections", [])
    if not isinstance(entries, dict) or not isinstance(tables, list):
        raise InputError(
            f"{path} holds no [catalogs.NAME] and [[collections]]",
            "`geochg scenes collections` names the file that comes with geochg",
        )
    catalogs = {name: _catalog_entry(name, entry, path) for name, entry in entries.items()}
    collections = tuple(
        collection_of_entry(table if isinstance(table, dict) else {}, str(path)) for table in tables
    )
    return KnownCatalogs(catalogs, collections)


def _catalog_entry(name: str, entry: Any, path: Path) -> CatalogEntry:  # noqa: ANN401
    values = entry if isinstance(entry, dict) else {}
    is_text = all(isinstance(value, str) for value in values.values())
    if "url" not in values or set(values) - _CATALOG_KEYS or not is_text:
        raise InputError(
            f"{path}: the catalogue {name} needs url, and may have about, token and token_host",
            "correct the entry; all of them are texts",
        )
    if bool(values.get("token")) != bool(values.get("token_host")):
        raise InputError(
            f"{path}: the catalogue {name} names one of token and token_host", "name both"
        )
    return CatalogEntry(name, **values)
