"""Every family runs on another device than the host's, which it does not wait for without need."""

import pytest
from pretend_device import PretendDevice, to_device
from tile_factory import noise
from vlm_asking import MAPPED, load
from vlm_factory import MAKERS

from geochg.models.vlm.engine import TilePrompt


@pytest.fixture
def engine_steps(request):
    """Counts the steps of a model: the tokens that it made for all rows at once."""

    def count(engine):
        steps = []
        engine.generator.register_forward_hook(lambda *_: steps.append(1))
        return steps

    return count


@pytest.mark.parametrize("answers", ["probabilities", "words"])
@pytest.mark.parametrize("kind", MAKERS)
def test_answers_are_those_of_the_host(kind, answers, saved):
    tiles = noise(2)
    model = load(saved(kind), answers=answers, max_tokens=4)
    # Kernels of one attention differ in the last digits.
    model.engine.model.set_attn_implementation("eager")
    expected = model.answer(tiles, MAPPED)
    with PretendDevice():
        to_device(model.engine.model)
        assert model.answer(tiles, MAPPED) == expected


ASKED = {
    "words": lambda engine, *about: engine.reply_texts(*about),
    "numbers": lambda engine, *about: engine.reply_numbers(*about),
    "choices": lambda engine, *about: engine.reply_choices(*about, ["none", "top left", "center"]),
}


@pytest.mark.parametrize("form", ASKED)
@pytest.mark.parametrize("kind", ["llava", "qwen3_vl", "minicpmv4_7", "instructblip"])
def test_the_host_waits_once_a_token_however_many_rows_there_are(kind, form, saved, engine_steps):
    engine = load(saved(kind), max_tokens=4).engine
    with PretendDevice() as device:
        to_device(engine.model)
        encoding = engine.encode(noise(2))
        ids = engine.writer.prompt_ids(["How many roads have changed?"], [])
        prompts = [TilePrompt(row % 2, ids) for row in range(12)]
        device.waits.clear()
        steps = engine_steps(engine)
        ASKED[form](engine, encoding, prompts)
    assert steps
    for line, count in device.own_waits().items():
        assert count <= len(steps), line
    # Beside ours the library looks each time whether all rows have ended, and at the padding.
    assert device.waits.total() <= 3 * len(steps) + 10
