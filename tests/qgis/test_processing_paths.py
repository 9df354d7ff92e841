"""Relative and absolute paths: by `processing.run`, in a model, and in a batch."""

from pathlib import Path

import pytest
from processing_models import context_of_project, write_batch, write_model
from qgis.core import (
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProject,
    QgsVectorLayer,
    QgsWkbTypes,
)


@pytest.fixture(params=["absolute", "relative"])
def named(request, pair, tmp_path, monkeypatch):
    """A function that names a file of the test's folder in one of the two ways."""
    monkeypatch.chdir(tmp_path)
    is_relative = request.param == "relative"
    return lambda name: name if is_relative else str(tmp_path / name)


@pytest.fixture
def context(qgis_app):
    return context_of_project()


@pytest.fixture
def wanted_count(provider, pair, tmp_path, context):
    """The number of changes of the layers of the project, which name their files whole."""
    import processing

    output = str(tmp_path / "wanted.gpkg")
    wanted = {"BEFORE": pair[0], "AFTER": pair[1], "MODEL": "cva", "MIN_AREA": 5000}
    count = processing.run("geochg:analyze", {**wanted, "OUTPUT": output}, context=context)["COUNT"]
    assert count > 1
    # The layers of the project would be found by their names.
    QgsProject.instance().clear()
    return count


def test_a_call(provider, named, context, wanted_count, tmp_path):
    import processing

    given = {
        "BEFORE": named("dubai_2015.tif"),
        "AFTER": named("dubai_2018.tif"),
        "MODEL": "cva",
        "MIN_AREA": 5000,
        "OUTPUT": named("c.gpkg"),
        "HEATMAP": named("p.tif"),
    }
    feedback = QgsProcessingFeedback(False)
    results = processing.run("geochg:analyze", given, context=context, feedback=feedback)
    assert "picture of the area" not in feedback.textLog()
    assert results["COUNT"] == wanted_count
    assert results["OUTPUT"] == str(tmp_path / "c.gpkg")
    assert results["HEATMAP"] == str(tmp_path / "p.tif")
    assert QgsVectorLayer(results["OUTPUT"], "c", "ogr").featureCount() == wanted_count


def test_a_model(provider, named, context, wanted_count, tmp_path):
    # Opened again, as when it is kept.
    model = QgsProcessingModelAlgorithm()
    assert model.fromFile(str(write_model(tmp_path / "points.model3")))
    model.initAlgorithm()
    given = {
        "BEFORE": named("dubai_2015.tif"),
        "AFTER": named("dubai_2018.tif"),
        "points:POINTS": named("points.gpkg"),
    }
    feedback = QgsProcessingFeedback(False)
    _, is_done = model.run(given, context, feedback)
    assert is_done, feedback.textLog()
    assert "picture of the area" not in feedback.textLog()
    layer = QgsVectorLayer(str(tmp_path / "points.gpkg"), "points", "ogr")
    assert layer.featureCount() == wanted_count
    assert {"class", "caption"} <= {field.name() for field in layer.fields()}
    assert layer.geometryType() == QgsWkbTypes.GeometryType.PointGeometry


def test_a_batch_of_two_pairs(
    provider, named, context, wanted_count, tmp_path, monkeypatch, qgis_iface
):
    from processing.gui import BatchPanel as panel_module
    from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog

    outputs = [named(f"{name}.gpkg") for name in ("there", "back")]
    images = named("dubai_2015.tif"), named("dubai_2018.tif")
    batch = write_batch(tmp_path / "batch.json", *images, outputs)
    monkeypatch.setattr(panel_module.QFileDialog, "getOpenFileName", lambda *_: (str(batch), ""))
    dialog = BatchAlgorithmDialog(provider.algorithm("analyze").create())
    try:
        dialog.mainWidget().load()
        assert dialog.mainWidget().batchRowCount() == 2
        dialog.runAlgorithm()
    finally:
        dialog.close()
        dialog.deleteLater()
    there, back = (
        QgsVectorLayer(str(tmp_path / Path(output).name), "c", "ogr") for output in outputs
    )
    assert there.featureCount() == wanted_count
    assert back.featureCount() > 1
