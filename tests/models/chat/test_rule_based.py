from dataclasses import replace

import numpy as np
import pytest

from geochg.models.chat.rule_based import ObservedTile, reply
from geochg.records import (
    CANNOT_TELL,
    LAND_COVER,
    Caption,
    Change,
    Channel,
    Counts,
    LandCover,
    Outlines,
)

BUILT = Channel("building", Change.APPEARED)
GONE = Channel("vegetation", Change.DISAPPEARED)
WATER = Channel("water", Change.ALTERED)
ROAD = Channel("road", Change.ALTERED)


def observed(*, caption="two houses have been built", counts=True, same=False):
    """30 x 30 m at 1 m: a building top left, vegetation gone bottom right, no water."""
    probability = np.zeros((4, 30, 30), np.float32)
    if not same:
        probability[0, 2:8, 2:8] = 0.9
        probability[1, 21:30, 21:31] = 0.8
    return ObservedTile(
        Outlines((BUILT, GONE, WATER, ROAD), probability),
        np.ones((30, 30), bool),
        1.0,
        900,
        Counts({"building": 2, "road": 1}) if counts else None,
        Caption(caption, changed=True) if caption else None,
    )


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Has anything changed?", "Yes. Vegetation areas disappeared on 81 m² (south-east)."),
        ("Have buildings been built?", "Yes. Buildings appeared on 36 m² (north-west)."),
        ("Were any houses demolished?", "No, not that I can see."),
        ("Is there new water?", "No, not that I can see."),
        ("Where has vegetation been removed?", "on 81 m² (south-east)."),
        ("How much has been built?", "Buildings appeared on 36 m² (north-west)."),
        ("How many buildings are new?", "About 2 buildings changed."),
        ("how many roads and buildings have changed", "About 2 buildings and 1 road changed."),
        ("How many trees were cut?", "I do not know what 'cut' means"),
        ("How many trees have disappeared?", "I do not count vegetation areas. Vegetation"),
        ("What changed?", "Two houses have been built. Vegetation areas disappeared"),
        ("What changed in the top left?", "Two houses have been built. Buildings appeared on 36"),
        ("Has anything changed in the top right corner?", "No, not that I can see."),
        ("Has anything changed in the northwest?", "Yes. Buildings appeared on 36 m² (north-west)"),
        ("What is new in the South-East?", "Nothing has changed"),
        ("What is new in the center?", "Nothing has changed"),
        ("Describe the changes to the vegetation.", "Vegetation areas disappeared on 81 m²"),
        ("Is there a swimming pool?", "I cannot see 'pool'"),
        ("Who built the solar park?", "I do not know what 'who' means"),
        ("Nice", "I do not know what 'nice' means"),
        ("The buildings.", "I do not understand the question."),
    ],
)
def test_answers_follow_from_what_is_outlined_counted_and_described(question, answer):
    assert answer in reply(question, observed())


def test_nothing_is_said_to_have_changed_where_nothing_did():
    still = observed(same=True, caption="")
    assert reply("Has anything changed?", still).startswith("No")
    assert reply("What changed?", still).startswith("Nothing has changed")
    assert reply("Where?", still).startswith("Nothing")


def test_a_model_that_does_not_count_says_so():
    assert reply("How many buildings?", observed(counts=False)).startswith("I do not count.")


def test_what_cannot_be_answered_is_said_with_what_can():
    replies = reply("Why?", observed())
    assert "roads, buildings, vegetation areas and water areas" in replies
    assert "--model" in replies


def test_large_areas_are_in_hectares():
    seen = observed()
    large = replace(seen, pixel_area_m2=1000.0)
    assert "3.6 ha" in reply("How much has been built?", large)


def test_thirds_are_of_what_is_there_not_of_the_padding():
    seen = observed()
    valid = np.zeros((60, 60), bool)
    valid[:30, :30] = True
    padded = np.pad(seen.outlines.probability, ((0, 0), (0, 30), (0, 30)))
    larger = replace(seen, outlines=Outlines(seen.outlines.channels, padded), valid=valid)
    assert reply("Where?", larger) == reply("Where?", seen)


@pytest.mark.parametrize("shown_px", [80_000, 10_000, 900])
def test_a_change_counts_by_what_the_tile_shows_and_not_by_its_empty_part(shown_px):
    seen = observed()
    vast = np.pad(seen.outlines.probability, ((0, 0), (0, 970), (0, 970)))
    outlines = Outlines(seen.outlines.channels, vast)
    valid = np.ones((1000, 1000), bool)
    sparse = replace(seen, outlines=outlines, valid=valid, shown_px=shown_px)
    assert "81 m²" in reply("Where?", sparse)
    assert "81 m²" not in reply("Where?", replace(sparse, shown_px=1_000_000))


def test_pictures_without_a_place_have_no_area():
    seen = replace(observed(caption=""), pixel_area_m2=float("nan"))
    caught = "".join(reply("What has changed?", seen))
    # The larger first, as with a place.
    assert caught == ("Vegetation areas disappeared (bottom-right). Buildings appeared (top-left).")


BARE, UNKNOWN = LAND_COVER.index("bare"), CANNOT_TELL


@pytest.mark.parametrize(
    ("before", "after", "answer"),
    [
        (BARE, LAND_COVER.index("building"), "Buildings appeared on 36 m² (north-west)."),
        (UNKNOWN, LAND_COVER.index("building"), "Other objects were altered on 120 m²"),
        (BARE, UNKNOWN, "Other objects were altered on 120 m²"),
        (LAND_COVER.index("building"), BARE, "Other objects were altered on 120 m²"),
    ],
)
def test_changes_whose_class_land_cover_does_not_bear_out_are_called_other(before, after, answer):
    tile = observed()
    covers = LandCover(np.full((30, 30), before, np.uint8), np.full((30, 30), after, np.uint8))
    outlines = replace(tile.outlines, land_cover=covers)
    told = reply("Where has it changed?", replace(tile, outlines=outlines))
    assert answer in told
    # Vegetation is named by no land cover that is sure enough.
    assert "egetation" not in told
