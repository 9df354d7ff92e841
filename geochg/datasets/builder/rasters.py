"""Two rasters of one place with a mask, a raster or polygons, cut as `analyze` cuts them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from geochg.classes import CHANGE_CLASSES
from geochg.datasets.builder.pair_tiles import pair_tiles
from geochg.datasets.builder.pictures import safe_name
from geochg.datasets.builder.reviewed_scene import ReviewedScene, reviewed_scene
from geochg.datasets.builder.scene import MaskedScene, MaskedTile, class_indexes, coded_classes
from geochg.datasets.builder.verdicts import (
    VerdictMap,
    has_verdicts,
    judged_changes,
    layer_label,
    map_of_verdicts,
)
from geochg.datasets.captions.truth import DIRECTIONS
from geochg.errors import InputError
from geochg.files.remote_files import refuse_remote
from geochg.geometry.vector_file import file_of, is_vector_name, read_areas
from geochg.options import AlignMode, AnalyzeOptions
from geochg.records import Change, PixelWindow, TileWindow

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

    from geochg.tiling.pair import RasterPair

CLASS_FIELD, CHANGE_FIELD = "class", "change"
"""Fields of polygons that hold class and direction, as in the layers that `analyze` writes."""

_SEGMENTS = 8
"""Parts of a shape's edges: labels are small, and there may be very many."""

Labels = tuple["NDArray[np.uint8]", "NDArray[np.uint8]", "NDArray[np.bool_]"]
"""Class index, direction index, and where the mask has data, each `(height, width)` of a window."""


class _Mask(NamedTuple):
    """An open mask: its labels by window, and a note on what of it was left out."""

    labels: Callable[[PixelWindow], Labels]
    note: str = ""


@dataclass(frozen=True)
class RasterScene(MaskedScene):
    """A pair of rasters with a mask; its attributes beside those of `Scene`.

    Attributes:
        pair: The rasters on their common grid.
        mask: A raster or a vector file.
        coding: Class indexes by value, as `options.class_coding` gives them.
        align: What to do about a residual shift.
        allow_remote: Whether a mask on this machine may name a source elsewhere.
    """

    pair: RasterPair | None = None
    mask: str = ""
    coding: Mapping[str, int] | None = None
    align: AlignMode = AlignMode.AUTO
    allow_remote: bool = False

    def tiles(self, windows: Sequence[TileWindow]) -> Iterator[MaskedTile]:
        """The tiles of some windows, in order, both dates stretched as `analyze` does."""
        from geochg.tiling.gdal import gdal_settings

        if not windows or self.pair is None:
            return
        grid, coding = self.pair.grid, self.coding or {}
        mask = _labels(self.mask, grid, coding, allow_remote=self.allow_remote)
        with gdal_settings(), mask as known_mask:
            for tile in pair_tiles(self.pair, windows, self.align, self.name):
                classes, directions, labelled = known_mask.labels(tile.window.read)
                labelled_tile = replace(tile, valid=tile.valid & labelled)
                yield MaskedTile(labelled_tile, classes, directions)


def raster_scene(
    before: str,
    after: str,
    mask: str,
    coding: Mapping[str, int],
    align: AlignMode,
    *,
    dates_as_given: bool = False,
    allow_remote: bool = False,
    all_reviewed: bool = False,
) -> RasterScene | ReviewedScene:
    """Opens a pair and looks at its mask; reads no pixels.

    Polygons with verdicts in them are those of a review, and mean what `verdicts` says.

    Args:
        before: The earlier raster.
        after: The later raster.
        mask: A raster or a vector file.
        coding: Class indexes by value, as `options.class_coding` gives them.
        align: What to do about a residual shift.
        dates_as_given: Whether the order is that of the arguments, whatever the files say.
        allow_remote: Whether files on this machine may name sources elsewhere.
        all_reviewed: Whether what was neither accepted nor drawn in a review is unchanged.

    Raises:
        InputError: If a raster or the mask cannot be used, or the two do not go together.
    """
    from geochg.tiling.gdal import gdal_settings
    from geochg.tiling.pair import open_pair

    with gdal_settings():
        options = AnalyzeOptions(dates_as_given=dates_as_given, allow_remote=allow_remote)
        pair = open_pair(before, after, options, "rgb")
        name = safe_name(f"{Path(before).stem}-{Path(after).stem}")
        remarks = [remark.text for remark in pair.remarks]
        if is_vector_name(mask):
            refuse_remote(file_of(mask), allow=allow_remote)
            frame, note = read_areas(mask)
            if has_verdicts(frame):
                verdict_map = _verdict_map(mask, frame, pair, coding, all_reviewed=all_reviewed)
                remarks += [note] if note else []
                return reviewed_scene(pair, verdict_map, name, align=align, notes=remarks)
        with _labels(mask, pair.grid, coding, allow_remote=allow_remote) as known_mask:
            remarks += [known_mask.note] if known_mask.note else []
    height_px, width_px = pair.grid.shape
    return RasterScene(
        name=name,
        shape_px=(height_px, width_px),
        known=coded_classes(coding),
        facts=pair.facts,
        grid=pair.grid,
        notes=tuple(remarks),
        pair=pair,
        mask=mask,
        coding=coding,
        align=align,
        allow_remote=allow_remote,
    )


