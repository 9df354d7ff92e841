"""The plugin in a QGIS without a window, its worker being the geochg of this repository."""

import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    # Two QGIS that run side by side write no settings of one another.
    settings = Path(os.environ["QGIS_CUSTOM_CONFIG_PATH"], worker)
    settings.mkdir(exist_ok=True)
    os.environ["QGIS_CUSTOM_CONFIG_PATH"] = os.environ["HOME"] = str(settings)

from plugin_package import load_plugin_package
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt
from qgis_worker import WORKER_PYTHON

load_plugin_package()

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture(scope="session", autouse=True)
def no_garbage_at_the_end(qgis_app):
    """Deletes layers that garbage holds before QGIS ends, behind which that crashes."""
    yield
    gc.collect()


@pytest.fixture
def connection(qgis_app):
    from geochg_qgis.connection import Connection
    from geochg_qgis.settings import store_setting
    from geochg_qgis.tasks import end_tasks

    store_setting("python", str(WORKER_PYTHON))
    connection = Connection()
    yield connection
    connection.close()
    end_tasks()
    store_setting("python", "")


@pytest.fixture
def provider(qgis_processing, connection):
    from geochg_qgis.algorithms.provider import GeochgProvider

    provider = GeochgProvider(connection)
    QgsApplication.processingRegistry().addProvider(provider)
    yield provider
    QgsApplication.processingRegistry().removeProvider(provider)


@pytest.fixture
def pair(tmp_path, qgis_new_project):
    """The example pair, copied and in the project."""
    layers = []
    for year in (2015, 2018):
        path = Path(shutil.copy(EXAMPLES / f"dubai_{year}.tif", tmp_path))
        layers.append(QgsRasterLayer(str(path), path.stem))
        assert layers[-1].isValid()
    QgsProject.instance().addMapLayers(layers)
    return layers


@pytest.fixture
def dock(qgis_iface, connection, pair, qtbot):
    from geochg_qgis.panel.dock_widget import GeochgDockWidget

    dock = GeochgDockWidget(qgis_iface, connection)
    window = qgis_iface.mainWindow()
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    window.show()
    dock.show()
    yield dock
    dock.close_down()
    dock.deleteLater()


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Results as the command line writes them, of each format, without the fields of a review."""
    folder = tmp_path_factory.mktemp("written")
    for suffix in ("gpkg", "geojson", "fgb"):
        images = [str(EXAMPLES / f"dubai_{year}.tif") for year in (2015, 2018)]
        options = ("--model", "cva", "--min-area", "20000", "-o", f"{folder / 'c'}.{suffix}")
        command = [str(WORKER_PYTHON), "-m", "cli", "analyze", *images, *options]
        subprocess.run(command, check=True, capture_output=True)
    return folder


_ENDED_WITH = []


def pytest_sessionfinish(session, exitstatus):
    """Keeps how the tests ended."""
    _ENDED_WITH.append(int(exitstatus))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """Ends at once: QGIS at times crashes while its libraries are unloaded, after all tests."""
    if _ENDED_WITH:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_ENDED_WITH[-1])
