"""Folders of pairs."""

import json

import numpy as np
import pytest
from PIL import Image
from world_scenes import SMALL, small_pairs

from geochg.datasets.world import WorldOptions, write_dataset
from geochg.datasets.world.sheet import contact_sheet
from geochg.errors import InputError
from geochg.records import Task


def test_a_folder_holds_what_the_seeds_give(tmp_path):
    folder, told = tmp_path / "deep" / "world", []
    write_dataset(folder, 2, 3, SMALL, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert [path.name for path in folder.parent.iterdir()] == ["world"]
    rows = json.loads((folder / "world.json").read_text())
    assert [row["id"] for row in rows] == list(range(3 * len(Task)))
    facts = json.loads((folder / "world_facts.json").read_text())
    for number, pair in enumerate(small_pairs()[2:5]):
        name = f"world_{number:06d}.png"
        for side, pixels in (("A", pair.before), ("B", pair.after)):
            read = np.asarray(Image.open(folder / side / name))
            np.testing.assert_array_equal(np.moveaxis(read, -1, 0), pixels)
        np.testing.assert_array_equal(np.asarray(Image.open(folder / "label" / name)), pair.classes)
        read = np.asarray(Image.open(folder / "direction" / name))
        np.testing.assert_array_equal(read, pair.directions)
        assert facts[number]["seed"] == pair.seed
        assert facts[number]["changeflag"] == int(pair.changed)
    options = json.loads((folder / "options.json").read_text())["options"]
    assert WorldOptions.from_dict(options) == SMALL


def test_what_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError):
        write_dataset(tmp_path, 0, 1, SMALL)
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_an_interrupted_run_leaves_nothing(tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "world", 0, 2, SMALL, progress=stop)
    assert not list(tmp_path.iterdir())


def test_contact_sheet(tmp_path):
    contact_sheet(small_pairs()[:4], tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").size == (2 * 3 * 96, 2 * 96)
