"""The exported model: it sees and says what torch does, without torch."""

import json
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from deltavlm_factory import SIZE_PX, tile, tiny_config, tiny_model
from safetensors.torch import load_file, save_file

from geochg.errors import ModelError
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.calibration import Calibration
from geochg.models.deltavlm.export import export
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.models.deltavlm.runtime.onnx_language import OnnxLanguage
from geochg.models.deltavlm.runtime.onnx_vision import DETECTOR, FILES, OnnxVision
from geochg.models.deltavlm.runtime.torch_language import TorchLanguage
from geochg.models.deltavlm.runtime.torch_vision import TorchVision
from geochg.models.deltavlm.runtime.vision_output import DenseArrays
from geochg.records import Outlines, Task
from geochg.tasks import ask

ASKED = [ask(Task.PRESENCE), ask(Task.LOCATE), ask(Task.CAPTION), ask(Task.COUNT)]


@pytest.fixture(scope="module")
def plain(plain_deltavlm):
    return plain_deltavlm


@pytest.fixture(scope="module")
def exported(exported_deltavlm):
    return exported_deltavlm


def load(folder, **options):
    return DeltaVLMModel.load(str(folder), DeltaVLMOptions(**options), "cpu")


@pytest.fixture(scope="module")
def both(plain, exported):
    """The model by torch and by ONNX Runtime, and nothing else between them."""
    by_torch, by_onnx = load(plain), load(exported)
    assert isinstance(by_torch.vision, TorchVision)
    assert isinstance(by_onnx.vision, OnnxVision)
    return by_torch, by_onnx


