"""The options that `geochg evaluate --fit-threshold` sets, model by model."""

import numpy as np
import pytest
from clip_factory import noisy_tile
from vlm_factory import save_vlm

from geochg.errors import OptionError
from geochg.models.builtin import BuiltinModel
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.models.detectors.irmad import IrmadModel
from geochg.models.registry import find_backend
from geochg.models.vlm.backend import VlmModel
from geochg.models.vlm.options import VlmOptions
from geochg.records import Task
from geochg.tasks import ask


def test_a_vlm_says_yes_above_its_threshold(tmp_path):
    folder = str(save_vlm("llava", tmp_path / "llava"))
    tiles, asked = [noisy_tile(seed) for seed in range(3)], [ask(Task.PRESENCE)]
    usual = VlmModel.load(folder, VlmOptions(), "cpu")
    likely = [answers[0].probability for answers in usual.answer(tiles, asked)]
    between = float(np.mean(sorted(likely)[1:]))
    options = VlmOptions.from_dict(usual.presence_options(usual.options, between))
    assert options == VlmOptions(presence_threshold=between)
    result = VlmModel.load(folder, options, "cpu").answer(tiles, asked)
    assert [answers[0].changed for answers in result] == [item > between for item in likely]
    assert [answers[0].probability for answers in result] == pytest.approx(likely)
    assert sum(answers[0].changed for answers in result) == 1


def test_words_have_no_threshold():
    assert VlmModel.presence_options(VlmOptions(answers="words"), 0.7) == {}


def test_a_threshold_of_a_vlm_is_a_probability():
    with pytest.raises(OptionError, match=r"presence_threshold 1\.5"):
        VlmOptions(presence_threshold=1.5)


def test_models_name_an_option_that_they_have_or_none():
    for backend in (DeltaVLMModel, BuiltinModel):
        options = backend.options_type()
        caught = backend.presence_options(options, 0.25)
        assert backend.options_type.from_dict(caught) == DeltaVLMOptions(threshold=0.25)
    assert IrmadModel.presence_options(IrmadModel.options_type(), 0.25) == {}


def test_a_backend_is_found_without_loading_it():
    assert find_backend("deltavlm:some/folder#1") == (DeltaVLMModel, "some/folder#1")
    assert find_backend("builtin") == (BuiltinModel, "")
