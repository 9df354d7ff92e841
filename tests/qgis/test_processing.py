"""The provider, with the real worker."""

import json

import pytest
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsVectorLayer,
)

from geochg_qgis.algorithms.provider import GeochgProvider


@pytest.fixture
def provider(qgis_processing, connection):
    provider = GeochgProvider(connection)
    QgsApplication.processingRegistry().addProvider(provider)
    yield provider
    QgsApplication.processingRegistry().removeProvider(provider)


def run(name, parameters, feedback=None):
    import processing

    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    return processing.run(
        f"geochg:{name}", parameters, context=context, feedback=feedback or QgsProcessingFeedback()
    )


@pytest.fixture
def images(pair):
    return {"BEFORE": pair[0], "AFTER": pair[1], "MODEL": "cva"}


def test_analyze_gives_the_layer_and_counts(provider, images, tmp_path):
    output = str(tmp_path / "c.gpkg")
    told = run("analyze", {**images, "MIN_AREA": 5000, "OUTPUT": output})
    layer = QgsVectorLayer(output, "c", "ogr")
    assert told["COUNT"] == layer.featureCount() > 1
    assert told["AREA_M2"] > 0
    assert min(feature["area_m2"] for feature in layer.getFeatures()) >= 5000


def test_the_area_and_other_options_go_along(provider, images, pair, tmp_path):
    box = pair[0].extent()
    extent = (
        f"{box.xMinimum()},{box.center().x()},{box.yMinimum()},{box.center().y()} "
        f"[{pair[0].crs().authid()}]"
    )
    other = json.dumps({"align": "off"})
    whole = run("info", {**images, "OPTIONS": other})
    part = run("info", {**images, "EXTENT": extent, "OPTIONS": other})
    assert whole["SHIFT_PX"] is None
    assert part["TILES"] < whole["TILES"]
    assert json.loads(whole["FACTS"])["grid"]["width_px"] == 634


def test_tiles_gives_one_feature_a_tile(provider, images, tmp_path):
    output = str(tmp_path / "t.gpkg")
    told = run("tiles", {**images, "TILE_SIZE": 512, "OUTPUT": output})
    assert told["COUNT"] == QgsVectorLayer(output, "t", "ogr").featureCount()
    assert 0 < told["CHANGED"] <= told["COUNT"]


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"MODEL": "nosuch"}, "nosuch"),
        ({"OPTIONS": "{"}, "no JSON"),
        ({"OPTIONS": "[]"}, "must be like"),
        ({"OPTIONS": '{"colour": 1}'}, "colour"),
        ({"EXTENT": "0,1,0,1 [EPSG:4326]"}, "outside"),
    ],
)
def test_what_makes_no_sense_is_said(provider, images, tmp_path, changed, names):
    output = str(tmp_path / "c.gpkg")
    feedback = QgsProcessingFeedback(False)
    with pytest.raises(QgsProcessingException) as caught:
        run("analyze", {**images, **changed, "OUTPUT": output}, feedback)
    assert names in str(caught.value) + feedback.textLog()


def test_every_algorithm_has_help(provider):
    algorithms = provider.algorithms()
    assert sorted(each.name() for each in algorithms) == ["analyze", "info", "tiles"]
    for algorithm in algorithms:
        assert len(algorithm.shortHelpString()) > 80
        assert algorithm.displayName()
