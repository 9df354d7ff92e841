"""Water, vegetation and the words for them."""

import numpy as np
import pytest
from model_scenes import QUESTIONS, RGBN, Scene, probability, surveyed, tiles
from scipy import ndimage

from geochg.models.detectors.cva import CvaModel
from geochg.models.detectors.irmad import IrmadModel
from geochg.models.detectors.options import CvaOptions, IrmadOptions
from geochg.models.detectors.sentences import NO_CHANGE, sentence
from geochg.models.detectors.spectral import (
    CHANNELS,
    VEGETATION_CUT,
    WATER_CUT,
    cover_bands,
    valley,
)
from geochg.records import Change, Channel
from geochg.tasks.statements import NO_CHANGE_SENTENCES

# Red, green, blue, near infrared as 8-bit imagery shows them.
GRASS = (60, 90, 60, 180)
WATER = (45, 60, 65, 20)
SOIL = (150, 140, 120, 165)
ROOF = (220, 210, 215, 225)

COVERS = {"grass": GRASS, "water": WATER, "soil": SOIL, "roof": ROOF}


def landscape(edits: dict[tuple[int, int], str]) -> Scene:
    """Grass with a lake and a field; each edit turns 30x30 px at its place into another cover."""
    rng = np.random.default_rng(0)
    kind = np.full((256, 256), "grass", object)
    kind[180:250, 20:120] = "water"
    kind[20:120, 150:250] = "soil"
    changed = kind.copy()
    for (row, col), cover in edits.items():
        changed[row : row + 30, col : col + 30] = cover
    shade = 1 + 0.08 * ndimage.gaussian_filter(rng.normal(size=kind.shape), 4) * 14

    def look(kinds: np.ndarray) -> np.ndarray:
        bands = np.zeros((4, *kinds.shape))
        for name, color in COVERS.items():
            bands[:, kinds == name] = np.array(color)[:, None]
        return (bands * shade + rng.normal(size=bands.shape)).astype(np.float32)

    return Scene(look(kind), look(changed), kind != changed, np.ones(kind.shape, bool))


MODELS = [CvaModel.load("", CvaOptions(), "cpu"), IrmadModel.load("", IrmadOptions(), "cpu")]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize(
    ("place", "cover", "channel"),
    [
        ((40, 40), "water", Channel("water", Change.APPEARED)),
        ((200, 40), "grass", Channel("water", Change.DISAPPEARED)),
        ((200, 40), "soil", Channel("water", Change.DISAPPEARED)),
        ((60, 180), "grass", Channel("vegetation", Change.APPEARED)),
        ((40, 40), "soil", Channel("vegetation", Change.DISAPPEARED)),
        ((60, 180), "roof", Channel("other", Change.ALTERED)),
    ],
)
def test_tells_what_changed_and_how(model, place, cover, channel):
    pair = landscape({place: cover})
    result = probability(surveyed(model, pair, RGBN), pair)
    inner = ndimage.binary_erosion(pair.truth, iterations=2)
    assert (result[CHANNELS.index(channel)][inner] >= 0.5).mean() > 0.95


def test_the_caption_says_the_measured_shares():
    pair = landscape({(40, 40): "water", (60, 180): "roof"})
    model = surveyed(MODELS[1], pair, RGBN, size_px=288)
    ((_, caption, result),) = model.answer(tiles(pair, size_px=288), QUESTIONS)
    assert caption.text in (
        "Water appeared on 1% of this tile; the surface changed on 1%.",
        "The surface changed on 1% of this tile; water appeared on 1%.",
    )
    assert caption.changed
    assert np.count_nonzero(result.probability >= 0.5) / pair.valid.size == pytest.approx(
        2 * 900 / 256**2, rel=0.3
    )


def test_without_near_infrared_there_is_one_channel():
    pair = landscape({(40, 40): "water"})
    rgb = pair.where(before=pair.before[:3], after=pair.after[:3])
    model = surveyed(MODELS[1], rgb, RGBN[:3])
    result = model.answer(tiles(rgb), QUESTIONS)[0][2]
    assert result.channels == (Channel("other", Change.ALTERED),)
    assert cover_bands(("nir", "swir")) is None


@pytest.mark.parametrize("bands", [("red", "nir"), ("green", "nir"), ("swir", "nir", "green")])
def test_two_of_the_bands_are_enough(bands):
    assert cover_bands(bands) is not None


def test_red_stands_in_for_green():
    pair = landscape({(40, 40): "water"})
    order = [3, 0]
    two = pair.where(before=pair.before[order], after=pair.after[order])
    result = probability(surveyed(MODELS[1], two, ("nir", "red")), two)
    channel = CHANNELS.index(Channel("water", Change.APPEARED))
    assert (result[channel][50:60, 50:60] >= 0.5).all()


def test_the_valley_lies_between_the_hills():
    rng = np.random.default_rng(0)
    hills = np.concatenate((rng.normal(-0.3, 0.08, 9000), rng.normal(0.5, 0.08, 1000)))
    assert 0.0 < valley(hills, WATER_CUT) < 0.3
    assert valley(hills[:9000], WATER_CUT) == WATER_CUT.otherwise
    assert valley(hills[:0], VEGETATION_CUT) == VEGETATION_CUT.otherwise


def test_sentences():
    water = Channel("water", Change.APPEARED)
    trees = Channel("vegetation", Change.DISAPPEARED)
    other = Channel("other", Change.ALTERED)
    assert sentence({water: 0.12, trees: 0.031}) == (
        "Water appeared on 12% of this tile; vegetation disappeared on 3%."
    )
    assert sentence({other: 0.4, trees: 0.001}) == "The surface changed on 40% of this tile."
    assert sentence({trees: 0.001}) == "Vegetation disappeared on less than 1% of this tile."
    assert NO_CHANGE.lower().rstrip(".") in NO_CHANGE_SENTENCES
