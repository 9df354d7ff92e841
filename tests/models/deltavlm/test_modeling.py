"""The model as a whole: loss, generation, shared encodings, saving, LoRA."""

import numpy as np
import pytest
import torch
from deltavlm_factory import TOKENIZER, dates, processor, save, tiny_config, tiny_model
from peft import LoraConfig, PeftModel, get_peft_model

from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.models.deltavlm.processing import IGNORED, DeltaVLMProcessor
from geochg.models.deltavlm.sizes import compact_config, full_config
from geochg.training.builtin.tokenizer import train_tokenizer

PROMPTS = ["What changed?", "Please describe the changes in these two images.", "Roads?"]
ANSWERS = ["Nothing.", "There are 12 new buildings.", "no"]
SIZES = pytest.mark.parametrize(
    "config", [tiny_config(), tiny_config(dense=False), tiny_config(vit=True)]
)


def words(config, prompts=PROMPTS):
    return processor(config).questions(prompts).arguments()


def pair_of(config, pairs=3):
    return dates(pairs, config.image_size)


# --- loss ----------------------------------------------------------------------------------------


@SIZES
def test_the_loss_is_of_the_answers_only(config):
    model = tiny_model(config)
    inputs = processor(config).examples(PROMPTS, ANSWERS)
    out = model(
        **inputs.arguments(),
        pixel_values_before=pair_of(config)[0],
        pixel_values_after=pair_of(config)[1],
    )
    guess = out.logits[:, :-1].log_softmax(-1)
    replies = inputs.labels[:, 1:] != IGNORED
    tokens = inputs.input_ids[:, 1:, None]
    by_hand = -guess.gather(2, tokens)[..., 0][replies].mean()
    assert out.loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
    for row, answer in zip(inputs.labels, ANSWERS, strict=True):
        ids = row[row != IGNORED].tolist()
        assert ids[-1] == TOKENIZER.eos_token_id
        assert TOKENIZER.decode(ids, skip_special_tokens=True).strip() == answer


def test_training_goes_through_the_relation_and_into_every_part():
    model = tiny_model().train()
    before, after = dates(3)
    inputs = processor(model.config).examples(PROMPTS, ANSWERS).arguments()
    out = model(**inputs, pixel_values_before=before, pixel_values_after=after)
    out.loss.backward()
    touched = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    for part in ("vision.model", "relation.context1", "relation.gate1", "qformer", "summary"):
        assert any(name.startswith(part) for name in touched), part
    assert not any(name.startswith("dense") for name in touched)
    assert out.dense.pyramid_logits.requires_grad


def test_rows_about_one_pair_share_its_encoding():
    model = tiny_model()
    before, after = dates(2)
    inputs = processor(model.config).examples(PROMPTS, ANSWERS).arguments()
    index = torch.tensor([1, 0, 1])
    shared = model(**inputs, pixel_values_before=before, pixel_values_after=after, pair_index=index)
    naive = model(**inputs, pixel_values_before=before[index], pixel_values_after=after[index])
    assert torch.allclose(shared.logits, naive.logits, atol=1e-5)


def test_gradient_checkpointing_gives_the_same_gradient():
    grads = []
    for checkpointing in (False, True):
        model = tiny_model(tiny_config(vit=True, relation_dropout=0.0)).train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        model.config.qformer_config.attention_probs_dropout_prob = 0.0
        for layer in model.qformer.encoder.layer:
            layer.attention.attention.attention_dropout = 0.0
            if layer.has_cross_attention:
                layer.crossattention.attention.attention_dropout = 0.0
        if checkpointing:
            model.gradient_checkpointing_enable()
            assert model.language_model.is_gradient_checkpointing
        inputs = processor(model.config).examples(PROMPTS, ANSWERS).arguments()
        before, after = pair_of(model.config)
        model(**inputs, pixel_values_before=before, pixel_values_after=after).loss.backward()
        grads.append(model.relation.context1.weight.grad)
    assert grads[0].any()
    assert torch.allclose(*grads, atol=1e-6)


