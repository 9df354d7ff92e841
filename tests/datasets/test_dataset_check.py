"""The check finds each kind of trouble, and nothing where there is none."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from rasters import texture

from geochg.datasets.check import check_examples
from geochg.datasets.example import Example, ExampleTurn, Origin, SceneWindow
from geochg.datasets.examples import iter_examples
from geochg.records import PixelWindow, Task
from geochg.tasks import SPECS


@pytest.fixture
def splits(tmp_path):
    """Three pairs to train and two to test, all right."""
    result = {}
    for split, numbers in (("train", range(3)), ("test", range(3, 5))):
        result[split] = [example(tmp_path, number, split) for number in numbers]
    return result


def example(folder, number, split):
    paths = []
    for side in "AB":
        paths.append(folder / f"{side}{number}.png")
        save(paths[-1], texture(48, 48, 3, 10 * number + ord(side)))
    origin = Origin(folder / f"{split}.json", number + 1, str(number))
    turn = ExampleTurn(SPECS[Task.PRESENCE].prompts[0], "Yes" if number % 2 else "No")
    return Example(
        str(number), (turn,), *paths, task=Task.PRESENCE, changed=bool(number % 2), origin=origin
    )


def save(path, pixels):
    Image.fromarray(np.moveaxis(pixels, 0, -1)).save(path)


def kinds(splits, **options):
    return {t.kind: t.count for t in check_examples(splits, **options).problems}


def changed(splits, split, number, **values):
    splits[split][number] = replace(splits[split][number], **values)


def test_nothing_is_wrong_with_what_is_right(splits):
    report = check_examples(splits)
    assert report.problems == ()
    assert report.to_dict()["ok"] is True
    assert report.splits["train"] == {
        "rows": 3,
        "pairs": 3,
        "changed": 1,
        "unchanged": 2,
        "not_known": 0,
        "tasks": {"presence": 3},
    }


def test_missing_and_unreadable_images(splits):
    splits["train"][0].before.unlink()
    splits["test"][0].after.write_bytes(b"no picture")
    assert kinds(splits) == {"missing": 1, "unreadable": 1}
    assert kinds(splits, pixels=False) == {"missing": 1}


@pytest.mark.parametrize(
    ("name", "leads_out"),
    [
        ("{outside}", True),
        ("../outside.png", True),
        ("images/../../outside.png", True),
        ("..\\outside.png", True),
        ("C:\\outside.png", True),
        ("inside.png", False),
        ("images/..inside.png", False),
        ("a..b/inside.png", False),
    ],
)
def test_names_that_lead_out_of_the_folder(tmp_path, name, leads_out):
    (tmp_path / "set").mkdir()
    for picture in ("outside.png", "set/inside.png"):
        save(tmp_path / picture, texture(32, 32, 3))
    name = name.format(outside=tmp_path / "outside.png")
    talk = [{"from": "human", "value": "Changed?"}, {"from": "gpt", "value": "no"}]
    row = {"id": "7", "image": ["inside.png", name], "conversations": talk}
    (tmp_path / "set" / "rows.json").write_text(json.dumps([row, {**row, "id": "8"}]))
    outside_names = []
    examples = list(
        iter_examples(
            tmp_path / "set" / "rows.json", must_exist=False, on_outside=outside_names.append
        )
    )
    report = check_examples({"train": examples}, outside_names=outside_names, pixels=False)
    result = {trouble.kind: trouble for trouble in report.problems}
    assert ("outside" in result) is leads_out
    if leads_out:
        # Once, however many rows name it.
        assert result["outside"].count == 1
        assert name in result["outside"].shown[0]
        assert "row 1 (id '7')" in result["outside"].shown[0]


def test_sizes(splits):
    save(splits["test"][1].after, texture(48, 50, 3, 99))
    report = check_examples(splits)
    assert [trouble.kind for trouble in report.problems] == ["sizes"]
    assert "50 x 48" in report.problems[0].shown[0]


def test_answers_outside_the_grammar(splits):
    changed(splits, "train", 1, turns=(ExampleTurn("Changed?", "Maybe"),))
    report = check_examples(splits)
    assert "row 2 (id '1')" in report.problems[0].shown[0]
    assert [trouble.kind for trouble in report.problems] == ["grammar"]


def test_every_reference_is_read(splits):
    changed(splits, "test", 0, task=Task.CAPTION, references=("a house is built", "sorry"))
    assert kinds(splits) == {"grammar": 1}


def test_flags_against_answers(splits):
    changed(splits, "train", 1, changed=False)
    assert kinds(splits) == {"flags": 1}


def test_duplicate_ids_are_told_once_each(splits):
    origin = splits["train"][0].origin
    for number in (1, 2):
        changed(splits, "train", number, origin=replace(origin, number=number + 1))
    assert kinds(splits) == {"duplicate_ids": 1}


def test_the_same_image_in_two_splits(splits):
    changed(splits, "test", 0, before=splits["train"][0].before)
    assert kinds(splits, pixels=False) == {"leaks": 1}
    assert kinds(splits) == {"leaks": 1}


def test_a_copy_and_a_look_alike_in_two_splits(splits):
    source = splits["train"][0].before
    splits["test"][0].before.write_bytes(source.read_bytes())
    assert kinds(splits) == {"near_leaks": 1}
    image = Image.open(splits["train"][1].after).convert("RGB").point(lambda v: min(255, v + 4))
    path = splits["test"][1].after.with_suffix(".jpg")
    image.save(path, quality=80)
    changed(splits, "test", 1, after=path)
    assert kinds(splits) == {"near_leaks": 2}


def test_a_location_in_two_splits(splits):
    for split, number in (("train", 0), ("train", 1), ("test", 0)):
        changed(splits, split, number, location="airport/7")
    changed(splits, "test", 1, location="airport/8")
    report = check_examples(splits)
    assert [(t.kind, t.count) for t in report.problems] == [("location_leaks", 1)]
    assert report.problems[0].shown == ("'airport/7' in train and test",)


def test_flat_images_are_not_taken_for_copies(splits):
    for split, number, value in (("train", 0, 30), ("test", 0, 200)):
        save(splits[split][number].before, np.full((3, 48, 48), value, np.uint8))
    assert kinds(splits) == {}


@pytest.mark.parametrize(("start", "leaks"), [(40, {"window_leaks": 1}), (48, {})])
def test_windows_that_overlap(splits, start, leaks):
    changed(splits, "train", 0, scene_window=SceneWindow("town", PixelWindow(0, 48, 0, 48)))
    changed(
        splits, "test", 0, scene_window=SceneWindow("town", PixelWindow(0, 48, start, start + 48))
    )
    changed(splits, "test", 1, scene_window=SceneWindow("village", PixelWindow(0, 48, 0, 48)))
    assert kinds(splits) == leaks


def test_an_empty_split(splits):
    assert kinds(splits | {"val": []}) == {"empty": 1}
