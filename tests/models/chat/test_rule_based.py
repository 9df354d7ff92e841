from dataclasses import replace

import numpy as np
import pytest
import shapely

from geochg.models.chat.change_views import MapFeature, MapView, ObservedTile
from geochg.models.chat.rule_based import reply
from geochg.records import (
    CANNOT_TELL,
    LAND_COVER,
    Change,
    Channel,
    LandCover,
    Outlines,
)

BUILT = Channel("building", Change.APPEARED)
GONE = Channel("vegetation", Change.DISAPPEARED)
WATER = Channel("water", Change.ALTERED)
ROAD = Channel("road", Change.ALTERED)


def observed(*, counts=True, same=False):
    """30 x 30 m at 1 m: two buildings top left, vegetation gone bottom right, no water."""
    probability = np.zeros((4, 30, 30), np.float32)
    if not same:
        probability[0, 1:3, 1:5] = 0.9
        probability[0, 4:8, 1:8] = 0.9
        probability[1, 21:30, 21:31] = 0.8
    return ObservedTile(
        Outlines((BUILT, GONE, WATER, ROAD), probability),
        np.ones((30, 30), bool),
        1.0,
        900,
        counts,
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
        ("How many buildings are new?", "About 2 buildings appeared."),
        ("how many roads and buildings have changed", "About 2 buildings and no roads appeared."),
        ("How many new buildings are in the southeast?", "No buildings changed that I can see."),
        ("How many trees were cut?", "I do not know what 'cut' means"),
        ("How many trees have disappeared?", "I do not count vegetation areas. Vegetation"),
        ("What changed?", "Changes cover 13% of what the images show. Vegetation areas disappear"),
        ("What changed in the top left?", "Buildings appeared on 36"),
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
def test_answers_follow_from_what_is_outlined(question, answer):
    told = reply(question, observed())
    assert answer in told
    # What part of all changed is no answer about a part.
    assert ("Changes cover" in told) == (question == "What changed?")


def test_nothing_is_said_to_have_changed_where_nothing_did():
    still = observed(same=True)
    assert reply("Has anything changed?", still).startswith("No")
    assert reply("What changed?", still).startswith("Nothing has changed")
    assert reply("Where?", still).startswith("Nothing")


def test_a_model_that_does_not_count_says_so():
    assert reply("How many buildings?", observed(counts=False)).startswith("I do not count.")


def test_what_cannot_be_answered_is_said_with_what_can():
    replies = reply("Why?", observed())
    assert "roads, buildings, vegetation areas and water areas" in replies
    assert "larger model" in replies
    assert "--" not in replies


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
    seen = replace(observed(), pixel_area_m2=float("nan"))
    caught = "".join(reply("What has changed?", seen))
    # The larger first, as with a place.
    assert caught == (
        "Changes cover 13% of what the images show. "
        "Vegetation areas disappeared (bottom-right). Buildings appeared (top-left)."
    )


BARE, BUILDING, UNKNOWN = (*map(LAND_COVER.index, ("bare", "building")), CANNOT_TELL)


@pytest.mark.parametrize(
    ("before", "after", "answer"),
    [
        (BARE, BUILDING, "Buildings appeared on 49 m² (north-west)."),
        (UNKNOWN, BUILDING, "The surface changed on 130 m²"),
        (BARE, UNKNOWN, "The surface changed on 130 m²"),
        (BUILDING, BARE, "The surface changed on 130 m²"),
    ],
)
def test_changes_whose_class_land_cover_does_not_bear_out_are_called_other(before, after, answer):
    tile = observed()
    # One building of the least size of a change.
    tile.outlines.probability[0, 1:8, 1:8] = 0.9
    covers = LandCover(np.full((30, 30), before, np.uint8), np.full((30, 30), after, np.uint8))
    outlines = replace(tile.outlines, land_cover=covers)
    told = reply("Where has it changed?", replace(tile, outlines=outlines))
    assert answer in told
    # Vegetation is named by no land cover that is sure enough.
    assert "egetation" not in told


def test_specks_that_the_map_drops_are_not_counted():
    tile = observed()
    covers = LandCover(*(np.full((30, 30), cover, np.uint8) for cover in (BARE, BUILDING)))
    seen = replace(tile, outlines=replace(tile.outlines, land_cover=covers))
    # 8 and 28 m², where a change has at least 40.
    assert reply("How many buildings?", seen).startswith("No buildings")
    assert reply("How many buildings?", replace(seen, pixel_area_m2=10.0)).startswith("About 2")


@pytest.mark.parametrize(("pixel_area_m2", "is_named"), [(100.0, True), (9.0, True), (1.0, False)])
def test_water_is_named_in_coarse_pixels_only(pixel_area_m2, is_named):
    tile = observed()
    outlines = replace(tile.outlines, channels=(Channel("water", Change.APPEARED),) * 4)
    covers = LandCover(
        *(np.full((30, 30), cover, np.uint8) for cover in (BARE, LAND_COVER.index("water")))
    )
    seen = replace(tile, outlines=replace(outlines, land_cover=covers), pixel_area_m2=pixel_area_m2)
    assert ("Water areas appeared" in reply("What changed?", seen)) == is_named


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (
            "Hat sich etwas geändert?",
            "Ja. Vegetationsflächen sind auf 81 m² verschwunden (Südosten)",
        ),
        ("Wurden Gebäude gebaut?", "Ja. Gebäude sind auf 36 m² entstanden (Nordwesten)."),
        ("Sind Haeuser abgerissen worden?", "Nein, soweit ich sehe."),
        ("Gibt es neue Gewässer?", "Nein, soweit ich sehe."),
        ("Wo ist Vegetation verschwunden?", "auf 81 m² verschwunden (Südosten)."),
        ("Wie viel wurde gebaut?", "Gebäude sind auf 36 m² entstanden (Nordwesten)."),
        ("Wie viele Gebäude sind neu?", "Etwa 2 Gebäude entstanden."),
        ("Wie viele neue Gebäude sind im Südosten?", "Ich sehe keine geänderten Gebäude."),
        ("Was hat sich geändert?", "Änderungen bedecken 13 % dessen, was die Bilder zeigen."),
        ("Was ist oben links anders?", "Gebäude sind auf 36 m² entstanden"),
        ("WAS IST HIER WEG?", "Vegetationsflächen sind auf 81 m² verschwunden"),
        ("Beschreibe die Änderungen der Vegetation.", "Vegetationsflächen sind auf 81 m²"),
        ("Gibt es ein neues Schwimmbecken?", "„pool“ kann ich nicht sehen."),
        ("Wer hat das gebaut?", "Ich weiß nicht, was „wer“ hier heißt."),
    ],
)
def test_questions_in_german_are_answered_in_german(question, answer):
    text = reply(question, observed())
    assert answer in text
    assert "--" not in text


