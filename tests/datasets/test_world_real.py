"""Real textures, from a folder made here in the layout of the shared one."""

import json

import numpy as np
import pytest
from PIL import Image

from geochg.datasets.world import WorldOptions, scene
from geochg.datasets.world.textures import Library, held_out

ZOOM, SIDE = 19, 2
COLUMN, ROW = 319_292, 270_960


def _degrees(x, y):
    lon = x / 2**ZOOM * 360 - 180
    return [lon, float(np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * y / 2**ZOOM)))))]


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    place = tmp_path / "oam_tiles" / _place()
    place.mkdir(parents=True)
    for x in range(SIDE):
        for y in range(SIDE):
            pixels = rng.integers(60, 120, (256, 256, 3)).astype(np.uint8)
            pixels[100:160, 100:160] = 250
            Image.fromarray(pixels).save(place / f"OAM-{COLUMN + x}-{ROW + y}-{ZOOM}.png")
    rings = []
    for x in range(SIDE):
        for y in range(SIDE):
            left, top = COLUMN + x + 100 / 256, ROW + y + 100 / 256
            step = 60 / 256
            corners = [(0, 0), (step, 0), (step, step), (0, step), (0, 0)]
            rings.append([_degrees(left + dx, top + dy) for dx, dy in corners])
    features = [
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
        for ring in rings
    ]
    (place / "labels.geojson").write_text(json.dumps({"features": features}))
    return tmp_path


def _place():
    block = f"{COLUMN >> 2}-{ROW >> 2}"
    return next(name for name in "abcdefgh" if not held_out(f"{name}-{block}"))


def _options(folder, **more):
    return WorldOptions(size_px=96, real_dir=str(folder), real_share=1.0, **more)


def test_pairs_on_real_ground_are_reproducible(folder):
    for seed in range(6):
        pair, again = (scene(seed, _options(folder)) for _ in range(2))
        assert pair.family.startswith(("real_", "fine", "coarse"))
        np.testing.assert_array_equal(pair.after, again.after)
        np.testing.assert_array_equal(pair.classes, again.classes)


def test_erased_buildings_are_marked_where_the_pictures_differ(folder):
    plain = {"nuisances": False, "unchanged_share": 0.0, "reversed_share": 0.0}
    pairs = [scene(seed, _options(folder, **plain)) for seed in range(40)]
    erased = [pair for pair in pairs if pair.family == "real_erased" and pair.changed]
    assert erased
    for pair in erased:
        difference = np.abs(pair.after.astype(int) - pair.before).max(0)
        assert difference[pair.classes > 0].mean() > 60
        assert pair.after[:, pair.classes > 0].mean() > pair.before[:, pair.classes > 0].mean()


def test_parts_for_training_and_validation_are_apart(folder):
    assert Library(str(folder), validation=False).mosaic(np.random.default_rng(0), 64) is not None
    assert Library(str(folder), validation=True).mosaic(np.random.default_rng(0), 64) is None


def test_an_empty_folder_leaves_the_drawn_world(tmp_path):
    pair = scene(1, _options(tmp_path))
    assert pair.family in ("fine", "coarse")
