"""Items of a catalogue: scenes with their dates, assets and licences, read of untrusted JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import shapely

from geochg.safety.untrusted_text import printable, without_secrets
from geochg.stac.addresses import AddressError, AddressRules

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_LONGEST_NAME = 200
_MOST_BANDS = 100


class ItemError(ValueError):
    """An item that lacks what a scene needs; the message says so in words."""


@dataclass(frozen=True, slots=True)
class SceneAsset:
    """A file of a scene.

    Attributes:
        href: Its address or path, absolute; empty where it must not be read.
        refusal: Why not, in words; else empty.
        scales: Factor of the values of each band; None where the item does not tell.
        offsets: Summand of each band, likewise.
        names: Common name of each band, such as `red`; empty where the item does not tell.
        shape_px: Height and width that the item tells; None where it does not.
        resolution_m: Size of a pixel that the item tells; None where it does not.
        roles: What the item says that it is for, such as `data` or `thumbnail`.
        media_type: Its type, such as `image/tiff`; may be empty.
    """

    href: str
    refusal: str = ""
    scales: tuple[float | None, ...] = ()
    offsets: tuple[float | None, ...] = ()
    names: tuple[str, ...] = ()
    shape_px: tuple[int, int] | None = None
    resolution_m: float | None = None
    roles: tuple[str, ...] = ()
    media_type: str = ""

    def scale_of(self, number: int) -> float | None:
        """The factor of a band, from 1; None where the item does not tell."""
        return self.scales[number - 1] if number <= len(self.scales) else None

    def offset_of(self, number: int) -> float | None:
        """The summand of a band, from 1; None where the item does not tell."""
        return self.offsets[number - 1] if number <= len(self.offsets) else None


@dataclass(frozen=True, slots=True)
class SceneItem:
    """A scene that a catalogue lists.

    Attributes:
        id: Its id.
        collection: Id of its collection; empty where the item does not tell.
        taken: When it was taken, in UTC.
        cloud_cover: Percent of the whole scene under clouds, 0-100; None where not told.
        footprint: Polygon or multipolygon in degrees; over the antimeridian beyond 180.
        assets: Its files by key.
        properties: Its other properties, as the catalogue gives them.
        href: Address of the item; empty where the catalogue does not tell.
        licence: As its links or properties name it; may be empty.
    """

    id: str
    collection: str
    taken: datetime
    cloud_cover: float | None
    footprint: BaseGeometry
    assets: Mapping[str, SceneAsset]
    properties: Mapping[str, Any] = field(default_factory=dict)
    href: str = ""
    licence: str = ""

    @property
    def day(self) -> str:
        """The day on which it was taken by the sun of its place, ISO 8601.

        Scenes of one overpass have one such day, also where it crosses midnight UTC.
        """
        longitude = (float(self.footprint.centroid.x) + 180) % 360 - 180
        return (self.taken + timedelta(hours=longitude / 15)).date().isoformat()

    def to_dict(self) -> dict[str, Any]:
        """Id, collection, date, cloud cover and place as plain JSON values."""
        return {
            "id": self.id,
            "collection": self.collection,
            "datetime": self.taken.isoformat().replace("+00:00", "Z"),
            "cloud_cover": self.cloud_cover,
            "bbox": [round(value, 6) for value in self.footprint.bounds],
            "href": self.href,
        }


def item_of(content: Mapping[str, Any], base: str, rules: AddressRules) -> SceneItem:
    """A scene of what a catalogue says of it.

    Args:
        content: The STAC item.
        base: Address of the document it stands in, from which its own are meant.
        rules: What the catalogue may name.

    Raises:
        ItemError: If it has no id, date or place.
    """
    properties, identifier = content.get("properties"), content.get("id")
    if not isinstance(identifier, str) or not identifier.strip():
        raise ItemError("an item without an id")
    name = printable(identifier)[:_LONGEST_NAME]
    if not isinstance(properties, Mapping):
        raise ItemError(f"{name} has no properties")
    href = _own_address(content, rules, base)
    entries = content.get("assets")
    assets = {
        str(key): _asset_of(entry, href or base, rules)
        for key, entry in (entries.items() if isinstance(entries, Mapping) else ())
        if isinstance(entry, Mapping) and isinstance(entry.get("href"), str)
    }
    cloud_cover = _number(properties.get("eo:cloud_cover"))
    collection = content.get("collection")
    return SceneItem(
        id=name,
        collection=collection if isinstance(collection, str) else "",
        taken=_moment(name, properties),
        cloud_cover=cloud_cover if cloud_cover is not None and 0 <= cloud_cover <= 100 else None,
        footprint=_footprint(name, content),
        assets=assets,
        properties=properties,
        href=without_secrets(href),
        licence=_licence(content, properties),
    )


def links_of(content: Mapping[str, Any], *relations: str) -> list[Mapping[str, Any]]:
    """The links of a STAC document of some relations, those that have an address."""
    links = content.get("links")
    return [
        link
        for link in (links if isinstance(links, list) else ())
        if isinstance(link, Mapping)
        and link.get("rel") in relations
        and isinstance(link.get("href"), str)
    ]


def _own_address(content: Mapping[str, Any], rules: AddressRules, base: str) -> str:
    for link in links_of(content, "self"):
        try:
            return rules.absolute(base, link["href"])
        except AddressError:
            return ""
    return ""


def moment_of(text: str) -> datetime:
    """A moment as catalogues write it; in UTC where it tells no time zone.

    Raises:
        ValueError: If it is none.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _moment(name: str, properties: Mapping[str, Any]) -> datetime:
    text = properties.get("datetime") or properties.get("start_datetime")
    try:
        return moment_of(str(text)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ItemError(f"{name} has no date") from None


def _footprint(name: str, content: Mapping[str, Any]) -> BaseGeometry:
    geometry = content.get("geometry")
    try:
        if isinstance(geometry, Mapping):
            shape = shapely.force_2d(shapely.geometry.shape(dict(geometry)))
        else:
            shape = box_of(content["bbox"])
        coordinates = shapely.get_coordinates(shape)
        if not (abs(coordinates) <= (540, 90)).all() or not len(coordinates):
            raise ValueError("beyond longitude and latitude")
        west, _, east, _ = shape.bounds
        if east - west > 180:
            # Footprints over the antimeridian: in two parts, or folded around the globe.
            unfolded = shapely.transform(shape, lambda xy: xy + (360, 0) * (xy[:, :1] < 0))
            shape = unfolded if unfolded.bounds[2] - unfolded.bounds[0] < east - west else shape
        shape = shapely.make_valid(shape)
        if not shape.area:
            raise ValueError("no area")
    # What GEOS and shapely raise for what is no geometry has no one class.
    except (
        *(ValueError, TypeError, KeyError, IndexError, AttributeError),
        shapely.errors.ShapelyError,
    ):
        raise ItemError(f"{name} has no place on the ground") from None
    return shape


def box_of(bounds: Sequence[Any]) -> BaseGeometry:
    """The box of a `bbox` in degrees, of four numbers or of six with heights.

    Over the antimeridian it goes on beyond 180.

    Raises:
        TypeError: If it holds something else than numbers.
        ValueError: Likewise, or if there are more or fewer.
    """
    numbers = [float(bound) for bound in bounds]
    west, south, east, north = numbers if len(numbers) == 4 else (*numbers[:2], *numbers[3:5])
    return shapely.box(west, south, east + 360 if east < west else east, north)


def _licence(content: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    for value in (properties.get("license"), *(li["href"] for li in links_of(content, "license"))):
        if isinstance(value, str) and value.strip():
            return without_secrets(value)[:_LONGEST_NAME]
    return ""


def _asset_of(entry: Mapping[str, Any], base: str, rules: AddressRules) -> SceneAsset:
    href, refusal = "", ""
    for text in _addresses(entry):
        try:
            href, refusal = rules.absolute(base, text), ""
            break
        except AddressError as error:
            refusal = refusal or f"{error.message}: {error.hint}"
    bands = _bands(entry)
    roles = entry.get("roles")
    return SceneAsset(
        href=href,
        refusal=refusal,
        scales=tuple(_number(_first(band, "scale", "raster:scale")) for band in bands),
        offsets=tuple(_number(_first(band, "offset", "raster:offset")) for band in bands),
        names=tuple(str(_first(band, "common_name", "eo:common_name") or "") for band in bands),
        shape_px=_shape(entry.get("proj:shape")),
        resolution_m=_number(
            _first(entry, "raster:spatial_resolution", "gsd")
            or next((band.get("spatial_resolution") for band in bands), None)
        ),
        roles=tuple(map(str, roles)) if isinstance(roles, list) else (),
        media_type=str(entry.get("type", "")),
    )


def _addresses(entry: Mapping[str, Any]) -> list[str]:
    """The addresses of an asset; one on the web comes before one that needs an account."""
    alternates = entry.get("alternate")
    others = [
        other["href"]
        for other in (alternates.values() if isinstance(alternates, Mapping) else ())
        if isinstance(other, Mapping) and isinstance(other.get("href"), str)
    ]
    addresses = [entry["href"], *others]
    return sorted(addresses, key=lambda address: address.lower().startswith("s3://"))


def _bands(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What an asset says of each of its bands, by `bands` of STAC 1.1 and those before it."""
    common = {key: value for key, value in entry.items() if key.startswith(("raster:", "eo:"))}
    bands: list[dict[str, Any]] = []
    for key in ("bands", "raster:bands", "eo:bands"):
        told_bands = entry.get(key)
        for number, band in enumerate(told_bands if isinstance(told_bands, list) else ()):
            if number >= _MOST_BANDS or not isinstance(band, Mapping):
                break
            if number == len(bands):
                bands.append(dict(common))
            bands[number].update(band)
    return bands or [common]


def _first(values: Mapping[str, Any], *keys: str) -> Any:  # noqa: ANN401
    return next((values[key] for key in keys if values.get(key) is not None), None)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e12 and math.isfinite(value) else None


def _shape(value: object) -> tuple[int, int] | None:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        return None
    height_px, width_px = value
    is_whole = isinstance(height_px, int) and isinstance(width_px, int)
    return (height_px, width_px) if is_whole and height_px > 0 and width_px > 0 else None
