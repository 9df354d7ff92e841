"""The model that ships: it loads, it sees, and its card says what it is set to."""

import json
import re

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu

import geochg
from geochg.datasets.world.options import WorldOptions
from geochg.datasets.world.pair import scene
from geochg.errors import ModelError
from geochg.models.builtin import FOLDER
from geochg.models.deltavlm.backend import DeltaVLMModel, DeltaVLMOptions
from geochg.models.deltavlm.folder import open_model
from geochg.models.deltavlm.onnx_eyes import OnnxEyes
from geochg.models.deltavlm.onnx_speaker import OnnxSpeaker
from geochg.models.registry import load_model
from geochg.records import PixelWindow, Task, Tile, TileWindow
from geochg.tasks import ask

UNSEEN_SEED = 30_000_000


@pytest.fixture(scope="module")
def builtin():
    return load_model("builtin", {}, "cpu")


def tile_of(pair, index=0):
    side_px = pair.classes.shape[0]
    whole = PixelWindow(0, side_px, 0, side_px)
    valid = np.ones(pair.classes.shape, bool)
    return Tile(TileWindow(index, 0, index, whole, whole), pair.before, pair.after, valid)


@pytest.fixture(scope="module")
def seen(builtin):
    """Pairs of unseen seeds with what the model says of them."""
    options = WorldOptions(real_share=0)
    pairs = [scene(UNSEEN_SEED + number, options) for number in range(24)]
    asked = [ask(Task.PRESENCE), ask(Task.LOCATE), ask(Task.COUNT), ask(Task.CAPTION)]
    answers = builtin.answer([tile_of(pair, index) for index, pair in enumerate(pairs)], asked)
    return list(zip(pairs, answers, strict=True))


def test_it_comes_with_the_package_and_is_small():
    files = [FOLDER / "model.safetensors", *FOLDER.glob("*.onnx")]
    assert len(files) == 4
    assert sum(path.stat().st_size for path in files) < 25e6


def test_onnx_runtime_runs_it(builtin):
    assert isinstance(builtin.eyes, OnnxEyes)
    assert isinstance(builtin.speaker, OnnxSpeaker)


def test_its_eyes_see_what_its_weights_see(builtin):
    options = DeltaVLMOptions()
    model = DeltaVLMModel.of(*open_model(FOLDER, torch.float32, "cpu"), options, builtin.identity)
    tiles = [tile_of(scene(UNSEEN_SEED + n, WorldOptions(real_share=0)), n) for n in range(4)]
    found, wanted = builtin.eyes.look(tiles), model.eyes.look(tiles)
    assert found.seen.probability.max() > 0.5
    # Within what half precision leaves of folded norms, see `export.HALF_ERROR`.
    assert np.allclose(found.seen.probability, wanted.seen.probability, atol=1e-3)
    assert np.allclose(found.seen.presence, wanted.seen.presence, atol=1e-3)
    assert builtin.eyes.head == model.eyes.head


def test_it_takes_no_source():
    with pytest.raises(ModelError, match="takes no source"):
        load_model("builtin:somewhere", {}, "cpu")


def test_its_identity_is_its_name_and_the_checksum_of_its_weights(builtin):
    assert builtin.identity.id == "builtin"
    assert re.fullmatch("sha256:[0-9a-f]{64}", builtin.identity.checksum)


def test_changed_cells_of_unseen_pairs_score_higher_than_by_differencing(seen):
    cells = [(r, c) for r in range(3) for c in range(3)]
    model, difference, truth = [], [], []
    for pair, (_, outlines, *_) in seen:
        found = outlines.probability.max(axis=0)
        gap = differencing(pair.before, pair.after)
        for row, col in cells:
            where = (slice(row * 85, row * 85 + 85), slice(col * 85, col * 85 + 85))
            model.append(found[where].mean())
            difference.append(gap[where].mean())
            truth.append((pair.classes[where] > 0).mean() > 0.05)
    assert auroc(model, truth) > max(auroc(difference, truth), 0.75)


def test_presence_is_right_more_often_than_any_constant(seen):
    right = {True: [], False: []}
    for pair, (presence, *_) in seen:
        right[pair.changed].append(presence.changed == pair.changed)
    assert (np.mean(right[True]) + np.mean(right[False])) / 2 > 0.6


def test_unchanged_tiles_are_told_so_in_words(seen):
    assert sum(not presence.changed for _, (presence, *_) in seen) > 3
    for _, (presence, _, counts, caption) in seen:
        assert caption.changed == presence.changed or presence.changed
        if not presence.changed:
            assert set(counts.counts.values()) == {0}


def test_the_default_model_of_analyze_is_the_builtin():
    assert geochg.AnalyzeOptions().model == "builtin"


def test_the_card_names_the_thresholds_in_use():
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    dense = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))["dense_config"]
    for name in ("temperature", "threshold", "presence_threshold"):
        assert f"`{name}` {dense[name]:.2f}" in card


def differencing(before, after):
    def standard(image):
        values = image.astype(np.float64)
        mean, std = (getattr(values, f)(axis=(1, 2), keepdims=True) for f in ("mean", "std"))
        return (values - mean) / (std + 1e-6)

    return np.sqrt(((standard(before) - standard(after)) ** 2).sum(axis=0))


def auroc(scores, truth):
    scores, truth = np.array(scores), np.array(truth)
    wins = mannwhitneyu(scores[truth], scores[~truth]).statistic
    return wins / (truth.sum() * (~truth).sum())
