"""Pairs in a static STAC catalogue on this machine: items with the assets `before` and `after`.

Links are followed within the file system only; nothing is asked of another machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from geochg.errors import InputError
from geochg.files.remote_files import is_remote
from geochg.files.text_file import json_value, read_text
from geochg.safety.untrusted_text import cleaned, without_secrets

OPTIONS_PROPERTY = "geochg:options"
"""Property of an item that holds options of the analysis."""

_ASSETS = ("before", "after")
_KINDS = ("Catalog", "Collection", "Feature", "FeatureCollection")
_HINT = "items have the assets before and after; see docs/batch.md"


class StacRow(NamedTuple):
    """An item as a row of a list.

    Attributes:
        place: The item, for messages.
        folder: The folder that relative addresses start from.
        values: `id`, `before`, `after` and `options`.
        fault: Why it is no pair; empty where it is one.
    """

    place: str
    folder: Path
    values: dict[str, Any]
    fault: str = ""


def is_stac(content: object) -> bool:
    """Whether a JSON value is a STAC catalogue, collection, item, or collection of items."""
    if not isinstance(content, Mapping) or content.get("type") not in _KINDS:
        return False
    if content["type"] != "FeatureCollection":
        return "stac_version" in content
    features = content.get("features")
    return isinstance(features, list) and any(
        isinstance(item, Mapping) and ("stac_version" in item or "assets" in item)
        for item in features
    )


def stac_rows(content: Mapping[str, Any], path: Path) -> Iterator[StacRow]:
    """The items of a catalogue, in the order of its links.

    Args:
        content: What the file holds.
        path: The file.

    Raises:
        InputError: If the catalogue itself leads nowhere.
    """
    visited_paths = {path.resolve()}
    waiting: list[tuple[Mapping[str, Any], Path]] = [(content, path)]
    while waiting:
        document, source = waiting.pop()
        if document["type"] == "FeatureCollection":
            for number, item in enumerate(document["features"], start=1):
                yield _item_row(item, source, f"item {number}")
            continue
        if document["type"] == "Feature":
            yield _item_row(document, source, source.name)
            continue
        children = []
        for href in _links(document):
            child, fault = _child(href, source, visited_paths)
            if fault:
                yield StacRow(f"a link of {source.name}", source.parent, {}, fault)
            elif child is not None:
                children.append(child)
        waiting.extend(reversed(children))


def _links(document: Mapping[str, Any]) -> Iterator[str]:
    links = document.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, Mapping) and link.get("rel") in ("child", "item"):
            yield str(link.get("href", ""))


def _child(
    href: str, source: Path, visited_paths: set[Path]
) -> tuple[tuple[Mapping[str, Any], Path] | None, str]:
    """The document that a link leads to, or why it leads nowhere; neither for one seen before."""
    if is_remote(href) and not href.lower().startswith("file:"):
        address = without_secrets(href)
        return None, f"{address} lies on another machine: links are followed on this one only"
    path = _local_path(href, source.parent)
    resolved = path.resolve()
    if resolved in visited_paths:
        return None, ""
    visited_paths.add(resolved)
    try:
        content = json_value(read_text(path), path, _HINT)
    except InputError as error:
        return None, error.message
    if not is_stac(content):
        return None, f"{path} is no STAC document"
    return (content, path), ""


def _local_path(href: str, folder: Path) -> Path:
    """The file of an address on this machine."""
    if href.lower().startswith("file:"):
        return Path(url2pathname(urlsplit(href).path))
    path = folder / href
    return path if path.exists() else folder / unquote(href)


def _item_row(item: object, source: Path, place: str) -> StacRow:
    if not isinstance(item, Mapping):
        return StacRow(place, source.parent, {}, "it is no STAC item")
    values: dict[str, Any] = {"id": item.get("id")}
    if isinstance(values["id"], str):
        place = f"item {cleaned(values['id'], 60)}"
    assets = item.get("assets")
    for name in _ASSETS:
        asset = assets.get(name) if isinstance(assets, Mapping) else None
        href = asset.get("href") if isinstance(asset, Mapping) else None
        if not isinstance(href, str) or not href:
            keys = ", ".join(cleaned(key, 30) for key in list(assets)[:5]) if assets else "none"
            return StacRow(place, source.parent, values, f"it has no asset {name!r} (has: {keys})")
        is_local = not is_remote(href) or href.lower().startswith("file:")
        values[name] = str(_local_path(href, source.parent)) if is_local else href
    properties = item.get("properties")
    if isinstance(properties, Mapping) and OPTIONS_PROPERTY in properties:
        values["options"] = properties[OPTIONS_PROPERTY]
    return StacRow(place, source.parent, values)
