"""Questions about one image, and the answers in words."""

import pytest

from geochg.class_list import ClassList
from geochg.errors import OptionError
from geochg.label_lists import SHIPPED_LISTS, list_path
from geochg.records import Task
from geochg.tasks.base import NonsenseError
from geochg.tasks.scene import (
    label_prompt,
    read_number,
    read_scene_caption,
    read_yes_or_no,
    scene_questions,
)

ALL = {Task.PRESENCE, Task.COUNT, Task.CAPTION}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes", True),
        ("no.", False),
        ("**Yes**, there are several roads.", True),
        ("No, there are no roads.", False),
        ("Yes. The image shows a road. No buildings.", True),
        ("Answer: no", False),
        ("No roads are visible.", False),
        ("<think>is there one? yes</think>No", False),
    ],
)
def test_yes_and_no_are_told_apart(text, expected):
    assert read_yes_or_no(text) is expected


@pytest.mark.parametrize("text", ["", "There are roads", "I am not sure", "Yes. No, it is not."])
def test_what_is_neither_or_both_makes_no_sense(text):
    with pytest.raises(NonsenseError):
        read_yes_or_no(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", 3),
        ("There are 12 buildings.", 12),
        ("three", 3),
        ("None.", 0),
        ("1,200", 1200),
        ("There is a building in it.", 1),
    ],
)
def test_one_number_is_read(text, expected):
    assert read_number(text) == expected


@pytest.mark.parametrize("text", ["", "many", "3 or 4", "3.5", "9" * 5000, "20000", "-"])
def test_other_numbers_make_no_sense(text):
    with pytest.raises(NonsenseError):
        read_number(text)


def test_a_caption_is_one_line_without_control_codes_or_refusals():
    assert read_scene_caption("A lake\n\x1b[31mand a wood.") == "A lake and a wood."
    assert read_scene_caption("I'm sorry, but I cannot see the image.") == ""


def test_each_label_is_asked_about_by_its_own_words():
    labels = ClassList.of_names(["solar panels", "lake"])
    questions = scene_questions(labels, ALL, {"presence": "Any {thing} here?"})
    prompts = [label_prompt(questions.presence, label) for label in questions.labels]
    assert prompts == ["Any solar panel here?", "Any lake here?"]
    assert "{things}" in questions.count
    assert scene_questions(labels, {Task.PRESENCE}).caption == ""


def test_prompts_that_would_not_be_asked_are_refused():
    labels = ClassList.of_names(["lake"])
    with pytest.raises(OptionError, match="locate"):
        scene_questions(labels, ALL, {"locate": "Where?"})
    with pytest.raises(OptionError, match="asks about no label"):
        scene_questions(labels, ALL, {"presence": "Is it there?"})
    with pytest.raises(OptionError, match="caption"):
        scene_questions(labels, {Task.PRESENCE}, {"caption": "What is it?"})


@pytest.mark.parametrize(
    ("name", "count"), list(zip(SHIPPED_LISTS, (24, 30, 7, 37), strict=True)), ids=SHIPPED_LISTS
)
def test_lists_that_come_with_geochg(name, count):
    labels = ClassList.read(list_path(name))
    assert len(labels.names) == count
    # Of a merged label one thing is asked, whatever went into it.
    assert len(labels.asked_classes()) == count


def test_all_labels_but_two_of_the_three_lists_go_into_a_merged_one():
    merged = ClassList.read(list_path("merged"))
    known = {word for item in merged.classes for word in (item.name, *item.synonyms)}
    labels = [name for part in SHIPPED_LISTS[:3] for name in ClassList.read(list_path(part)).names]
    assert {name for name in labels if name not in known} == {"grass", "river/lake"}


def test_a_file_of_the_user_goes_before_a_list_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mai").write_text('[[classes]]\nname = "lake"\n')
    assert ClassList.read(list_path("mai")).names == ("lake",)
