"""The backend `clip`: the method against numpy, what it says, and the folders it refuses."""

import json
import shutil
from itertools import pairwise

import numpy as np
import pytest
import torch
from clip_factory import (
    HOUSES,
    LAKE,
    LAND,
    MEADOW,
    SIDE_PX,
    SOIL,
    TEXT_TOKENS,
    WOOD,
    make_tile,
    noisy_tile,
    save,
    tiny_clip,
    tiny_siglip,
    tokenizer,
)
from clip_factory import (
    load as load_dense,
)
from safetensors.torch import load_file, save_file

from geochg.classes import CLASSES
from geochg.errors import InputError, ModelError, OptionError, RunError
from geochg.features.cells import CellSettings, tile_result
from geochg.models.base import ModelIdentity
from geochg.models.clip.backend import ClipModel
from geochg.models.clip.classes import usual_classes
from geochg.models.clip.options import ClipOptions
from geochg.models.clip.scoring import DateClasses, probability, score_at
from geochg.records import Change, GridCell, Task
from geochg.tasks import ask

PRESENCE, CAPTION, LOCATE = (ask(task) for task in (Task.PRESENCE, Task.CAPTION, Task.LOCATE))
MAKERS = {"clip": tiny_clip, "siglip": tiny_siglip}


def load(folder, **options):
    """Of whole tiles."""
    return load_dense(folder, look="whole", **options)


