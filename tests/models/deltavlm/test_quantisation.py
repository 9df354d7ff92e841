"""The vision part in int8: made from shown tiles, chosen by the processor, close to float32."""

import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
from deltavlm_factory import tile

from geochg.errors import ModelError
from geochg.models.builtin import FOLDER, BuiltinModel
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.detector import Detector
from geochg.models.deltavlm.options import DeltaVLMOptions, Precision
from geochg.models.deltavlm.quantisation import quantise_vision
from geochg.models.deltavlm.runtime import onnx_vision
from geochg.models.deltavlm.runtime.onnx_vision import DETECTOR, ENCODER, int8_file

NAMES = (ENCODER, DETECTOR)


def show_tiles(vision, recorder):
    tiles = [tile(seed) for seed in range(3)]
    scene = Detector(vision, vision.head).survey(tiles, 0.5)
    Detector(recorder, vision.head).detect(tiles, scene)


@pytest.fixture(scope="module")
def quantised(exported_deltavlm, tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8") / "model"
    shutil.copytree(exported_deltavlm, folder)
    quantise_vision(folder, show_tiles)
    return folder


def load(folder, **options):
    return DeltaVLMModel.load(str(folder), DeltaVLMOptions(**options), "cpu")


@pytest.mark.parametrize("name", NAMES)
def test_int8_is_in_the_files(quantised, name):
    exported, in_int8 = (quantised / name, int8_file(quantised / name))
    graph = onnx.load(in_int8).graph
    assert {node.op_type for node in graph.node} >= {"QuantizeLinear", "DequantizeLinear"}
    assert not any(node.doc_string or node.metadata_props for node in graph.node)
    whole_numbers = [w for w in graph.initializer if w.data_type == onnx.TensorProto.INT8]
    assert sum(np.prod(w.dims) for w in whole_numbers) > 100
    notes = [{p.key: p.value for p in onnx.load(f).metadata_props} for f in (exported, in_int8)]
    assert notes[0] == notes[1]


@pytest.mark.parametrize("is_fast", [True, False])
def test_the_processor_decides(quantised, monkeypatch, is_fast):
    monkeypatch.setattr(onnx_vision, "int8_is_fast", lambda: is_fast)
    model = load(quantised)
    assert model.vision.precision == (Precision.INT8 if is_fast else Precision.FLOAT32)
    assert model.identity.precision == ("int8" if is_fast else "")


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.FLOAT32])
def test_the_user_may_decide(quantised, monkeypatch, precision):
    monkeypatch.setattr(onnx_vision, "int8_is_fast", lambda: precision == Precision.FLOAT32)
    assert load(quantised, precision=precision).vision.precision == precision


def test_without_the_files_int8_is_refused_and_auto_is_float32(exported_deltavlm, monkeypatch):
    monkeypatch.setattr(onnx_vision, "int8_is_fast", lambda: True)
    assert load(exported_deltavlm).vision.precision == Precision.FLOAT32
    with pytest.raises(ModelError, match="no int8 files"):
        load(exported_deltavlm, precision="int8")


@pytest.mark.parametrize("name", NAMES)
def test_files_of_other_weights_are_refused(quantised, tmp_path, name):
    folder = tmp_path / "model"
    shutil.copytree(quantised, folder)
    model = onnx.load(int8_file(folder / name))
    onnx.helper.set_model_props(model, {"geochg_made_from": "sha256:other"})
    onnx.save(model, int8_file(folder / name))
    with pytest.raises(ModelError, match="made from other weights"):
        load(folder, precision="int8")


def test_without_a_shown_tile_nothing_is_written(exported_deltavlm, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(exported_deltavlm, folder)
    with pytest.raises(ValueError, match="no tile was shown"):
        quantise_vision(folder, lambda vision, recorder: None)
    assert not int8_file(folder / ENCODER).exists()


def example_tiles():
    from geochg import AnalyzeOptions, open_pair, read_tiles

    examples = FOLDER.parents[2] / "examples"
    pair = open_pair(examples / "ponds_2012.tif", examples / "ponds_2014.tif", None, "rgb+nir")
    tiles = list(read_tiles(pair, AnalyzeOptions(overlap_px=0)))
    return pair.facts, tiles[:4]


def test_the_built_in_model_sees_nearly_the_same_in_int8():
    facts, tiles = example_tiles()
    maps = []
    for precision in (Precision.FLOAT32, Precision.INT8):
        model = BuiltinModel.load("", DeltaVLMOptions(precision=precision), "cpu")
        model.survey(facts, tiles)
        maps.append(model.vision_output(tiles).dense.change_logits)
    assert np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1] > 0.99
    assert not np.array_equal(maps[0], maps[1])


def test_infrared_indices_stay_as_they_are():
    facts, tiles = example_tiles()
    folder_models = [
        BuiltinModel.load("", DeltaVLMOptions(precision=precision), "cpu")
        for precision in (Precision.FLOAT32, Precision.INT8)
    ]
    for model in folder_models:
        model.survey(facts, tiles)
    scene = replace(folder_models[0].scene)
    colors = [
        model.detector._encodings(tiles[:1], scene, half=False)[0].maps[0]
        for model in folder_models
    ]
    assert np.array_equal(*colors)


def test_the_same_bytes_on_the_same_machine():
    facts, tiles = example_tiles()
    answers = []
    for _ in range(2):
        model = BuiltinModel.load("", DeltaVLMOptions(precision="int8"), "cpu")
        model.survey(facts, tiles)
        answers.append(model.vision_output(tiles).dense)
    assert all(np.array_equal(*parts) for parts in zip(*answers, strict=True))


def test_a_processor_of_which_nothing_is_known_is_not_fast(monkeypatch):
    import sys

    from geochg.models.devices import int8_is_fast

    monkeypatch.setitem(sys.modules, "numpy._core._multiarray_umath", None)
    assert not int8_is_fast()
