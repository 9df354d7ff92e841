"""What the panel remembers between sessions."""

from __future__ import annotations

import sys
from pathlib import Path

from qgis.core import QgsApplication, QgsSettings

from geochg_qgis.link.interpreters import System, own_prefixes

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


def this_system() -> System:
    """The machine, with the folders of the Python that QGIS runs in."""
    return System.here(qgis=own_prefixes(sys.platform, (sys.prefix, sys.base_prefix)))
