"""Which labelled pairs lie in one place."""

from pathlib import Path

import pytest

from geochg.datasets.pairs import PairFiles
from geochg.errors import OptionError
from geochg.training.trees.places import places_of


def pairs(*names, group=None, **columns):
    return [
        PairFiles(name, group or name, Path(f"{name}.png"), Path(f"after_{name}.png"), **columns)
        for name in names
    ]


@pytest.mark.parametrize(
    ("names", "places"),
    [
        # Tile numbers and coordinates are cut off as long as enough places are left.
        (["a_1", "a_2", "b_1", "c_1"], ["a", "a", "b", "c"]),
        (["t_1_0_256", "t_1_256_0", "t_2_0_0", "t_3_0_0"], ["t_1", "t_1", "t_2", "t_3"]),
        (["p1_r0c1", "p1_r1c0", "p2_r0c0", "p3_r0c0"], ["p1", "p1", "p2", "p3"]),
        (["x-12", "y-3", "z 4"], ["x", "y", "z"]),
        # Numbers alone tell nothing: each picture is a place.
        (["0001", "0002", "0003"], ["0001", "0002", "0003"]),
        (["train_1", "train_2", "train_3"], ["train_1", "train_2", "train_3"]),
        # The digits of a word are no number of a tile.
        (["sentinel2", "landsat8", "spot6"], ["sentinel2", "landsat8", "spot6"]),
    ],
)
def test_names_of_files_tell_the_place(names, places):
    found = places_of(pairs(*names))
    assert list(found.names) == places
    assert (names[0] in found.divided_by) == (names != places)


def test_a_column_tells_the_place():
    towns = [
        PairFiles(n, n, Path(f"{n}.png"), Path(f"{n}b.png"), columns={"place": town, "hue": "x"})
        for n, town in (("a_1", "north"), ("a_2", "south"), ("b_1", "north"))
    ]
    assert places_of(towns).names == ("north", "south", "north")
    assert places_of(towns).divided_by == "the column place"
    assert set(places_of(towns, "hue").names) == {"x"}
    with pytest.raises(OptionError, match="no column 'town'"):
        places_of(towns, "town")


def test_pairs_that_share_a_picture_share_their_place():
    found = places_of([*pairs("a_1", "b_1", group="g"), *pairs("c_1", "d_1")])
    assert found.names[0] == found.names[1]
    assert len(set(found.names)) == 3


def test_a_further_file_tells_places(tmp_path):
    table = tmp_path / "towns.csv"
    table.write_text("pair,town\n1,n\n2,s\n")
    assert places_of(pairs("1", "2"), "town", table).names == ("n", "s")
    table.write_text("pair,town\n1,n\n2,\n")
    with pytest.raises(OptionError, match="nothing is in the column 'town' of the pair 2"):
        places_of(pairs("1", "2"), "town", table)


def test_files_of_one_name_are_told_apart_by_their_folders():
    files = [
        PairFiles(n, n, Path(n) / "before.png", Path(n) / "after.png")
        for n in ("a_1", "a_2", "b_1", "c_1")
    ]
    assert places_of(files).names == ("a", "a", "b", "c")