@pytest.fixture(scope="module", params=list(MAKERS))
def folder(request, tmp_path_factory):
    return save(MAKERS[request.param](), tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    return save(tiny_clip(), tmp_path_factory.mktemp("clip"))


# --- the method ----------------------------------------------------------------------------------


def by_hand(folder, picture, classes, templates):
    """The probabilities of one `(3, height, width)` picture, in numpy but for the two towers."""
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    model = MAKERS[kind]()
    words = tokenizer()
    texts = []
    for item in classes:
        rows = []
        for template in templates:
            ids = words(template.format(item.phrase))["input_ids"]
            padded = ids + [1] * (TEXT_TOKENS - len(ids))
            given = {"input_ids": torch.tensor([padded])}
            if kind == "clip":
                given["attention_mask"] = torch.tensor([[int(i < len(ids)) for i in range(24)]])
            with torch.no_grad():
                row = model.get_text_features(**given).pooler_output[0].double().numpy()
            rows.append(row / np.linalg.norm(row))
        mean = np.mean(rows, axis=0)
        texts.append(mean / np.linalg.norm(mean))
    mean, std = (
        ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
        if kind == "clip"
        else ((0.5,) * 3, (0.5,) * 3)
    )
    mean, std = (np.array(values).reshape(3, 1, 1) for values in (mean, std))
    pixels = torch.tensor((picture / 255 - mean) / std, dtype=torch.float32)[None]
    with torch.no_grad():
        seen = model.get_image_features(pixel_values=pixels).pooler_output[0].double().numpy()
    logits = np.exp(2.0) * np.array(texts) @ (seen / np.linalg.norm(seen))
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def test_the_score_is_the_formula_by_hand(folder):
    # Of the model's own size, so that nothing is resampled.
    tile = noisy_tile(3, SIDE_PX)
    model = load(folder)
    wanted = [
        by_hand(folder, date, usual_classes().classes, ClipOptions().templates)
        for date in (tile.before, tile.after)
    ]
    result = model.encoder.probabilities([tile.before, tile.after])
    assert result == pytest.approx(np.array(wanted), rel=1e-4)
    score = np.abs(wanted[1] - wanted[0]).sum()
    assert score > 0.05
    ((presence,),) = model.answer([tile], [PRESENCE])
    assert presence.probability == pytest.approx(0.5 * score / 0.5, rel=1e-3)


def test_more_than_the_threshold_is_change_and_half_is_at_the_threshold(folder):
    tile = noisy_tile(3)
    model = load(folder)
    likely = model.encoder.probabilities([tile.before, tile.after])
    score = float(np.abs(likely[1] - likely[0]).sum())
    for threshold, changed in ((score * 0.99, True), (score * 1.01, False)):
        ((presence,),) = load(folder, threshold=threshold).answer([tile], [PRESENCE])
        assert presence.changed is changed
        assert (presence.probability > 0.5) is changed
    assert probability(score, score) == 0.5
    ((at,),) = load(folder, threshold=score).answer([tile], [PRESENCE])
    assert at.changed is (at.probability > 0.5)


def test_the_same_picture_twice_has_not_changed(folder):
    tile = noisy_tile(1)
    same = make_tile(tile.before, tile.before.copy())
    ((presence, caption, places),) = load(folder, threshold=1e-3).answer(
        [same], [PRESENCE, CAPTION, LOCATE]
    )
    assert presence.changed is False
    assert presence.probability < 1e-3
    assert caption.changed is False
    assert not any(places.cells.values())


@pytest.mark.parametrize("threshold", [0.0, 0.3, 1.0, 1.9])
def test_probability_rises_with_the_score_and_can_be_taken_back(threshold):
    scores = np.linspace(0.01, 2, 200)
    likely = [probability(score, threshold) for score in scores]
    assert all(a < b for a, b in pairwise(likely))
    assert probability(2.0, threshold) == 1.0
    assert [score_at(item, threshold) for item in likely] == pytest.approx(scores)
    options = ClipOptions(look="whole", threshold=threshold)
    wanted = ClipModel.presence_options(options, probability(0.7, threshold))
    assert wanted == {"threshold": pytest.approx(0.7)}
    assert ClipModel.presence_options(options, 0.0) == {"threshold": 0.0}


def test_swapping_the_dates_swaps_what_rose_and_what_fell(folder):
    tile = noisy_tile(3)
    model = load(folder, threshold=0.0)
    present, back = model.answer([tile, make_tile(tile.after, tile.before)], [PRESENCE, CAPTION])
    assert present[0].probability == pytest.approx(back[0].probability)
    old, new = present[1].text[:-1].lower().split(" became ")
    assert back[1].text[:-1].lower().split(" became ") == [new, old]
    assert old != new


def test_a_tile_is_told_alike_in_any_company(folder):
    model = load(folder, threshold=0.02)
    tiles = [noisy_tile(seed) for seed in range(5)]
    together = model.answer(tiles, [PRESENCE, CAPTION, LOCATE])
    for tile, answers in zip(tiles, together, strict=True):
        (alone,) = model.answer([tile], [PRESENCE, CAPTION, LOCATE])
        assert answers[0].probability == pytest.approx(alone[0].probability, abs=1e-5)
        assert answers[1] == alone[1]
        assert answers[2].changes == alone[2].changes
    assert len({answers[0].probability for answers in together}) == 5


def test_a_full_memory_halves_the_batch_and_loses_no_tile(clip_folder, monkeypatch):
    model = load(clip_folder)
    tiles = [noisy_tile(seed) for seed in range(7)]
    wanted = [a[0].probability for a in model.answer(tiles, [PRESENCE])]
    whole, tried = model.encoder.model.get_image_features, []

    def small(pixel_values):
        tried.append(len(pixel_values))
        if len(pixel_values) > 3:
            raise torch.OutOfMemoryError("no more")
        return whole(pixel_values=pixel_values)

    monkeypatch.setattr(model.encoder.model, "get_image_features", small)
    assert [a[0].probability for a in model.answer(tiles, [PRESENCE])] == pytest.approx(wanted)
    assert tried == [14, 7, 3, 3, 3, 3, 2]
    # What was learned stays.
    model.answer(tiles[:2], [PRESENCE])
    assert tried[-2:] == [3, 1]


def test_no_memory_for_one_picture_is_said(clip_folder, monkeypatch):
    model = load(clip_folder)

    def none(pixel_values):
        raise torch.OutOfMemoryError("no more")

    monkeypatch.setattr(model.encoder.model, "get_image_features", none)
    with pytest.raises(RunError, match="too little memory for one image"):
        model.answer([noisy_tile()], [PRESENCE])


# --- what is said, with an encoder that knows colours --------------------------------------------


class Colours:
    """A picture shows each class in the share of the pixels whose first band has its number."""

    def __init__(self):
        self.pictures = 0

    def probabilities(self, dates):
        self.pictures += len(dates)
        return np.array(
            [np.bincount(date[0].ravel(), minlength=len(LAND)) / date[0].size for date in dates]
        )


def model_of(encoder=None, **options):
    identity = ModelIdentity("clip:colours", "sha256:0")
    return ClipModel(encoder or Colours(), LAND, ClipOptions(look="whole", **options), identity)


def ground(kind, size_px=90):
    return np.full((3, size_px, size_px), kind, np.uint8)


@pytest.mark.parametrize(
    ("old", "new", "text", "class_name", "change"),
    [
        (SOIL, HOUSES, "Bare ground became houses.", "building", Change.APPEARED),
        (MEADOW, HOUSES, "A meadow became houses.", "building", Change.APPEARED),
        (HOUSES, SOIL, "Houses became bare ground.", "building", Change.DISAPPEARED),
        (HOUSES, LAKE, "Houses became a lake.", "water", Change.APPEARED),
        (LAKE, SOIL, "A lake became bare ground.", "water", Change.DISAPPEARED),
        (WOOD, SOIL, "A forest became bare ground.", "vegetation", Change.DISAPPEARED),
        (SOIL, MEADOW, "Bare ground became a meadow.", "vegetation", Change.APPEARED),
        (WOOD, MEADOW, "A forest became a meadow.", "vegetation", Change.ALTERED),
    ],
)
def test_what_became_what(old, new, text, class_name, change):
    tile = make_tile(ground(old), ground(new))
    ((caption, places),) = model_of().answer([tile], [CAPTION, LOCATE])
    assert (caption.text, caption.changed) == (text, True)
    assert places.changes == {class_name: change}
    assert places.cells == {class_name: {GridCell(r, c): 1.0 for r in range(3) for c in range(3)}}


def test_cells_are_looked_at_by_themselves():
    before, after = ground(MEADOW), ground(MEADOW)
    after[:, :30, 30:60] = HOUSES
    after[:, 60:75, 60:] = LAKE
    ((places,),) = model_of(threshold=0.2).answer([make_tile(before, after)], [LOCATE])
    assert places.cells == {
        "building": {GridCell(0, 1): 1.0},
        # Half of the cell: a score of 1.
        "water": {GridCell(2, 2): pytest.approx(0.5 + 0.5 * 0.8 / 1.8)},
    }
    assert places.changes == {"building": Change.APPEARED, "water": Change.APPEARED}


def test_a_class_that_came_and_went_was_altered():
    before, after = ground(MEADOW), ground(MEADOW)
    after[:, :30, :30] = HOUSES
    before[:, 60:, 60:] = HOUSES
    after[:, 60:, 60:] = SOIL
    ((places,),) = model_of(threshold=0.2).answer([make_tile(before, after)], [LOCATE])
    assert set(places.cells["building"]) == {GridCell(0, 0), GridCell(2, 2)}
    assert places.changes["building"] is Change.ALTERED


def test_cells_are_cut_where_features_are():
    before = np.zeros((3, 256, 256), np.uint8)
    after = before.copy()
    after[:, 85:171, 85:171] = HOUSES
    tile = make_tile(before, after)
    (answers,) = model_of(threshold=0.1).answer([tile], [PRESENCE, LOCATE])
    (cell,) = tile_result(tile, answers, CellSettings()).cells
    assert cell.polygon.bounds == (85, 85, 171, 171)
    assert cell.probability == 1.0


def test_unchanged_tiles_and_empty_cells_are_not_looked_at():
    encoder = Colours()
    valid = np.ones((90, 90), bool)
    valid[:, :30] = False
    tiles = [
        make_tile(ground(MEADOW), ground(MEADOW)),
        make_tile(ground(MEADOW), ground(HOUSES), valid),
    ]
    same, changed = model_of(encoder).answer(tiles, [PRESENCE, CAPTION, LOCATE])
    assert encoder.pictures == 4 + 6 * 2
    assert (same[0].changed, same[0].probability) == (False, 0.0)
    assert same[1].changed is False
    assert not any(same[2].cells.values())
    assert {cell.col for cell in changed[2].cells["building"]} == {1, 2}
    encoder.pictures = 0
    model_of(encoder).answer(tiles, [PRESENCE])
    assert encoder.pictures == 4


def test_one_band_is_shown_as_grey(folder):
    tile = noisy_tile(2)
    grey = make_tile(tile.before[:1], tile.after[:1])
    three = make_tile(tile.before[[0, 0, 0]], tile.after[[0, 0, 0]])
    first, second = load(folder).answer([grey, three], [PRESENCE])
    assert first == second


def test_scores_never_pass_two():
    assert DateClasses(np.array([1.0 + 1e-12, 0]), np.array([0, 1.0 + 1e-12])).score == 2.0


# --- classes -------------------------------------------------------------------------------------


def test_the_usual_classes_are_32_and_cover_geochgs():
    usual = usual_classes().classes
    assert len(usual) == 32
    assert {item.class_name for item in usual} == set(CLASSES)


def entry(**changes):
    values = {"name": "wood", "prompt": "a forest", "class": "vegetation"} | changes
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(["[[classes]]", *lines, ""])


def test_classes_of_ones_own(folder, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(entry() + entry(name="sea", prompt="the open sea", **{"class": "water"}))
    model = load(folder, classes=str(file), threshold=0.0)
    assert [item.name for item in model.classes] == ["wood", "sea"]
    tile = noisy_tile(4, SIDE_PX)
    wanted = by_hand(folder, tile.before, model.classes, ClipOptions().templates)
    assert model.encoder.probabilities([tile.before])[0] == pytest.approx(wanted, rel=1e-4)
    ((caption,),) = model.answer([tile], [CAPTION])
    assert caption.text in ("A forest became the open sea.", "The open sea became a forest.")


def test_other_classes_and_templates_are_another_model(folder, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(entry() + entry(name="b", prompt="a lake"))
    single = load(folder, classes=str(file)).identity
    file.write_text(entry() + entry(name="b", prompt="a river"))
    assert load(folder, classes=str(file)).identity.checksum != single.checksum
    assert load(folder).identity == load(folder).identity
    assert load(folder).identity.id == f"clip:{folder}"
    tile = noisy_tile(3)
    usual, other = load(folder), load(folder, templates=("{}",))
    assert usual.answer([tile], [PRESENCE]) != other.answer([tile], [PRESENCE])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("classes = 3", "no list of tables"),
        (entry(), "fewer than two classes"),
        (entry() + entry(name="b", prompt=" "), "class 2 is empty"),
        (entry() + entry(name="b"), "the prompt 'a forest' 2 times"),
    ],
)
def test_classes_files_that_make_no_sense(clip_folder, tmp_path, text, names):
    file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"own\.toml") as caught:
        load(clip_folder, classes=str(file))
    assert names in caught.value.message
    assert caught.value.hint


