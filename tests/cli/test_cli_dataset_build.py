"""`geochg dataset build`, `check` and `pairs` from the command line."""

import json

import numpy as np
import pytest
from chat_server import serving, texts_of
from PIL import Image
from rasters import texture
from told_pairs import ROWS, told_folder

from geochg.datasets.examples import read_examples
from geochg.records import Task
from geochg.tasks import SPECS

CODING = "1=building,2=road,3=vegetation,4=water,5=bare"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    return told_folder(tmp_path_factory.mktemp("labelled") / "pairs")


def test_what_is_built_of_masks_says_what_the_masks_say(geochg, labelled, tmp_path):
    out = tmp_path / "out"
    given = ("--pairs", labelled, "--classes", CODING, "--shares", 1, 0, 0)
    code, told, errors = geochg("dataset", "build", out, *given, "--json")
    assert (code, errors) == (0, "")
    made = json.loads(told)
    assert made["splits"]["train"]["tiles"] == 8
    assert made["splits"]["train"]["rows"] == 48
    compared = (Task.PRESENCE, Task.COUNT, Task.LOCATE)
    for name in range(8):
        file = f"pair_{name}.png"
        ours, theirs = (
            {
                example.task: SPECS[example.task].parse(example.turns[0].answer)
                for example in read_examples(place)
                if example.before.name == file and example.task in compared
            }
            for place in (out, labelled / ROWS)
        )
        assert len(ours) == 3
        assert ours == theirs
    assert geochg("dataset", "check", out)[0] == 0


def test_the_check_ends_with_1_and_says_what_is_wrong(geochg, labelled, tmp_path):
    out = tmp_path / "out"
    given = ("--pairs", labelled, "--classes", CODING, "--shares", 0.5, 0, 0.5)
    assert geochg("dataset", "build", out, *given)[0] == 0
    assert geochg("dataset", "check", out, "--json")[0] == 0
    rows = json.loads((out / "test.json").read_text())
    rows[1]["image"][0] = json.loads((out / "train.json").read_text())[0]["image"][0]
    (out / "test.json").write_text(json.dumps(rows))
    code, told, _ = geochg("dataset", "check", out, "--json")
    assert code == 1
    report = json.loads(told)
    assert report["ok"] is False
    assert report["troubles"]["leaks"]["count"] == 1
    code, told, errors = geochg("dataset", "check", out)
    assert code == 1
    assert "1 images of one split that are in another" in told
    assert errors == ""


def test_a_captioner_is_told_what_was_counted(geochg, labelled, tmp_path):
    given = ("--pairs", labelled, "--classes", CODING, "--shares", 1, 0, 0, "--json")
    with serving() as server:
        model = ("--captioner", f"openai:{server.url}#seer")
        code, told, _ = geochg("dataset", "build", tmp_path / "out", *given, *model)
    assert code == 0
    asked = [texts_of(body["messages"])[-1] for body in server.requests]
    assert len(asked) == 8
    changed = [text for text in asked if "Nothing has changed." not in text]
    assert len(changed) == json.loads(told)["splits"]["train"]["changed"]
    # What that server says is no question with an answer, so that none of it is kept.
    assert json.loads(told)["captioner"]["dropped"] == {"not a question and an answer": 8}
    assert json.loads(told)["splits"]["train"]["rows"] == 48


def test_an_empty_file_is_an_empty_split(geochg, tmp_path):
    (tmp_path / "val.json").write_text("[]")
    code, told, _ = geochg("dataset", "check", tmp_path)
    assert code == 1
    assert "1 splits without rows:\n  val" in told


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ((), "there are no pairs"),
        (("--pairs", "nowhere"), "no folder nowhere"),
        (("--pairs", ".", "--classes", "1=castle"), "'1=castle'"),
        (("--rasters", "a.tif", "b.tif", "c.tif"), "a.tif"),
        (("--pairs", ".", "--captioner", "nobody"), "nobody"),
    ],
)
def test_what_cannot_be_built(refused, tmp_path, given, names):
    refused("dataset", "build", tmp_path / "out", *given, names=names)


def test_a_malformed_file_is_named_with_its_line(refused, tmp_path):
    (tmp_path / "rows.json").write_text("[\n{]")
    refused("dataset", "check", tmp_path / "rows.json", names="rows.json, line 2")


def test_pairs_of_locations(geochg, tmp_path):
    rows = ["image,location_id,timestamp"]
    for number in range(3):
        pixels = np.moveaxis(texture(40, 40, 3, number), 0, -1)
        Image.fromarray(pixels).save(tmp_path / f"s{number}.png")
        rows.append(f"s{number}.png,1,201{number}-05-01")
    (tmp_path / "shots.csv").write_text("\n".join(rows))
    out = tmp_path / "out"
    given = ("--no-videos", "--size", 32, "--json")
    code, told, _ = geochg("dataset", "pairs", tmp_path / "shots.csv", out, *given)
    assert code == 0
    assert json.loads(told)["pairs"] == {"train": 2}
    # The image in the middle is in both pairs of one split: no leak.
    assert geochg("dataset", "check", out)[0] == 0


def test_options_are_written_as_analyze_writes_them(geochg):
    code, out, _ = geochg("dataset", "build", "--help")
    assert code == 0
    assert "[auto|shift|field|report|off]" in out
