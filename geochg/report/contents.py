"""What a report shows: the changes, where they come from, and the pictures of the place.

A caller puts these together, `geochg.report.pictures` reads the images, and
`geochg.report.page.report_page` makes the page of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from odc.geo.geobox import GeoBox
    from pandas import DataFrame

    from geochg.tiling.date_reader import DatePlan

REPORT_SUFFIXES = (".html", ".htm")
"""Suffixes of a report."""


class Figure(NamedTuple):
    """A drawing that stands in the report, such as the course of a zone.

    Attributes:
        title: Its heading, and what it is to readers who do not see it.
        svg: The drawing as a document of SVG, which is shown as a picture: its scripts do not run
            and it fetches nothing.
        caption: What is to be said below it; may be empty.
    """

    title: str
    svg: str
    caption: str = ""


@dataclass(frozen=True)
class DatedPicture:
    """One date of the place.

    Attributes:
        name: The image's name, such as `ponds_2012.tif`.
        date: When it was taken, `2012-07-31`, `2012-07` or `2012`; empty where that is not known.
        plan: How it is read on the report's grid: three bands or one, with a stretch to display
            values.
    """

    name: str
    date: str
    plan: DatePlan


@dataclass(frozen=True)
class ReportContents:
    """What a report shows.

    Attributes:
        title: The heading.
        frames: A function that gives the tables of changes, as `FeatureLayer.frames` does, in any
            CRS. Read of each row: the geometry, `id`, `class`, `change`, `confidence`, `area_m2`,
            `caption`, `before_class`, `after_class`, `count`, `from_date`, `to_date`, `step`,
            `break_date`, `review`, `review_class`, `note`. A column that is not there is left out
            of the page; only the geometry must be there.
        metadata: The `geochg` member of the layer.
        grid: The grid that the pictures are shown on, with a CRS and the north on top.
        pictures: The dates, the earliest first: one is shown as it is, two are swiped, of more a
            slider chooses two. Without any the outlines stand on a blank sheet.
        zones: The table of zones, with the columns `ZONE_COLUMNS` of `geochg.files.table_columns`;
            None for no such table. Of a series, rows without a `step` are shown.
        figures: Drawings, in their order.
        notes: Sentences on what the reader must know of the report itself, such as that an image
            is gone.
    """

    title: str
    frames: Callable[[], Iterable[GeoDataFrame]]
    metadata: Mapping[str, Any]
    grid: GeoBox
    pictures: Sequence[DatedPicture] = ()
    zones: DataFrame | None = None
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()
