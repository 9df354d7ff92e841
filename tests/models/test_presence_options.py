"""The options that `geochg evaluate --fit-threshold` sets, model by model."""

from types import SimpleNamespace

import pytest
from tile_factory import make_tile, one_window

from geochg.errors import OptionError
from geochg.models.base import ModelIdentity
from geochg.models.builtin import BuiltinModel
from geochg.models.deltavlm.backend import DeltaVLMModel, DeltaVLMOptions
from geochg.models.irmad import IrmadModel
from geochg.models.registry import find_backend
from geochg.models.vlm.backend import VlmModel, VlmOptions
from geochg.records import Task
from geochg.tasks import ask


class YesSayer:
    """Says yes with the probabilities it was made with."""

    def __init__(self, *likely):
        self.likely = likely
        self.writer = SimpleNamespace(rest=lambda asked, said: asked[0])

    def look(self, tiles):
        return None

    def choose(self, glance, rows, texts, choices):
        return [[self.likely[row], 1 - self.likely[row]] for row in rows]


@pytest.mark.parametrize(
    ("threshold", "said"), [(0.5, [False, True, True]), (0.7, [False, False, True])]
)
def test_a_vlm_says_yes_above_its_threshold(threshold, said):
    model = VlmModel(
        YesSayer(0.3, 0.6, 0.9),
        VlmOptions(presence_threshold=threshold),
        ModelIdentity("vlm:x", "sha256:0"),
    )
    tiles = [make_tile(one_window(32, 0))] * 3
    found = [answers[0] for answers in model.answer(tiles, [ask(Task.PRESENCE)])]
    assert [each.changed for each in found] == said
    assert [each.probability for each in found] == [0.3, 0.6, 0.9]
    assert model.presence_options(model.options, 0.7) == {"presence_threshold": 0.7}


def test_a_threshold_of_a_vlm_is_a_probability():
    with pytest.raises(OptionError, match=r"presence_threshold 1\.5"):
        VlmOptions(presence_threshold=1.5)


def test_models_name_an_option_that_they_have_or_none():
    for backend in (DeltaVLMModel, BuiltinModel):
        options = backend.options_type()
        told = backend.presence_options(options, 0.25)
        assert backend.options_type.from_dict(told) == DeltaVLMOptions(presence_threshold=0.25)
    assert IrmadModel.presence_options(IrmadModel.options_type(), 0.25) == {}


def test_a_backend_is_found_without_loading_it():
    assert find_backend("deltavlm:some/folder#1") == (DeltaVLMModel, "some/folder#1")
    assert find_backend("builtin") == (BuiltinModel, "")
