"""The panel's settings, which QGIS stores between sessions."""

from __future__ import annotations

import sys
from pathlib import Path

from qgis.core import QgsApplication, QgsSettings

from geochg_qgis.link.interpreters import System, own_prefixes

_PREFIX = "geochg/"


def stored_setting(name: str, default: str = "") -> str:
    """A stored setting, as text."""
    return str(QgsSettings().value(_PREFIX + name, default) or default)


def store_setting(name: str, value: str) -> None:
    """Stores a setting."""
    QgsSettings().setValue(_PREFIX + name, value)


def own_environment() -> Path:
    """Folder for the set-up page's environment: in the profile, outside the plugin's folder."""
    stored_environment = stored_setting("environment")
    return (
        Path(stored_environment)
        if stored_environment
        else Path(QgsApplication.qgisSettingsDirPath()) / "geochg" / "env"
    )


def this_system() -> System:
    """This machine, with the folders of the Python that QGIS runs in."""
    return System.here(qgis=own_prefixes(sys.platform, (sys.prefix, sys.base_prefix)))
