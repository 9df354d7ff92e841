"""Items of a catalogue: scenes with their dates, assets and licences, read of untrusted JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class SceneAsset:
    """A file of a scene.

    Attributes:
        href: Its address or path, absolute.
        scale: Factor of its values, by band; None where the item does not tell.
        offset: Summand, by band, likewise.
        shape_px: Height and width that the item tells; None where it does not.
        names: Common names of its bands, such as `red`, by band; empty texts where not told.
    """

    href: str
    scale: tuple[float | None, ...] = ()
    offset: tuple[float | None, ...] = ()
    shape_px: tuple[int, int] | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SceneItem:
    """A scene that a catalogue lists.

    Attributes:
        id: Its id.
        collection: Id of its collection.
        taken: When it was taken, with time zone.
        cloud_cover: Percent of the whole scene under clouds, 0-100; None where not told.
        footprint: Polygon or multipolygon in degrees.
        assets: Its files by key.
        properties: Its other properties, as the catalogue gives them.
        href: Address of the item; empty where the catalogue does not tell.
    """

    id: str
    collection: str
    taken: datetime
    cloud_cover: float | None
    footprint: BaseGeometry
    assets: Mapping[str, SceneAsset]
    properties: Mapping[str, Any] = field(default_factory=dict)
    href: str = ""

    @property
    def day(self) -> str:
        """The day on which it was taken by the sun of its place, ISO 8601.

        Scenes of one overpass have one such day, also where it crosses midnight UTC.
        """
        from datetime import timedelta

        longitude = float(self.footprint.centroid.x)
        return (self.taken + timedelta(hours=longitude / 15)).date().isoformat()

    def to_dict(self) -> dict[str, Any]:
        """Id, collection, date and cloud cover as plain JSON values."""
        return {
            "id": self.id,
            "collection": self.collection,
            "datetime": self.taken.isoformat(),
            "cloud_cover": self.cloud_cover,
            "bbox": [round(value, 6) for value in self.footprint.bounds],
            "href": self.href,
        }


class ItemError(ValueError):
    """An item that lacks what a scene needs; the message says so in words."""
