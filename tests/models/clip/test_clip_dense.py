"""Patches of tiny real CLIPs and SigLIPs against formulas, and what becomes of a tile."""

import json

import numpy as np
import pytest
import torch
from clip_factory import (
    SIDE_PX,
    load,
    make_tile,
    noisy_tile,
    save,
    tiny_clip,
    tiny_siglip,
    tiny_siglip2,
)
from PIL import Image
from transformers import SiglipModel

from geochg.errors import RunError
from geochg.models.clip.dense import DenseEncoder
from geochg.records import Outlines, PairFacts, Task, TileFailure
from geochg.tasks import ask

QUESTIONS = [ask(task) for task in (Task.PRESENCE, Task.CAPTION, Task.LOCATE)]
MAKERS = {"clip": tiny_clip, "siglip": tiny_siglip, "siglip2": tiny_siglip2}


@pytest.fixture(scope="module", params=list(MAKERS))
def folder(request, tmp_path_factory):
    return save(MAKERS[request.param](), tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    return save(tiny_clip(), tmp_path_factory.mktemp("clip"))


def picture(seed=0, size_px=SIDE_PX):
    return np.random.default_rng(seed).integers(0, 256, (3, size_px, size_px), dtype=np.uint8)


# --- patches -------------------------------------------------------------------------------------


def normalised(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def layer_norm(tokens, part):
    mean, var = tokens.mean(-1, keepdims=True), tokens.var(-1, keepdims=True)
    weight, bias = (getattr(part, name).detach().double().numpy() for name in ("weight", "bias"))
    return (tokens - mean) / np.sqrt(var + part.eps) * weight + bias


def linear(tokens, part):
    bias = 0 if part.bias is None else part.bias.detach().double().numpy()
    return tokens @ part.weight.detach().double().numpy().T + bias


def test_patches_of_a_clip_attend_to_patches_of_alike_queries(clip_folder):
    encoder = load(clip_folder).encoder
    shown = picture(1)
    result = DenseEncoder(encoder).likenesses([shown])
    assert result.shape == (1, 2, 2, 32)

    vision = encoder.model.vision_model
    mean, std = (
        np.array(values).reshape(3, 1, 1)
        for values in (
            (0.48145466, 0.4578275, 0.40821073),
            (0.26862954, 0.26130258, 0.27577711),
        )
    )
    pixels = torch.tensor((shown / 255 - mean) / std, dtype=torch.float32)[None]
    with torch.no_grad():
        states = vision(pixel_values=pixels, output_hidden_states=True).hidden_states
    last = vision.encoder.layers[-1]
    # The input of the last layer.
    tokens = layer_norm(states[-2][0].double().numpy(), last.layer_norm1)
    queries, values = (
        linear(tokens, part).reshape(5, 2, 8).transpose(1, 0, 2)
        for part in (last.self_attn.q_proj, last.self_attn.v_proj)
    )
    weights = np.exp(queries @ queries.transpose(0, 2, 1) / np.sqrt(8))
    weights /= weights.sum(-1, keepdims=True)
    local = linear((weights @ values).transpose(1, 0, 2).reshape(5, 16), last.self_attn.out_proj)
    local = layer_norm(local[1:], vision.post_layernorm)
    features = normalised(linear(local, encoder.model.visual_projection))
    wanted = np.exp(2.0) * features @ encoder.texts.double().numpy().T
    assert result[0].reshape(4, 32) == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("kind", ["siglip", "siglip2"])
def test_the_only_patch_of_a_siglip_is_the_whole_picture(kind, tmp_path):
    if kind == "siglip":
        model = tiny_siglip()
        model.config.vision_config.image_size = 14
        model = remade(model)
    else:
        model = tiny_siglip2(patches=1)
    folder = save(model, tmp_path)
    file = folder / "preprocessor_config.json"
    if not file.is_file():
        file = folder / "processor_config.json"
    values = json.loads(file.read_text())
    small = {"size": {"height": 14, "width": 14}} if kind == "siglip" else {"max_num_patches": 1}
    file.write_text(json.dumps(values | small))
    encoder = load(folder).encoder
    shown = [picture(seed, 14) for seed in range(3)]
    logits = DenseEncoder(encoder).likenesses(shown)[:, 0, 0].astype(float)
    powers = np.exp(logits)
    wanted = encoder.probabilities(shown)
    assert powers / powers.sum(-1, keepdims=True) == pytest.approx(wanted, rel=1e-3)
    assert np.ptp(wanted, axis=0).max() > 1e-3


def remade(model):
    """A model of another picture size, with the weights that fit."""
    torch.manual_seed(0)
    other = SiglipModel(model.config)
    weights = {
        name: value
        for name, value in model.state_dict().items()
        if value.shape == other.state_dict()[name].shape
    }
    other.load_state_dict(weights, strict=False)
    return other.eval()


def test_patches_lie_where_they_show(folder):
    model = load(folder)
    # Patches that do not attend to each other: one that changes is the only one that moves.
    layers = model.encoder.model.vision_model.encoder.layers
    with torch.no_grad():
        for layer in layers[:-1] if folder.name.startswith("clip") else layers:
            layer.self_attn.out_proj.weight.zero_()
    encoder = DenseEncoder(model.encoder)
    grey = np.full((3, SIDE_PX, SIDE_PX), 120, np.uint8)
    for row in range(2):
        for col in range(2):
            changed = grey.copy()
            part = (slice(row * 14, row * 14 + 14), slice(col * 14, col * 14 + 14))
            changed[:, *part] = picture(3, 14)
            before, after = encoder.likenesses([grey, changed])
            moved = np.abs(after - before).sum(-1)
            assert np.unravel_index(moved.argmax(), (2, 2)) == (row, col)


def test_windows_are_shown_whole_whatever_the_processor_would_cut(folder):
    encoder = DenseEncoder(load(folder).encoder)
    wide = np.concatenate((picture(1), picture(2)), axis=2)
    image = Image.fromarray(wide.transpose(1, 2, 0)).resize((SIDE_PX, SIDE_PX), 3)
    squeezed = np.asarray(image).transpose(2, 0, 1)
    assert encoder.likenesses([wide]) == pytest.approx(encoder.likenesses([squeezed]), abs=1e-4)


def test_a_full_memory_halves_the_batch_and_loses_no_window(clip_folder, monkeypatch):
    encoder = DenseEncoder(load(clip_folder).encoder)
    shown, tried = [picture(seed) for seed in range(5)], []
    wanted, whole = encoder.likenesses(shown), encoder._tokens

    def small(model, inputs):
        tried.append(len(inputs["pixel_values"]))
        if tried[-1] > 2:
            raise torch.OutOfMemoryError("no more")
        return whole(model, inputs)

    encoder._tokens = small
    assert encoder.likenesses(shown) == pytest.approx(wanted, abs=1e-4)
    assert tried == [5, 2, 2, 1]

    def none(model, inputs):
        raise torch.OutOfMemoryError("no more")

    encoder._tokens = none
    with pytest.raises(RunError, match="too little memory for one image"):
        encoder.likenesses(shown[:1])


# --- tiles ---------------------------------------------------------------------------------------


def test_a_tile_is_told_alike_in_any_company(folder):
    model = load(folder)
    tiles = [noisy_tile(seed) for seed in range(4)]
    together = model.answer(tiles, QUESTIONS)
    for tile, answers in zip(tiles, together, strict=True):
        (alone,) = model.answer([tile], QUESTIONS)
        assert answers[0].probability == pytest.approx(alone[0].probability, abs=1e-4)
        assert answers[2].layers_at() == pytest.approx(alone[2].layers_at(), abs=1e-3)
    assert len({answers[0].probability for answers in together}) > 1


def test_the_same_picture_twice_has_not_changed(folder):
    tile = noisy_tile(1)
    same = make_tile(tile.before, tile.before.copy())
    ((presence, caption, outlines),) = load(folder).answer([same], QUESTIONS)
    assert (presence.changed, caption.changed) == (False, False)
    assert presence.probability < 1e-3
    assert isinstance(outlines, Outlines)
    assert outlines.change.max() < 1e-3


def test_surveyed_tiles_are_encoded_once(clip_folder):
    model = load(clip_folder)
    tiles = [noisy_tile(seed) for seed in range(2)]
    whole, shown = model._dense.encoder._tokens, []

    def counted(*inputs):
        shown.append(len(inputs[1]["pixel_values"]))
        return whole(*inputs)

    model._dense.encoder._tokens = counted
    facts = PairFacts(("red", "green", "blue"), 1.0, "uint8")
    model.survey(facts, tiles[:1])
    of_tile = sum(shown)
    model.answer(tiles[:1], QUESTIONS)
    assert sum(shown) == of_tile
    # Another tile of the same window is another tile.
    model.survey(facts, tiles[:1])
    model.answer(tiles[1:], QUESTIONS)
    assert sum(shown) == 3 * of_tile


def test_what_is_not_valid_is_not_looked_at(folder):
    tile = noisy_tile(5)
    valid = np.ones((48, 48), bool)
    valid[:, 30:] = False
    spoiled = tile.after.copy()
    spoiled[:, ~valid] = 255
    model = load(folder, threshold=0.01, window_px=16)
    one, other = (
        model.answer([make_tile(tile.before, after, valid)], QUESTIONS)[0]
        for after in (tile.after, spoiled)
    )
    assert one[2].change == pytest.approx(other[2].change, abs=1e-4)
    assert not one[2].change[:, 30:].any()
    assert one[2].change.any()


def test_a_tile_without_numbers_fails_alone(clip_folder):
    model = load(clip_folder, window_px=48)
    tiles = [noisy_tile(seed) for seed in range(2)]
    whole = model._dense.encoder._tokens

    def broken(*inputs):
        tokens = whole(*inputs).clone()
        tokens[-1] = torch.nan
        return tokens

    model._dense.encoder._tokens = broken
    good, bad = model.answer(tiles, QUESTIONS)
    assert isinstance(bad, TileFailure)
    assert "no finite number" in bad.reason
    assert good[0].probability is not None


def test_one_band_is_shown_as_grey(folder):
    tile = noisy_tile(2)
    grey = make_tile(tile.before[:1], tile.after[:1])
    three = make_tile(tile.before[[0, 0, 0]], tile.after[[0, 0, 0]])
    first, second = load(folder).answer([grey, three], QUESTIONS[:1])
    assert first[0].probability == pytest.approx(second[0].probability, abs=1e-5)


def test_half_precision_sees_about_the_same(clip_folder):
    shown = [picture(4)]
    full = DenseEncoder(load(clip_folder).encoder).likenesses(shown)
    half = DenseEncoder(load(clip_folder, dtype="bfloat16").encoder).likenesses(shown)
    assert half == pytest.approx(full, abs=0.5)
    assert not np.array_equal(half, full)


# --- the user's own words ------------------------------------------------------------------------


def own(names, **facts):
    entries = [{"name": name} for name in names]
    return {"class_list": {"classes": entries} | facts}


def test_own_words_stand_before_a_background(clip_folder):
    model = load(clip_folder, **own(["solar panels", "swimming pool"]))
    assert len(model.classes) > 30
    kinds = model._dense.kinds
    assert kinds.names == ("solar panels", "swimming pool", "")
    ((outlines,),) = model.answer([noisy_tile(1)], [ask(Task.LOCATE)])
    names = {channel.class_name for channel in outlines.channels}
    assert names == {"solar panels", "swimming pool"}


def test_a_complete_list_has_no_background(clip_folder):
    model = load(clip_folder, **own(["lake", "forest", "road"], complete=True))
    assert [item.name for item in model.classes] == ["lake", "forest", "road"]
    assert "" not in model._dense.kinds.names


def test_synonyms_are_further_sentences(clip_folder):
    def texts(**facts):
        entries = [{"name": "forest"} | facts, {"name": "lake"}]
        model = load(clip_folder, class_list={"classes": entries, "complete": True})
        return model.encoder.texts, model.identity.checksum

    plain, checksum = texts()
    more, other_checksum = texts(synonyms=["orchard"])
    assert not torch.allclose(plain[0], more[0], atol=1e-3)
    assert torch.allclose(plain[1], more[1])
    assert checksum != other_checksum


def test_the_thesis_is_named_in_place_of_a_file(clip_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = load(clip_folder, classes="thesis", look="whole")
    assert len(model.classes) == 32
    assert model.classes[0].name == "landscape"
    bare = load(clip_folder, classes="thesis", templates=("{}",))
    assert torch.equal(model.encoder.texts, bare.encoder.texts)
