"""`geochg:info`: facts about a pair."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
)

from geochg_qgis.algorithms.base import PairAlgorithm
from geochg_qgis.formatting import pair_summary
from geochg_qgis.i18n import tr

FACTS, TILES, SECONDS, SHIFT = "FACTS", "TILES", "SECONDS", "SHIFT_PX"


class InfoAlgorithm(PairAlgorithm):
    """Describes a pair."""

    algorithm_name = "info"
    method = "describe"

    def title_and_help(self) -> tuple[str, str]:
        """Title and help of the algorithm."""
        return tr("Describe a pair of images"), tr(
            "Opens two images, finds what they share, measures the shift between them and tries "
            "the model on a few tiles. TILES is the number of tiles, SECONDS the time a run is "
            "expected to take, SHIFT_PX the shift in pixels where it was measured; FACTS holds "
            "all of it as JSON: bands, dates, overlap, grid."
        )

    def output_definitions(self) -> Iterable[QgsProcessingOutputDefinition]:
        """The facts as JSON, and three of them as numbers."""
        yield QgsProcessingOutputString(FACTS, tr("Facts about the pair, as JSON"))
        yield QgsProcessingOutputNumber(TILES, tr("Tiles"))
        yield QgsProcessingOutputNumber(SECONDS, tr("Expected time, s"))
        yield QgsProcessingOutputNumber(SHIFT, tr("Shift between the images, px"))

    def results(self, answer: Mapping[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The facts; SHIFT_PX is None where it was not measured."""
        return {
            FACTS: json.dumps(answer, ensure_ascii=False),
            TILES: answer["tiles"],
            SECONDS: answer["seconds"],
            SHIFT: (answer.get("alignment") or {}).get("magnitude_px"),
        }

    def summary(self, answer: Mapping[str, Any]) -> str:
        """The facts as a line."""
        return pair_summary(answer)
