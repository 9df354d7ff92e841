"""A scene of a window of days, fetched, masked and written as a cloud-optimised GeoTIFF."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

from geochg.events import Listener, ignore

if TYPE_CHECKING:
    from geochg.stac.date_window import DateWindow
    from geochg.stac.options import FetchOptions
    from geochg.stac.search_area import SearchArea


@dataclass(frozen=True)
class FetchedScene:
    """A scene that was written.

    Attributes:
        path: The file: bands that were asked for, in reflectance times 10,000 (int16, nodata
            -32768) where the collection has reflectance; what no scene showed is nodata.
        dates: Days of the scenes in it, ISO 8601, sorted.
        items: Ids of the scenes in it, sorted.
        hidden_share: Share of the area, 0-1, that is nodata: clouds, shadow, snow, or not covered.
        warnings: Sentences on scenes that were left out, and on what else matters for the result.
        metadata: What the tag `geochg` of the file holds, as plain JSON values.
    """

    path: Path
    dates: tuple[str, ...]
    items: tuple[str, ...]
    hidden_share: float
    warnings: tuple[str, ...]
    metadata: dict[str, Any]


def fetch_scene(
    area: SearchArea | None,
    window: DateWindow,
    output: Path,
    options: FetchOptions,
    *,
    overwrite: bool = False,
    listener: Listener = ignore,
    cancel: Flag | None = None,
) -> FetchedScene:
    """Fetches what a catalogue has of an area and a window of days, and writes it.

    Args:
        area: The area; None for that of `options.like`.
        window: The days.
        output: Where to write, `.tif`.
        options: Collection, catalogue, composite, bands and grid.
        overwrite: Whether a file may be replaced that geochg did not write.
        listener: Is told the progress (stage `scenes`) and warnings.
        cancel: A flag; once it is set, the run stops at the next block.

    Raises:
        InputError: If the catalogue cannot be asked, has no such collection or no scene of area
            and window, if clouds hide all of it, or the output may not be written.
        OptionError: If options make no sense.
        RunError: If reading or writing fails on the way.
        CancelledRunError: If it was cancelled; nothing is written.
    """
    raise NotImplementedError
