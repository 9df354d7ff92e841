"""Translations of the plugin's texts.

They are JSON files in this folder, from English to the other language, so that they need no
compiler and can be read and changed by anyone.
"""

from __future__ import annotations

import json
from pathlib import Path

from qgis.PyQt.QtCore import QLocale, QSettings

_FOLDER = Path(__file__).parent
_translations: dict[str, str] = {}


def tr(text: str) -> str:
    """A text in the user's language, or as it is where it has no translation."""
    return _translations.get(text, text)


def load_translation(language: str | None = None) -> None:
    """Loads the translation.

    Args:
        language: Code of the language, such as `de`; that of QGIS when None.
    """
    language = language or _language_of_qgis()
    path = _FOLDER / f"{language[:2].lower()}.json"
    _translations.clear()
    if path.is_file():
        _translations.update(json.loads(path.read_text(encoding="utf-8")))


def _language_of_qgis() -> str:
    settings = QSettings()
    if settings.value("locale/overrideFlag", False, type=bool):
        return str(settings.value("locale/userLocale", "en"))
    return QLocale.system().name()
