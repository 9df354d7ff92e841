"""The algorithms from the command line of QGIS, in a process of its own."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from plugin_package import FOLDER, small_wheel
from processing_models import write_model
from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtGui import QImage
from qgis_worker import ROOT, WORKER_PYTHON

EXAMPLES = ROOT / "examples"


def executable():
    """The program itself: the launcher that Debian puts before it passes an option it lacks."""
    return shutil.which("qgis_process.bin") or shutil.which("qgis_process")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A QGIS of the test's own, with the plugin as its zip holds it."""
    folder = tmp_path_factory.mktemp("process")
    subprocess.run(
        [
            *(str(WORKER_PYTHON), str(FOLDER / "build.py"), "--local"),
            *("--wheel", str(small_wheel(folder)), str(folder)),
        ],
        check=True,
    )
    (zipped,) = folder.glob("*.zip")
    shutil.unpack_archive(zipped, folder / "plugins")
    for name in ("settings", "temporary"):
        (folder / name).mkdir()
    (folder / "runtime").mkdir(mode=0o700)
    # Copies: QGIS writes statistics beside what it opens.
    for image in EXAMPLES.glob("dubai_*.tif"):
        shutil.copy(image, folder)
    environment = os.environ | {
        "QGIS_CUSTOM_CONFIG_PATH": str(folder / "settings"),
        "QGIS_PLUGINPATH": str(folder / "plugins"),
        "XDG_RUNTIME_DIR": str(folder / "runtime"),
        "TMPDIR": str(folder / "temporary"),
        "GEOCHG_PYTHON": str(WORKER_PYTHON),
        # QGIS takes the first python3 for its own.
        "PATH": os.pathsep.join(["/usr/bin", "/bin"]),
        "QT_QPA_PLATFORM": "offscreen",
        "LC_ALL": "C.UTF-8",
    }
    told = subprocess.run(
        [executable(), "plugins", "enable", "geochg_qgis"],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return environment


def run(environment, name, folder=None, **given):
    """What an algorithm gives for the example pair, run in a folder."""
    data = Path(environment["TMPDIR"]).parent
    parameters = {
        "BEFORE": data / "dubai_2015.tif",
        "AFTER": data / "dubai_2018.tif",
        "MODEL": "cva",
        **given,
    }
    arguments = [f"--{name}={value}" for name, value in parameters.items()]
    return subprocess.run(
        [executable(), "run", "--json", f"geochg:{name}", *arguments],
        env=environment, capture_output=True, text=True, timeout=300, cwd=folder,
    )  # fmt: skip


def results(process):
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout[process.stdout.index("{") :])["results"]


def test_info(environment):
    told = results(run(environment, "info"))
    assert told["TILES"] == 12
    assert json.loads(told["FACTS"])["grid"]["width_px"] == 634


def test_analyze(environment, tmp_path):
    output, heatmap = tmp_path / "c.gpkg", tmp_path / "p.tif"
    given = {"OUTPUT": output, "HEATMAP": heatmap, "MIN_AREA": 5000}
    told = results(run(environment, "analyze", **given))
    assert told["COUNT"] == QgsVectorLayer(str(output), "c", "ogr").featureCount() > 1
    assert Path(told["HEATMAP"]) == heatmap
    assert heatmap.stat().st_size > 1000


def test_relative_paths_start_from_the_folder_it_runs_in(environment, tmp_path):
    data = Path(environment["TMPDIR"]).parent
    for name, year in (("a.tif", 2015), ("b.tif", 2018)):
        shutil.copy(data / f"dubai_{year}.tif", tmp_path / name)
    west, south, east, north = 55.15, 24.95, 55.3, 25.1
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    area = {"type": "Polygon", "coordinates": [ring]}
    (tmp_path / "area.geojson").write_text(json.dumps(area))
    given = {
        "BEFORE": "a.tif",
        "AFTER": "b.tif",
        "OUTPUT": "changes.gpkg",
        "HEATMAP": "./heat.tif",
        "OPTIONS": json.dumps({"aoi": "area.geojson"}),
    }
    process = run(environment, "analyze", folder=tmp_path, **given)
    told = results(process)
    assert "picture of the area" not in process.stdout + process.stderr
    assert told["OUTPUT"] == str(tmp_path / "changes.gpkg")
    assert told["HEATMAP"] == str(tmp_path / "heat.tif")
    assert (tmp_path / "heat.tif").is_file()
    layer = QgsVectorLayer(told["OUTPUT"], "c", "ogr")
    assert told["COUNT"] == layer.featureCount() > 1
    whole = results(run(environment, "analyze", OUTPUT=tmp_path / "whole.gpkg"))
    named = given | {"OUTPUT": "same.gpkg", "OPTIONS": ""}
    assert results(run(environment, "analyze", folder=tmp_path, **named))["COUNT"] == whole["COUNT"]


