"""`geochg:info`: what a pair is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
)

from geochg_qgis.algorithms.base import PairAlgorithm
from geochg_qgis.panel.run_box import pair_in_words
from geochg_qgis.words import tr

FACTS, TILES, SECONDS, SHIFT = "FACTS", "TILES", "SECONDS", "SHIFT_PX"


class InfoAlgorithm(PairAlgorithm):
    """Tells what a pair is."""

    method = "describe"

    def name(self) -> str:
        """Behind the provider's."""
        return "info"

    def words(self) -> tuple[str, str]:
        """What it is called, and what it does."""
        return tr("Tell what a pair of images is"), tr(
            "Opens two images, finds what they share, measures the shift between them and tries "
            "the model on a few tiles. TILES is the number of tiles, SECONDS the time a run is "
            "expected to take, SHIFT_PX the shift in pixels where it was measured; FACTS holds "
            "all of it as JSON: bands, dates, overlap, grid."
        )

    def results_told(self) -> Iterable[QgsProcessingOutputDefinition]:
        """The facts and three of them by name."""
        return (
            QgsProcessingOutputString(FACTS, tr("What the pair is, as JSON")),
            QgsProcessingOutputNumber(TILES, tr("Tiles")),
            QgsProcessingOutputNumber(SECONDS, tr("Expected time, s")),
            QgsProcessingOutputNumber(SHIFT, tr("Shift between the images, px")),
        )

    def results(
        self,
        told: Mapping[str, Any],
        outputs: Mapping[str, str],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """The facts; SHIFT_PX is None where it was not measured."""
        feedback.pushInfo(pair_in_words(told))
        return {
            FACTS: json.dumps(told, ensure_ascii=False),
            TILES: told["tiles"],
            SECONDS: told["seconds"],
            SHIFT: (told.get("alignment") or {}).get("magnitude_px"),
        }
