"""Relative paths in requests: refused, or taken from the folder that the request names."""

import pytest
from raster_names import OTHER_RASTERS, RELATIVE_RASTERS, make_files

from geochg.options import AnalyzeOptions
from geochg.worker.messages import MessageError
from geochg.worker.parameters import PairParameters, outputs_of
from geochg.worker.paths import RequestFolder


@pytest.fixture
def folder(tmp_path):
    return make_files(tmp_path)


@pytest.mark.parametrize(("name", "absolute"), RELATIVE_RASTERS)
def test_relative_rasters_start_from_the_folder_and_are_refused_without(
    folder, monkeypatch, name, absolute
):
    assert RequestFolder(folder).raster(name) == absolute.format(folder)
    # What the worker would open by accident of where it runs.
    monkeypatch.chdir(folder)
    with pytest.raises(MessageError, match="relative path"):
        RequestFolder().raster(name)


@pytest.mark.parametrize("name", OTHER_RASTERS)
def test_other_names_stay_as_they_are(folder, name):
    assert RequestFolder(folder).raster(name) == name
    assert RequestFolder().raster(name) == name


OPTIONS = {
    "aoi": "area.geojson|layername=area",
    "zones": "area.geojson|layername=area",
    "model": "deltavlm:model",
    "clue_model": "vlm:model",
    "clue": True,
    "model_options": {"adapter": "model", "max_new_tokens": 8},
    "clue_options": {"adapter": "model"},
}


def test_areas_models_and_adapters_start_from_the_folder(folder):
    options = RequestFolder(folder).options(AnalyzeOptions.from_dict(OPTIONS))
    assert options.aoi == f"{folder}/area.geojson|layername=area"
    assert options.zones == options.aoi
    assert options.model == f"deltavlm:{folder}/model"
    assert options.clue_model == f"vlm:{folder}/model"
    assert options.model_options == {"adapter": str(folder / "model"), "max_new_tokens": 8}
    assert options.clue_options == {"adapter": str(folder / "model")}
    wrapped = RequestFolder(folder).options(AnalyzeOptions.from_dict({"model": "labels:vlm:model"}))
    assert wrapped.model == f"labels:vlm:{folder}/model"


@pytest.mark.parametrize("name", ["aoi", "zones", "model", "clue_model"])
def test_relative_paths_in_options_are_refused_without_a_folder(folder, monkeypatch, name):
    monkeypatch.chdir(folder)
    with pytest.raises(MessageError, match="relative path"):
        RequestFolder().options(AnalyzeOptions.from_dict({name: OPTIONS[name]}))


def test_areas_in_numbers_and_models_on_a_hub_stay(folder):
    texts = {
        "aoi": "1,2,3,4",
        "model": "labels:vlm:org/name",
        "clue_model": "openai:http://x.org#y",
    }
    options = AnalyzeOptions.from_dict(texts)
    assert RequestFolder(folder).options(options) == options
    assert RequestFolder().options(options) == options


def test_every_path_of_a_request_is_absolute(folder):
    request = {
        "before": "a.tif",
        "after": {"path": "a.tif", "crs": "EPSG:32633"},
        "outputs": {"features": "c.gpkg", "tiles": "t.gpkg", "heatmap": "maps/h.tif"},
        "folder": str(folder),
    }
    pair = PairParameters.of(request, "outputs")
    assert pair.before == str(folder / "a.tif")
    assert pair.after.startswith(f"vrt://{folder}/a.tif?")
    outputs = outputs_of(request)
    assert outputs.features == folder / "c.gpkg"
    assert outputs.tiles == folder / "t.gpkg"
    assert outputs.heatmap == folder / "maps" / "h.tif"
    for kind in request["outputs"]:
        with pytest.raises(MessageError, match="relative path"):
            outputs_of({"outputs": {kind: "c.gpkg"}})


@pytest.mark.parametrize("value", ["here", "", 3, "./x"])
def test_a_folder_must_be_absolute(value):
    with pytest.raises(MessageError, match="folder"):
        RequestFolder.of({"folder": value})
