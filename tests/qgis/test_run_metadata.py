"""What geochg says of a run goes with a copy of its result, whatever format that has."""

import json
import subprocess

import pytest
from qgis.core import QgsFeedback, QgsVectorLayer
from qgis_worker import WORKER_PYTHON

from geochg_qgis.layers.editable_results import ResultCopy
from geochg_qgis.layers.run_metadata import run_metadata

RECOGNISED = """
import sqlite3, sys
from geochg.writers.geopackage import _is_our_layer
print(_is_our_layer(sqlite3.connect(sys.argv[1]), "changes"))
"""


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "fgb"])
def test_a_copy_is_recognised_as_geochgs(qgis_app, written, tmp_path, suffix):
    file = written / f"c.{suffix}"
    metadata = json.loads(run_metadata(file))
    assert metadata["model"]["id"] == "cva"
    assert metadata["options"]["min_area_m2"] == 20000
    copy = ResultCopy(QgsVectorLayer(str(file), "c", "ogr"), [tmp_path])
    layer = copy.write(QgsFeedback())
    assert layer.featureCount() > 0
    assert json.loads(run_metadata(copy.path, "changes")) == metadata
    command = [str(WORKER_PYTHON), "-c", RECOGNISED, str(copy.path)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "True"


@pytest.mark.parametrize(
    "content", [b"", b"fgb", b"fgb\x03fgb\x01\xff\xff\xff\x7f", b'{"features": []}', b"\x00" * 99]
)
def test_files_of_others_say_nothing(qgis_app, tmp_path, content):
    for suffix in ("fgb", "gpkg", "geojson"):
        file = tmp_path / f"c.{suffix}"
        file.write_bytes(content)
        assert run_metadata(file) == ""
    assert run_metadata(tmp_path / "nowhere.gpkg") == ""
