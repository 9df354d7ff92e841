"""Images of one location become pairs in a chain, at least a year apart."""

import importlib.util
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geochg.datasets.examples import load_pair, read_examples
from geochg.datasets.location_pairs import write_pairs
from geochg.datasets.locations import (
    LocationImage,
    LocationOptions,
    pairs_in_time,
    read_location_images,
    within_limits,
)
from geochg.errors import InputError, OptionError, RunError
from geochg.extras import MissingExtraError
from geochg.models.base import Capabilities, ChangeModel
from geochg.records import Reply, Task, TileFailure

HAS_VIDEO = importlib.util.find_spec("av") is not None


def shot(name, date, location="x"):
    return LocationImage(
        Path(f"{name}.png"), location, datetime.fromisoformat(date).replace(tzinfo=UTC)
    )


def names(pairs):
    return [(a.image.stem, b.image.stem) for a, b in pairs]


def test_the_chain_goes_on_from_the_later_image():
    shots = [
        shot("d", "2017-03-01"),
        shot("a", "2015-01-31"),
        shot("c", "2016-02-01"),
        shot("b", "2016-01-30"),
        shot("e", "2017-02-01"),
        shot("y", "2019-01-01", "other"),
    ]
    # a-b lacks a day; from c the next year begins on the day of e.
    assert names(pairs_in_time(shots, 12)) == [("a", "c"), ("c", "e")]
    assert names(pairs_in_time(shots, 0)) == [("a", "b"), ("b", "c"), ("c", "e"), ("e", "d")]


def test_the_last_of_february_counts():
    shots = [shot("a", "2016-02-29"), shot("b", "2017-02-28")]
    assert names(pairs_in_time(shots, 12)) == [("a", "b")]


@pytest.fixture
def table(tmp_path):
    rows = ["image,location_id,timestamp,category,split"]
    for number, date in enumerate(("2014-05-01", "2015-06-01T10:00:00Z", "2016-07-01")):
        pixels = np.full((20, 30, 3), 80 * number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"s{number}.png")
        rows.append(f"s{number}.png,7,{date},car_park,val")
    path = tmp_path / "shots.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_table_becomes_pairs_that_read_back(table, tmp_path):
    pairs = pairs_in_time(read_location_images(table), 12)
    options = LocationOptions(size_px=16)
    assert write_pairs(tmp_path / "out", pairs, options, videos=False).rows == {"val": 2}
    first, second = read_examples(tmp_path / "out")
    assert (first.id, second.id, first.split) == ("s0-s1", "s1-s2", "val")
    before, after = load_pair(first)
    assert before.shape == (3, 16, 16)
    assert (before.max(), after.min()) == (0, 80)
    assert "car park" in first.turns[0].answer
    assert "2014-05 and 2015-06: 1 year and 1 month apart" in first.turns[0].answer


@pytest.mark.skipif(not HAS_VIDEO, reason="PyAV is not installed")
def test_videos_read_back(table, tmp_path):
    pairs = pairs_in_time(read_location_images(table), 12)
    write_pairs(tmp_path / "out", pairs, LocationOptions(size_px=32), videos=True)
    assert sorted(p.name for p in (tmp_path / "out" / "videos").iterdir()) == [
        "s0-s1.mp4",
        "s1-s2.mp4",
    ]
    before, after = load_pair(read_examples(tmp_path / "out")[1])
    assert abs(int(before.mean()) - 80) < 4
    assert abs(int(after.mean()) - 160) < 4


def test_videos_without_pyav_leave_nothing_behind(table, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    pairs = pairs_in_time(read_location_images(table), 12)
    with pytest.raises(MissingExtraError, match=r"^av is not .*geochg\[video\]"):
        write_pairs(tmp_path / "out", pairs, LocationOptions(), videos=True)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_fmow(tmp_path):
    for place, date in (("a_0", "2015-01-01"), ("a_1", "2017-01-01")):
        home = tmp_path / "airport" / "airport_3"
        home.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9)).save(home / f"{place}.jpg")
        facts = {
            "timestamp": f"{date}T00:00:00Z",
            "bounding_boxes": [{"category": "false_detection"}, {"category": "airport_hangar"}],
        }
        (home / f"{place}.json").write_text(json.dumps(facts))
    shots = read_location_images(tmp_path)
    assert [(s.location, s.category) for s in shots] == [
        ("airport/airport_3", "airport hangar")
    ] * 2
    assert names(pairs_in_time(shots, 12)) == [("a_0", "a_1")]