def test_a_classes_file_that_is_not_there(clip_folder, tmp_path):
    with pytest.raises(InputError, match="cannot read the class file"):
        load(clip_folder, classes=str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    "values",
    [
        {"threshold": -0.1},
        {"threshold": 2.0},
        {"templates": []},
        {"templates": ["a photo"]},
        {"templates": ["{} and {}"]},
        {"dtype": "int8"},
        {"window_px": 4},
        {"presence_threshold": 1.5},
        {"look": "whole", "presence_threshold": 0.7},
        {"look": "whole", "window_px": 64},
    ],
)
def test_options_that_make_no_sense(values):
    with pytest.raises(OptionError, match=list(values)[-1].removesuffix("s")):
        ClipOptions.from_dict(values)


# --- folders -------------------------------------------------------------------------------------


@pytest.fixture
def copy(clip_folder, tmp_path):
    return shutil.copytree(clip_folder, tmp_path / "model")


def without(*names):
    def spoil(folder):
        for name in names:
            (folder / name).unlink()

    return spoil


def of_type(name):
    def spoil(folder):
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"model_type": name}))

    return spoil


def written(name, text):
    return lambda folder: (folder / name).write_text(text)


def pickled(folder):
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def hole(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def another_size(folder):
    file = folder / "preprocessor_config.json"
    values = json.loads(file.read_text())
    file.write_text(json.dumps(values | {"crop_size": {"height": 30, "width": 30}}))


@pytest.mark.parametrize(
    ("spoil", "names"),
    [
        (without("config.json"), "has no config.json"),
        (written("config.json", "{"), "config.json is not JSON"),
        (written("config.json", "[]"), "no JSON object"),
        (of_type("bert"), "type 'bert'"),
        (of_type(["clip"]), "type ['clip']"),
        (without("model.safetensors"), "has no model.safetensors"),
        (pickled, "is a pickle"),
        (hole, "has no weight 'visual_projection.weight'"),
        (written("model.safetensors", "none"), "no safetensors file"),
        (without("preprocessor_config.json"), "has no preprocessor_config.json"),
        (written("preprocessor_config.json", "{"), "is not JSON"),
        (another_size, "cannot be used with the model: Input image size"),
        (without("tokenizer.json"), "has no tokenizer"),
        (written("tokenizer.json", "{"), "the tokenizer in"),
    ],
)
def test_bad_folders_are_refused(copy, spoil, names):
    spoil(copy)
    with pytest.raises(ModelError) as caught:
        load(copy)
    assert names in caught.value.message
    assert str(copy) in caught.value.message
    assert caught.value.hint


def test_a_prompt_too_long_for_the_model_is_named(clip_folder, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(entry() + entry(name="b", prompt="a " * 30 + "lake"))
    with pytest.raises(ModelError, match=f"the model reads {TEXT_TOKENS}"):
        load(clip_folder, classes=str(file))


def test_the_known_types_are_told(copy):
    of_type("blip")(copy)
    with pytest.raises(ModelError) as caught:
        load(copy)
    assert caught.value.hint == "known: clip, siglip, siglip2"


def test_half_precision_sees_about_the_same(folder):
    tile = noisy_tile(3)
    ((full,),) = load(folder).answer([tile], [PRESENCE])
    ((half,),) = load(folder, dtype="bfloat16").answer([tile], [PRESENCE])
    assert half.probability == pytest.approx(full.probability, abs=0.1)
    assert half.probability != full.probability
