"""Scenes of an area and a window of days, found in a catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from geochg.errors import InputError
from geochg.events import Listener, Notice, ignore
from geochg.safety.untrusted_text import printable
from geochg.stac.addresses import AddressRules, is_web
from geochg.stac.api_search import api_collection, api_items, is_api, unknown_collection
from geochg.stac.catalog_reader import CatalogReader
from geochg.stac.collection import Collection
from geochg.stac.coverage import outside_extent
from geochg.stac.date_window import DateWindow
from geochg.stac.derived_collection import derived_collection
from geochg.stac.items import ItemError, SceneItem, item_of
from geochg.stac.known import CatalogEntry, KnownCatalogs, read_known_catalogs
from geochg.stac.options import FetchOptions
from geochg.stac.search_area import SearchArea
from geochg.stac.static_search import StaticSearch

_MOST_ITEMS = 5_000
_MOST_REASONS = 5
_MOST_ASKED = 20
"""Most scenes that are asked which asset is which band."""


@dataclass(frozen=True)
class FoundScenes:
    """The scenes that a search found.

    Attributes:
        items: Scenes that touch the area within the window, by date and id; those beyond
            `max_cloud` are left out.
        cloudy: Number of scenes that `max_cloud` left out.
        catalog: The catalogue.
        collection_id: Id of the collection.
        document: What the catalogue says of the collection; empty where it says nothing.
        rules: What the catalogue may name.
    """

    items: tuple[SceneItem, ...]
    cloudy: int
    catalog: CatalogEntry
    collection_id: str
    rules: AddressRules
    document: dict[str, Any] = field(default_factory=dict)

    def within(self, window: DateWindow) -> FoundScenes:
        """Those of the scenes that were taken within a window of days."""
        return replace(self, items=tuple(item for item in self.items if window.holds(item.taken)))

    @property
    def licence(self) -> str:
        """The licence of the collection as the catalogue names it; may be empty."""
        value = self.document.get("license")
        return printable(value)[:200] if isinstance(value, str) else ""

    def collection(self, tables: KnownCatalogs) -> Collection:
        """The collection's bands, values and mask: of the tables, or of what its items tell.

        Raises:
            InputError: If nothing tells which asset is which band.
        """
        if (entry := tables.collection(self.catalog, self.collection_id)) is not None:
            return entry
        items = self.items[:_MOST_ASKED]
        for namesake in tables.namesakes(self.catalog, self.collection_id):
            sources = [namesake.bands[name].asset for name in namesake.default]
            if any(all(source in item.assets for source in sources) for item in items):
                return namesake
        for item in items:
            with suppress(InputError):
                return derived_collection(self.catalog.name, self.collection_id, item)
        return derived_collection(self.catalog.name, self.collection_id, items[0])


def search_scenes(
    area: SearchArea,
    window: DateWindow,
    options: FetchOptions,
    *,
    listener: Listener = ignore,
    tables: KnownCatalogs | None = None,
) -> FoundScenes:
    """Finds the scenes of a collection that touch an area within a window of days.

    Args:
        area: The area.
        window: The days, in UTC.
        options: Collection, catalogue and most clouds.
        listener: Is told what of the catalogue could not be read.
        tables: The known catalogues; None for ours and the user's.

    Raises:
        InputError: If the catalogue cannot be asked, lacks the collection, or finds no scene, and
            why.
    """
    catalog = (tables or read_known_catalogs()).catalog(options.catalog)
    root_address = catalog.url if is_web(catalog.url) else str(Path(catalog.url).absolute())
    rules = AddressRules(root_address, options.allow_remote)
    reader = CatalogReader(rules, options.timeout_s)
    root = reader.read(root_address)
    if is_api(root):
        document = api_collection(reader, root, root_address, options.collection)
        _refuse_outside(document, area, window, options)
        contents = api_items(reader, root, root_address, area, window, options.collection, listener)
        items = list(_items(contents, area, window, options, rules, listener))
    else:
        walk = StaticSearch(reader, area, window, options.collection, listener)
        items = list(_items(walk.items(root, root_address), area, window, options, rules, listener))
        document = walk.collection or {}
        _refuse_outside(document, area, window, options)
        if walk.collection is None and walk.names and not items:
            raise unknown_collection(options.collection, root_address, walk.names)
    clear_items = [
        item
        for item in items
        if options.max_cloud is None
        or item.cloud_cover is None
        or item.cloud_cover <= options.max_cloud
    ]
    return FoundScenes(
        items=tuple(sorted(clear_items, key=lambda item: (item.taken, item.id))),
        cloudy=len(items) - len(clear_items),
        catalog=catalog,
        collection_id=options.collection,
        rules=rules,
        document=document,
    )


def refuse_none(
    scenes: FoundScenes, area: SearchArea, window: DateWindow, options: FetchOptions
) -> None:
    """Does nothing where a search found scenes.

    Raises:
        InputError: If it found none.
    """
    if scenes.items:
        return
    place = f"{options.collection} has no scene of {_short(area.text)} from {window}"
    if scenes.cloudy:
        raise InputError(
            f"{place} with at most {options.max_cloud:g} % clouds, and {scenes.cloudy} with more",
            "raise --max-cloud, or give a longer window of days",
        )
    raise InputError(place, "give a longer window of days, or check the area")


def _refuse_outside(
    document: dict[str, Any], area: SearchArea, window: DateWindow, options: FetchOptions
) -> None:
    if reason := outside_extent(document, area, window):
        raise InputError(
            f"{_short(area.text)} from {window} lies outside the collection {options.collection}",
            reason,
        )


def _items(
    contents: Iterator[tuple[dict[str, Any], str]],
    area: SearchArea,
    window: DateWindow,
    options: FetchOptions,
    rules: AddressRules,
    listener: Listener,
) -> Iterator[SceneItem]:
    """The items that are of the area, the window and the collection, whatever the server sends."""
    ids: set[str] = set()
    broken = 0
    for content, place in contents:
        try:
            item = item_of(content, place, rules)
        except ItemError as error:
            broken += 1
            if broken <= _MOST_REASONS:
                listener(Notice(f"left out of the catalogue: {error}", warning=True))
            continue
        if item.id in ids or item.collection not in ("", options.collection):
            continue
        if window.holds(item.taken) and area.share_in(item.footprint) > 0:
            ids.add(item.id)
            yield item
        if len(ids) > _MOST_ITEMS:
            raise InputError(
                f"the catalogue has more than {_MOST_ITEMS:,} scenes of area and window",
                "give a shorter window of days, or a smaller area",
            )


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
