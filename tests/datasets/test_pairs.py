import numpy as np
import pytest
from labelled_pairs import blocks, some_pairs, write_pair
from PIL import Image

from geochg.datasets.pairs import pair_files, read_pair
from geochg.errors import InputError


def test_a_folder_of_three_has_its_pairs_by_name(tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[3, 5] = 1
    write_pair(tmp_path, "b", blocks(1), blocks(2), mask)
    write_pair(tmp_path, "a", blocks(3), blocks(4))
    (tmp_path / "A" / "Thumbs.db").write_bytes(b"")
    (tmp_path / "A" / "._b.png").write_bytes(b"")
    first, second = pair_files(tmp_path)
    assert (first.name, second.name) == ("a", "b")
    assert (first.group, second.group) == ("a", "b")
    pair = read_pair(second)
    assert (pair.before == np.moveaxis(blocks(1), -1, 0)).all()
    assert (pair.after == np.moveaxis(blocks(2), -1, 0)).all()
    assert np.argwhere(pair.mask).tolist() == [[3, 5]]


def test_suffixes_may_differ(tmp_path):
    write_pair(tmp_path, "a", blocks(1), blocks(2))
    (tmp_path / "label" / "a.png").unlink()
    Image.fromarray(np.full((64, 64), 9, np.uint8)).save(tmp_path / "label" / "a.tif")
    assert read_pair(pair_files(tmp_path)[0]).mask.all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_masks_of_any_kind(tmp_path, mode):
    write_pair(tmp_path, "a", blocks(1), blocks(2))
    wanted = np.zeros((64, 64), bool)
    wanted[:10] = True
    if mode == "P":
        image = Image.fromarray(wanted.astype(np.uint8), "P")
        # Index 0 is not black, and counts as unchanged all the same.
        image.putpalette([255, 255, 255, 0, 0, 0])
    elif mode == "I;16":
        image = Image.fromarray(wanted.astype(np.uint16) * 256)
    else:
        image = Image.fromarray((wanted * 255).astype(np.uint8)).convert(mode)
    image.save(tmp_path / "label" / "a.png")
    assert (read_pair(pair_files(tmp_path)[0]).mask == wanted).all()


def test_specks_of_compression_are_no_change(tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[11:42, 13:45] = 255
    write_pair(tmp_path, "a", blocks(1), blocks(2), mask, suffix=".jpg")
    saved = np.asarray(Image.open(tmp_path / "label" / "a.jpg"))
    assert np.count_nonzero(saved) > np.count_nonzero(mask)
    assert (read_pair(pair_files(tmp_path)[0]).mask == (mask > 0)).all()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_pictures_of_any_8_bit_kind(tmp_path, mode):
    grey = np.repeat(blocks(1)[..., :1], 3, axis=2)
    write_pair(tmp_path, "a", grey, grey, suffix=".tif")
    image = Image.fromarray(grey)
    image = image.quantize(16) if mode == "P" else image.convert(mode)
    assert image.mode == mode
    image.save(tmp_path / "B" / "a.tif")
    pair = read_pair(pair_files(tmp_path)[0])
    assert pair.after.shape == (3, 64, 64)
    assert np.abs(pair.after.astype(int) - pair.before).max() <= 6


def remove(path):
    return lambda folder: (folder / path).unlink()


def other_size(folder):
    Image.fromarray(blocks(1, 32)).save(folder / "B" / "p00.png")


def small_mask(folder):
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(folder / "label" / "p00.png")


def of_16_bit(folder):
    Image.fromarray(np.zeros((64, 64), np.uint16)).save(folder / "A" / "p00.png")


def no_picture(folder):
    (folder / "A" / "p00.png").write_text("none")


def cut_short(folder):
    content = (folder / "A" / "p00.png").read_bytes()
    (folder / "A" / "p00.png").write_bytes(content[: len(content) // 2])


def twice(folder):
    Image.fromarray(blocks(1)).save(folder / "A" / "p00.tif")


@pytest.mark.parametrize(
    ("spoil", "names"),
    [
        (remove("B/p00.png"), "B has no picture 'p00'"),
        (remove("label/p01.png"), "label has no picture 'p01'"),
        (remove("A/p01.png"), "A has no picture 'p01'"),
        (other_size, "p00.png has 32 x 32 px"),
        (small_mask, "p00.png has 9 x 8 px"),
        (of_16_bit, "p00.png is not a picture of 8 bit"),
        (no_picture, "p00.png cannot be read as a picture"),
        (cut_short, "p00.png is damaged"),
        (twice, "has 'p00' twice"),
    ],
)
def test_pairs_that_make_no_sense(tmp_path, spoil, names):
    some_pairs(tmp_path, 2)
    spoil(tmp_path)
    with pytest.raises(InputError) as caught:
        [read_pair(files) for files in pair_files(tmp_path)]
    assert names in caught.value.message
    assert caught.value.hint


def test_folders_that_are_none(tmp_path):
    with pytest.raises(InputError, match="no folder or file"):
        pair_files(tmp_path / "none")
    with pytest.raises(InputError, match="has no folder A"):
        pair_files(tmp_path)
    for name in ("A", "B", "label"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="has no pairs"):
        pair_files(tmp_path)


def test_a_folder_of_splits_names_them(tmp_path):
    some_pairs(tmp_path / "train", 2)
    some_pairs(tmp_path / "test", 2)
    with pytest.raises(InputError) as caught:
        pair_files(tmp_path)
    assert caught.value.hint == "name one of its splits: test, train"


# --- tables --------------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path):
    for name in "abcdefg":
        Image.fromarray(blocks(ord(name))).save(tmp_path / f"{name}.png")
    return tmp_path


def table(folder, *rows, head="before,after,changed"):
    (folder / "pairs.csv").write_text("\n".join([head, *rows, ""]), encoding="utf-8-sig")
    return folder / "pairs.csv"


def test_a_table_names_pairs_and_whether_they_changed(pictures):
    file = table(pictures, "a.png,b.png,1", "c.png,d.png,no", "e.png,f.png,TRUE")
    pairs = pair_files(file)
    assert [files.changed for files in pairs] == [True, False, True]
    assert len({files.group for files in pairs}) == 3
    assert read_pair(pairs[0]).mask.all()
    assert not read_pair(pairs[1]).mask.any()


def test_pairs_that_share_a_picture_are_of_one_group(pictures):
    file = table(
        pictures,
        "a.png,b.png,1",
        "c.png,d.png,0",
        "e.png,f.png,0",
        "b.png,d.png,1",
        "g.png,g.png,0",
    )
    groups = [files.group for files in pair_files(file)]
    assert groups[0] == groups[1] == groups[3]
    assert len(set(groups)) == 3


@pytest.mark.parametrize(
    ("rows", "head", "names"),
    [
        (["a.png,b.png,1"], "before,after", "no column 'changed'"),
        (["a.png,b.png,maybe"], "before,after,changed", "line 2: changed is 'maybe'"),
        (["a.png,b.png"], "before,after,changed", "line 2: changed is ''"),
        (["a.png,x.png,1"], "before,after,changed", "line 2: there is no file 'x.png'"),
        ([",b.png,1"], "before,after,changed", "line 2: there is no file ''"),
        ([], "before,after,changed", "has no pairs"),
    ],
)
def test_tables_that_make_no_sense(pictures, rows, head, names):
    with pytest.raises(InputError) as caught:
        pair_files(table(pictures, *rows, head=head))
    assert names in caught.value.message


def test_a_file_that_is_no_table(pictures):
    with pytest.raises(InputError, match="not text"):
        pair_files(pictures / "a.png")
