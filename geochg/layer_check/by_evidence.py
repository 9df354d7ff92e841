"""A layer judged by a model that tells the land cover of each place of the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from geochg.events import Listener, Progress
from geochg.features.changes import BUILDING
from geochg.features.smoothing import smoothed_polygons
from geochg.geometry.coverage import Coverage, coverage_of
from geochg.geometry.lattice import unit_steps
from geochg.geometry.morphology import dilated
from geochg.geometry.placement import ground_axes, height_per_width
from geochg.geometry.regularization import regularized_outlines
from geochg.layer_check.evidence import SEEN, EvidenceReader, SeenTile, class_log_odds
from geochg.layer_check.findings import Findings, objects_of
from geochg.layer_check.ground_scores import MOST_LOG_ODDS, GroundScorer
from geochg.layer_check.input_layer import InputLayer, on_lattice
from geochg.layer_check.judgement import LayerJudge, LayerJudgement
from geochg.layer_check.layer_shift import LayerShift, measured_shift
from geochg.layer_check.missing_ground import (
    MISSING_CERTAINTY,
    MISSING_PLACE,
    MissingSearch,
    missing_probability,
)
from geochg.layer_check.options import CheckOptions
from geochg.models.base import ChangeModel
from geochg.records import PixelWindow
from geochg.tasks.quantities import rounded_value
from geochg.tiling.grid import pixel_m
from geochg.tiling.pair import RasterPair, nothing_valid

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_MEDIAN_SHARE = 1 / 3
"""Missing ground is looked for down to this share of the area of the median polygon."""

_BUFFER_M = 1.0
_MOST_REACH_CELLS = 12
_LEAST_MISSING_CELLS = 4.0


@dataclass(frozen=True)
class EvidenceCheck:
    """A layer and an image, judged by the evidence of a model.

    Attributes:
        pair: The image as a pair that is read once.
        layer: The layer.
        model: A model that tells logits of land covers.
        options: The options of the check.
        listener: Hears of the progress.
        stop_if_cancelled: Raises where the run was cancelled.
    """

    pair: RasterPair
    layer: InputLayer
    model: ChangeModel
    options: CheckOptions
    listener: Listener
    stop_if_cancelled: Callable[[], None]

    def findings(self, *, with_missing: bool) -> Findings:
        """What the image tells.

        Args:
            with_missing: Whether to look for what is not mapped.
        """
        in_pixels = on_lattice(self.layer, self.pair.grid, 1.0)
        reader = EvidenceReader(self.pair, self.model, self.listener, self.stop_if_cancelled)
        touched = _touched_tiles(reader, in_pixels)
        sample = reader.sample(touched) or reader.sample(range(len(reader.layout)))
        if not sample:
            raise nothing_valid(self.pair)
        lattice = _Lattice.of(reader, sample[0].cell_px, self.pair)
        polygons = _scaled_polygons(in_pixels, 1 / lattice.cell_px)
        shift = self._shift(polygons, sample, lattice)
        shifted_polygons = _shifted_polygons(polygons, shift) if shift is not None else polygons
        coverages = self._coverages(shifted_polygons, lattice.shape)
        mapped = _mapped_share(coverages, lattice.shape)
        scorer = GroundScorer.fit(sample, mapped, self.options.class_name)
        seen_tiles = reader.others(sample)
        if not with_missing:
            # Ground without polygons need not be looked at.
            seen_tiles = reader.others(sample, touched)
        scores = np.full(lattice.shape, -MOST_LOG_ODDS, np.float16)
        state = np.zeros(lattice.shape, np.uint8)
        for tile in seen_tiles:
            part = tile.window.slices_within(PixelWindow.whole(lattice.shape))
            scores[part], state[part] = scorer.scores(tile), tile.state
        judgement = LayerJudge(shifted_polygons, coverages, scores, state, mapped).judge()
        missing, likely = objects_of([]), np.zeros(0)
        if with_missing:
            ground = _Ground(scores, state, mapped, shifted_polygons, shift)
            missing, likely = self._missing_outlines(ground, judgement, lattice)
        facts = {**_shift_facts(shift, lattice), "right_share": round(judgement.present_share, 3)}
        return Findings(
            judgement.probability, judgement.probability, judgement.reasons, missing, likely, facts
        )

    def _shift(
        self, polygons: NDArray[np.object_], sample: Sequence[SeenTile], lattice: _Lattice
    ) -> LayerShift | None:
        """The shift of the layer, as the sample tells it."""
        reach = min(math.ceil(self.options.most_shift_m / lattice.cell_m), _MOST_REACH_CELLS)
        scores = np.zeros(lattice.shape, np.float16)
        is_seen = np.zeros(lattice.shape, np.bool_)
        for tile in sample:
            part = tile.window.slices_within(PixelWindow.whole(lattice.shape))
            odds = class_log_odds(tile.channels, self.options.class_name)
            scores[part] = np.clip(odds, -MOST_LOG_ODDS, MOST_LOG_ODDS)
            is_seen[part] = tile.state == SEEN
        return measured_shift(polygons, scores, is_seen, reach)

    def _coverages(
        self, polygons: NDArray[np.object_], shape: tuple[int, int]
    ) -> list[Coverage | None]:
        coverages = []
        for number, polygon in enumerate(polygons):
            coverages.append(coverage_of(polygon, shape))
            if number % 256 == 0:
                self.stop_if_cancelled()
                self.listener(Progress("polygons", number, len(polygons)))
        self.listener(Progress("polygons", len(polygons), len(polygons)))
        return coverages

    def _missing_outlines(
        self, ground: _Ground, judgement: LayerJudgement, lattice: _Lattice
    ) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
        """Outlines of what is missing in pixels, and how likely each is of the class."""
        import shapely

        areas = shapely.area(ground.polygons)
        median = float(np.median(areas[areas > 0]))
        least_cells = max(LEAST_MEDIAN_SHARE * median, _LEAST_MISSING_CELLS)
        if self.options.min_area_m2 is not None:
            least_cells = self.options.min_area_m2 / lattice.cell_m**2
        buffer = max(1, round(_BUFFER_M / lattice.cell_m))
        is_mapped = dilated(ground.mapped > 0, buffer, square=True)
        search = MissingSearch(
            ground.scores,
            (ground.state == SEEN) & ~is_mapped,
            lattice.cell_px,
            least_cells,
            judgement.scale.low + MISSING_PLACE * judgement.scale.gap,
        )
        pieces = []
        for piece in search.ground():
            self.stop_if_cancelled()
            pieces.append(piece)
        scores = np.array([piece.score for piece in pieces], np.float64)
        cells = np.array([piece.cells for piece in pieces], np.float64)
        likely = missing_probability(scores, cells / max(median, 1.0), judgement.scale)
        is_likely = likely >= MISSING_CERTAINTY
        pixels = objects_of([piece.polygon for piece in pieces])[is_likely]
        return self._outlines(pixels), likely[is_likely]

    def _outlines(self, pixels: NDArray[np.object_]) -> NDArray[np.object_]:
        """The outlines as they are drawn, from polygons along pixel edges."""
        if not len(pixels):
            return pixels
        outlines = smoothed_polygons(unit_steps(pixels))
        if not (self.options.regularize and self.options.class_name == BUILDING):
            return outlines
        is_building = np.ones(len(pixels), np.bool_)
        axes = ground_axes(pixels, self.pair.grid)
        return regularized_outlines(pixels, outlines, is_building, axes).outlines


class _Ground(NamedTuple):
    """What is known of the ground: scores, states, what polygons cover, the polygons, the shift."""

    scores: NDArray[np.float16]
    state: NDArray[np.uint8]
    mapped: NDArray[np.uint8]
    polygons: NDArray[np.object_]
    shift: LayerShift | None


@dataclass(frozen=True)
class _Lattice:
    """The lattice of cells over the grid of the image.

    Attributes:
        shape: Rows and columns.
        cell_px: Side of a cell in pixels.
        cell_m: Side of a cell on the ground.
        height_per_width: Its height on the ground by its width.
    """

    shape: tuple[int, int]
    cell_px: int
    cell_m: float
    height_per_width: float

    @classmethod
    def of(cls, reader: EvidenceReader, cell_px: int, pair: RasterPair) -> _Lattice:
        layout = reader.layout
        return cls(
            (layout.height_px // cell_px, layout.width_px // cell_px),
            cell_px,
            cell_px * pixel_m(pair.grid),
            height_per_width(pair.grid),
        )


def _touched_tiles(reader: EvidenceReader, polygons: NDArray[np.object_]) -> list[int]:
    """Numbers of the tiles whose cores polygons touch, ascending."""
    import shapely

    tree = shapely.STRtree(polygons)
    corners = np.array(
        [
            (w.core.col_start, w.core.row_start, w.core.col_stop, w.core.row_stop)
            for w in reader.layout
        ]
    )
    boxes = shapely.box(*corners.T)
    numbers = np.unique(tree.query(boxes, predicate="intersects")[0])
    return [int(number) for number in numbers]


def _scaled_polygons(polygons: NDArray[np.object_], factor: float) -> NDArray[np.object_]:
    import shapely

    scaled: NDArray[np.object_] = shapely.transform(polygons, lambda xy: xy * factor)
    return scaled


def _shifted_polygons(polygons: NDArray[np.object_], shift: LayerShift) -> NDArray[np.object_]:
    import shapely

    shifted_polygons: NDArray[np.object_] = shapely.transform(
        polygons, lambda xy: xy + np.array(shift)
    )
    return shifted_polygons


def _mapped_share(
    coverages: Sequence[Coverage | None], shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """How much of each cell polygons cover, 255 for all."""
    mapped = np.zeros(shape, np.uint8)
    for coverage in coverages:
        if coverage is not None:
            share = np.ceil(coverage.share * 255).astype(np.uint8)
            np.maximum(mapped[coverage.part], share, out=mapped[coverage.part])
    return mapped


def _shift_facts(shift: LayerShift | None, lattice: _Lattice) -> dict[str, Any]:
    """The shift in metres, as metadata tell it."""
    if shift is None:
        return {"shift_m": None, "shift": None}
    ratio = math.sqrt(lattice.height_per_width)
    east = shift.x_cells * lattice.cell_m / ratio
    north = -shift.y_cells * lattice.cell_m * ratio
    parts = {"east_m": rounded_value(east, 2) or 0.0, "north_m": rounded_value(north, 2) or 0.0}
    return {"shift_m": rounded_value(math.hypot(east, north), 2), "shift": parts}
