"""Text for the user: numbers, durations and summaries, and markup that shows a text as it is."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from qgis.PyQt.QtCore import QLocale

from geochg_qgis.i18n import tr
from geochg_qgis.layers.class_colors import CLASSES
from geochg_qgis.layers.result_fields import COVERS
from geochg_qgis.link.progress import RunProgress
from geochg_qgis.link_messages import without_flags


def as_markup(text: object) -> str:
    """Markup that shows a text as it is; for message bars, which always read markup."""
    return html.escape(str(text))


def as_log_markup(text: str) -> str:
    """Markup that shows a text as it is in QGIS's log, which also goes to the terminal.

    Names of models and messages of servers must neither become links nor control the terminal.
    """
    plain = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
    return html.escape(plain, quote=False)


def as_tip(text: object) -> str:
    """A tool tip that shows a text as it is.

    In a paragraph, because Qt guesses whether a tip is markup and must not guess wrong.
    """
    return f"<p>{as_markup(text)}</p>"


def class_title(name: str) -> str:
    """A class or land cover in the user's language; one that is not geochg's own as it is."""
    return tr(name) if name in CLASSES or name in COVERS else name


def sentence(text: str) -> str:
    """A text that begins with a capital, unless with the name geochg."""
    return text if text.startswith("geochg") else text[:1].upper() + text[1:]


def formatted_number(number: float, decimals: int = 0) -> str:
    """A number as the user's locale writes it, with its separator of thousands."""
    locale = QLocale()
    if locale.language() == QLocale.Language.C:
        locale = QLocale("en_US")
    locale.setNumberOptions(QLocale.NumberOption.DefaultNumberOptions)
    return str(locale.toString(float(number), "f", decimals))


UNKNOWN = "\N{EN DASH}"
"""Stands for a number that is not known."""


def formatted_share(share: float | None) -> str:
    """A share of 0 to 1 in percent: `53 %`; a dash for one that is not known."""
    return UNKNOWN if share is None else f"{formatted_number(100 * share)} %"


def formatted_area(area_m2: float) -> str:
    """An area in a unit that shows it: `1.20 ha`, `230 m²`, `0.25 m²`, `40 cm²`."""
    if area_m2 >= 10_000:
        return f"{formatted_number(area_m2 / 1e4, 2)} ha"
    if area_m2 >= 10 or area_m2 == 0:
        return f"{formatted_number(area_m2)} m²"
    value, unit = (area_m2, "m²") if area_m2 >= 0.01 else (area_m2 * 1e4, "cm²")
    figures = f"{float(f'{value:.2g}'):g}"
    return f"{formatted_number(value, len(figures.partition('.')[2]))} {unit}"


def progress_summary(progress: RunProgress) -> str:
    """The progress of a run, as a line."""
    text = {
        "clouds": tr("looking for clouds"),
        "scenes": tr("fetching the scene"),
        "shift": tr("measuring the shift"),
        "survey": tr("looking at the pair"),
        "tiles": tr("asking about tiles"),
        "sample": tr("looking through the ground"),
        "write": tr("writing"),
    }.get(progress.stage, progress.stage)
    text += f", {progress.done} / {progress.total}"
    if progress.rate is not None:
        text += ", " + tr("{:.1f} a second").format(progress.rate)
    if progress.left_s is not None and progress.stage == "tiles":
        text += ", " + tr("{} left").format(formatted_duration(progress.left_s))
    return text


def formatted_duration(seconds: float) -> str:
    """A duration in seconds, minutes or hours."""
    if seconds < 90:
        return tr("{:.0f} s").format(seconds)
    if seconds < 5400:
        return tr("{:.0f} min").format(seconds / 60)
    return tr("{:.1f} h").format(seconds / 3600)


def _formatted_overlap(area_km2: float) -> str:
    return f"{area_km2:g} km²" if area_km2 >= 0.01 else formatted_area(area_km2 * 1e6)


def pair_summary(facts: Mapping[str, Any]) -> str:
    """The facts about a pair, as a line or two."""
    grid, shift = facts["grid"], facts.get("alignment")
    parts = [
        f"{grid['width_px']} x {grid['height_px']} px, {grid['pixel_m']:g} m",
        _formatted_overlap(grid["overlap_km2"]),
        tr("{} tiles").format(facts["tiles"]),
    ]
    state = tr("corrected") if shift and shift.get("corrected") else tr("not corrected")
    if shift and (field := shift.get("field")):
        text = tr("shift {0:.1f} to {1:.1f} px ({2})")
        parts.append(text.format(field["least_px"], field["greatest_px"], state))
    elif shift and shift.get("clear"):
        parts.append(tr("shift {0:.1f} px ({1})").format(shift["magnitude_px"], state))
    if facts.get("seconds") is not None:
        parts.append(tr("about {}").format(formatted_duration(facts["seconds"])))
    if facts.get("note"):
        parts.append(without_flags(str(facts["note"])))
    return " · ".join(parts)