# --- generation ----------------------------------------------------------------------------------


@SIZES
def test_answers_from_one_encoding_equal_those_asked_one_by_one(config):
    model = tiny_model(config)
    before, after = pair_of(config, 2)
    encoding = model.encode_pair(before, after)
    rows = [(pair, prompt) for pair in range(2) for prompt in PROMPTS]
    shared = model.generate(
        **words(config, [prompt for _, prompt in rows]),
        encoding=encoding,
        pair_index=torch.tensor([pair for pair, _ in rows]),
        max_new_tokens=8,
    )
    replies = set()
    for (pair, prompt), result in zip(rows, shared, strict=True):
        alone = model.generate(
            **words(config, [prompt]),
            pixel_values_before=before[pair : pair + 1],
            pixel_values_after=after[pair : pair + 1],
            max_new_tokens=8,
        )[0]
        assert result[: len(alone)].tolist() == alone.tolist()
        replies.add(tuple(alone.tolist()))
    assert len(replies) > 1


def test_generating_from_pixels_uses_the_relation():
    model = tiny_model(tiny_config(vit=True, dense=False))
    before, after = pair_of(model.config)
    inputs = {
        **words(model.config),
        "pixel_values_before": before,
        "pixel_values_after": after,
        "return_dict_in_generate": True,
        "output_scores": True,
    }
    plain = model.generate(**inputs).scores[0]
    with torch.no_grad():
        model.relation.gate2.bias += 3
    assert not torch.allclose(model.generate(**inputs).scores[0], plain, atol=1e-4)


def test_what_the_map_shows_reaches_the_words():
    model = tiny_model()
    encoding = model.encode_pair(*dates(3))
    bare = model.relate(model.vision(*dates(3)), encoding.dense)
    assert torch.equal(bare.summary, encoding.summary)
    inputs = words(model.config)
    scores = []
    for summary in (encoding.summary, -encoding.summary):
        out = model.generate(
            **inputs,
            encoding=encoding._replace(summary=summary),
            return_dict_in_generate=True,
            output_scores=True,
        )
        scores.append(out.scores[0])
    assert not torch.allclose(*scores, atol=1e-4)


def test_beams_and_penalty_of_the_release_can_be_asked_for():
    model = tiny_model()
    given = {"encoding": model.encode_pair(*dates(3)), **words(model.config)}
    result = model.generate(**given, num_beams=5, repetition_penalty=1.5, max_new_tokens=6)
    assert result.shape[0] == 3
    assert result.shape[1] <= 6


def test_pixels_or_an_encoding_are_needed():
    with pytest.raises(ValueError, match="both dates"):
        tiny_model().generate(**words(tiny_config()))


# --- saving --------------------------------------------------------------------------------------


@SIZES
def test_saving_and_loading_is_exact(config, tmp_path):
    model = tiny_model(config)
    folder = save(model, tmp_path)
    assert (folder / "model.safetensors").is_file()
    again = DeltaVLMForConditionalGeneration.from_pretrained(folder).eval()
    for (name, first), (_, other) in zip(
        model.state_dict().items(), again.state_dict().items(), strict=True
    ):
        assert torch.equal(first, other), name
    first, other = (m.config.to_dict() for m in (model, again))
    assert first["vision_config"] == {**other["vision_config"], "dtype": None}
    assert first["num_query_tokens"] == other["num_query_tokens"] == 4
    assert again.generation_config.max_new_tokens == 8
    given = dict(zip(("pixel_values_before", "pixel_values_after"), pair_of(config), strict=True))
    inputs = {**words(config), **given}
    assert torch.equal(model.generate(**inputs), again.generate(**inputs))
    texts = DeltaVLMProcessor.from_pretrained(folder)
    assert texts.questions(PROMPTS).input_ids.equal(words(config)["input_ids"])


