"""A layer judged by a model that tells the land cover of each place of the image."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geochg.events import Listener, Progress
from geochg.geometry.morphology import dilated
from geochg.geometry.placement import height_per_width
from geochg.layer_check.evidence import SEEN, Evidence, read_evidence
from geochg.layer_check.findings import Findings, objects_of
from geochg.layer_check.input_layer import InputLayer, on_lattice
from geochg.layer_check.judgement import Judgement, LayerJudge
from geochg.layer_check.missing_ground import MissingSearch
from geochg.layer_check.options import CheckOptions
from geochg.layer_check.polygon_odds import odds_of
from geochg.models.base import ChangeModel
from geochg.tasks.quantities import rounded_value
from geochg.tiling.grid import pixel_m
from geochg.tiling.pair import RasterPair

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
        folder: A folder for what does not stay in memory.
        listener: Hears of the progress.
        stop_if_cancelled: Raises where the run was cancelled.
    """

    pair: RasterPair
    layer: InputLayer
    model: ChangeModel
    options: CheckOptions
    folder: Path
    listener: Listener
    stop_if_cancelled: Callable[[], None]

    def findings(self, *, with_missing: bool) -> Findings:
        """What the image tells.

        Args:
            with_missing: Whether to look for what is not mapped.
        """
        evidence = read_evidence(
            self.pair, self.model, self.folder, self.listener, self.stop_if_cancelled
        )
        polygons = on_lattice(self.layer, self.pair.grid, evidence.cell_px)
        cell_m = evidence.cell_px * pixel_m(self.pair.grid)
        reach = min(math.ceil(self.options.most_shift_m / cell_m), _MOST_REACH_CELLS)

        def step(done: int) -> None:
            self.stop_if_cancelled()
            self.listener(Progress("polygons", done, len(polygons)))

        judge = LayerJudge(polygons, evidence, self.options.class_name, reach, step)
        judgement = judge.judge()
        step(len(polygons))
        missing, likely = objects_of([]), np.zeros(0)
        if with_missing:
            missing, likely = self._missing(evidence, judgement, polygons, cell_m)
        return Findings(
            judgement.probability,
            True,
            judgement.reasons,
            missing,
            likely,
            self._facts(judgement, evidence),
        )

    def _missing(
        self,
        evidence: Evidence,
        judgement: Judgement,
        polygons: NDArray[np.object_],
        cell_m: float,
    ) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
        """Outlines of what is missing in pixels, and how likely each is of the class."""
        import shapely

        areas = shapely.area(polygons)
        median = float(np.median(areas[areas > 0]))
        least_cells = max(LEAST_MEDIAN_SHARE * median, _LEAST_MISSING_CELLS)
        if self.options.min_area_m2 is not None:
            least_cells = self.options.min_area_m2 / cell_m**2
        buffer = max(1, round(_BUFFER_M / cell_m))
        is_mapped = dilated(judgement.mapped > 0, buffer, square=True)
        search = MissingSearch(
            judgement.scores,
            (evidence.state == SEEN) & ~is_mapped,
            is_mapped,
            evidence.cell_px,
            height_per_width(self.pair.grid),
            least_cells,
            self.options.class_name == "building",
        )
        pieces = []
        for piece in search.ground():
            self.stop_if_cancelled()
            pieces.append(piece)
        scores = np.array([piece.score for piece in pieces], np.float64)
        cells = np.array([piece.cells for piece in pieces], np.float64)
        odds = odds_of(scores, cells, judgement.odds.weights)
        likely = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
        is_likely = likely >= self.options.certainty
        outlines = objects_of([piece.polygon for piece in pieces])
        return outlines[is_likely], likely[is_likely]

    def _facts(self, judgement: Judgement, evidence: Evidence) -> dict[str, Any]:
        facts: dict[str, Any] = {"shift_m": None, "shift": None}
        if judgement.shift is not None:
            ratio = math.sqrt(height_per_width(self.pair.grid))
            cell_m = evidence.cell_px * pixel_m(self.pair.grid)
            east = judgement.shift.x_cells * cell_m / ratio
            north = -judgement.shift.y_cells * cell_m * ratio
            facts["shift_m"] = rounded_value(math.hypot(east, north), 2)
            facts["shift"] = {
                "east_m": rounded_value(east, 2),
                "north_m": rounded_value(north, 2),
            }
        facts["right_share"] = round(judgement.odds.present_share, 3)
        return facts
