"""The versions of Python and of geochg behind an interpreter, asked before a worker is started."""

from __future__ import annotations

import json
import os
import re

# The interpreter is another process by design.
import subprocess  # nosec B404
from pathlib import Path

from geochg_qgis.link.errors import SetupError, start_error, timeout_error
from geochg_qgis.link.interpreters import System, check_not_qgis, clean_environment
from geochg_qgis.link.process_tree import tree_settings

LEAST_PYTHON = (3, 11)
"""The oldest Python that geochg runs on."""

LEAST_GEOCHG = (0, 1)
"""The oldest geochg that this plugin works with."""

_ASK_S = 60.0

# Understood by any Python since 2.7.
_SCRIPT = """
import json, sys
version = None
try:
    from importlib.metadata import version as version_of
    version = version_of("geochg")
except ImportError:
    pass
print(json.dumps({"python": list(sys.version_info[:3]), "geochg": version}))
"""


def check_versions(python: Path, system: System) -> None:
    """Checks that an interpreter is new enough, and has a geochg that is.

    Args:
        python: Interpreter.
        system: Machine, which knows QGIS's folders.

    Raises:
        SetupError: If it cannot be started, is QGIS's own, or is or has what is too old.
    """
    check_not_qgis(python, system)
    try:
        # No shell; the user chose the interpreter.
        process = subprocess.run(  # nosec B603
            [os.path.abspath(python), "-c", _SCRIPT],
            env=clean_environment(),
            capture_output=True,
            timeout=_ASK_S,
            # As the worker: QGIS's folder may hold something called geochg.
            cwd=str(python.parent),
            **tree_settings(),
        )
    except OSError as error:
        raise start_error(python, error) from error
    except subprocess.TimeoutExpired as error:
        raise timeout_error(python, _ASK_S, "") from error
    output = (process.stdout + process.stderr).decode("utf-8", "replace")
    try:
        versions = json.loads(process.stdout.decode("utf-8", "replace"))
        python_version, geochg = tuple(versions["python"]), versions["geochg"]
    except (ValueError, KeyError, TypeError) as error:
        raise SetupError.from_code("no-python", output, python=python) from error
    shown_version = ".".join(map(str, python_version))
    if python_version < LEAST_PYTHON:
        raise SetupError.from_code("python-is-older", python=python, version=shown_version)
    if geochg is None:
        raise SetupError.from_code("geochg-missing", python=python)
    if _numbers(geochg) < LEAST_GEOCHG:
        raise SetupError.from_code("geochg-is-older", python=python, version=geochg)


def _numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
