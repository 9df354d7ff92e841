"""DeltaVLMs run on another device than the host's, which they do not wait for without need."""

import deltavlm_factory
import numpy as np
import pytest
from pretend_device import DEVICE, PretendDevice, to_device

from geochg.models.base import ModelIdentity
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.records import Outlines, PairFacts, Task
from geochg.tasks import ask

FACTS = PairFacts(("red", "green", "blue"), 25.0, "uint8")
QUESTIONS = [ask(task) for task in (Task.PRESENCE, Task.LOCATE, Task.COUNT, Task.CAPTION)]


@pytest.mark.parametrize("vit", [True, False])
def test_answers_are_those_of_the_host(vit):
    network = deltavlm_factory.tiny_model(deltavlm_factory.tiny_config(vit=vit))
    processor = deltavlm_factory.processor(network.config)
    model = DeltaVLMModel.of(network, processor, DeltaVLMOptions(), ModelIdentity("", ""))
    tiles = [deltavlm_factory.tile(seed, 28 if vit else 64) for seed in range(2)]

    def answers():
        if not vit:
            model.survey(FACTS, tiles)
        return model.answer(tiles, QUESTIONS)

    expected = answers()
    with PretendDevice():
        to_device(network)
        found = answers()
    for row, expected_row in zip(found, expected, strict=True):
        for answer, expected_answer in zip(row, expected_row, strict=True):
            if isinstance(answer, Outlines):
                layers, expected_layers = (part.layers_at() for part in (answer, expected_answer))
                assert np.array_equal(layers, expected_layers)
            else:
                assert answer == expected_answer


@pytest.mark.parametrize("vit", [True, False])
def test_the_host_waits_for_the_end_of_answers_alone(vit):
    network = deltavlm_factory.tiny_model(deltavlm_factory.tiny_config(vit=vit))
    processor = deltavlm_factory.processor(network.config)
    before, after = deltavlm_factory.dates(2, 28 if vit else 64)
    questions = processor.questions([ask(Task.CAPTION).text, ask(Task.COUNT).text]).arguments()
    encoding = network.encode_pair(before, after)
    expected = network.generate(**questions, encoding=encoding)
    steps = []
    with PretendDevice() as device:
        to_device(network)
        encoding = network.encode_pair(before.to(DEVICE), after.to(DEVICE))
        device.waits.clear()
        network.language_model.register_forward_hook(lambda *_: steps.append(1))
        inputs = {name: part.to(DEVICE) for name, part in questions.items()}
        ids = network.generate(**inputs, encoding=encoding)
        assert not device.own_waits()
        # The library looks each time whether all rows have ended, and at the padding.
        assert device.waits.total() <= 2 * len(steps) + 10
        assert ids.tolist() == expected.tolist()
