"""The model radar on drawn pairs whose floods and speckle are known exactly."""

import numpy as np
import pytest
from model_scenes import QUESTIONS, Scene, outlines, probability, tiles
from radar_scenes import RadarScene, f1, facts, in_scale, radar_scene

from geochg.errors import ModelError, OptionError
from geochg.models.base import ChangeModel
from geochg.models.detectors.radar.backend import RadarModel
from geochg.models.detectors.radar.options import RadarOptions
from geochg.models.detectors.radar.statistics import CHANNELS
from geochg.models.registry import load_model
from geochg.records import Change, Channel, PairFacts, RadarBand, Tile, TileFailure

WENT, CAME = Channel("water", Change.DISAPPEARED), Channel("water", Change.APPEARED)


def surveyed(scene: RadarScene, scale: str = "db", **options: object) -> ChangeModel:
    model = RadarModel(RadarOptions.from_dict({"scale": scale, **options}))
    model.survey(facts(len(scene.before)), [scene.tile()])
    return model


def answers(scene: RadarScene, scale: str = "db", **options: object):
    """Presence, caption and the probabilities of the layers."""
    model = surveyed(scene, scale, **options)
    presence, caption, located = model.answer([scene.tile()], QUESTIONS)[0]
    return presence, caption, dict(zip(located.channels, located.probability, strict=True))


def changed(scene: RadarScene, scale: str = "db", **options: object) -> np.ndarray:
    layers = answers(scene, scale, **options)[2]
    return np.max(list(layers.values()), axis=0) >= 0.5


@pytest.mark.parametrize("looks", [(30.0, 4.4), (4.4, 4.4), (1.0, 1.0)])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.35])
def test_finds_the_flood_whatever_its_share_and_the_looks(share, looks):
    scene = radar_scene(share=share, looks=looks, size_px=192)
    assert f1(changed(scene), scene.flooded) > (0.9 if looks[0] > 1 and share > 0.01 else 0.7)


@pytest.mark.parametrize("polarisations", [1, 2])
@pytest.mark.parametrize("scale", ["db", "stretched"])
@pytest.mark.parametrize("looks", [(30.0, 4.4), (4.4, 4.4), (1.0, 1.0)])
def test_speckle_alone_is_no_change(looks, scale, polarisations):
    scene = radar_scene(share=0.0, looks=looks, polarisations=polarisations, seed=3)
    scale, scene = "db", in_scale(scene, scale)
    assert changed(scene, scale).mean() < 1e-3


def test_finds_the_same_places_in_each_scale():
    scene = radar_scene(seed=2)
    found = {name: changed(in_scale(scene, name), name) for name in ("intensity", "amplitude")}
    plain = changed(scene)
    for name, places in found.items():
        assert (places == plain).mean() > 0.9999, name


@pytest.mark.parametrize("share", [0.1, 0.35])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_finds_nearly_the_same_in_bytes_of_unknown_gain(is_reversed, share):
    scene = radar_scene(share=share, seed=4)
    scene = scene.reversed() if is_reversed else scene
    assert f1(changed(in_scale(scene, "stretched")), scene.flooded) > 0.9
    stretched, plain = changed(in_scale(scene, "stretched")), changed(scene)
    assert f1(stretched, plain) > 0.95


@pytest.mark.parametrize("scale", ["db", "stretched"])
def test_the_sign_tells_the_direction_and_a_dark_mode_water(scale):
    scene = in_scale(radar_scene(seed=5), scale)
    for pair, channel in ((scene, CAME), (scene.reversed(), WENT)):
        _, caption, layers = answers(pair)
        named = layers[channel] >= 0.5
        assert named[scene.flooded].mean() > 0.9
        assert f1(named, scene.flooded) > 0.9
        other = WENT if channel is CAME else CAME
        assert (layers[other] >= 0.5).mean() < 1e-3
        assert caption.text.startswith(f"Water {channel.change}")


def test_a_fall_that_does_not_reach_water_is_another_change():
    scene = radar_scene(fall_db=4.0, seed=6)
    layers = answers(scene)[2]
    other, water = ((layers[one] >= 0.5)[scene.flooded].mean() for one in (CHANNELS[0], CAME))
    assert other > 0.65
    assert water < other / 2


def test_two_polarisations_tell_more_than_one():
    scores = []
    for seed in range(3):
        scene = radar_scene(looks=(4.4, 4.4), fall_db=1.0, polarisations=2, seed=seed)
        one = RadarScene(scene.before[:1], scene.after[:1], scene.flooded)
        scores.append([f1(changed(pair), scene.flooded) for pair in (one, scene)])
    one_alone, both = np.mean(scores, axis=0)
    assert both > one_alone + 0.1


