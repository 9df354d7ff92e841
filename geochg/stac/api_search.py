"""Items of a STAC API: pages of a search, with an end to them whatever the server says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from geochg.events import Listener, Notice
from geochg.stac.addresses import is_web
from geochg.stac.catalog_reader import CatalogError, CatalogReader, MissingDocumentError
from geochg.stac.date_window import DateWindow
from geochg.stac.items import links_of
from geochg.stac.search_area import SearchArea

PAGE_ITEMS = 100
_MOST_PAGES = 200
_MOST_LISTED = 100


def is_api(root: Mapping[str, Any]) -> bool:
    """Whether the root of a catalogue is that of a STAC API that can be searched."""
    return bool(links_of(root, "search"))


def api_collection(
    reader: CatalogReader, root: Mapping[str, Any], address: str, collection_id: str
) -> dict[str, Any]:
    """What an API says of a collection.

    Args:
        reader: Reads the catalogue.
        root: The API's root.
        address: Its address.
        collection_id: Id of the collection.

    Raises:
        CatalogError: If there is no such collection; the message lists those that there are.
    """
    from urllib.parse import quote

    links = links_of(root, "data")
    href = links[0]["href"] if links else "collections"
    base = address if address.endswith("/") or links else f"{address}/"
    collections = reader.rules.absolute(base, href)
    path, _, query = collections.partition("?")
    document = f"{path.rstrip('/')}/{quote(collection_id, safe='')}"
    try:
        return reader.read(f"{document}?{query}" if query else document)
    except MissingDocumentError as error:
        names = _collection_ids(reader, collections)
        raise unknown_collection(collection_id, address, names) from error


def unknown_collection(collection_id: str, address: str, names: list[str]) -> CatalogError:
    """The error for a collection that a catalogue lacks, which names those that it has."""
    from geochg.safety.untrusted_text import without_secrets

    names_shown = ", ".join(sorted(names)[:_MOST_LISTED])
    return CatalogError(
        f"{without_secrets(address)} has no collection {collection_id!r}",
        f"collections there: {names_shown}" if names_shown else "it lists no collection",
    )


def _collection_ids(reader: CatalogReader, address: str) -> list[str]:
    try:
        entries = reader.read(address).get("collections")
    except CatalogError:
        return []
    return [
        str(entry["id"])[:100]
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, Mapping) and "id" in entry
    ]


def api_items(
    reader: CatalogReader,
    root: Mapping[str, Any],
    address: str,
    area: SearchArea,
    window: DateWindow,
    collection_id: str,
    listener: Listener,
) -> Iterator[tuple[dict[str, Any], str]]:
    """The items that an API finds, as it gives them, with the address of their page.

    Args:
        reader: Reads the catalogue.
        root: The API's root.
        address: Its address.
        area: The area; over the antimeridian it is searched in two parts.
        window: The days.
        collection_id: Id of the collection.
        listener: Is told where the pages of a server do not end.

    Raises:
        CatalogError: If the API cannot be asked, or answers no items.
    """
    for box in area.boxes():
        search: dict[str, Any] = {
            "collections": [collection_id],
            "bbox": list(box),
            "datetime": window.interval,
            "limit": PAGE_ITEMS,
        }
        yield from _pages(reader, root, address, search, listener)


def _pages(
    reader: CatalogReader,
    root: Mapping[str, Any],
    address: str,
    search: dict[str, Any],
    listener: Listener,
) -> Iterator[tuple[dict[str, Any], str]]:
    links = links_of(root, "search")
    post = next((link for link in links if _method(link) == "POST"), None)
    href = reader.rules.absolute(address, (post or links[0])["href"])
    body = search if post is not None else None
    if body is None:
        href = _with_query(href, search)
    ids: set[str] = set()
    for _ in range(_MOST_PAGES):
        page = reader.read(href, body)
        features = page.get("features")
        if not isinstance(features, list):
            raise CatalogError(
                f"{address} answers a search with something else than items",
                "check that it is a STAC API",
            )
        count = len(ids)
        for feature in features:
            if isinstance(feature, dict) and str(feature.get("id")) not in ids:
                ids.add(str(feature.get("id")))
                yield feature, href
        following = links_of(page, "next")
        if not following:
            return
        if len(ids) == count:
            break
        href, body = _following_request(reader, following[0], href, body)
    listener(
        Notice(
            f"the pages of {address} do not end: {len(ids)} scenes were taken, others may be "
            "missing",
            warning=True,
        )
    )


def _method(link: Mapping[str, Any]) -> str:
    return str(link.get("method", "GET")).upper()


def _following_request(
    reader: CatalogReader, link: Mapping[str, Any], href: str, body: dict[str, Any] | None
) -> tuple[str, dict[str, Any] | None]:
    """Address and body of the request for the following page."""
    following = reader.rules.absolute(href, link["href"])
    if _method(link) != "POST":
        return following, None
    told_body = link.get("body")
    next_body = dict(told_body) if isinstance(told_body, Mapping) else {}
    return following, {**(body or {}), **next_body} if link.get("merge") else next_body


def _with_query(href: str, search: Mapping[str, Any]) -> str:
    from urllib.parse import urlencode

    values = {
        key: ",".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in search.items()
    }
    return f"{href}{'&' if '?' in href else '?'}{urlencode(values)}" if is_web(href) else href
