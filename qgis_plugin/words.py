"""The panel's words in the user's language.

Translations are JSON files in i18n/, English to the other language, so that they need no compiler
and can be read and changed by anyone.
"""

from __future__ import annotations

import json
from pathlib import Path

from qgis.PyQt.QtCore import QLocale, QSettings

_FOLDER = Path(__file__).parent / "i18n"
_known: dict[str, str] = {}


def tr(text: str) -> str:
    """A text in the user's language, or as it is where no one translated it."""
    return _known.get(text, text)


def area_in_words(area_m2: float) -> str:
    """An area in a unit that shows it: `1.20 ha`, `230 m²`, `0.25 m²`, `40 cm²`."""
    if area_m2 >= 10_000:
        return f"{area_m2 / 1e4:,.2f} ha"
    if area_m2 >= 10 or area_m2 == 0:
        return f"{area_m2:,.0f} m²"
    figures = f"{area_m2:.2g}" if area_m2 >= 0.01 else f"{area_m2 * 1e4:.2g}"
    return f"{float(figures):g} {'m²' if area_m2 >= 0.01 else 'cm²'}"


def load_words(language: str | None = None) -> None:
    """Loads the translation.

    Args:
        language: Such as `de`; that of QGIS when None.
    """
    language = language or _language_of_qgis()
    path = _FOLDER / f"{language[:2].lower()}.json"
    _known.clear()
    if path.is_file():
        _known.update(json.loads(path.read_text(encoding="utf-8")))


def _language_of_qgis() -> str:
    settings = QSettings()
    if settings.value("locale/overrideFlag", False, type=bool):
        return str(settings.value("locale/userLocale", "en"))
    return QLocale.system().name()
