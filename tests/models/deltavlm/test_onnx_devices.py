"""Which of ONNX Runtime's execution providers runs an exported model, on which device."""

import onnxruntime
import pytest
import torch
from deltavlm_factory import tile

from geochg.errors import ModelError
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.models.deltavlm.runtime.onnx_vision import OnnxVision
from geochg.models.deltavlm.runtime.torch_vision import TorchVision
from geochg.records import Task
from geochg.tasks import ask

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


@pytest.fixture
def opened(monkeypatch):
    """The providers that sessions were opened with, where ONNX Runtime has CUDA's."""
    lists, real = [], onnxruntime.InferenceSession

    class Session:
        def __init__(self, file, settings, providers):
            lists.append(providers)
            self._session = real(file, settings, providers=[CPU])

        def get_providers(self):
            return [name if isinstance(name, str) else name[0] for name in lists[-1]]

        def __getattr__(self, name):
            return getattr(self._session, name)

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    return lists


def load(folder, device, **options):
    return DeltaVLMModel.load(str(folder), DeltaVLMOptions(**options), device)


@pytest.mark.parametrize(("device", "number"), [("cuda", "0"), ("cuda:1", "1")])
def test_a_gpu_runs_the_vision_part_where_onnx_runtime_has_its_provider(
    exported_deltavlm, opened, device, number
):
    model = load(exported_deltavlm, device)
    assert isinstance(model.vision, OnnxVision)
    vision, language = opened[:3], opened[3:]
    for (name, settings), other in vision:
        assert (name, other) == (CUDA, CPU)
        assert settings["device_id"] == number
        # Products of fewer bits would make other outlines.
        assert settings["use_tf32"] == "0"
    # Token by token, the way to a GPU and back takes longer than the small language model.
    assert language == [[CPU], [CPU]]
    questions = [ask(Task.PRESENCE), ask(Task.CAPTION)]
    assert len(model.answer([tile(0)], questions)[0]) == 2


def test_int8_is_for_the_cpu(exported_deltavlm, opened):
    model = load(exported_deltavlm, "cuda", precision="int8")
    assert model.vision.precision == "float32"


def test_the_cpu_is_the_cpu(exported_deltavlm, opened):
    load(exported_deltavlm, "cpu")
    assert opened == [[CPU]] * 5


def test_without_the_provider_torch_runs_it(exported_deltavlm, monkeypatch):
    from geochg.models.deltavlm import backend

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    devices, open_model = [], backend.open_model

    def note_device(folder, dtype, device):
        devices.append(device)
        return open_model(folder, dtype, "cpu")

    monkeypatch.setattr(backend, "open_model", note_device)
    assert isinstance(load(exported_deltavlm, "cuda").vision, TorchVision)
    assert devices == ["cuda"]


def test_neither_of_them_is_told(exported_deltavlm, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="no device 'cuda'"):
        load(exported_deltavlm, "cuda")


def test_a_provider_that_cannot_reach_the_gpu_is_told(exported_deltavlm, opened, monkeypatch):
    monkeypatch.setattr(onnxruntime.InferenceSession, "get_providers", lambda self: [CPU])
    with pytest.raises(ModelError, match="ONNX Runtime cannot use the device 'cuda:7'") as told:
        load(exported_deltavlm, "cuda:7")
    assert "onnxruntime-gpu" in told.value.hint
