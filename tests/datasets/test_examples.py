"""Every format reads as one type, and what is wrong is named with file and row."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geochg.datasets.examples import ExampleTurn, load_pair, read_examples
from geochg.datasets.question_tasks import answer_fault, task_asked
from geochg.errors import InputError
from geochg.extras import MissingExtraError
from geochg.records import PixelWindow, Task
from geochg.tasks import SPECS

CAPTION = SPECS[Task.CAPTION].prompts[0]


def picture(path: Path, value: int = 0, side: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), (value, 2, 3)).save(path)
    return path


@pytest.fixture
def images(tmp_path):
    for side, value in (("A", 10), ("B", 200)):
        picture(tmp_path / "train" / side / "one.png", value)
    return tmp_path


def rows_file(folder, rows, name="rows.json"):
    path = folder / name
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def talk(*pairs):
    return [
        turn
        for asked, said in pairs
        for turn in ({"from": "human", "value": asked}, {"from": "gpt", "value": said})
    ]


IMAGE = ["train/A/one.png", "train/B/one.png"]


def test_changechat_instructions(images):
    dialogue = zip(
        SPECS[Task.DIALOGUE].prompts,
        ("No", "There are no changes.", "no change has occurred"),
        strict=True,
    )
    free = ("<image>\n<image>\nIs it bigger?", "A bit.")
    rows = [
        {"id": 7, "image": IMAGE, "changeflag": 1,
         "conversations": talk((f"<image> <image> {CAPTION}", "a house is built"))},
        {"id": 8, "image": IMAGE, "conversations": talk(*dialogue)},
        {"id": 9, "image": IMAGE, "conversations": talk(free)},
    ]  # fmt: skip
    first, second, third = read_examples(rows_file(images, rows, "changechat_105k_train.json"))
    assert first.id == "7"
    assert first.turns == (ExampleTurn(CAPTION, "a house is built"),)
    assert (first.before, first.after) == tuple(images / name for name in IMAGE)
    assert (first.task, first.changed, first.split) == (Task.CAPTION, True, "train")
    assert (second.task, second.changed, len(second.turns)) == (Task.DIALOGUE, False, 3)
    assert (third.task, third.changed) == (Task.QUESTION, None)
    assert third.turns[0].question == "Is it bigger?"


def test_caption_rows_keep_all_references(images):
    row = {"image_A": IMAGE[0], "image_B": IMAGE[1], "captions": ["a", "b", "c"], "changeflag": 0}
    (result,) = read_examples(rows_file(images, [row], "changechat_105k_test.json"))
    assert result.references == ("a", "b", "c")
    assert (result.task, result.changed, result.split) == (Task.CAPTION, False, "test")
    assert result.turns == (ExampleTurn(CAPTION, "a"),)


def test_levir_captions(images):
    entry = {"filename": "one.png", "filepath": "train", "split": "val", "imgid": 4,
             "changeflag": 1,
             "sentences": [{"raw": " a road is built"}, {"raw": "a new road"}]}  # fmt: skip
    (result,) = read_examples(rows_file(images, {"images": [entry], "dataset": "x"}))
    assert result.references == ("a road is built", "a new road")
    assert result.after == images / "train" / "B" / "one.png"
    assert (result.split, result.changed, result.id) == ("val", True, "4")


def test_table(images):
    table = images / "rows.csv"
    table.write_text(
        "before,after,question,answer,changed,task\n"
        'train/A/one.png,train/B/one.png,"Well, what?",Nothing,0,question\n',
        encoding="utf-8",
    )
    (result,) = read_examples(table)
    assert result.turns == (ExampleTurn("Well, what?", "Nothing"),)
    assert (result.task, result.changed) == (Task.QUESTION, False)


def test_a_table_of_labels_asks_for_presence(images):
    table = images / "rows.csv"
    table.write_text("before,after,changed\ntrain/A/one.png,train/B/one.png,yes\n")
    (result,) = read_examples(table)
    assert (result.task, result.changed, result.turns[0].answer) == (Task.PRESENCE, True, "Yes")


def test_windows_of_placed_tiles(images):
    row = {"id": 0, "image": IMAGE, "conversations": talk((CAPTION, "x")),
           "scene": "town", "window": [0, 8, 16, 24]}  # fmt: skip
    (result,) = read_examples(rows_file(images, [row]))
    assert result.scene_window.scene == "town"
    assert result.scene_window.window == PixelWindow(0, 8, 16, 24)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".tif"])
def test_two_frame_files(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ((250, 0, 0), (0, 0, 250))]
    frames[0].save(tmp_path / f"v{suffix}", save_all=True, append_images=frames[1:])
    row = {"id": "v", "video": f"v{suffix}", "conversations": talk(("<video>\nWhat?", "That."))}
    (result,) = read_examples(rows_file(tmp_path, [row]))
    before, after = load_pair(result)
    assert before.shape == (3, 6, 8)
    assert before.dtype == np.uint8
    assert before[0].min() > 200
    assert after[2].min() > 200


def test_two_frame_folder_and_its_order(tmp_path):
    for name, value in (("b.png", 9), ("a.png", 5)):
        picture(tmp_path / "v" / name, value)
    row = {"video": "v", "conversations": talk(("What?", "That."))}
    before, after = load_pair(read_examples(rows_file(tmp_path, [row]))[0])
    assert (before[0, 0, 0], after[0, 0, 0]) == (5, 9)


def test_a_video_of_three_frames_is_refused(tmp_path):
    frames = [Image.new("RGB", (8, 8), (value, 0, 0)) for value in (0, 90, 250)]
    frames[0].save(tmp_path / "v.gif", save_all=True, append_images=frames[1:])
    row = {"video": "v.gif", "conversations": talk(("What?", "That."))}
    with pytest.raises(InputError, match="more than two frames"):
        load_pair(read_examples(rows_file(tmp_path, [row]))[0])


def test_videos_without_pyav_say_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    (tmp_path / "v.mp4").write_bytes(b"x")
    row = {"video": "v.mp4", "conversations": talk(("What?", "That."))}
    with pytest.raises(MissingExtraError, match=r"^av is not .*geochg\[video\]"):
        load_pair(read_examples(rows_file(tmp_path, [row]))[0])


def test_pictures_keep_their_values(images):
    row = {"image": IMAGE, "conversations": talk((CAPTION, "x"))}
    before, after = load_pair(read_examples(rows_file(images, [row]))[0])
    assert before.shape == after.shape == (3, 8, 8)
    assert before[:, 3, 3].tolist() == [10, 2, 3]
    assert after[:, 3, 3].tolist() == [200, 2, 3]


def test_malformed_json_names_file_and_line(tmp_path):
    path = tmp_path / "bad.json"
    path.write_text('[\n {"id": 1},\n {"id": ]\n')
    with pytest.raises(InputError, match=r"bad\.json, line 3, column 9"):
        read_examples(path)


def test_malformed_json_lines_name_the_line(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text('\n{"id": \n')
    with pytest.raises(InputError, match="line 2"):
        read_examples(path)


GOOD = {"id": 5, "image": IMAGE, "conversations": talk((CAPTION, "x"))}


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"image": "one.png"}, "one image"),
        ({"image": ["a.png"]}, "no two images"),
        ({"image": ["train/A/one.png", "train/B/two.png"]}, "two.png"),
        ({"image": ["train/A/one.png", "a\0b"]}, "no name"),
        ({"conversations": []}, "no conversations"),
        ({"conversations": talk((CAPTION, "x"))[:1]}, "take turns"),
        ({"conversations": [{"from": "cat", "value": "x"}]}, "no speaker"),
        ({"changeflag": 2}, "changeflag"),
        ({"task": "sing"}, "no task 'sing'"),
        ({"scene": "a", "window": [1, 2]}, "window"),
        ({"captions": [""]}, "no captions"),
    ],
)
def test_a_row_names_its_number_and_id(images, change, names):
    path = rows_file(images, [GOOD, GOOD | change])
    with pytest.raises(InputError, match=rf"rows\.json, row 2 \(id '5'\).*{names}"):
        read_examples(path)


def test_missing_images_may_be_left_to_the_check(images):
    path = rows_file(images, [GOOD | {"image": ["no/a.png", "no/b.png"]}])
    assert read_examples(path, must_exist=False)[0].before == images / "no" / "a.png"


def test_the_folder_of_images_can_be_named(images, tmp_path_factory):
    path = rows_file(tmp_path_factory.mktemp("rows"), [GOOD])
    with pytest.raises(InputError, match="no file"):
        read_examples(path)
    assert read_examples(path, images)[0].before == images / IMAGE[0]


def test_images_of_two_sizes_are_refused(images):
    picture(images / "train" / "B" / "one.png", side=9)
    with pytest.raises(InputError, match=r"row 1 \(id '5'\).*9 x 9.*8 x 8"):
        load_pair(read_examples(rows_file(images, [GOOD]))[0])


def test_unreadable_and_deep_images_are_refused(images):
    place = images / "train" / "B" / "one.png"
    example = read_examples(rows_file(images, [GOOD]))[0]
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(place)
    place.write_bytes(place.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"one\.png is damaged"):
        load_pair(example)
    Image.fromarray(np.ones((8, 8), np.uint16)).save(place)
    with pytest.raises(InputError, match="not a picture of 8 bit"):
        load_pair(example)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("before,after\na,b\n", "no column 'changed'"),
        ("before,after,question\na,b,c\n", "no column 'answer'"),
        ("before,after,changed\ntrain/A/one.png,train/B/one.png,maybe\n", "line 2.*'maybe'"),
        ("before,after,changed\ntrain/A/one.png,,1\n", "line 2.*'after'"),
        ("before,after,changed\ntrain/A/one.png,no.png,1\n", r"line 2.*no\.png"),
    ],
)
def test_wrong_tables(images, content, names):
    (images / "rows.csv").write_text(content)
    with pytest.raises(InputError, match=names):
        read_examples(images / "rows.csv")


@pytest.mark.parametrize(
    ("questions", "task"),
    [
        *((spec.prompts, task) for task, spec in SPECS.items() if spec.prompts),
        (["<image> <image> How many buildings and roads have changed?"], Task.COUNT),
        (["please BRIEFLY describe the changes in these two images"], Task.CAPTION),
        (["How many pools are new?"], Task.QUESTION),
        (["How many buildings have appeared?"], Task.QUESTION),
        (["Has it changed?", "Why?"], Task.QUESTION),
    ],
)
def test_tasks_are_known_by_their_words(questions, task):
    assert task_asked(questions) is task


@pytest.mark.parametrize(
    ("task", "answers", "faulty"),
    [
        (Task.LOCATE, ["roads: ['top-left']. buildings: []."], False),
        (Task.LOCATE, ["roads: ['north']. buildings: []."], True),
        (Task.PRESENCE, ["Yes"], False),
        (Task.PRESENCE, ["Perhaps"], True),
        (Task.COUNT, ["several buildings"], True),
        (Task.DIALOGUE, ["No", "There are no changes.", "no change has occurred"], False),
        (Task.DIALOGUE, ["No", "Blue.", "no change has occurred"], True),
        (Task.CAPTION, ["a house", "a house"], True),
        (Task.QUESTION, [" "], True),
    ],
)
def test_answers_outside_the_grammar(task, answers, faulty):
    assert bool(answer_fault(task, answers)) is faulty


@pytest.mark.parametrize(
    ("told", "split"),
    [("Training", "train"), ("validation", "val"), ("TEST", "test"), ("fold1", "fold1")],
)
def test_parts_are_called_by_their_usual_names(images, told, split):
    row = {"image": IMAGE, "split": told, "conversations": talk((CAPTION, "a house"))}
    captions = {"image": IMAGE, "split": told, "captions": ["a house"]}
    result = read_examples(rows_file(images, [row, captions]))
    table = images / "rows.csv"
    table.write_text(f"before,after,changed,split\n{','.join(IMAGE)},1,{told}\n", "utf-8")
    assert {example.split for example in [*result, *read_examples(table)]} == {split}


def test_a_folder_of_frames_has_no_hidden_ones(images):
    video = images / "video"
    for name, value in (("1.png", 1), ("2.png", 2), ("._1.png", 3)):
        picture(video / name, value)
    row = {"video": "video", "conversations": talk((CAPTION, "a house"))}
    before, after = load_pair(read_examples(rows_file(images, [row]))[0])
    assert (before.max(), after.min()) == (3, 2)
