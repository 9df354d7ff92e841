"""The exported eyes: they see what torch sees, without torch."""

import json
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from deltavlm_factory import SIZE_PX, save, tile, tiny_config, tiny_model
from safetensors.torch import load_file, save_file

from geochg.errors import ModelError
from geochg.models.deltavlm.backend import DeltaVLMModel, DeltaVLMOptions
from geochg.models.deltavlm.export import export_eyes
from geochg.models.deltavlm.folding import fold_batch_norms
from geochg.models.deltavlm.onnx_eyes import EYES, OnnxEyes
from geochg.records import Task, Tile
from geochg.tasks import ask

ASKED = [ask(Task.PRESENCE), ask(Task.LOCATE), ask(Task.CAPTION), ask(Task.COUNT)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A folder whose weights are a little off a fresh model's, so that nothing is symmetric."""
    return save(tiny_model(), tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = save(tiny_model(), tmp_path_factory.mktemp("exported"))
    export_eyes(fold_batch_norms(tiny_model()), folder)
    return folder


def load(folder, **options):
    return DeltaVLMModel.load(str(folder), DeltaVLMOptions(**options), "cpu")


def half_valid(size_px):
    one = tile(7, size_px)
    one.valid[:, : size_px // 3] = False
    return Tile(one.window, one.before, one.after, one.valid)


@pytest.mark.parametrize("size_px", [SIZE_PX, 32, 50, 96])
def test_they_see_what_torch_sees(plain, exported, size_px):
    tiles = [tile(0, size_px), half_valid(size_px), *(tile(seed, size_px) for seed in range(1, 5))]
    by_torch, by_onnx = load(plain), load(exported)
    assert isinstance(by_onnx.eyes, OnnxEyes)
    assert not isinstance(by_torch.eyes, OnnxEyes)
    assert by_torch.eyes.head == by_onnx.eyes.head
    wanted, found = by_torch.eyes.look(tiles), by_onnx.eyes.look(tiles)
    for name in ("before", "after"):
        assert np.allclose(getattr(found, name), getattr(wanted, name), atol=1e-4)
    for one, other in zip((*found.dense, *found.seen), (*wanted.dense, *wanted.seen), strict=True):
        assert one.shape == other.shape
        assert np.allclose(one, other, atol=1e-4)


def test_the_words_are_the_same(plain, exported):
    tiles = [tile(seed) for seed in range(3)]
    wanted = load(plain, threshold=0, presence_threshold=0).answer(tiles, ASKED)
    found = load(exported, threshold=0, presence_threshold=0).answer(tiles, ASKED)
    for one, other in zip(found, wanted, strict=True):
        assert one[2:] == other[2:]


def test_the_checksum_is_the_same_whatever_runs_the_eyes(plain, exported):
    assert load(plain).identity.checksum == load(exported).identity.checksum


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_eyes_of_another_model_are_refused(exported, tmp_path, file):
    folder = tmp_path / "other"
    shutil.copytree(exported, folder)
    if file == "config.json":
        config = json.loads((folder / file).read_text(encoding="utf-8"))
        config["dense_config"]["threshold"] = 0.123
        (folder / file).write_text(json.dumps(config), encoding="utf-8")
    else:
        weights = load_file(folder / file)
        first = min(weights)
        save_file(weights | {first: weights[first] + 1}, folder / file)
    with pytest.raises(ModelError, match=r"eyes\.onnx was made from other weights"):
        load(folder)


def test_where_onnx_runtime_cannot_be_loaded_torch_runs_the_eyes(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert not isinstance(load(exported).eyes, OnnxEyes)


def test_without_a_change_torch_is_not_even_imported(exported):
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
import numpy as np
from geochg.models.deltavlm.backend import DeltaVLMModel, DeltaVLMOptions
from geochg.records import PixelWindow, Task, Tile, TileWindow
from geochg.tasks import ask
window = PixelWindow(0, 64, 0, 64)
date = np.full((3, 64, 64), 90, np.uint8)
tile = Tile(TileWindow(0, 0, 0, window, window), date, date, np.ones((64, 64), bool))
options = DeltaVLMOptions(presence_threshold=1.0)
model = DeltaVLMModel.open(Path({str(exported)!r}), "here", options, "cpu")
(answers,) = model.answer([tile], [ask(Task.PRESENCE), ask(Task.CAPTION), ask(Task.LOCATE)])
assert not answers[0].changed
assert not {{"torch", "transformers"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("content", ["no model", "no facts"])
def test_a_broken_file_is_refused(tmp_path, content):
    folder = save(tiny_model(), tmp_path)
    if content == "no model":
        (folder / EYES).write_bytes(b"nothing")
    else:
        value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
        node = onnx.helper.make_node("Identity", ["x"], ["y"])
        graph = onnx.helper.make_graph(
            [node], "g", [value], [onnx.helper.make_tensor_value_info("y", 1, [1])]
        )
        opset = [onnx.helper.make_opsetid("", 18)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), folder / EYES)
    with pytest.raises(ModelError, match=r"eyes\.onnx cannot be loaded"):
        load(folder)


def test_only_what_can_be_exported_is(tmp_path):
    for config in (tiny_config(vit=True), tiny_config(dense=False)):
        with pytest.raises(ValueError, match="dense head that does not resize"):
            export_eyes(tiny_model(config), tmp_path)
