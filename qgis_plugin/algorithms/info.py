"""`geochg:info`: what a pair is."""

from __future__ import annotations

import json
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
)

from geochg_qgis.algorithms.base import PairAlgorithm
from geochg_qgis.panel.run_box import pair_in_words
from geochg_qgis.words import tr

FACTS, TILES, SECONDS, SHIFT = "FACTS", "TILES", "SECONDS", "SHIFT_PX"


class InfoAlgorithm(PairAlgorithm):
    """Tells what a pair is."""

    def name(self) -> str:
        """Behind the provider's."""
        return "info"

    def displayName(self) -> str:
        """For lists."""
        return tr("Tell what a pair of images is")

    def shortHelpString(self) -> str:
        """Beside the dialog."""
        return tr(
            "Opens two images, finds what they share, measures the shift between them and tries "
            "the model on a few tiles: bands, dates, overlap, shift, number of tiles, expected "
            "time. FACTS holds all of it as JSON."
        )

    def initAlgorithm(self, config: dict[str, Any] | None = None) -> None:
        """Adds the parameters."""
        self.add_pair_parameters()
        self.addOutput(QgsProcessingOutputString(FACTS, tr("What the pair is, as JSON")))
        self.addOutput(QgsProcessingOutputNumber(TILES, tr("Tiles")))
        self.addOutput(QgsProcessingOutputNumber(SECONDS, tr("Expected time, s")))
        self.addOutput(QgsProcessingOutputNumber(SHIFT, tr("Shift between the images, px")))

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Runs it, on a thread."""
        facts = self.ask("describe", parameters, context, feedback)
        feedback.pushInfo(pair_in_words(facts))
        shift = facts.get("alignment") or {}
        return {
            FACTS: json.dumps(facts, ensure_ascii=False),
            TILES: facts["tiles"],
            SECONDS: facts["seconds"],
            SHIFT: shift.get("magnitude_px"),
        }
