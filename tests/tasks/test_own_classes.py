"""Questions and answers about classes that a user names."""

import pytest

from geochg.class_list import ClassList
from geochg.records import GRID_CELLS, Caption, Change, Counts, Locations, Presence, Task, Unparsed
from geochg.tasks import SPECS, ask
from geochg.tasks.lexicon import USUAL_LEXICON, lexicon_of
from geochg.tasks.patterns import about_class, with_classes, worded_pattern

LIST = ClassList.from_dict(
    {
        "classes": [
            {
                "name": "solar panels",
                "synonyms": ["photovoltaic panels", "PV-array"],
                "description": "dark blue panels in rows",
            },
            {"name": "Swimming pool"},
            {"name": "Straßenschäden"},
        ]
    },
    "test",
)
OWN = LIST.asked_classes()
PANELS, POOL, DAMAGE = "solar panels", "Swimming pool", "Straßenschäden"
TOP_LEFT, CENTER = GRID_CELLS[0], GRID_CELLS[4]


def parse(task, text):
    return SPECS[task].parse(text, classes=OWN)


@pytest.mark.parametrize(
    ("text", "counts", "changes"),
    [
        ("3 solar panels have changed, and 1 swimming pool has changed.", {PANELS: 3, POOL: 1}, {}),
        ("There are 2 new Solar-Panels.", {PANELS: 2}, {PANELS: Change.APPEARED}),
        ("2 pv arrays were removed and no swimming pools.", {PANELS: 2, POOL: 0}, "gone"),
        ("Solar panels: 4, swimming pools: 0, straßenschäden: 2", "all", {}),
        ("There are no changes.", {PANELS: 0, POOL: 0, DAMAGE: 0}, {}),
        ("1 photovoltaic panel, 7 houses", {PANELS: 1}, {}),
    ],
)
def test_counts_of_a_users_classes(text, counts, changes):
    if counts == "all":
        counts = {PANELS: 4, POOL: 0, DAMAGE: 2}
    if changes == "gone":
        changes = {PANELS: Change.DISAPPEARED}
    assert parse(Task.COUNT, text) == Counts(counts, changes)


@pytest.mark.parametrize(
    "text",
    [
        "7 houses have changed.",  # nothing that was asked about
        "2 solar panels and 3 photovoltaic panels have changed.",  # two numbers of one class
        "Some solar panels have changed.",
        "3 zebras",
    ],
)
def test_counts_that_make_no_sense(text):
    assert isinstance(parse(Task.COUNT, text), Unparsed)


@pytest.mark.parametrize(
    ("text", "cells", "changes"),
    [
        (
            "solar panels: ['top-left', 'center']. swimming pools: [].",
            {PANELS: {TOP_LEFT, CENTER}, POOL: set()},
            {},
        ),
        (
            '{"solar_panels": ["top-left"], "Swimming pool": []}',
            {PANELS: {TOP_LEFT}, POOL: set()},
            {},
        ),
        ("new PV arrays: center. roads: top-left.", {PANELS: {CENTER}}, {PANELS: Change.APPEARED}),
        (
            "The changes in solar panels and swimming pools are: solar panel: TL",
            {PANELS: {TOP_LEFT}},
            {},
        ),
        ("There is no change.", {PANELS: set(), POOL: set(), DAMAGE: set()}, {}),
    ],
)
def test_locations_of_a_users_classes(text, cells, changes):
    answer = parse(Task.LOCATE, text)
    assert isinstance(answer, Locations)
    assert {name: set(named) for name, named in answer.cells.items()} == cells
    assert answer.changes == changes


def test_locations_of_other_classes_alone_make_no_sense():
    assert isinstance(parse(Task.LOCATE, "roads: [top-left]. buildings: []."), Unparsed)


def test_presence_and_caption_know_a_users_nouns():
    assert parse(Task.PRESENCE, "No, no new solar panels.") == Presence(False)
    assert parse(Task.PRESENCE, "Yes, two swimming pools have appeared.") == Presence(True)
    sentence = "Three Solar panels have appeared."
    assert parse(Task.CAPTION, sentence) == Caption(sentence, changed=True)
    assert isinstance(
        parse(Task.CAPTION, "No new solar panels."), Unparsed
    )  # says only what is not
    assert SPECS[Task.CAPTION].parse("No new solar panels.").changed  # words it does not know


def test_a_dialogue_is_read_by_the_users_words():
    turns = ["Yes", "2 new solar panels", "Solar panels have appeared."]
    answer = parse(Task.DIALOGUE, SPECS[Task.DIALOGUE].joined_turns(turns))
    assert answer.counts == Counts({PANELS: 2}, {PANELS: Change.APPEARED})


@pytest.mark.parametrize("task", [t for t in Task if t is not Task.QUESTION])
def test_prompts_name_the_classes(task):
    question = ask(task, classes=OWN)
    assert question.classes == OWN
    assert "solar panels, Swimming pools and Straßenschäden" in question.text
    assert question.text.count("solar panels: dark blue panels in rows.") == 1
    assert "{" not in question.text
    assert len(SPECS[task].turns(question.text)) == len(SPECS[task].prompts)
    assert "road" not in question.text


def test_words_of_the_users_own_may_name_the_classes():
    question = ask(Task.CAPTION, "What of {classes}?", OWN)
    assert question.text.startswith("What of solar panels, Swimming pools and Straßenschäden?")
    assert ask(Task.CAPTION, "What of {classes}?").text == "What of roads and buildings?"
    assert ask(Task.PRESENCE).text == SPECS[Task.PRESENCE].prompts[0]


def test_patterns_are_filled_once():
    text = about_class("Any {thing} of {things} in {cell}?", PANELS, OWN, "top left")
    assert text == (
        "Any solar panel of solar panels in top left? (solar panels: dark blue panels in rows.)"
    )
    assert worded_pattern("{a} {b}", a="{b}", b="c") == "{b} c"
    assert with_classes("{classes} {cell}", ()) == "roads and buildings {cell}"


def test_geochgs_own_classes_keep_their_words():
    classes = ClassList.of_names(["building", "water", "crane"]).asked_classes()
    answer = SPECS[Task.COUNT].parse("2 new houses, 1 pond, 1 crane, 4 trees", classes=classes)
    assert answer.counts == {"building": 2, "water": 1, "crane": 1}
    assert "buildings, water areas and cranes" in ask(Task.COUNT, classes=classes).text
    assert lexicon_of(()) is USUAL_LEXICON


def test_kinds_of_one_class_are_asked_about_together():
    entries = [{"name": "barn", "class": "building"}, {"name": "sheds", "class": "building"}]
    classes = ClassList.from_dict({"classes": entries}, "x").asked_classes()
    assert about_class("Any {thing}? How many {things}?", "building", classes) == (
        "Any barn or shed? How many barns and sheds?"
    )
    answer = SPECS[Task.LOCATE].parse("barns: TL", classes=classes)
    assert set(answer.cells) == {"building"}


def test_many_classes_stay_apart():
    names = [f"kind {'abcdefghij'[n // 10]}{'abcdefghij'[n % 10]}t" for n in range(100)]
    classes = ClassList.of_names(names).asked_classes()
    text = " ".join(f"{name}s: {number}." for number, name in enumerate(names))
    answer = SPECS[Task.COUNT].parse(text, classes=classes)
    assert answer.counts == {name: number for number, name in enumerate(names)}
