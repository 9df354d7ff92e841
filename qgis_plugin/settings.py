"""What the panel remembers between sessions."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsApplication, QgsSettings

_PREFIX = "geochg/"


def remembered(name: str, default: str = "") -> str:
    """A setting as text."""
    return str(QgsSettings().value(_PREFIX + name, default) or default)


def remember(name: str, value: str) -> None:
    """Keeps a setting."""
    QgsSettings().setValue(_PREFIX + name, value)


def own_environment() -> Path:
    """Where the set-up page makes an environment: in the profile, outside the plugin's folder."""
    chosen = remembered("environment")
    return Path(chosen) if chosen else Path(QgsApplication.qgisSettingsDirPath()) / "geochg" / "env"
