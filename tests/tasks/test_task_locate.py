import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geochg.classes import CLASSES
from geochg.records import GRID_CELLS, Change, Locations, Unparsed
from geochg.tasks.locate import PROMPT, SPEC

BY_NAME = {cell.name: cell for cell in GRID_CELLS}


def located(changes=None, **cells):
    """`Locations` from cell names separated by blanks."""
    result = {
        name: {BY_NAME[cell]: None for cell in names.split()} for name, names in cells.items()
    }
    return Locations(result, changes or {})


TWO = located(road="top-left top-center", building="center-center")
NONE = located(road="", building="")
READ = {
    # the data and the released text processor
    "roads: ['top-left', 'top-center']. buildings: ['center-center'].": TWO,
    "roads ['top-left', 'top-center'] buildings ['center-center']": TWO,
    "roads: []. buildings: [].": NONE,
    "roads [] buildings []": NONE,
    # the codes of the paper
    "roads: [TL, TC]. buildings: [CC].": TWO,
    "roads: ['tl', 'tc'], buildings: ['cc']": TWO,
    "buildings: [TL TC TR CL CC CR BL BC BR]": located(building=" ".join(BY_NAME)),
    # other ways to write names and lists
    "buildings: ['center']. roads: ['top-left', 'top-center'].": TWO,
    "Roads: top left, top centre\nBuildings: middle": TWO,
    "roads: [top_left; upper-center]; buildings: [center center]": TWO,
    '{"roads": ["top-left", "top-center"], "buildings": ["center-center"]}': TWO,
    "```json\n{'roads': ['top-left', 'top-center'], 'buildings': ['center']}\n```": TWO,
    "**Roads**: [\u2018top\u2011left\u2019, \u201ctop\u2013center\u201d]\nBuildings: `center`": TWO,
    "- Roads - top-left and top-center\n- Buildings - center": TWO,
    "roads = ['left-top', 'top-center', 'top-left'], houses = ['center-center']": TWO,
    "The locations of changes are: roads: ['top-left', 'top-center']. buildings: ['cc'].": TWO,
    f"{PROMPT} roads: ['top-left', 'top-center']. buildings: ['center-center'].</s>": TWO,
    # one class alone, other classes, directions, repetition
    "roads: ['bottom-right'].": located(road="bottom-right"),
    "vegetation: ['top-right']. bare land: []. water: ['bl']. other: ['cr']": located(
        vegetation="top-right", bare="", water="bottom-left", other="center-right"
    ),
    "new buildings: ['top-left']. roads: [].": located(
        {"building": Change.APPEARED}, building="top-left", road=""
    ),
    "roads: ['tl']. roads: ['top-left'].": located(road="top-left"),
    "roads: ['tl', 'tl']": located(road="top-left"),
    # no change
    "roads: none. buildings: N/A": NONE,
    "roads: [none], buildings: no changes": NONE,
    "There is no change.": NONE,
    "the scene is the same as before": NONE,
    "roads: []. buildings: []. There are no changes.": NONE,
}
NONSENSE = [
    "roads: ['north']",
    "roads: ['top']",
    "roads: ['left']",
    "roads: ['top-left', 'middle-earth']",
    "roads: ['top-top']",
    "roads: ['none', 'top-left']",
    "roads: ['top-left', 'top-",
    "roads: ['top-left'",
    "roads: . buildings: []",
    "roads: yes",
    "roads: [0, 4]",
    "roads:",
    "roads",
    "dragons: ['top-left']",
    "['top-left']",
    "top-left",
    "yes",
    "no",
    "roads: ['top-left'] roads: ['top-right']",
    "new roads: ['tl']. removed roads: ['tl'].",
    "roads: []. buildings: []. However, the top-left has changed.",
    "top-left: roads: []",
    "There are no roads: ['top-left']",
    "There is no change in roads.",
    "I cannot see: roads: []",
]


def test_the_prompt_is_that_of_the_data():
    assert PROMPT == (
        "Please indicate the locations where changes have occurred in the buildings and roads,"
        " using a 3x3 grid (namely, 'top', 'center', and 'bottom' vertically and 'left', 'center',"
        " 'right' horizontally)."
    )


@pytest.mark.parametrize(("text", "answer"), READ.items())
def test_reads(text, answer):
    assert SPEC.parse(text) == answer


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_is_unparsed(text):
    assert isinstance(SPEC.parse(text), Unparsed)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (TWO, "roads: ['top-left', 'top-center']. buildings: ['center-center']."),
        (NONE, "roads: []. buildings: []."),
        (located(building="", road="bottom-left top-left"), None),
    ],
)
def test_writes_the_form_of_the_data(answer, text):
    text = text or "roads: ['top-left', 'bottom-left']. buildings: []."
    assert SPEC.render(answer) == text


@st.composite
def any_locations(draw):
    listed = st.lists(st.sampled_from(GRID_CELLS), unique=True)
    cells = draw(st.dictionaries(st.sampled_from(CLASSES), listed, min_size=1))
    directed = [name for name, result in cells.items() if result and draw(st.booleans())]
    return Locations(
        {name: dict.fromkeys(result) for name, result in cells.items()},
        {name: draw(st.sampled_from(Change)) for name in directed},
    )


@settings(deadline=None)
@given(any_locations())
def test_round_trip(answer):
    assert SPEC.parse(SPEC.render(answer)) == answer


@settings(deadline=None)
@given(any_locations())
def test_round_trip_through_the_released_text_processor(answer):
    stripped = SPEC.render(answer).lower().translate(str.maketrans('.!"()*#:;~', " " * 10))
    assert SPEC.parse(stripped) == answer


@settings(deadline=None)
@given(any_locations().filter(lambda answer: any(answer.cells.values())), st.data())
def test_an_answer_cut_off_never_loses_cells_of_a_class(answer, data):
    text = SPEC.render(answer)
    cut = SPEC.parse(text[: data.draw(st.integers(0, len(text)))])
    if not isinstance(cut, Unparsed):
        assert cut.cells.items() <= answer.cells.items()


@pytest.mark.parametrize("answer", [Locations({}), Locations({"dragon": {}})])
def test_what_cannot_be_written_is_refused(answer):
    with pytest.raises(ValueError, match="no text form"):
        SPEC.render(answer)
