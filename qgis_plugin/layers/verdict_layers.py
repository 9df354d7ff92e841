"""Layers of verdicts: what a check says of each polygon, styled, and opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsRendererCategory,
    QgsVectorLayer,
)

from geochg_qgis.formatting import class_title, formatted_number, sentence
from geochg_qgis.i18n import tr
from geochg_qgis.layers.default_style import save_default_style
from geochg_qgis.link.errors import LinkError

VERDICT = "verdict"
"""Name of the column, and of the layer in formats that have one."""

_PRESENT, _GONE, _UNTOLD, _MISSING = "present", "gone", "cannot tell", "missing"
VERDICTS = (_PRESENT, _GONE, _UNTOLD, _MISSING)
"""The values of the column, in the order of legends."""

# Colours after Okabe and Ito, and another filling each, so that they differ for the colour-blind.
_SYMBOLS = {
    _PRESENT: {"color": "0,114,178,50", "outline_color": "0,114,178,255"},
    _GONE: {"color": "213,94,0,190", "outline_color": "120,40,0,255"},
    _UNTOLD: {"color": "90,90,90,255", "outline_color": "90,90,90,255", "style": "b_diagonal"},
    _MISSING: {
        "color": "240,228,66,110",
        "outline_color": "240,228,66,255",
        "outline_style": "dash",
    },
}
_WIDTH_MM = {_PRESENT: "0.3", _GONE: "0.5", _UNTOLD: "0.3", _MISSING: "0.6"}


def open_verdict(source: str, name: str) -> QgsVectorLayer:
    """Opens a layer of verdicts, and writes its style as the file's default.

    For any thread.

    Args:
        source: Source of the layer, as QGIS names it.
        name: Name for the layer.

    Raises:
        LinkError: If it cannot be opened.
    """
    layer = QgsVectorLayer(source, name, "ogr")
    if not layer.isValid():
        raise LinkError(
            tr("{} cannot be opened").format(source), tr("see the log, and check again")
        )
    apply_verdict_style(layer)
    save_default_style(layer)
    return layer


def apply_verdict_style(layer: QgsVectorLayer) -> None:
    """Styles a layer by verdict, with the verdict and its probability as map tips."""
    titles = _titles()
    categories = [
        QgsRendererCategory(verdict, _symbol(verdict), titles[verdict]) for verdict in VERDICTS
    ]
    layer.setRenderer(QgsCategorizedSymbolRenderer(VERDICT, categories))
    layer.setDisplayExpression(f'"{VERDICT}"')
    layer.setMapTipTemplate(
        f"[% \"{VERDICT}\" || coalesce(', ' || round(\"probability\", 2), '') %]"
    )


def verdict_summary(answer: Mapping[str, Any]) -> str:
    """A line about a check: how many of each verdict, and the shift of the layer.

    Args:
        answer: The worker's, of `check`.
    """
    facts = answer["geochg"]
    check, shift_m = facts["check"], facts.get("shift_m")
    titles = _titles()
    counts = [
        f"{formatted_number(int(check['counts'].get(verdict, 0)))} {titles[verdict].lower()}"
        for verdict in VERDICTS
    ]
    if shift_m is None:
        shift = tr("the shift of the layer could not be measured")
    else:
        shift = tr("the layer lies {} m off the image").format(formatted_number(shift_m, 1))
    title = class_title(str(check.get("class", "")))
    return sentence(f"{title}: {', '.join(counts)}; {shift}")


def _titles() -> dict[str, str]:
    return {
        _PRESENT: tr("Present"),
        _GONE: tr("Gone"),
        _UNTOLD: tr("Cannot tell"),
        _MISSING: tr("Missing"),
    }


def _symbol(verdict: str) -> QgsFillSymbol:
    return QgsFillSymbol.createSimple({**_SYMBOLS[verdict], "outline_width": _WIDTH_MM[verdict]})
