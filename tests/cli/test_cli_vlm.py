"""`geochg analyze` and `geochg ask` with a vision-language model of transformers."""

import json

import numpy as np
import pytest
from rasters import texture
from vlm_factory import save_adapter, save_vlm

from geochg.records import Task
from geochg.tasks import ask


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_vlm("llava_next_video", tmp_path_factory.mktemp("model"))


@pytest.fixture
def pair(make_raster):
    before = texture(128, 128, 3) // 2
    after = before.copy()
    after[:, 20:60, 20:60] = 250
    return make_raster("before.tif", before), make_raster("after.tif", after)


def analysed(path):
    return json.loads(path.read_text())["geochg"]


def test_the_short_options_reach_the_model(geochg, folder, pair, tmp_path):
    adapter = save_adapter(folder, tmp_path / "adapter")
    out = tmp_path / "out.geojson"
    code, _, errors = geochg(
        "analyze", *pair, "-o", out, "--tile-size", 64, "--model", f"vlm:{folder}",
        "--adapter", adapter, "--dtype", "bfloat16", "--model-option", "max_tokens=4",
        "--align", "off", "--json",
    )  # fmt: skip
    assert code == 0, errors
    facts = analysed(out)
    assert facts["model"]["id"] == f"vlm:{folder}"
    assert facts["model"]["adapter"].startswith(f"{adapter} sha256:")
    assert facts["options"]["model_options"] == {
        "adapter": str(adapter), "dtype": "bfloat16", "max_tokens": 4
    }  # fmt: skip
    assert "{cell}" in facts["questions"]["locate"]
    assert facts["tiles"]["failed"] == 0


def test_the_words_that_were_asked_stand_in_the_provenance(geochg, folder, pair, tmp_path):
    out = tmp_path / "out.geojson"
    code, _, errors = geochg(
        "analyze", *pair, "-o", out, "--tile-size", 64, "--model", f"vlm:{folder}",
        "--model-option", "answers=words", "--model-option", "max_tokens=4", "--align", "off",
    )  # fmt: skip
    assert code == 0, errors
    assert analysed(out)["questions"]["locate"] == ask(Task.LOCATE).text


def test_another_batch_size_gives_the_same_layer(geochg, folder, pair, tmp_path):
    layers = []
    for size in (1, 4):
        out = tmp_path / f"{size}.geojson"
        code, _, errors = geochg(
            "analyze", *pair, "-o", out, "--tile-size", 64, "--model", f"vlm:{folder}",
            "--model-option", "max_tokens=4", "--align", "off", "--batch-size", size,
        )  # fmt: skip
        assert code == 0, errors
        layers.append(json.loads(out.read_text())["features"])
    assert layers[0] == layers[1]


def test_a_question_is_answered(geochg, folder, pair):
    code, out, errors = geochg(
        "ask", *pair, "What changed?", "--model", f"vlm:{folder}",
        "--model-option", "max_tokens=4", "--json",
    )  # fmt: skip
    assert code == 0, errors
    assert json.loads(out)["answer"]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--model", "vlm"], "needs a model"),
        (["--model", "vlm:nowhere/at/all"], "there is no model folder"),
        (["--model", "builtin", "--quantize", "4bit"], "quantize"),
    ],
)
def test_what_cannot_be_loaded_is_refused(refused, pair, tmp_path, arguments, names):
    refused("analyze", *pair, "-o", tmp_path / "out.geojson", *arguments, names=names)


def test_a_file_is_no_model(refused, pair, tmp_path):
    np.save(tmp_path / "model.npy", np.zeros(3))
    refused(
        "analyze", *pair, "-o", tmp_path / "out.geojson",
        "--model", f"vlm:{tmp_path / 'model.npy'}", names="is a file, not a model folder",
    )  # fmt: skip
