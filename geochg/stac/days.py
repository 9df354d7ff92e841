"""Scenes by the day they were taken on, and how much of an area each day shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from threading import Event as Flag
from typing import TYPE_CHECKING

import numpy as np
from odc.geo.geobox import GeoBox

from geochg.errors import CancelledRunError
from geochg.events import Listener, Progress
from geochg.records import PixelWindow
from geochg.stac.asset_reader import SceneError
from geochg.stac.date_window import DateWindow
from geochg.stac.items import SceneItem
from geochg.stac.scene_reader import THREADS, ScenePlan, SceneReader
from geochg.stac.search_area import SearchArea

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_DAYS = 40
"""Most days that are looked at; of more, those whose scenes say that they have fewest clouds."""

_COARSE_PX = 256
_ALIKE = 0.005
"""Shares that differ by no more count as alike; then the day nearer to the middle is better."""


@dataclass(frozen=True)
class SceneDay:
    """Scenes of one day.

    Attributes:
        day: ISO 8601, by the sun of the place.
        items: The scenes; where several show a pixel, the first is taken.
    """

    day: str
    items: tuple[SceneItem, ...]

    @property
    def cloud_cover(self) -> float:
        """Mean percent under clouds as the catalogue tells it; 50 where it tells nothing."""
        covers = [50.0 if item.cloud_cover is None else item.cloud_cover for item in self.items]
        return sum(covers) / len(covers)


def days_of(items: Iterable[SceneItem], area: SearchArea) -> list[SceneDay]:
    """Scenes by day, in the order of days; those that cover more of the area come first."""
    by_day: dict[str, list[SceneItem]] = {}
    for item in items:
        by_day.setdefault(item.day, []).append(item)
    days = []
    for day, members in sorted(by_day.items()):
        # Of two processings of one scene, the later one has the greater id.
        newest_first = sorted(members, key=lambda item: item.id, reverse=True)
        newest_first.sort(key=lambda item: -round(area.share_in(item.footprint), 3))
        days.append(SceneDay(day, tuple(newest_first)))
    return days


def least_cloudy(days: Sequence[SceneDay], limit: int = MOST_DAYS) -> list[SceneDay]:
    """At most so many days, those with fewest clouds by the catalogue, in the order of days."""
    clearest = sorted(days, key=lambda day: (day.cloud_cover, day.day))[:limit]
    return sorted(clearest, key=lambda day: day.day)


class ClearShares:
    """What share of an area each scene shows, seen coarsely; scenes are read once.

    Args:
        plan: What is read of each scene.
        grid: The grid of the image.
        inside: Coarse mask of the area, see `coarse_grid`; `(height, width)` bool.
        listener: Is told the progress.
        cancel: A flag; once it is set, it stops.
    """

    def __init__(
        self,
        plan: ScenePlan,
        grid: GeoBox,
        inside: NDArray[np.bool_],
        listener: Listener,
        cancel: Flag,
    ) -> None:
        self._grid, self._inside = coarse_grid(grid), inside
        self._plan = coarse_plan(plan)
        self._listener, self._cancel = listener, cancel
        self._clear: dict[str, NDArray[np.bool_]] = {}

    def read(self, items: Sequence[SceneItem]) -> list[SceneError]:
        """Reads the scenes that were not read yet.

        Returns:
            The errors of those that cannot be read.

        Raises:
            CancelledRunError: If it was cancelled.
        """
        fresh_items = [item for item in items if item.id not in self._clear]
        errors = []
        with ThreadPoolExecutor(THREADS) as threads:
            futures = {item.id: threads.submit(self._coarse, item) for item in fresh_items}
            for number, (name, future) in enumerate(futures.items(), start=1):
                try:
                    self._clear[name] = future.result()
                except SceneError as error:
                    errors.append(error)
                self._listener(Progress("clouds", number, len(futures)))
        if self._cancel.is_set():
            raise CancelledRunError("cancelled", "nothing was written")
        return errors

    def share(self, day: SceneDay) -> float:
        """The share of the area, 0-1, that the scenes of a day show."""
        clear = np.zeros_like(self._inside)
        for item in day.items:
            clear |= self._clear[item.id]
        share = float((clear & self._inside).sum() / max(int(self._inside.sum()), 1))
        # Where nothing is asked for clouds, what the catalogue tells of them must do.
        return share if self._plan.looks_for_clouds else share * (1 - day.cloud_cover / 100)

    def _coarse(self, item: SceneItem) -> NDArray[np.bool_]:
        """Where a scene shows ground, on the coarse grid."""
        height_px, width_px = self._grid.shape
        window = PixelWindow(0, height_px, 0, width_px)
        if self._cancel.is_set():
            return np.zeros((height_px, width_px), dtype=bool)
        with ExitStack() as stack:
            return SceneReader(item, self._plan, self._grid, stack).read(window).clear


def coarse_plan(plan: ScenePlan) -> ScenePlan:
    """What is read of a scene to tell how much of an area it shows.

    Args:
        plan: What is read for the image.

    Returns:
        Clouds alone; or one band, which tells at least where the scene has data, where nothing
        tells clouds.
    """
    bands = {} if plan.looks_for_clouds else dict([next(iter(plan.bands.items()))])
    return replace(plan, bands=bands)


def coarse_factor(grid: GeoBox) -> int:
    """Pixels of a grid along the side of one of its coarse grid."""
    return math.ceil(max(grid.shape) / _COARSE_PX)


def coarse_grid(grid: GeoBox) -> GeoBox:
    """A grid of the same ground with at most 256 px a side."""
    factor = coarse_factor(grid)
    height_px, width_px = (max(math.ceil(side / factor), 1) for side in grid.shape)
    return GeoBox((height_px, width_px), grid.transform * grid.transform.scale(factor), grid.crs)


def ranked_days(
    days: Sequence[SceneDay], shares: Mapping[str, float], window: DateWindow
) -> list[SceneDay]:
    """Days by what they show of an area, the best first.

    Of days that show about the same, the one nearest to the middle of the window comes first.

    Args:
        days: The days.
        shares: What share of the area each one shows, 0-1.
        window: The window.
    """

    def key(day: SceneDay) -> tuple[float, float, str]:
        distance = min(abs((item.taken - window.middle).total_seconds()) for item in day.items)
        return -round(shares[day.day] / _ALIKE), distance, day.day

    return sorted(days, key=key)