def _verdict_map(
    layer: str,
    frame: gpd.GeoDataFrame,
    pair: RasterPair,
    coding: Mapping[str, int],
    *,
    all_reviewed: bool,
) -> VerdictMap:
    label = layer_label(layer)
    changes = judged_changes(frame, pair.grid, label, coding)
    return map_of_verdicts([changes], label, all_reviewed=all_reviewed)


@contextmanager
def _labels(
    mask: str, grid: GeoBox, coding: Mapping[str, int], *, allow_remote: bool
) -> Iterator[_Mask]:
    if is_vector_name(mask):
        refuse_remote(file_of(mask), allow=allow_remote)
        polygons = _Polygons(mask, grid, coding)
        yield _Mask(polygons.labels, polygons.note)
    else:
        refuse_remote(mask, allow=allow_remote)
        with _mask_on_grid(mask, grid) as dataset:

            def labels(window: PixelWindow) -> Labels:
                values, alpha = dataset.read(window=_bounds(window), indexes=(1, dataset.count))
                classes = class_indexes(np.where(alpha > 0, values, 0), coding, mask)
                return classes, np.zeros_like(classes), alpha > 0

            yield _Mask(labels)


def _bounds(window: PixelWindow) -> tuple[tuple[int, int], tuple[int, int]]:
    return (window.row_start, window.row_stop), (window.col_start, window.col_stop)


@contextmanager
def _mask_on_grid(mask: str, grid: GeoBox) -> Iterator[Any]:
    """The mask raster, nearest values, on the pair's grid; its last band says where it is."""
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.errors import RasterioError
    from rasterio.vrt import WarpedVRT

    height_px, width_px = grid.shape
    try:
        with rasterio.open(mask) as source:
            if source.crs is None or source.count != 1:
                fault = "no CRS" if source.crs is None else f"{source.count} bands"
                raise InputError(
                    f"the mask {mask} has {fault}", "a mask is one band of classes, georeferenced"
                )
            with WarpedVRT(
                source,
                crs=str(grid.crs),
                transform=grid.transform,
                height=height_px,
                width=width_px,
                resampling=Resampling.nearest,
                add_alpha=True,
                # Its 0 means no change; a nodata of 0 must not make that unknown.
                src_nodata=None if source.nodata in (None, 0) else source.nodata,
            ) as dataset:
                yield dataset
    except RasterioError as error:
        raise InputError(
            f"the mask {mask} cannot be read: {' '.join(str(error).split())}", "check the file"
        ) from error


class _Polygons:
    """A vector file of changed places, in pixels of a grid."""

    def __init__(self, path: str, grid: GeoBox, coding: Mapping[str, int]) -> None:
        import shapely

        frame, self.note = read_areas(path)
        field = CLASS_FIELD if CLASS_FIELD in frame.columns else ""
        if not field and len(coding) != 1:
            raise InputError(
                f"{path} has no field {CLASS_FIELD!r} that tells classes",
                f"add it, or name the one class with --classes, such as any=building; "
                f"fields: {', '.join(map(str, frame.columns))[:200]}",
            )
        indexes = {row.name: row.mask_code for row in CHANGE_CLASSES}
        class_codes = indexes | dict(coding) if field else dict(coding)
        self._shape = grid.shape
        self._pieces: list[tuple[Any, int, int]] = []
        for row in frame.to_dict("records"):
            value = str(row[field]) if field else next(iter(coding))
            if value not in class_codes:
                raise InputError(
                    f"{path} has the class {value!r}, which is not known",
                    f"say what it is with --classes, such as {value}=building",
                )
            if class_codes[value] in coding.values():
                direction = _direction(row.get(CHANGE_FIELD))
                self._pieces.append((_pixel_shape(row, frame, grid), class_codes[value], direction))
        self._tree = shapely.STRtree([piece for piece, _, _ in self._pieces])

    def labels(self, window: PixelWindow) -> Labels:
        import shapely
        from rasterio.features import rasterize

        shape = (window.height_px, window.width_px)
        classes, directions = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
        box = shapely.box(window.col_start, window.row_start, window.col_stop, window.row_stop)
        for number in sorted(self._tree.query(box, predicate="intersects").tolist()):
            piece, class_index, direction = self._pieces[number]
            local = shapely.transform(piece, lambda xy: xy - (window.col_start, window.row_start))
            inside = rasterize([local], out_shape=shape, dtype="uint8") > 0
            classes[inside], directions[inside] = class_index, direction
        return classes, directions, np.ones(shape, bool)


def _pixel_shape(row: Mapping[str, Any], frame: Any, grid: GeoBox) -> Any:  # noqa: ANN401
    from odc.geo.crs import CRS

    from geochg.tiling.footprints import pixel_polygon

    return pixel_polygon(row[frame.geometry.name], CRS(frame.crs), grid, segments=_SEGMENTS)


def _direction(value: object) -> int:
    return DIRECTIONS.index(Change(str(value))) if value in list(Change) else 0
