import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geochg.classes import CLASSES
from geochg.records import Change, Counts, Unparsed
from geochg.tasks.count import PROMPT, SPEC

NEW, GONE, ALTERED = Change.APPEARED, Change.DISAPPEARED, Change.ALTERED


def counts(road=None, building=None, **others):
    """`Counts` from numbers, or pairs of a number and a direction."""
    given = {"road": road, "building": building, **others}
    given = {name: value for name, value in given.items() if value is not None}
    numbers = {n: v[0] if isinstance(v, tuple) else v for n, v in given.items()}
    return Counts(numbers, {n: v[1] for n, v in given.items() if isinstance(v, tuple)})


READ = {
    # the forms of the data, as written and as the released text processor leaves them
    "There is 1 new road and 10 new houses.": counts((1, NEW), (10, NEW)),
    "there is 1 new road and 10 new houses": counts((1, NEW), (10, NEW)),
    "There are no changes in roads or buildings.": counts(0, 0),
    "there are no changes in roads or buildings": counts(0, 0),
    "There are no new roads or buildings": counts(0, 0),
    "There are no new roads, but 3 new buildings in the second image.": counts(0, (3, NEW)),
    "There are 2 new roads and no new buildings.": counts((2, NEW), 0),
    "1 road has changed, and 3 buildings has changed.": counts(1, 3),
    "1 road has changed and 3 buildings has changed": counts(1, 3),
    "In these two images, 1 new road has been built.": counts((1, NEW)),
    # numbers
    "Zero roads and twenty houses have changed.": counts(0, 20),
    "A road and an additional building have been added": counts((1, NEW), (1, NEW)),
    "1,200 buildings": counts(building=1200),
    "a 3-story building has been built": counts(building=(1, NEW)),
    "A total of 3 buildings have changed.": counts(building=3),
    # nouns
    "2 villas and 1 warehouse have been built": counts(building=(3, NEW)),
    "1 street, 2 residential buildings": counts(1, 2),
    "5 apartment buildings appeared": counts(building=(5, NEW)),
    "2 grasses and 1 wasteland have disappeared": counts(vegetation=(2, GONE), bare=(1, GONE)),
    "3 trees and 1 pond have disappeared": counts(vegetation=(3, GONE), water=(1, GONE)),
    "Some trees have been replaced by 5 houses and a road": counts(1, 5),
    "10 houses have been built along a road": counts(building=(10, NEW)),
    # directions
    "3 buildings have been demolished": counts(building=(3, GONE)),
    "1 road and 3 buildings are gone.": counts((1, GONE), (3, GONE)),
    "3 buildings are no longer there": counts(building=(3, GONE)),
    "removed 2 houses and built 1 road": counts((1, NEW), (2, GONE)),
    "added 3 houses, removed 1 road": counts((1, GONE), (3, NEW)),
    "2 new buildings have been constructed": counts(building=(2, NEW)),
    "There appear to be 2 roads": counts(2),
    "1 road has been widened.": counts((1, ALTERED)),
    "2 demolished houses and 5 new houses": counts(building=7),
    "no new roads, 2 removed roads": counts((2, GONE)),
    "15 houses have changed: 10 new houses and 5 removed houses.": counts(building=15),
    "10 houses where trees were removed": counts(building=10),
    "2 new houses were built after the old ones were demolished": counts(building=(2, NEW)),
    "Green space removed, 2 houses": counts(building=2),
    "Land has been cleared for 2 houses": counts(building=2),
    "Removed: 2 houses and 1 road": counts((1, GONE), (2, GONE)),
    "The construction of 3 buildings": counts(building=(3, NEW)),
    # one class, or one of them denied
    "There are 3 new buildings.": counts(building=(3, NEW)),
    "no roads have changed": counts(0),
    "The roads have not changed, but 3 buildings have been added.": counts(0, (3, NEW)),
    "1 road has changed and the buildings remain the same": counts(1, 0),
    "Neither roads nor buildings have changed.": counts(0, 0),
    "The images do not show any new roads.": counts(0),
    # lists
    "Roads: 2, buildings: 0": counts(2, 0),
    "**Roads**: 2\n**Buildings**: 10 new": counts(2, (10, NEW)),
    "1. Roads: none\n2. Buildings: 3 new buildings": counts(0, (3, NEW)),
    "- Roads changed: 1\n- Buildings changed: 2": counts(1, 2),
    "Number of changed roads: 2, number of changed buildings: 10": counts(2, 10),
    "The number of new houses is 10.": counts(building=(10, NEW)),
    "Roads (1), buildings (3)": counts(1, 3),
    '{"roads": 1, "buildings": 3}': counts(1, 3),
    "2 changes in roads and 3 changes in buildings": counts(2, 3),
    # no change at all
    "No.": counts(0, 0),
    "None": counts(0, 0),
    "No changes.": counts(0, 0),
    "No, there are no changes in roads or buildings.": counts(0, 0),
    "Nothing has changed": counts(0, 0),
    "the two scenes seem identical": counts(0, 0),
    # said twice, wrapped, echoed
    "There are 2 new roads. There are 2 new roads.": counts((2, NEW)),
    f"{PROMPT} 2 roads.</s>": counts(2),
    "How many roads have changed? 2 roads.": counts(2),
    "1 road has changed. No other changes.": counts(1),
}

