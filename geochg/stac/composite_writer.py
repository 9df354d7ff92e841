"""One image of the scenes of a window: which of them are taken, read block by block, written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from geochg.errors import CancelledRunError, OptionError
from geochg.events import Listener, Notice, Progress
from geochg.records import PixelWindow
from geochg.safety.untrusted_text import without_secrets
from geochg.stac.asset_reader import NothingSeenError, SceneError
from geochg.stac.cloud_model import COARSEST_M
from geochg.stac.date_window import DateWindow
from geochg.stac.days import (
    ClearShares,
    SceneDay,
    coarse_factor,
    coarse_grid,
    days_of,
    least_cloudy,
    ranked_days,
)
from geochg.stac.fetch import FetchedScene
from geochg.stac.items import SceneItem
from geochg.stac.options import CloudSource, Composite, FetchOptions
from geochg.stac.packing import GREATEST
from geochg.stac.scene_file import SceneLayers, acquisition_text, write_scene
from geochg.stac.scene_reader import (
    THREADS,
    ScenePixels,
    ScenePlan,
    SceneReader,
    median_of,
    mosaic_of,
    read_scenes,
)
from geochg.stac.search import FoundScenes
from geochg.stac.search_area import SearchArea
from geochg.tiling.aoi import Area
from geochg.tiling.footprints import pixel_polygon
from geochg.tiling.grid import pixel_m
from geochg.writers.cog import BLOCK_PX
from geochg.writers.recognition import METADATA_KEY
from geochg.writers.staging import Staging

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

_LEAST_SEEN = 0.001
"""Share of the area below which nothing of it counts as seen."""

_MUCH_HIDDEN = 0.2
_ODD_SHARE = 0.2
"""Share of values beyond reflectance from which on the catalogue is suspected."""

_MOST_VALUES = 2**24
_LEAST_ROWS = 64
_MOST_TOLD = 5


@dataclass
class _Tally:
    """What the blocks that were written held."""

    inside_px: int = 0
    seen_px: int = 0
    values: int = 0
    dark: int = 0
    bright: int = 0

    def add(self, pixels: ScenePixels, inside: NDArray[np.bool_], *, reflectance: bool) -> None:
        """Counts a block."""
        self.inside_px += int(inside.sum())
        self.seen_px += int((pixels.clear & inside).sum())
        if reflectance:
            values = pixels.values[:, pixels.clear]
            self.values += values.size
            self.dark += int((values < 0).sum())
            self.bright += int((values >= GREATEST).sum())

    @property
    def hidden_share(self) -> float:
        """The share of the area that was not seen, 0-1."""
        return 1 - self.seen_px / max(self.inside_px, 1)


@dataclass
class CompositeWriter:
    """Makes one image of the scenes of a window of days.

    Attributes:
        scenes: The scenes.
        plan: What is read of each.
        grid: The grid of the image.
        area: The area.
        window: The days.
        options: Composite, clouds, bands.
        listener: Is told progress and warnings.
        cancel: A flag; once it is set, the run stops at the next block.
        warnings: What the listener was warned of.
    """

    scenes: FoundScenes
    plan: ScenePlan
    grid: GeoBox
    area: SearchArea
    window: DateWindow
    options: FetchOptions
    listener: Listener
    cancel: Flag
    warnings: list[str] = field(default_factory=list)
    _errors: list[SceneError] = field(default_factory=list)

    def write(self, output: Path, *, overwrite: bool) -> FetchedScene:
        """Writes the image; scenes that cannot be read are left out, and said so.

        Raises:
            OptionError: If the pixels are too coarse for the cloud model.
            NothingSeenError: If no scene can be read, or none shows any of the area.
            RunError: If the file cannot be written.
            CancelledRunError: If it was cancelled; nothing is written.
        """
        if not self.plan.looks_for_clouds:
            self._warn_of_clouds()
        if self.plan.clouds == CloudSource.MODEL and pixel_m(self.grid) > COARSEST_M:
            raise OptionError(
                f"clouds cannot be told in pixels of {pixel_m(self.grid):.3g} m",
                f"give --resolution of at most {COARSEST_M:g} m, or --clouds none",
            )
        polygon = pixel_polygon(self.area.polygon, CRS("EPSG:4326"), self.grid)
        inside = _coarse_inside(polygon, self.grid)
        shares = ClearShares(self.plan, self.grid, inside, self.listener, self.cancel)
        items = list(self.scenes.items)
        while True:
            days = self._chosen_days(items, shares)
            try:
                with Staging(overwrite=overwrite) as staging:
                    with staging.write(output) as path:
                        scene = self._write_image(days, polygon, path, output)
                    staging.commit()
                return scene
            except SceneError as error:
                # The image is begun anew without the scene, so that it does not depend on where in
                # the image a server failed.
                self._leave_out(error, items)

    def _chosen_days(self, items: list[SceneItem], shares: ClearShares) -> list[SceneDay]:
        """The days that the image is made of; scenes that cannot be read leave `items`."""
        days = least_cloudy(days_of(items, self.area))
        while errors := shares.read([item for day in days for item in day.items]):
            for error in errors:
                self._leave_out(error, items)
            days = least_cloudy(days_of(items, self.area))
        if not items:
            raise NothingSeenError(
                f"none of the {len(self.scenes.items)} scenes from {self.window} can be read: "
                f"{self._errors[0]}",
                "try again later, or choose another --catalog or --collection",
            )
        shown_shares = {day.day: shares.share(day) for day in days}
        ranking = ranked_days(days, shown_shares, self.window)
        best = ranking[0]
        if shown_shares[best.day] < _LEAST_SEEN:
            raise NothingSeenError(
                f"clouds hide all of the area in all scenes from {self.window} "
                f"({len(days)} day{'' if len(days) == 1 else 's'})",
                "give a longer window of days",
            )
        if self.options.composite == Composite.BEST:
            return [best]
        return [day for day in days if shown_shares[day.day] >= _LEAST_SEEN]

    def _write_image(
        self,
        days: Sequence[SceneDay],
        polygon: BaseGeometry,
        path: Path,
        output: Path,
    ) -> FetchedScene:
        """Writes the image of some days."""
        tally, tags = _Tally(), {}
        with ExitStack() as stack, ThreadPoolExecutor(THREADS) as threads:
            readers = self._open(days, stack, threads)
            dtypes = [dtype for day in readers for reader in day for dtype in reader.dtypes]
            reflectance = self.plan.collection.reflectance
            dtype = np.dtype(np.int16) if reflectance else np.result_type(*dtypes)
            layers = SceneLayers(tuple(self.plan.bands), dtype, reflectance)

            def blocks() -> Iterator[tuple[PixelWindow, ScenePixels]]:
                for window, pixels in self._blocks(readers, threads):
                    inside = Area(polygon).mask(window)
                    tally.add(pixels, inside, reflectance=reflectance)
                    yield window, pixels
                if tally.seen_px == 0:
                    raise NothingSeenError(
                        f"clouds hide all of the area in all scenes from {self.window}",
                        "give a longer window of days",
                    )
                self._warn_of(tally, days)
                tags.update(self._tags(days, layers, tally))

            write_scene(blocks(), self.grid, layers, path, tags)
        metadata = tags[METADATA_KEY]
        return FetchedScene(
            path=output,
            dates=tuple(sorted(day.day for day in days)),
            items=tuple(sorted(item.id for day in days for item in day.items)),
            hidden_share=metadata["hidden_share"],
            warnings=tuple(self.warnings),
            metadata=metadata,
        )

    def _open(
        self, days: Sequence[SceneDay], stack: ExitStack, threads: ThreadPoolExecutor
    ) -> list[list[SceneReader]]:
        """The scenes of each day, opened on the grid."""

        def open_scene(item: SceneItem) -> tuple[SceneReader, ExitStack]:
            files = ExitStack()
            try:
                return SceneReader(item, self.plan, self.grid, files), files
            except BaseException:
                files.close()
                raise

        futures = [[threads.submit(open_scene, item) for item in day.items] for day in days]
        errors: list[BaseException] = []
        for future in (future for day in futures for future in day):
            if (error := future.exception()) is not None:
                errors.append(error)
            else:
                stack.callback(future.result()[1].close)
        if errors:
            raise errors[0]
        return [[future.result()[0] for future in day] for day in futures]

    def _blocks(
        self, readers: Sequence[Sequence[SceneReader]], threads: ThreadPoolExecutor
    ) -> Iterator[tuple[PixelWindow, ScenePixels]]:
        """The image, block by block."""
        scenes = [reader for day in readers for reader in day]
        windows = windows_of(self.grid, len(scenes) * len(self.plan.bands))
        for number, window in enumerate(windows, start=1):
            if self.cancel.is_set():
                raise CancelledRunError("cancelled", "nothing was written")
            pixels = iter(read_scenes(scenes, window, threads))
            days = [mosaic_of([next(pixels) for _ in day]) for day in readers]
            yield window, median_of(days)
            self.listener(Progress("scenes", number, len(windows)))

    def _leave_out(self, error: SceneError, items: list[SceneItem]) -> None:
        items[:] = [item for item in items if item.id != error.item.id]
        self._errors.append(error)
        if len(self._errors) <= _MOST_TOLD:
            self._warn(f"left out: {error}")
        elif len(self._errors) == _MOST_TOLD + 1:
            self._warn("more scenes are left out, which cannot be read either")

    def _warn(self, text: str) -> None:
        notice = Notice(text, warning=True)
        if notice.message not in self.warnings:
            self.warnings.append(notice.message)
            self.listener(notice)

    def _warn_of_clouds(self) -> None:
        if self.options.clouds != CloudSource.NONE:
            self._warn(
                f"{self.plan.collection.id} has no cloud mask: clouds are in the image as if they "
                "were ground; --clouds model looks for them"
            )

    def _warn_of(self, tally: _Tally, days: Sequence[SceneDay]) -> None:
        """Tells what a user must know of an image before comparing it."""
        if tally.hidden_share > _MUCH_HIDDEN:
            self._warn(
                f"{100 * tally.hidden_share:.0f} % of the area is not seen on "
                f"{', '.join(day.day for day in days[:3])}: a longer window or --composite median "
                "may show more"
            )
        if tally.dark > _ODD_SHARE * tally.values:
            self._warn(
                f"{100 * tally.dark / tally.values:.0f} % of the values are below zero: the "
                f"catalogue tells the offset of {self.plan.collection.id} wrongly, and the image "
                "must not be compared with others"
            )
        if tally.bright > _ODD_SHARE * tally.values:
            self._warn(
                f"{100 * tally.bright / tally.values:.0f} % of the values are beyond reflectance: "
                f"the catalogue tells the scale of {self.plan.collection.id} wrongly, and the "
                "image must not be compared with others"
            )

    def _tags(self, days: Sequence[SceneDay], layers: SceneLayers, tally: _Tally) -> dict[str, Any]:
        """Tags of the file, by which it is known where it came from."""
        from geochg import __version__

        collection, scenes = self.plan.collection, self.scenes
        items = [item for day in days for item in day.items]
        moments = [item.taken for item in items]
        licence = scenes.licence or collection.licence
        metadata = {
            "version": __version__,
            "kind": "scene",
            "catalog": without_secrets(scenes.catalog.url),
            "collection": collection.id,
            "licence": licence,
            "attribution": collection.attribution,
            "composite": str(self.options.composite),
            "clouds": str(self.plan.clouds),
            "cloud_margin_m": self.plan.margin_m if self.plan.looks_for_clouds else 0.0,
            "window": [str(self.window.first), str(self.window.last)],
            "area": self.area.text[:500],
            "bands": list(layers.names),
            "hidden_share": round(tally.hidden_share, 4),
            "scenes": [{**item.to_dict(), "licence": item.licence or licence} for item in items],
            "warnings": list(self.warnings),
        }
        rights = ". ".join(text for text in (collection.attribution, licence) if text)
        return {
            "ACQUISITIONDATETIME": acquisition_text(moments),
            "ACQUISITION_FIRST": min(moments).isoformat().replace("+00:00", "Z"),
            "ACQUISITION_LAST": max(moments).isoformat().replace("+00:00", "Z"),
            "TIFFTAG_DATETIME": f"{min(moments):%Y:%m:%d %H:%M:%S}",
            "TIFFTAG_SOFTWARE": f"geochg {__version__}",
            "TIFFTAG_IMAGEDESCRIPTION": f"{collection.id}: {', '.join(i.id for i in items[:20])}",
            **({"TIFFTAG_COPYRIGHT": rights} if rights else {}),
            METADATA_KEY: metadata,
        }


def _coarse_inside(polygon: BaseGeometry, grid: GeoBox) -> NDArray[np.bool_]:
    """Which pixels of the coarse grid lie in the area; all where it is smaller than one."""
    factor, (height_px, width_px) = coarse_factor(grid), coarse_grid(grid).shape
    scaled = shapely.transform(polygon, lambda xy: xy / factor)
    inside = Area(scaled).mask(PixelWindow(0, height_px, 0, width_px))
    return inside if inside.any() else np.ones_like(inside)


def windows_of(grid: GeoBox, layers: int) -> list[PixelWindow]:
    """Windows that cover a grid, of fewer rows the more layers are held at once.

    Args:
        grid: The grid.
        layers: Number of bands of all scenes together.
    """
    height_px, width_px = grid.shape
    rows = BLOCK_PX
    while rows > _LEAST_ROWS and rows * BLOCK_PX * layers > _MOST_VALUES:
        rows //= 2
    return [
        PixelWindow(row, min(row + rows, height_px), col, min(col + BLOCK_PX, width_px))
        for row in range(0, height_px, rows)
        for col in range(0, width_px, BLOCK_PX)
    ]