def test_a_brightened_date_is_no_change():
    scene = radar_scene(share=0.0, seed=7)
    wet = RadarScene(scene.before, scene.after + np.float32(2.5), scene.flooded)
    assert changed(wet).mean() < 1e-3


def test_the_same_image_twice_is_no_change():
    scene = radar_scene(share=0.0)
    presence, caption, _ = answers(RadarScene(scene.before, scene.before, scene.flooded))
    assert not presence.changed
    assert caption.text == "There is no difference."


def test_tiles_agree_whatever_their_size():
    scene = radar_scene(seed=8)
    valid = np.ones(scene.flooded.shape, bool)
    valid[40:60, 30:90] = False
    pair = Scene(scene.before, scene.after, scene.flooded, valid)
    maps = []
    for size_px in (96, 128):
        model = RadarModel(RadarOptions.from_dict({"scale": "db"}))
        model.survey(facts(), tiles(pair, size_px=size_px, overlap_px=32))
        maps.append(probability(model, pair, size_px=size_px, overlap_px=32))
    assert np.allclose(*maps, atol=1e-4)
    assert not maps[0][:, ~valid].any()


def test_pixels_that_are_no_numbers_fail_their_tile_only():
    scene = radar_scene()
    model = surveyed(scene)
    broken = scene.before.copy()
    broken[0, 3, 3] = np.nan
    first, second = model.answer([Tile.of_pair(broken, scene.after), scene.tile()], QUESTIONS)
    assert isinstance(first, TileFailure)
    assert outlines(second).probability.shape[0] == len(CHANNELS)


def test_zeros_among_intensities_are_dark_and_no_error():
    scene = in_scale(radar_scene(seed=9), "intensity")
    after = scene.after.copy()
    after[:, ::17, ::13] = 0
    found = changed(RadarScene(scene.before, after, scene.flooded), "intensity")
    assert f1(found, scene.flooded) > 0.8


def test_a_threshold_of_the_user_is_kept():
    scene = radar_scene(seed=1)
    assert changed(scene, threshold=1000.0).sum() == 0
    assert changed(scene, threshold=2.0).sum() > changed(scene, threshold=6.0).sum()


def test_given_looks_stand_for_estimated_ones():
    scene = radar_scene(seed=1)
    told = surveyed(scene, looks=4.4, looks_before=30.0).statistics.polarisations[0]
    found = surveyed(scene).statistics.polarisations[0]
    assert told.noise == pytest.approx(found.noise, rel=0.15)
    stretched = in_scale(scene, "stretched")
    assert f1(changed(stretched, looks=4.4, looks_before=30.0), scene.flooded) > 0.9


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (facts(), "do not say whether the values are intensity, amplitude or decibels"),
        (PairFacts(("red", "green", "blue"), 1.0, "uint8"), "named red, green, blue"),
        (facts(3), "one or two polarisations, and there are 3 bands"),
        (facts(1, radar=(RadarBand("vv", ("db", "")),)), "the after image does not say"),
    ],
)
def test_refuses_what_it_cannot_read_in_one_line(given, message):
    scene = radar_scene(size_px=32)
    model = load_model("radar")
    with pytest.raises(ModelError, match=message) as error:
        model.survey(given, [scene.tile()])
    assert "\n" not in str(error.value.message)
    assert error.value.hint


def test_takes_the_polarisations_among_bands_and_their_scales():
    scene = radar_scene(polarisations=2, seed=3)
    angle = np.full_like(scene.before[:1], 35.0)
    tile = Tile.of_pair(
        np.concatenate((angle, scene.before)),
        np.concatenate((angle, 10 ** (scene.after / 10))),
    )
    bands = (None, *(RadarBand(name, ("db", "intensity")) for name in ("vv", "vh")))
    model = load_model("radar")
    model.survey(PairFacts(("angle", "vv", "vh"), 100.0, "float32", bands), [tile])
    located = outlines(model.answer([tile], QUESTIONS)[0])
    assert f1(located.probability.max(axis=0) >= 0.5, scene.flooded) > 0.9


def test_too_few_pixels_are_told():
    scene = radar_scene(size_px=32)
    valid = np.zeros((32, 32), bool)
    valid[:9, :9] = True
    with pytest.raises(ModelError, match="radar found 9 windows of 7 x 7 px"):
        RadarModel(RadarOptions.from_dict({"scale": "db"})).survey(
            facts(), [Tile.of_pair(scene.before, scene.after, valid)]
        )


@pytest.mark.parametrize("options", [{"scale": "sigma"}, {"looks": 0.0}, {"threshold": 0}])
def test_refuses_options_that_make_no_sense(options):
    with pytest.raises(OptionError):
        load_model("radar", options)
