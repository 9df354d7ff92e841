"""A layer against an image, by a model that is asked about each polygon."""

import numpy as np
import pytest

from geochg.errors import InputError, RunError
from geochg.layer_check.check import check_layer
from geochg.layer_check.options import CheckOptions
from tests.support.layer_checks import HOUSES, AskedGround, Town, box, town_layer

OPTIONS = CheckOptions(class_name="solar panel")
GONE = [(62, 62), (318, 190)]


@pytest.fixture
def image(tmp_path):
    return Town(HOUSES).write(tmp_path / "image.tif")


@pytest.fixture
def layer(tmp_path):
    shapes = [box(*house) for house in HOUSES] + [box(*place) for place in GONE]
    return town_layer(tmp_path / "layer.gpkg", [*shapes, None])


def test_asks_once_for_each_polygon_with_its_outline(image, layer):
    model = AskedGround()
    options = CheckOptions(class_name="solar panel", missing=False)
    frame = check_layer(layer, image, options, model=model).features
    told = frame["verdict"].tolist()
    assert told == ["present"] * len(HOUSES) + ["gone"] * 2 + ["cannot tell"]
    assert frame["probability"].iloc[:-1].isin([0.95, 0.05]).all()
    assert len(model.crops) == len(HOUSES) + 2
    assert "inside the red outline" in model.prompts[0]
    red = (model.crops[0][0] > 200) & (model.crops[0][1] < 60) & (model.crops[0][2] < 60)
    rows, cols = np.nonzero(red)
    side = model.crops[0].shape[1]
    assert rows.min() == pytest.approx(side / 4, abs=4)
    assert cols.max() == pytest.approx(3 * side / 4, abs=4)


def test_has_no_probability_where_the_model_measures_none(image, layer):
    frame = check_layer(layer, image, OPTIONS, model=AskedGround(measured=False)).features
    assert frame["probability"].isna().all()
    assert frame["verdict"].tolist()[: len(HOUSES)] == ["present"] * len(HOUSES)


def test_finds_what_is_missing_by_cells_without_polygons(tmp_path, image):
    layer = town_layer(tmp_path / "few.gpkg", [box(*house) for house in HOUSES if house[1] < 300])
    model = AskedGround()
    frame = check_layer(layer, image, OPTIONS, model=model).features
    missing = frame[frame["verdict"] == "missing"]
    assert len(missing) > 0
    own = frame[frame["verdict"] != "missing"].geometry.union_all()
    assert missing.geometry.intersection(own).area.max() == 0
    assert any(prompt.startswith("Does this image show any {things}?") for prompt in model.prompts)


def test_answers_survive_an_interruption(tmp_path, image, layer):
    output = tmp_path / "verdict.gpkg"
    broken = AskedGround(fails_from=3)
    with pytest.raises(RunError, match="no answer"):
        check_layer(layer, image, OPTIONS, model=broken, output=output)
    assert not output.exists()
    answers = tmp_path / "verdict.gpkg.answers"
    assert answers.exists()
    with pytest.raises(InputError, match="unfinished check"):
        check_layer(layer, image, OPTIONS, model=AskedGround(), output=output)
    other = CheckOptions(class_name="pool", resume=True)
    with pytest.raises(InputError, match="another check"):
        check_layer(layer, image, other, model=AskedGround(), output=output)
    answers.write_text(answers.read_text("utf-8") + '{"key": "p9', "utf-8")
    going_on = AskedGround()
    options = CheckOptions(class_name="solar panel", resume=True)
    result = check_layer(layer, image, options, model=going_on, output=output)
    fresh = check_layer(layer, image, OPTIONS, model=(whole := AskedGround()))
    assert len(going_on.crops) == len(whole.crops) - len(broken.crops)
    assert result.features["verdict"].tolist() == fresh.features["verdict"].tolist()
    assert output.exists()
    assert not answers.exists()
