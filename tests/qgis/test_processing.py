"""The provider, with the real worker."""

import csv
import json
from threading import get_ident

import pytest
from processing_models import context_of_project
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelParameter,
    QgsProcessingParameterString,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt


def run(name, parameters, feedback=None):
    import processing

    return processing.run(
        f"geochg:{name}",
        parameters,
        context=context_of_project(),
        feedback=feedback or QgsProcessingFeedback(),
    )


@pytest.fixture
def images(pair):
    return {"BEFORE": pair[0], "AFTER": pair[1], "MODEL": "cva"}


def test_analyze_gives_the_layer_and_counts(provider, images, tmp_path):
    output = str(tmp_path / "c.gpkg")
    results = run("analyze", {**images, "MIN_AREA": 5000, "OUTPUT": output})
    layer = QgsVectorLayer(output, "c", "ogr")
    assert results["COUNT"] == layer.featureCount() > 1
    assert results["AREA_M2"] > 0
    assert min(feature["area_m2"] for feature in layer.getFeatures()) >= 5000


def test_tables_by_zones_of_a_layer(provider, images, pair, tmp_path):
    zones = QgsVectorLayer("Polygon?crs=EPSG:4326&field=label:string", "zones", "memory")
    box = pair[0].extent()
    box.setXMaximum(box.center().x())
    feature = QgsFeature(zones.fields())
    feature.setAttributes(["west"])
    feature.setGeometry(QgsGeometry.fromRect(box))
    zones.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayer(zones)
    files = {name: str(tmp_path / f"{name.lower()}.csv") for name in ("TABLE", "ZONES_TABLE")}
    output = str(tmp_path / "c.gpkg")
    wanted = {**images, "MIN_AREA": 5000, "OUTPUT": output, "ZONES": zones, "ZONE_NAME": "label"}
    results = run("analyze", {**wanted, **files})
    assert {name: results[name] for name in files} == files
    rows = list(csv.DictReader(open(files["ZONES_TABLE"], encoding="utf-8")))
    assert {row["zone"] for row in rows} == {"west", ""}
    assert sum(float(row["area_m2"]) for row in rows) == pytest.approx(results["AREA_M2"], abs=1)
    rows = list(csv.DictReader(open(files["TABLE"], encoding="utf-8")))
    assert sum(float(row["area_m2"]) for row in rows) == pytest.approx(results["AREA_M2"], abs=1)
    without = {name: value for name, value in wanted.items() if not name.startswith("ZONE")}
    with pytest.raises(QgsProcessingException, match="needs zones"):
        run("analyze", {**without, "ZONES_TABLE": files["ZONES_TABLE"]})


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


def test_one_image_is_no_pair(provider, images, pair, tmp_path):
    again = QgsRasterLayer(pair[0].source(), "the same file")
    QgsProject.instance().addMapLayer(again)
    for other in (pair[0], again, pair[0].source()):
        with pytest.raises(QgsProcessingException, match="the same image"):
            run("info", {**images, "AFTER": other})


def test_a_dialog_shows_two_different_images(provider, pair, monkeypatch):
    from processing.gui import ParametersPanel
    from processing.gui.AlgorithmDialog import AlgorithmDialog

    monkeypatch.setattr(ParametersPanel, "iface", None)  # the one of the tests has no browser

    # The later image lies on top, and would be the default of both.
    QgsProject.instance().layerTreeRoot().insertLayer(0, pair[1])
    dialog = AlgorithmDialog(provider.algorithm("analyze").create())
    try:
        wrappers = dialog.mainWidget().wrappers
        shown = [wrappers[name].parameterValue() for name in ("BEFORE", "AFTER")]
        assert shown == [layer.id() for layer in pair]
        model = wrappers["MODEL"].widget
        names = [model.itemText(row) for row in range(model.count())]
        assert names[:1] == ["builtin"]
        assert {"irmad", "cva"} < set(names)
        assert wrappers["MODEL"].parameterValue() == "builtin"
        model.setEditText("deltavlm:folder")
        assert wrappers["MODEL"].parameterValue() == "deltavlm:folder"
    finally:
        dialog.close()
        dialog.deleteLater()


def test_the_model_designer_takes_names_and_inputs_as_the_model(provider, qgis_iface):
    from processing.modeler.ModelerParametersDialog import ModelerParametersDialog

    model = QgsProcessingModelAlgorithm("m", "g")
    text = QgsProcessingParameterString("WHICH", "which model")
    model.addModelParameter(text, QgsProcessingModelParameter("WHICH"))
    dialog = ModelerParametersDialog(provider.algorithm("analyze").create(), model)
    try:
        wrapper = dialog.widget.widget.wrappers["MODEL"]
        assert wrapper.parameterValue() == "builtin"
        row = wrapper.widget.findText("which model", Qt.MatchFlag.MatchContains)
        wrapper.widget.setCurrentIndex(row)
        assert wrapper.parameterValue().parameterName() == "WHICH"
    finally:
        dialog.close()
        dialog.deleteLater()


