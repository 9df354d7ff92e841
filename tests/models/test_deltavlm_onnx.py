"""The exported model: it sees and says what torch does, without torch."""

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
from geochg.models.deltavlm.export import export
from geochg.models.deltavlm.folding import fold_batch_norms
from geochg.models.deltavlm.onnx_eyes import EYES, OnnxEyes
from geochg.models.deltavlm.onnx_speaker import OnnxSpeaker
from geochg.models.deltavlm.torch_speaker import TorchSpeaker
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
    export(fold_batch_norms(tiny_model()), folder)
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


def long_winded(folder):
    """So that answers of very different lengths end at different steps."""
    return load(folder, threshold=0, presence_threshold=0, max_tokens=30)


@pytest.mark.parametrize("size_px", [SIZE_PX, 32, 96])
def test_the_words_are_the_same(plain, exported, size_px):
    tiles = [tile(seed, size_px) for seed in range(11)]
    wanted, found = (long_winded(folder).answer(tiles, ASKED) for folder in (plain, exported))
    for one, other in zip(found, wanted, strict=True):
        assert one[2:] == other[2:]


def test_the_same_tokens_are_said(plain, exported):
    """Also those that make no sense as an answer."""
    tiles = [tile(seed) for seed in range(11)]
    rows = [place for place in range(11) for _ in range(2)]
    prompts = ["what changed", "tell me how many buildings there are now and were before"] * 11
    said = []
    for model in map(long_winded, (plain, exported)):
        encoding = model.speaker.encode(model.eyes.look(tiles), range(11))
        said.append(model.speaker.answers(encoding, rows, prompts))
    assert isinstance(model.speaker, OnnxSpeaker)
    assert said[0] == said[1]
    assert len({len(words) for words in said[0]}) > 3


def test_a_prompt_that_is_too_long_is_cut_alike(plain, exported):
    prompts = ["how many " * 200 + str(number) for number in range(2)]
    said = []
    for model in map(long_winded, (plain, exported)):
        encoding = model.speaker.encode(model.eyes.look([tile(1)]), [0])
        said.append(model.speaker.answers(encoding, [0, 0], prompts))
    assert said[0] == said[1]


@pytest.mark.parametrize("settings", [{"beams": 2}, {"penalty": 1.5}])
def test_what_is_not_greedy_is_left_to_torch(exported, tmp_path, settings):
    folder = tmp_path / "other"
    shutil.copytree(exported, folder)
    if "penalty" in settings:
        file = folder / "generation_config.json"
        saved = json.loads(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps(saved | {"repetition_penalty": 1.5}), encoding="utf-8")
        settings = {}
    model = load(folder, **settings)
    assert isinstance(model.eyes, OnnxEyes)
    assert isinstance(model.speaker, TorchSpeaker)


def test_the_checksum_covers_the_exported_files_too(plain, exported):
    assert load(plain).identity.checksum != load(exported).identity.checksum


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


def test_torch_is_not_even_imported(exported):
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
options = DeltaVLMOptions(threshold=0.0, presence_threshold=0.0)
model = DeltaVLMModel.open(Path({str(exported)!r}), "here", options, "cpu")
(answers,) = model.answer([tile], [ask(Task.PRESENCE), ask(Task.CAPTION), ask(Task.LOCATE)])
assert answers[0].changed
assert not {{"torch", "transformers"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["eyes.onnx", "question.onnx", "language.onnx"])
@pytest.mark.parametrize("content", ["no model", "not ours"])
def test_a_broken_file_is_refused(exported, tmp_path, name, content):
    folder = tmp_path / "other"
    shutil.copytree(exported, folder)
    if content == "no model":
        (folder / name).write_bytes(b"nothing")
    else:
        value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
        node = onnx.helper.make_node("Identity", ["x"], ["y"])
        graph = onnx.helper.make_graph(
            [node], "g", [value], [onnx.helper.make_tensor_value_info("y", 1, [1])]
        )
        opset = [onnx.helper.make_opsetid("", 18)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), folder / name)
    with pytest.raises(ModelError, match=rf"{name} cannot be loaded"):
        load(folder)


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("tokenizer.json", "{}", "the tokenizer"),
        ("generation_config.json", '{"max_new', "is not JSON"),
    ],
)
def test_broken_words_are_refused(exported, tmp_path, file, content, told):
    folder = tmp_path / "other"
    shutil.copytree(exported, folder)
    (folder / file).write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=told):
        load(folder)


def test_weights_in_half_precision_are_written_so_and_others_are_kept(tmp_path):
    rounded, halves = tiny_model().half().float(), {}
    for name, model in (("rounded", rounded), ("not", tiny_model())):
        folder = save(model, tmp_path / name)
        export(model, folder)
        written = onnx.load(folder / "language.onnx").graph.initializer
        halves[name] = sum(one.data_type == onnx.TensorProto.FLOAT16 for one in written)
        found = long_winded(folder).answer([tile(3)], ASKED)
        (folder / EYES).unlink()
        assert found[0][2:] == long_winded(folder).answer([tile(3)], ASKED)[0][2:]
    assert halves["rounded"] > 5
    assert halves["not"] == 0


def test_only_what_can_be_exported_is(tmp_path):
    for config in (tiny_config(vit=True), tiny_config(dense=False)):
        with pytest.raises(ValueError, match="dense head that does not resize"):
            export(tiny_model(config), tmp_path)


def test_the_files_tell_nothing_of_the_machine_that_made_them(exported):
    for file in exported.glob("*.onnx"):
        content = file.read_bytes()
        assert b".py" not in content
        assert b"stack_trace" not in content