NONSENSE = [
    "several new houses",
    "1 new road and several new houses",
    "a few houses",
    "a row of houses",
    "houses have been built",
    "dozens of buildings",
    "twenty-five houses",
    "-3 buildings",
    "Roads: -1",
    "10001 roads",
    "99999999999999999999 roads",
    "1.5 roads",
    "2-3 new houses",
    "2 or 3 new houses",
    "10+ houses",
    "50% of the buildings",
    "at least 3 buildings",
    "more than 5 houses",
    "42",
    "2 dragons",
    "2 changes in roads and buildings",
    "roads 0 buildings 3",
    "roads: 2 buildings: 3",
    "The number of buildings increased from 3 to 10.",
    "10 buildings, including 8 houses and 2 villas",
    "10 buildings (8 houses and 2 villas)",
    "There are 2 new roads. There are 3 new roads.",
    "no roads, and 2 roads",
    "2 new roads have been removed",
    "There are 2 houses in the first image and 5 houses in the second image.",
    "There is no change, except 1 new road.",
    "No, there are 3 new buildings.",
    "No changes. 3 new buildings.",
    "I cannot determine how many roads have changed.",
    "I do not know",
    "maybe 3 houses",
    "yes",
    "banana",
]

# A wrong reading of these turns a change into none, or the other way round.
TREACHEROUS = [
    "2 buildings have not changed",
    "2 unchanged buildings",
    "2 buildings remain unchanged",
    "2 buildings remain the same",
    "2 new houses have not been built",
    "not 3 buildings but 4",
    "not only 1 road",
    "1 road and the buildings have not changed",
    "no changes in roads and buildings have changed",
    "no changes in roads, and buildings have changed",
    "no, buildings have changed",
    "the roads cannot be counted",
    "I can not see roads",
]


def test_the_prompt_is_that_of_the_data():
    assert PROMPT == "Please determine how many roads and buildings have changed?"


@pytest.mark.parametrize(("text", "answer"), READ.items())
def test_reads(text, answer):
    assert SPEC.parse(text) == answer


@pytest.mark.parametrize("text", NONSENSE + TREACHEROUS)
def test_nonsense_is_unparsed(text):
    assert isinstance(SPEC.parse(text), Unparsed)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (counts(0, 0), "There are no changes in roads or buildings."),
        (counts(1, 3), "1 road has changed, and 3 buildings have changed."),
        (counts((1, NEW), (10, NEW)), "There is 1 new road and 10 new buildings."),
        (counts(0, (3, GONE)), "There are no changed roads and 3 removed buildings."),
        (counts(0), "No roads have changed."),
        (counts(building=2, road=1), "1 road has changed, and 2 buildings have changed."),
    ],
)
def test_writes_the_forms_of_the_data(answer, text):
    assert SPEC.render(answer) == text


@st.composite
def any_counts(draw):
    numbers = draw(
        st.dictionaries(st.sampled_from(CLASSES), st.integers(0, 10_000), min_size=1, max_size=6)
    )
    directed = [name for name, number in numbers.items() if number and draw(st.booleans())]
    return Counts(numbers, {name: draw(st.sampled_from(Change)) for name in directed})


@settings(deadline=None)
@given(any_counts())
def test_round_trip(answer):
    assert SPEC.parse(SPEC.render(answer)) == answer


@settings(deadline=None)
@given(any_counts())
def test_round_trip_through_the_released_text_processor(answer):
    stripped = SPEC.render(answer).lower().translate(str.maketrans('.!"()*#:;~', " " * 10))
    assert SPEC.parse(stripped) == answer


@pytest.mark.parametrize(
    "answer",
    [Counts({}), Counts({"dragon": 1}), Counts({"road": -1}), Counts({"road": 10_001})],
)
def test_what_cannot_be_written_is_refused(answer):
    with pytest.raises(ValueError, match="no text form"):
        SPEC.render(answer)