@pytest.mark.parametrize(("told", "location"), [(None, "airport"), (7, "7"), (" b ", "b")])
def test_a_location_that_is_null_is_that_of_the_folder(told, location, tmp_path):
    home = tmp_path / "airport"
    home.mkdir()
    Image.new("RGB", (9, 9)).save(home / "a.jpg")
    facts = {"timestamp": "2015-01-01T00:00:00Z", "location_id": told}
    (home / "a.json").write_text(json.dumps(facts), encoding="utf-8")
    assert [shot.location for shot in read_location_images(tmp_path)] == [location]


def test_files_that_macos_leaves_are_no_metadata(tmp_path):
    home = tmp_path / "airport"
    home.mkdir()
    for name in ("a", "._a"):
        Image.new("RGB", (9, 9)).save(home / f"{name}.jpg")
    (home / "a.json").write_text('{"timestamp": "2015-01-01"}', encoding="utf-8")
    (home / "._a.json").write_bytes(b"\x00\x05\x16\x07")
    assert [shot.image.name for shot in read_location_images(tmp_path)] == ["a.jpg"]


def test_parts_have_their_usual_names_and_no_pair_is_of_two(table, tmp_path):
    text = table.read_text(encoding="utf-8").replace("car_park,val", "car_park,validation", 2)
    table.write_text(text.replace("car_park,val\n", "car_park,Training\n"), encoding="utf-8")
    shots = read_location_images(table)
    assert [shot.split for shot in shots] == ["val", "val", "train"]
    assert names(pairs_in_time(shots, 12)) == [("s0", "s1")]


class Captioner(ChangeModel):
    """Describes each pair, but for those whose later picture is as bright as told."""

    name = "captioner"
    identity = load = None
    capabilities = Capabilities(
        tasks=frozenset({Task.QUESTION}), location="grid", pixels="display", bands="rgb"
    )

    def __init__(self, silent):
        self.silent = silent

    def answer(self, tiles, questions):
        return [
            TileFailure(tile.window, "nothing came")
            if int(tile.after.mean()) in self.silent
            else [Reply("a  car park")]
            for tile in tiles
        ]


def test_a_pair_that_the_captioner_does_not_answer_about_is_left_out(table, tmp_path):
    pairs, options = pairs_in_time(read_location_images(table), 12), LocationOptions(size_px=16)
    made = write_pairs(
        tmp_path / "out", pairs, options, videos=False, captioner=Captioner(silent={80})
    )
    assert (made.rows, made.unanswered) == ({"val": 1}, 1)
    (only,) = read_examples(tmp_path / "out")
    assert (only.id, only.turns[0].answer) == ("s1-s2", "a car park")
    assert len(list((tmp_path / "out" / "images").iterdir())) == 2
    silent = Captioner(silent={80, 160})
    with pytest.raises(RunError, match="answered about none of 2 pairs"):
        write_pairs(tmp_path / "none", pairs, options, videos=False, captioner=silent)
    assert not (tmp_path / "none").exists()


def test_limits_of_size(table):
    shots = read_location_images(table)
    assert within_limits(shots, LocationOptions()) == (shots, {})
    assert within_limits(shots, LocationOptions(most_bytes=10)) == ([], {"file too large": 3})
    assert within_limits(shots, LocationOptions(least_px=21)) == ([], {"too few pixels": 3})
    assert within_limits(shots, LocationOptions(most_px=29)) == ([], {"too many pixels": 3})
    assert within_limits(shots, LocationOptions(least_px=20, most_px=30))[1] == {}


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("image,location_id\na,b\n", "no column 'timestamp'"),
        ("image,location_id,timestamp\na,b,lately\n", "line 2: the timestamp 'lately'"),
        ("image,location_id,timestamp\na,,2015-01-01\n", "line 2: no location_id"),
        ("image,location_id,timestamp\n", "no image"),
    ],
)
def test_wrong_tables(tmp_path, content, names):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(InputError, match=names):
        read_location_images(tmp_path / "t.csv")


def test_missing_images_and_no_pairs(table, tmp_path):
    (tmp_path / "s1.png").unlink()
    with pytest.raises(InputError, match=r"no file .*s1\.png"):
        within_limits(read_location_images(table), LocationOptions())
    with pytest.raises(InputError, match="no two images"):
        write_pairs(tmp_path / "out", [], LocationOptions(), videos=False)


@pytest.mark.parametrize("values", [{"least_months": -1}, {"size_px": 15}, {"question": " "}])
def test_options_that_make_no_sense(values):
    with pytest.raises(OptionError):
        LocationOptions(**values)
