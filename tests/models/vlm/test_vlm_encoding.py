"""The backend `vlm` looks at each tile once, and says what it would say otherwise."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from tile_factory import noise
from vlm_asking import QUESTIONS, first_logits, naive
from vlm_factory import MAKERS

from geochg.models.images import rgb_image
from geochg.models.vlm.engine import TilePrompt


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind != "instructblip"])
def test_what_is_kept_of_a_look_changes_no_token(loaded, kind):
    model, tiles = loaded(kind), noise(3)
    rest = model.engine.writer.prompt_ids
    texts = [TilePrompt(row, rest([asked], [])) for row in range(3) for asked in QUESTIONS]
    texts.append(TilePrompt(1, rest([*QUESTIONS, "Why?"], ["No.", "Two."])))

    replies = model.engine._reply_ids(model.engine.encode(tiles), texts, max_new_tokens=6)

    for text, result in zip(texts, replies, strict=True):
        assert result == model.engine._without_end(naive(model, tiles[text.row], list(text.ids)))


@pytest.mark.parametrize("kind", MAKERS)
def test_pictures_matter_and_their_order_does(loaded, kind):
    model = loaded(kind)
    tiles = noise(2)
    tiles.append(replace(tiles[0], dates=tiles[0].dates[::-1]))
    text = model.engine.writer.prompt_ids([QUESTIONS[0]], [])
    encoding = model.engine.encode(tiles)
    logits = first_logits(model, encoding, [TilePrompt(row, text) for row in range(3)])
    assert not torch.allclose(logits[0], logits[1], atol=1e-4)
    assert not torch.allclose(logits[0], logits[2], atol=1e-4)


def test_instructblip_for_images_takes_both_dates_as_the_one_for_videos_does(saved, loaded):
    own = loaded("instructblip").engine.model.state_dict()
    video = loaded("instructblipvideo").engine.model.state_dict()
    assert own.keys() == video.keys()
    tiles = noise(1)
    texts = [TilePrompt(0, loaded("instructblip").engine.writer.prompt_ids([QUESTIONS[1]], []))]
    replies = [
        loaded(kind).engine.reply_texts(loaded(kind).engine.encode(tiles), texts)
        for kind in ("instructblip", "instructblipvideo")
    ]
    # Both are made from one seed, so they hold the same weights.
    assert replies[0] == replies[1]


def test_a_look_at_one_pair_survives_a_look_at_another(loaded):
    model = loaded("qwen2_vl")
    texts = [TilePrompt(0, model.engine.writer.prompt_ids([QUESTIONS[1]], []))]
    small, large = noise(1), noise(1)
    doubled = tuple(np.kron(date, np.ones((1, 2, 2), np.uint8)) for date in large[0].dates)
    large[0] = replace(large[0], dates=doubled)
    first = model.engine.encode(small)
    expected = model.engine.reply_texts(first, texts)
    model.engine.encode(large)
    assert model.engine.reply_texts(first, texts) == expected


def test_the_opening_is_that_of_the_official_processor(loaded):
    model = loaded("llava")
    tokenizer = model.engine.writer.tokenizer
    processor = transformers.LlavaProcessor(
        transformers.CLIPImageProcessorPil(
            size={"shortest_edge": 28}, crop_size=28, image_mean=[0.5] * 3, image_std=[0.25] * 3
        ),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
    )
    (tile,) = noise(1)
    pictures = [rgb_image(tile.before), rgb_image(tile.after)]
    written = model.engine.writer._chat_text([QUESTIONS[0]], [])
    made = processor(text=written, images=pictures, return_tensors="pt")

    encoding = model.engine.encode([tile])
    ids = [*encoding.ids, *model.engine.writer.prompt_ids([QUESTIONS[0]], [])]
    assert ids == made["input_ids"][0].tolist()
    shown = model.engine.family.image_inputs([tile]).inputs["pixel_values"]
    assert torch.allclose(shown, made["pixel_values"], atol=1e-2)


def test_idefics_pictures_are_those_of_the_official_processor(loaded, saved):
    model = loaded("idefics3")
    processor = transformers.Idefics3Processor(
        model.engine.family.processor, model.engine.writer.tokenizer, image_seq_len=4
    )
    (tile,) = noise(1)
    written = model.engine.writer._chat_text([QUESTIONS[0]], [])
    made = processor(
        text=written,
        images=[rgb_image(tile.before), rgb_image(tile.after)],
        do_image_splitting=False,
        size={"longest_edge": 56},
        max_image_size={"longest_edge": 56},
        return_tensors="pt",
    )
    encoding = model.engine.encode([tile])
    ids = [*encoding.ids, *model.engine.writer.prompt_ids([QUESTIONS[0]], [])]
    assert ids == made["input_ids"][0].tolist()