@pytest.mark.parametrize("suffix", ["gpkg", "geojson"])
def test_the_layer_is_a_result_that_can_be_reviewed(provider, images, pair, tmp_path, suffix):
    import processing

    from geochg_qgis.layers.image_identity import source_pair
    from geochg_qgis.layers.result_fields import REVIEW
    from geochg_qgis.layers.result_layers import results_in_project
    from geochg_qgis.layers.review_edits import FeatureState, ReviewEdit, apply_edit

    output = str(tmp_path / f"c.{suffix}")
    parameters = {**images, "MIN_AREA": 5000, "OUTPUT": output}
    processing.runAndLoadResults("geochg:analyze", parameters, context=context_of_project())
    (layer,) = results_in_project()
    assert source_pair(layer) == tuple(pair)
    assert json.loads(layer.customProperty("geochg/options"))["min_area_m2"] == 5000
    first = next(layer.getFeatures()).id()
    edit = ReviewEdit({first: FeatureState({})}, {first: FeatureState({REVIEW: "accepted"})})
    apply_edit(layer, edit)
    assert layer.getFeature(first)[REVIEW] == "accepted"


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "fgb"])
def test_a_layer_that_is_opened_later_is_a_result_too(provider, images, pair, tmp_path, suffix):
    from geochg_qgis.layers.image_identity import source_pair
    from geochg_qgis.layers.result_layers import results_in_project

    output = run("analyze", {**images, "OUTPUT": str(tmp_path / f"c.{suffix}")})["OUTPUT"]
    assert not results_in_project()
    layer = QgsVectorLayer(output, "c", "ogr")
    QgsProject.instance().addMapLayer(layer)
    assert results_in_project() == [layer]
    assert source_pair(layer) == tuple(pair)
    # The others are reviewed in a copy.
    has_fields = {"review", "review_class", "source"} <= {field.name() for field in layer.fields()}
    assert has_fields == (suffix != "fgb")


def test_a_style_of_the_users_beside_a_result_stays(provider, images, tmp_path):
    style = tmp_path / "c.qml"
    style.write_text("<qgis/>")
    run("analyze", {**images, "OUTPUT": str(tmp_path / "c.geojson")})
    assert style.read_text() == "<qgis/>"


def test_tiles_gives_one_feature_a_tile(provider, images, tmp_path):
    output = str(tmp_path / "t.gpkg")
    results = run("tiles", {**images, "TILE_SIZE": 512, "OUTPUT": output})
    assert results["COUNT"] == QgsVectorLayer(output, "t", "ogr").featureCount()
    assert 0 < results["CHANGED"] <= results["COUNT"]


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


def test_every_algorithm_has_help_and_so_has_each_of_its_parameters(provider):
    algorithms = provider.algorithms()
    assert sorted(each.name() for each in algorithms) == [
        "analyze",
        "analyze_area",
        "assess",
        "check",
        "info",
        "sample",
        "table",
        "tiles",
    ]
    for algorithm in algorithms:
        assert algorithm.displayName()
        help_text = algorithm.shortHelpString()
        assert len(help_text) > 300
        # What is no layer is explained there, layers with their parameter.
        destinations = {each.name() for each in algorithm.destinationParameterDefinitions()}
        results = {each.name() for each in algorithm.outputDefinitions()} - destinations
        assert results
        assert not [name for name in results if name not in help_text]
        assert all(len(each.help()) > 20 for each in algorithm.parameterDefinitions())


def test_errors_tell_what_is_wrong_and_what_to_do(provider, images, tmp_path):
    with pytest.raises(QgsProcessingException) as caught:
        run("info", {**images, "MODEL": "nosuch"})
    assert "geochg says: " in str(caught.value)
    assert "what to do: " in str(caught.value)


class CancelledSoon(QgsProcessingFeedback):
    """Is cancelled when the first tiles are answered."""

    def setProgress(self, percent):
        super().setProgress(percent)
        if percent > 12:
            self.cancel()


def test_a_run_that_is_cancelled_stops_and_is_resumed(provider, images, tmp_path):
    output = tmp_path / "c.gpkg"
    wanted = {**images, "MODEL": "builtin", "TILE_SIZE": 64, "OUTPUT": str(output)}
    feedback = CancelledSoon(False)
    with pytest.raises(QgsProcessingException):
        run("analyze", wanted, feedback)
    assert feedback.isCanceled()
    assert not output.exists()
    assert output.with_name("c.gpkg.journal").exists()
    with pytest.raises(QgsProcessingException, match="unfinished"):
        run("analyze", wanted)
    assert run("analyze", {**wanted, "RESUME": True})["COUNT"] > 1
    assert not output.with_name("c.gpkg.journal").exists()


def test_what_the_worker_tells_arrives_on_the_thread_of_the_run(provider, images, tmp_path):
    class Noted(QgsProcessingFeedback):
        threads, most = set(), 0

        def setProgress(self, percent):
            self.threads.add(get_ident())
            self.most = max(self.most, percent)

    feedback = Noted(False)
    run("analyze", {**images, "OUTPUT": str(tmp_path / "c.gpkg")}, feedback)
    assert feedback.threads == {get_ident()}
    assert feedback.most > 90
