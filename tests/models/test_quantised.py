"""4-bit weights on processors with AVX512-BF16, which is forced here, and without."""

import pytest
import torch
from four_bits import needs_four_bits
from vlm_factory import save_vlm

from geochg.models.quantised import switch_off_repacking
from geochg.models.vlm.loading import How, open_vlm

WITH_AND_WITHOUT = pytest.mark.parametrize("has_avx512bf16", [True, False])


@pytest.fixture
def force(monkeypatch):
    """Lets bitsandbytes believe that the processor has AVX512-BF16, or has not."""
    needs_four_bits()
    from bitsandbytes.nn import modules

    def has(answer):
        monkeypatch.setattr(modules, "has_avx512bf16", lambda: answer)

    return has


def layers_of(model):
    return [item for item in model.modules() if type(item).__name__ == "Linear4bit"]


@WITH_AND_WITHOUT
def test_no_layer_of_a_vision_language_model_repacks(force, has_avx512bf16, tmp_path):
    force(has_avx512bf16)
    engine = open_vlm(save_vlm("llava", tmp_path), How("cpu", torch.float32, 4, "", 4))
    layers = layers_of(engine.model)
    assert layers
    assert not any(layer.support_avx512bf16_for_cpu for layer in layers)


@WITH_AND_WITHOUT
def test_no_layer_of_a_base_in_training_repacks(force, has_avx512bf16, tmp_path):
    from geochg.training.finetune.base import BaseModel, open_base
    from geochg.training.finetune.options import TuneOptions

    force(has_avx512bf16)
    folder = save_vlm("llava", tmp_path / "base")
    options = TuneOptions.from_dict({"quantize": "4bit"})
    model, _ = open_base(
        BaseModel("vlm", f"vlm:{folder}", "", folder), options, "cpu", tmp_path / "work"
    )
    layers = layers_of(model.network)
    assert layers
    assert not any(layer.support_avx512bf16_for_cpu for layer in layers)


def test_models_without_such_layers_are_left_alone():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    switch_off_repacking(model)
    assert not hasattr(model[0], "support_avx512bf16_for_cpu")