def half_valid(size_px, bands):
    valid = np.ones((size_px, size_px), bool)
    valid[:, : size_px // 3] = False
    return tile(7, size_px, bands=bands, valid=valid)


@pytest.mark.parametrize("size_px", [SIZE_PX, 32, 50, 96])
@pytest.mark.parametrize("zoom", [1.0, 2.0, 0.5])
@pytest.mark.parametrize("bands", [3, 4])
def test_they_see_what_torch_sees(both, size_px, zoom, bands):
    tiles = [tile(0, size_px, bands=bands), half_valid(size_px, bands)]
    scenes = [model.detector.survey(tiles, 5.0, zoom=zoom) for model in both]
    for wanted, result in zip(*(scene.vectors for scene in scenes), strict=True):
        assert np.allclose(result, wanted, rtol=1e-3, atol=1e-3)
    wanted, result = (model.detector.detect(tiles, scenes[0]) for model in both)
    for name in ("before", "after"):
        assert np.allclose(getattr(result, name), getattr(wanted, name), atol=1e-4)
    for view in ("dense", "half"):
        for name in DenseArrays._fields:
            single, other = (getattr(getattr(output, view), name) for output in (result, wanted))
            assert single.shape == other.shape
            # Group norms of an untrained model over a level of one pixel magnify the last digits.
            if single.shape[-1] > 8:
                assert np.allclose(single, other, atol=1e-4), (view, name)


def test_the_facts_of_the_head_are_kept(both):
    by_torch, by_onnx = both
    assert by_torch.vision.head == by_onnx.vision.head
    assert by_onnx.vision.head.layout == by_torch.vision.model.dense.layout


def test_the_outlines_are_the_same(both):
    tiles = [tile(0), half_valid(SIZE_PX, 3)]
    wanted, result = (model.answer(tiles, [ask(Task.LOCATE)]) for model in both)
    for (single,), (other,) in zip(result, wanted, strict=True):
        assert isinstance(single, Outlines)
        assert np.allclose(single.layers_at(), other.layers_at(), atol=1e-3)
        assert np.mean(single.covers().after == other.covers().after) > 0.999


def test_a_tile_gives_the_same_bytes_whatever_its_neighbours(both):
    _, model = both
    tiles = [tile(seed) for seed in range(4)]
    scene = model.detector.survey(tiles, 0.5)
    together = model.detector.detect(tiles, scene)
    alone = model.detector.detect([tiles[2]], scene)
    for view in ("dense", "half"):
        for all_of_them, single in zip(getattr(together, view), getattr(alone, view), strict=True):
            assert np.array_equal(all_of_them[2:3], single)
    again = model.detector.survey(tiles, 0.5)
    assert scene.vectors[0].tobytes() == again.vectors[0].tobytes()


def long_winded(folder):
    """So that answers of very different lengths end at different steps."""
    return load(folder, threshold=0, max_tokens=30)


@pytest.mark.parametrize("size_px", [32, 96, 128])
def test_the_words_are_the_same(plain, exported, size_px):
    tiles = [tile(seed, size_px) for seed in range(5)]
    wanted, result = (long_winded(folder).answer(tiles, ASKED) for folder in (plain, exported))
    for single, other in zip(result, wanted, strict=True):
        assert single[2:] == other[2:]


def test_the_same_tokens_are_said(plain, exported):
    """Also those that make no sense as an answer."""
    tiles = [tile(seed) for seed in range(11)]
    rows = [index for index in range(11) for _ in range(2)]
    prompts = ["what changed", "tell me how many buildings there are now and were before"] * 11
    replies = []
    for model in map(long_winded, (plain, exported)):
        encoding = model.language.encode(model.vision_output(tiles), range(11))
        replies.append(model.language.answers(encoding, rows, prompts))
    assert isinstance(model.language, OnnxLanguage)
    assert replies[0] == replies[1]
    assert len({len(words) for words in replies[0]}) > 3


def test_a_prompt_that_is_too_long_is_cut_alike(plain, exported):
    prompts = ["how many " * 200 + str(number) for number in range(2)]
    replies = []
    for model in map(long_winded, (plain, exported)):
        encoding = model.language.encode(model.vision_output([tile(1)]), [0])
        replies.append(model.language.answers(encoding, [0, 0], prompts))
    assert replies[0] == replies[1]


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
    assert isinstance(model.vision, OnnxVision)
    assert isinstance(model.language, TorchLanguage)


def test_the_checksum_covers_the_exported_files_too(plain, exported):
    assert load(plain).identity.checksum != load(exported).identity.checksum


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_exports_of_another_model_are_refused(exported, tmp_path, file):
    folder = tmp_path / "other"
    shutil.copytree(exported, folder)
    if file == "config.json":
        config = json.loads((folder / file).read_text(encoding="utf-8"))
        config["dense_config"]["calibration"] = Calibration(0.5).to_dict()
        (folder / file).write_text(json.dumps(config), encoding="utf-8")
    else:
        weights = load_file(folder / file)
        first = min(weights)
        save_file(weights | {first: weights[first] + 1}, folder / file)
    with pytest.raises(ModelError, match=r"encoder\.onnx was made from other weights"):
        load(folder)


def test_where_onnx_runtime_cannot_be_loaded_torch_runs_it(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert isinstance(load(exported).vision, TorchVision)


def test_torch_is_not_even_imported(exported):
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
import numpy as np
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.records import PixelWindow, Task, Tile, TileWindow
from geochg.tasks import ask
window = PixelWindow(0, 64, 0, 64)
date = np.full((3, 64, 64), 90, np.uint8)
tile = Tile(TileWindow(0, 0, 0, window, window), (date, date), np.ones((64, 64), bool))
options = DeltaVLMOptions(threshold=0.0)
model = DeltaVLMModel.open(Path({str(exported)!r}), "here", options, "cpu")
(answers,) = model.answer([tile], [ask(Task.PRESENCE), ask(Task.CAPTION), ask(Task.LOCATE)])
assert answers[0].changed
assert not {{"torch", "transformers"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [*FILES, "question.onnx", "language.onnx"])
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


def test_weights_in_half_precision_are_written_so_and_others_are_kept(exported):
    kinds = {
        kind: [
            len(single.dims)
            for single in onnx.load(exported / "language.onnx").graph.initializer
            if single.data_type == kind and np.prod(single.dims) >= 256
        ]
        for kind in (onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT)
    }
    assert len(kinds[onnx.TensorProto.FLOAT16]) > 5
    # The one weight that is no number of half precision.
    assert kinds[onnx.TensorProto.FLOAT] == [2]


def test_only_what_can_be_exported_is(tmp_path):
    for config in (tiny_config(vit=True), tiny_config(dense=False), tiny_config(resize=True)):
        with pytest.raises(ValueError, match="dense head that does not resize"):
            export(tiny_model(config), tmp_path)


def test_the_files_tell_nothing_of_the_machine_that_made_them(exported):
    for file in exported.glob("*.onnx"):
        content = file.read_bytes()
        assert b".py" not in content
        assert b"stack_trace" not in content


def noted(folder, name, **changes):
    """Changes what is noted in an exported file; Ellipsis takes it out."""
    model = onnx.load(folder / name)
    values = {item.key: item.value for item in model.metadata_props} | changes
    del model.metadata_props[:]
    for key, value in values.items():
        if value is not ...:
            model.metadata_props.add(key=key, value=value)
    onnx.save(model, folder / name)


@pytest.mark.parametrize(
    "text", [..., "{", "[]", "null", "5", "[" * 100_000 + "]" * 100_000, '{"channels": []}']
)
def test_facts_that_are_none_are_refused(exported, tmp_path, text):
    folder = shutil.copytree(exported, tmp_path / "m")
    noted(folder, DETECTOR, geochg=text)
    with pytest.raises(ModelError, match=r"detector\.onnx"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("channels", [["gold", "stolen"]]),
        ("channels", [["<b>gold</b>", "appeared"]]),
        ("channels", []),
        ("stride_px", 0),
        ("stride_px", "x"),
        ("level_channels", [10**12]),
        ("level_channels", None),
        ("color_std", [0, 0, 0]),
        ("color_std", [1.0]),
        ("color_mean", [None] * 3),
        ("calibration", {"hysteresis": "x"}),
        ("calibration", {"confidence": [[1.0], [0.2, 0.3]]}),
        ("calibration", {"intercept": float("nan")}),
        ("no_change_sentence", 5),
    ],
)
def test_facts_that_no_export_notes_are_refused(exported, tmp_path, name, value):
    folder = shutil.copytree(exported, tmp_path / "m")
    kept = {item.key: item.value for item in onnx.load(folder / DETECTOR).metadata_props}
    noted(folder, DETECTOR, geochg=json.dumps({**json.loads(kept["geochg"]), name: value}))
    with pytest.raises(ModelError):
        load(folder)


@pytest.mark.parametrize("name", FILES)
def test_weights_in_another_file_are_refused(exported, tmp_path, name):
    folder = shutil.copytree(exported, tmp_path / "m")
    model = onnx.load(folder / name)
    onnx.save_model(
        model, folder / name, save_as_external_data=True, location="weights.data", size_threshold=64
    )
    with pytest.raises(ModelError, match="another file"):
        load(folder)