def test_a_layer_of_a_geopackage_is_named_relative(environment, tmp_path):
    given = {"folder": tmp_path, "OUTPUT": "ogr:dbname='c.gpkg' table=\"mine\" (geom)"}
    told = results(run(environment, "analyze", **given))
    assert told["OUTPUT"] == f"{tmp_path / 'c.gpkg'}|layername=mine"
    assert QgsVectorLayer(told["OUTPUT"], "c", "ogr").featureCount() == told["COUNT"]


@pytest.mark.parametrize("is_relative", [True, False])
def test_a_model_takes_paths_from_another_folder(environment, tmp_path, is_relative):
    data = Path(environment["TMPDIR"]).parent
    model = write_model(tmp_path / "points.model3")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    names = ("a.tif", "b.tif", "points.gpkg")
    for name, year in zip(names[:2], (2015, 2018), strict=True):
        shutil.copy(data / f"dubai_{year}.tif", folder / name)
    texts = [name if is_relative else str(folder / name) for name in names]
    process = subprocess.run(
        [
            *(executable(), "run", "--json", str(model)),
            *(f"--BEFORE={texts[0]}", f"--AFTER={texts[1]}", f"--points:POINTS={texts[2]}"),
        ],
        env=environment, capture_output=True, text=True, timeout=300, cwd=folder,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert "picture of the area" not in process.stdout + process.stderr
    points = QgsVectorLayer(str(folder / "points.gpkg"), "points", "ogr")
    whole = {"OUTPUT": tmp_path / "whole.gpkg", "MIN_AREA": 5000}
    assert points.featureCount() == results(run(environment, "analyze", **whole))["COUNT"] > 1


def test_a_run_that_was_killed_goes_on_by_itself(environment, tmp_path):
    """Its record lies beside the journal, where the panel finds it, and goes with the run."""
    output = tmp_path / "c.gpkg"
    record, journal = (output.with_name(f"c.gpkg.journal{end}") for end in (".json", ""))
    data = Path(environment["TMPDIR"]).parent
    given = {"MODEL": "builtin", "TILE_SIZE": 64, "OUTPUT": output}
    images = {"BEFORE": data / "dubai_2015.tif", "AFTER": data / "dubai_2018.tif"}
    arguments = [f"--{name}={value}" for name, value in (images | given).items()]
    with subprocess.Popen(
        [executable(), "run", "geochg:analyze", *arguments],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 120
        while not (journal.exists() and record.exists()):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    recorded = json.loads(record.read_text(encoding="utf-8"))
    assert recorded["options"]["tile_size_px"] == 64
    told = results(run(environment, "analyze", **given, RESUME="true"))
    assert told["COUNT"] > 1
    assert not record.exists()
    assert not journal.exists()


def test_tiles(environment, tmp_path):
    output = tmp_path / "t.geojson"
    told = results(run(environment, "tiles", OUTPUT=output, TILE_SIZE=512))
    assert told["COUNT"] == QgsVectorLayer(str(output), "t", "ogr").featureCount() == 4


def test_an_error_is_told_and_nothing_is_left(environment, tmp_path):
    process = run(environment, "analyze", MODEL="nosuch", OUTPUT=tmp_path / "c.gpkg")
    assert process.returncode != 0
    assert "geochg says" in process.stdout + process.stderr
    assert not list(tmp_path.glob("c.gpkg*"))


def test_exports_of_layers_without_a_file_go_with_the_process(environment, tmp_path):
    project, names = QgsProject(), ("before", "after")
    for name in names:
        tiles = tmp_path / name / "0" / "0"
        tiles.mkdir(parents=True)
        values = bytes((x * y * len(name)) % 251 for y in range(256) for x in range(256))
        image = QImage(values, 256, 256, 256, QImage.Format.Format_Grayscale8)
        image.save(str(tiles / "0.png"))
        url = f"{(tmp_path / name).as_uri()}/{{z}}/{{x}}/{{y}}.png"
        project.addMapLayer(QgsRasterLayer(f"type=xyz&url={url}&zmax=0&zmin=0", name, "wms"))
    path = tmp_path / "web.qgz"
    assert project.write(str(path))
    layers = {name.upper(): name for name in names}
    area = "-9000000,9000000,-9000000,9000000 [EPSG:3857]"
    told = results(run(environment, "info", PROJECT_PATH=path, EXTENT=area, **layers))
    export = Path(json.loads(told["FACTS"])["before"]["path"])
    assert Path(environment["TMPDIR"]) in export.parents
    assert not export.parent.exists()
