"""QGIS's real desktop on a virtual screen, driven by a script, with the plugin installed."""

import json
import os
import shutil
import signal
import subprocess
import zipfile
from pathlib import Path

from plugin_package import FOLDER, small_wheel
from qgis_worker import ROOT, WORKER_PYTHON

SCREENSHOTS = Path(os.environ.get("GEOCHG_PICTURES", ROOT / "build" / "desktop"))
"""Kept by the continuous integration."""

SETTINGS = (
    "[PythonPlugins]\ngeochg_qgis=true\n[qgis]\ncheckVersion=false\nshowTips313=false\n"
    "enableNews=false\n"
)


GERMAN = "[locale]\noverrideFlag=true\nuserLocale=de\n"
"""Settings of a QGIS in German."""


def drive_desktop(
    script, folder, pictures, *, screen="1680x1050", more=None, limit_s=600, settings="", adds=False
):
    """What a script reported that QGIS ran.

    Its pictures go to a folder, which is emptied before unless the session `adds` to another's.
    """
    if not adds:
        shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True, exist_ok=True)
    (pictures / "report.json").unlink(missing_ok=True)
    profile = folder / "profiles" / "default"
    (profile / "QGIS").mkdir(parents=True)
    (profile / "QGIS" / "QGIS3.ini").write_text(SETTINGS + settings, encoding="utf-8")
    subprocess.run(
        [
            *(str(WORKER_PYTHON), str(FOLDER / "build.py"), "--local"),
            *("--wheel", str(small_wheel(folder)), str(folder)),
        ],
        check=True,
    )
    with zipfile.ZipFile(folder / "geochg_qgis-local.zip") as archive:
        archive.extractall(profile / "python" / "plugins")
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700)
    environment = os.environ | {
        "GEOCHG_DESKTOP_OUT": str(pictures),
        "GEOCHG_DESKTOP_DATA": str(ROOT / "examples"),
        "GEOCHG_DESKTOP_MODEL": str(ROOT / "geochg" / "models" / "builtin"),
        # QGIS takes the first python3 for its own; geochg's lies behind it.
        "PATH": os.pathsep.join(["/usr/bin", "/bin", str(WORKER_PYTHON.parent)]),
        "PYTHONPATH": str(Path(__file__).parent),
        "XDG_RUNTIME_DIR": str(runtime),
        "QT_QPA_PLATFORM": "xcb",
        "LC_ALL": "C.UTF-8",
        **(more or {}),
    }
    environment.pop("GEOCHG_PYTHON", None)
    command = [
        "xvfb-run", "-a", "-s", f"-screen 0 {screen}x24", "qgis", "--nologo", "--noversioncheck",
        "--profiles-path", str(folder), "--profile", "default", "--code", str(script),
    ]  # fmt: skip
    with (pictures / "qgis.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            exit_code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            # With it the X server and QGIS, which xvfb-run would leave behind.
            os.killpg(process.pid, signal.SIGKILL)
            exit_code = process.wait()
    path = pictures / "report.json"
    assert path.exists(), (pictures / "qgis.log").read_text(errors="replace")[-3000:]
    told = json.loads(path.read_text(encoding="utf-8"))
    shutil.rmtree(pictures / "data", ignore_errors=True)
    assert "error" not in told, told["error"]
    assert told["done"]
    return told | {"exit_code": exit_code}