SQUARE = ("building", Change.APPEARED, 10, 10, 20, 20, 110.0)
"""Class, direction, corners in pixels, and the area that the map tells."""


def on_map(*rows):
    features = [
        MapFeature(Channel(name, change), shapely.box(*corners), area_m2)
        for name, change, *corners, area_m2 in rows
    ]
    return MapView(features, (90, 90))


MAP = on_map(
    SQUARE,
    ("building", Change.APPEARED, 70, 70, 75, 75, 25.0),
    # Half of it lies outside.
    ("water", Change.APPEARED, 80, 0, 100, 30, 600.0),
    ("tower", Change.DISAPPEARED, 0, 80, 10, 90, 100.0),
)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many buildings are new?", "2 buildings appeared."),
        ("How many new buildings are in the south-east?", "1 building appeared."),
        ("How many changes?", "2 buildings, 1 water area and 1 tower changed."),
        ("How many buildings were demolished?", "No buildings changed that I can see."),
        ("Where did water appear?", "Water areas appeared on 300 m² (north-east)."),
        ("How large are the new buildings?", "Buildings appeared on 140 m² (north-west, south-eas"),
        (
            "What changed?",
            "Changes cover 6% of what the images show. Water areas appeared on 300",
        ),
        ("Wie viele Änderungen gibt es?", "2 Gebäude, 1 Wasserfläche und 1 tower geändert."),
        ("What changed in the center?", "Nothing has changed, as far as I can see."),
    ],
)
def test_answers_from_a_map_tell_its_numbers_and_areas(question, answer):
    assert reply(question, MAP).startswith(answer)


def test_a_map_without_changes_answers_too():
    empty = on_map()
    assert reply("What changed?", empty) == "Nothing has changed, as far as I can see."
    assert reply("How many changes?", empty) == "Nothing has changed, as far as I can see."
    assert reply("How many roads?", empty) == "No roads changed that I can see."
