"""Items of a static catalogue, whose documents are read from the root down, each of them once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from geochg.errors import GeochgError
from geochg.events import Listener, Notice
from geochg.stac.catalog_reader import CatalogError, CatalogReader
from geochg.stac.coverage import outside_extent
from geochg.stac.date_window import DateWindow
from geochg.stac.items import links_of
from geochg.stac.search_area import SearchArea

_MOST_DOCUMENTS = 10_000
_THREADS = 8


@dataclass
class StaticSearch:
    """A walk through a static catalogue.

    Attributes:
        reader: Reads the catalogue.
        area: The area; collections that say that they lie elsewhere are not read.
        window: The days, likewise.
        collection_id: Id of the collection.
        listener: Is told of documents that cannot be read.
        collection: The collection's document, once it was met.
        names: Ids of all collections that were met.
    """

    reader: CatalogReader
    area: SearchArea
    window: DateWindow
    collection_id: str
    listener: Listener
    collection: dict[str, Any] | None = None
    names: list[str] = field(default_factory=list)

    def items(self, root: dict[str, Any], address: str) -> Iterator[tuple[dict[str, Any], str]]:
        """The items of the collection, each with the address of its document.

        Args:
            root: The document at the root: a catalogue, a collection, an item or a list of items.
            address: Its address or path.
        """
        documents, visited = [(root, address)], {address}
        while documents:
            links: list[str] = []
            for content, place in documents:
                if content.get("type") == "Feature":
                    yield from self._own_items(content, place)
                elif content.get("type") == "FeatureCollection":
                    features = content.get("features")
                    for feature in features if isinstance(features, list) else ():
                        if isinstance(feature, dict):
                            yield from self._own_items(feature, place)
                elif self._is_wanted(content):
                    links += self._links(content, place)
            fresh_links = [link for link in dict.fromkeys(links) if link not in visited]
            visited.update(fresh_links)
            if len(visited) > _MOST_DOCUMENTS:
                raise CatalogError(
                    f"{address} has more than {_MOST_DOCUMENTS:,} documents to be read",
                    "name the catalogue of a smaller part, or its STAC API",
                )
            documents = self._documents(fresh_links)

    def _own_items(self, item: dict[str, Any], place: str) -> Iterator[tuple[dict[str, Any], str]]:
        """An item, unless it says that it is of another collection."""
        name = item.get("collection")
        if isinstance(name, str) and name != self.collection_id:
            self._note(name)
        else:
            yield item, place

    def _note(self, name: str) -> None:
        if name not in self.names:
            self.names.append(name[:100])

    def _is_wanted(self, content: Mapping[str, Any]) -> bool:
        """Whether what lies below a catalogue or a collection is to be read."""
        if content.get("type") != "Collection":
            return True
        name = str(content.get("id"))[:100]
        self._note(name)
        if name != self.collection_id:
            return False
        self.collection = self.collection or dict(content)
        return not outside_extent(content, self.area, self.window)

    def _links(self, content: Mapping[str, Any], place: str) -> Iterator[str]:
        for link in links_of(content, "child", "item", "items"):
            try:
                yield self.reader.rules.absolute(place, link["href"])
            except GeochgError as error:
                self._warn(error)

    def _documents(self, addresses: list[str]) -> list[tuple[dict[str, Any], str]]:
        with ThreadPoolExecutor(_THREADS) as threads:
            contents = list(threads.map(self._document, addresses))
        return [
            (content, address)
            for content, address in zip(contents, addresses, strict=True)
            if content is not None
        ]

    def _document(self, address: str) -> dict[str, Any] | None:
        try:
            return self.reader.read(address)
        except GeochgError as error:
            self._warn(error)
            return None

    def _warn(self, error: GeochgError) -> None:
        self.listener(Notice(f"left out of the catalogue: {error.message}", warning=True))
