"""The model that ships: it loads, its exports are its weights, and its map is what it says."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from pasted_pairs import pasted_pairs
from scipy.stats import mannwhitneyu

import geochg
from geochg.errors import ModelError
from geochg.geometry.hysteresis import changed_pixels
from geochg.models.builtin import FOLDER
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.calibration import MAX_CUT, Calibration
from geochg.models.deltavlm.loading import open_model
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.models.deltavlm.runtime.onnx_vision import OnnxVision
from geochg.models.deltavlm.runtime.vision_output import DenseArrays
from geochg.models.registry import load_model
from geochg.records import Change, PairFacts, PixelWindow, Task, Tile, TileWindow
from geochg.tasks import ask

FACTS = PairFacts(("red", "green", "blue"), 0.25, "uint8")
ASKED = [
    ask(Task.PRESENCE),
    ask(Task.LOCATE),
    ask(Task.COUNT),
    ask(Task.CAPTION),
    ask(Task.DIALOGUE),
]
LARGEST_MB = 27  # compressed in the wheel, of which the gate holds that it has at most 25 MB


@pytest.fixture(scope="module")
def builtin():
    return load_model("builtin", {}, "cpu")


def tile_of(pair, index=0, bands=3):
    side_px = pair.changed.shape[0]
    whole = PixelWindow(0, side_px, 0, side_px)
    dates = [
        np.concatenate((date, date[:1] // 2 + 60)) if bands == 4 else date
        for date in (pair.before, pair.after)
    ]
    valid = np.ones(pair.changed.shape, bool)
    return Tile(TileWindow(index, 0, index, whole, whole), tuple(dates), valid)


@pytest.fixture(scope="module")
def pairs():
    """Enough to see whether it runs as it should, not how well it finds changes."""
    return pasted_pairs(10)


@pytest.fixture(scope="module")
def seen(builtin, pairs):
    """The pairs with what the model says of them."""
    answers = builtin.answer([tile_of(pair, index) for index, pair in enumerate(pairs)], ASKED)
    return list(zip(pairs, answers, strict=True))


# --- the files -----------------------------------------------------------------------------------


def test_it_comes_with_the_package_and_is_small():
    shipped = [
        path for path in FOLDER.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    assert FOLDER / "model.safetensors" in shipped
    assert sum(path.stat().st_size for path in shipped) <= LARGEST_MB * 1e6


def test_onnx_runtime_runs_it(builtin):
    assert isinstance(builtin.vision, OnnxVision)


@pytest.mark.parametrize(("zoom", "bands"), [(1.0, 3), (2.0, 4), (0.5, 3)])
def test_its_exports_see_what_its_weights_see(builtin, pairs, zoom, bands):
    model = DeltaVLMModel.of(
        *open_model(FOLDER, torch.float32, "cpu"), DeltaVLMOptions(), builtin.identity
    )
    assert builtin.detector.head == model.detector.head
    tiles = [tile_of(pair, index, bands) for index, pair in enumerate(pairs[:2])]
    exported = load_model("builtin", {"precision": "float32"}, "cpu")
    by_weights = model.detector.survey(tiles, 0.5, zoom=zoom)
    by_exports = exported.detector.survey(tiles, 0.5, zoom=zoom)
    for wanted, result in zip(by_weights.vectors, by_exports.vectors, strict=True):
        # Whitenings divide by what may be small.
        assert np.allclose(result, wanted, rtol=2e-2, atol=2e-2)
    wanted, result = (m.detector.detect(tiles, by_weights) for m in (model, exported))
    for view in ("dense", "half"):
        for name in DenseArrays._fields:
            first, other = (getattr(getattr(output, view), name) for output in (result, wanted))
            assert np.allclose(first, other, atol=5e-3), (view, name, np.abs(first - other).max())


def test_it_takes_no_source():
    with pytest.raises(ModelError, match="takes no source"):
        load_model("builtin:somewhere", {}, "cpu")


def test_its_identity_is_its_name_and_the_checksum_of_its_weights(builtin):
    assert builtin.identity.id == "builtin"
    assert re.fullmatch("sha256:[0-9a-f]{64}", builtin.identity.checksum)


def test_the_default_model_of_analyze_is_the_builtin():
    assert geochg.AnalyzeOptions().model == "builtin"


def test_its_calibration_is_whole_and_sane():
    saved = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))["dense_config"]
    if saved["calibration"] is None:
        pytest.skip("what ships is not calibrated")
    plain = Calibration.from_dict(saved["calibration"])
    assert plain.of_typical <= 0
    assert all(abs(cut) <= MAX_CUT for cut in plain.cuts(0.0, 1.0))
    if plain.confidence is not None:
        assert all(list(values) == sorted(values) for values in plain.confidence)
        assert all(0 <= value <= 1 for values in plain.confidence for value in values)


# --- what it says --------------------------------------------------------------------------------


def test_the_same_pair_gives_the_same_bytes_in_another_run(builtin, pairs):
    tiles = [tile_of(pair, index) for index, pair in enumerate(pairs[:3])]
    result = []
    for model, order in ((builtin, tiles), (load_model("builtin", {}, "cpu"), tiles[::-1])):
        model.survey(FACTS, tiles)
        answers = model.answer(order, [ask(Task.LOCATE)])
        result.append(
            {tile.window.index: first[0] for tile, first in zip(order, answers, strict=True)}
        )
    builtin.scene = None
    for index, first in result[0].items():
        assert first.layers_at().tobytes() == result[1][index].layers_at().tobytes()
        assert first.change.tobytes() == result[1][index].change.tobytes()


def test_presence_and_words_follow_from_the_map(seen):
    for _, (presence, outlines, counts, caption, dialogue) in seen:
        valid = np.ones(outlines.change.shape, bool)
        pixels = changed_pixels(outlines, valid)
        assert pixels is not None
        changed = pixels.changed
        assert presence.changed == caption.changed == changed.any()
        assert presence.probability == pytest.approx(
            outlines.change[~outlines.not_seen].max(), abs=1e-6
        )
        assert dialogue.presence == presence
        assert dialogue.counts == counts
        strongest = np.unique(pixels.channel[changed])
        classes = {pixels.channels[position].class_name for position in strongest}
        assert {name for name, count in counts.counts.items() if count} <= classes
        if not presence.changed:
            assert set(counts.counts.values()) == {0}


def test_its_language_model_is_never_asked(pairs):
    model = load_model("builtin", {}, "cpu")

    def refuse():
        raise AssertionError("the language model was loaded")

    model._load_language = refuse
    asked = [*ASKED, ask(Task.QUESTION, "What is new?")]
    (answers,) = model.answer([tile_of(pairs[0])], asked)
    assert len(answers) == len(asked)
    assert all(answers[1:])


def test_directions_turn_round_with_the_dates(builtin, pairs):
    pair = next(pair for pair in pairs if pair.changed.any())
    forth = tile_of(pair)
    back = replace(forth, dates=forth.dates[::-1])
    (first,), (other,) = builtin.answer([forth, back], [ask(Task.LOCATE)])
    assert np.allclose(first.change, other.change, atol=1e-3)
    assert np.mean(first.covers().before == other.covers().after) > 0.999
    turned = {Change.APPEARED: Change.DISAPPEARED, Change.DISAPPEARED: Change.APPEARED}
    places = {channel: position for position, channel in enumerate(other.channels)}
    for channel, layer in zip(first.channels, first.layers_at(), strict=True):
        opposite = channel._replace(change=turned.get(channel.change, channel.change))
        assert np.allclose(layer, other.layers_at()[places[opposite]], atol=5e-3), channel


def test_the_same_date_twice_has_hardly_changed(builtin, pairs):
    shares = []
    for index, pair in enumerate(pairs[:4]):
        first = tile_of(pair, index)
        ((result,),) = builtin.answer(
            [replace(first, dates=(first.before,) * 2)], [ask(Task.LOCATE)]
        )
        shares.append(float((result.change >= result.threshold).mean()))
    assert max(shares) < 0.01


def test_changed_cells_score_higher_than_unchanged_ones(seen):
    model, truth = [], []
    for pair, (_, outlines, *_) in seen:
        for row in range(3):
            for col in range(3):
                where = (slice(row * 85, row * 85 + 85), slice(col * 85, col * 85 + 85))
                model.append(outlines.change[where].mean())
                truth.append(pair.changed[where].mean() > 0.05)
    scores, changed = np.array(model), np.array(truth)
    wins = mannwhitneyu(scores[changed], scores[~changed]).statistic
    assert wins / (changed.sum() * (~changed).sum()) > 0.65


def test_only_tiles_on_which_something_may_have_changed_are_seen_in_full(
    builtin, pairs, monkeypatch
):
    """The noise of a sensor is none; a pasted house is."""
    shown = []
    encode = OnnxVision.encode

    def note(self, pixels):
        shown.append(pixels.shape[-1])
        return encode(self, pixels)

    changed = next(pair for pair in pairs if pair.changed.any())
    random = np.random.default_rng(1)
    noisy = np.clip(changed.before + random.normal(0, 2, changed.before.shape), 0, 255)
    quiet = changed._replace(after=noisy.astype(np.uint8))
    sides = {}
    for name, pair in (("quiet", quiet), ("changed", changed)):
        tile = tile_of(pair)
        builtin.survey(FACTS, [tile])
        monkeypatch.setattr(OnnxVision, "encode", note)
        shown.clear()
        builtin.answer([tile], ASKED)
        sides[name] = set(shown)
        monkeypatch.undo()
    side_px = changed.changed.shape[0]
    assert sides == {"quiet": {side_px // 2}, "changed": {side_px // 2, side_px}}