def test_loads_in_half_precision_with_a_device_map(tmp_path):
    save(tiny_model(), tmp_path)
    model = DeltaVLMForConditionalGeneration.from_pretrained(
        tmp_path, dtype=torch.bfloat16, device_map={"": "cpu"}
    ).eval()
    assert model.dtype == torch.bfloat16
    before, after = (date.bfloat16() for date in dates(3))
    inputs = {"pixel_values_before": before, "pixel_values_after": after, **words(model.config)}
    assert model.generate(**inputs).shape[0] == 3


def test_an_adapter_on_the_language_model_reloads_exactly(tmp_path):
    lora = LoraConfig(r=2, target_modules=r".*language_model\..*\.(q|k|v|o|gate|up|down)_proj")
    tuned = get_peft_model(tiny_model(), lora)
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.3)
    adapted = {name for name, _ in tuned.named_parameters() if "lora_" in name}
    assert adapted
    assert all("language_model" in name for name in adapted)
    tuned.save_pretrained(tmp_path)
    inputs = {"encoding": tiny_model().encode_pair(*dates(3)), **words(tiny_config())}
    with torch.no_grad():
        plain = tiny_model()(**inputs).logits
        wanted = tuned.eval()(**inputs).logits
        again = PeftModel.from_pretrained(tiny_model(), tmp_path).eval()
        assert torch.equal(again(**inputs).logits, wanted)
        assert not torch.allclose(wanted, plain, atol=1e-3)
        merged = again.merge_and_unload()
        # Merged weights round otherwise: the logits lie near 5, so their sixth digit may differ.
        assert torch.allclose(merged(**inputs).logits, wanted, atol=1e-4)


# --- sizes ---------------------------------------------------------------------------------------


def parameters(config) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in DeltaVLMForConditionalGeneration(config).parameters())


def test_the_compact_size_fits_the_package():
    assert parameters(compact_config(2000)) < 12_000_000


def test_the_full_size_is_the_released_one():
    config = full_config()
    assert 7.8e9 < parameters(config) < 8.3e9
    assert config.dense_config is None
    assert config.image_size == 224
    assert config.text_config.vocab_size == 32001


def test_parts_that_do_not_fit_are_refused():
    config = tiny_config()
    config.qformer_config.encoder_hidden_size = 99
    with pytest.raises(ValueError, match="expects 99 channels, the vision encoder gives 16"):
        DeltaVLMForConditionalGeneration(config)


# --- processor -----------------------------------------------------------------------------------


def test_pictures_are_normalised_and_padded_or_resized():
    config = tiny_config()
    image = np.random.default_rng(0).integers(0, 256, (3, 50, 70), np.uint8)
    result = processor(config).pixels([image, image])
    assert result.shape == (2, 3, 64, 96)
    mean, std = (np.array(v)[:, None, None] for v in (config.image_mean, config.image_std))
    assert np.allclose(result[1, :, :50, :70], (image / 255 - mean) / std, atol=1e-5)
    assert not result[:, :, 50:].any()
    assert processor(tiny_config(vit=True)).pixels([image]).shape == (1, 3, 28, 28)


def test_what_is_not_valid_is_the_same_in_both_dates():
    valid = np.ones((64, 64), bool)
    valid[:10] = False
    image = np.full((3, 64, 64), 200, np.uint8)
    result = processor(tiny_config()).pixels([image], [valid])
    assert not result[..., :10, :].any()
    assert result[..., 10:, :].all()


def test_a_long_prompt_loses_its_beginning():
    config = tiny_config(max_prompt_tokens=5)
    ids = processor(config).questions(["a b c d e f g h"]).input_ids[0].tolist()
    assert len(ids) == 5
    assert ids[0] == TOKENIZER.bos_token_id
    assert TOKENIZER.decode(ids[1:]).endswith("g h")


def test_a_tokenizer_writes_any_text_back():
    tokenizer = train_tokenizer(["There are 12 new houses."] * 4, 300)
    for text in ("There are 1207 new houses.", "roads: ['top-left'].", "Straße à 3 µm"):
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text
    digits = tokenizer("12", add_special_tokens=False)["input_ids"]
    assert [tokenizer.decode([i]) for i in digits][-2:] == ["1", "2"]
