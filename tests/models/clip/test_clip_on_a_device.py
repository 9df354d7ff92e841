"""CLIP and SigLIP run on another device than the host's, which waits once a batch."""

import pytest
import torch
from clip_factory import (
    load,
    noisy_tile,
    save,
    tiny_clip,
    tiny_siglip,
    tiny_siglip2,
    tokenizer,
)
from pretend_device import DEVICE, PretendDevice, to_device

from geochg.models.clip.dense import MAX_BATCH
from geochg.models.clip.encoder import text_embeddings
from geochg.models.clip.loading import TEXT_FORMS
from geochg.records import Task
from geochg.tasks import ask


@pytest.mark.parametrize("make", [tiny_clip, tiny_siglip, tiny_siglip2])
def test_maps_are_those_of_the_host(make, tmp_path):
    model = load(save(make(), tmp_path))
    model.encoder.model.set_attn_implementation("eager")
    tiles = [noisy_tile(seed) for seed in range(3)]
    expected = [answers[0].change for answers in model.answer(tiles, [ask(Task.LOCATE)])]
    with PretendDevice() as device:
        to_device(model.encoder.model)
        model.encoder.texts = model.encoder.texts.to(DEVICE)
        device.waits.clear()
        result = model.answer(tiles, [ask(Task.LOCATE)])
        waits = device.waits.total()
    for answers, change in zip(result, expected, strict=True):
        assert answers[0].change == pytest.approx(change, abs=1e-4)
    # Once a batch of windows; transformers looks besides whether masks of patches are full.
    windows = sum(2 * len(model._dense._boxes(tile)) for tile in tiles)
    assert waits <= -(-windows // MAX_BATCH) * (3 if make is tiny_siglip2 else 1)


@pytest.mark.parametrize("make", [tiny_clip, tiny_siglip])
def test_answers_are_those_of_the_host(make, tmp_path):
    model = load(save(make(), tmp_path), look="whole")
    encoder = model.encoder
    # Kernels of one attention differ in the last digits.
    encoder.model.set_attn_implementation("eager")
    form = TEXT_FORMS[encoder.model.config.model_type]
    texts = (tokenizer(), form, [["a road"]], ["a photo of {}"])
    vectors = text_embeddings(encoder.model, *texts)
    tiles = [noisy_tile(seed) for seed in range(3)]
    questions = [ask(task) for task in (Task.PRESENCE, Task.LOCATE, Task.CAPTION)]
    expected = model.answer(tiles, questions)
    with PretendDevice() as device:
        to_device(encoder.model)
        encoder.texts = encoder.texts.to(DEVICE)
        assert torch.equal(text_embeddings(encoder.model, *texts).cpu(), vectors)
        device.waits.clear()
        assert model.answer(tiles, questions) == expected
    # All tiles go through the model together, and then all cells.
    assert device.waits.total() <= 2
