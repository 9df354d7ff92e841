"""Pictures and masks are held as their files say, everywhere pictures are read."""

import warnings

import numpy as np
import pytest
from PIL import Image

from geochg.datasets import frames
from geochg.datasets.builder.pictures import picture_scenes
from geochg.datasets.frames import picture, picture_size, video_frames
from geochg.datasets.pairs import PairFiles, read_pair
from geochg.errors import InputError
from geochg.records import PixelWindow, TileWindow
from geochg.training.finetune.sample import read_mask

TAG = 0x0112
HEIGHT, WIDTH = 24, 40
STORED = {
    1: lambda v: v,
    2: lambda v: v[:, ::-1],
    3: lambda v: v[::-1, ::-1],
    4: lambda v: v[::-1],
    5: lambda v: v.swapaxes(0, 1),
    6: lambda v: np.rot90(v, 1),
    7: lambda v: np.rot90(v.swapaxes(0, 1), 2),
    8: lambda v: np.rot90(v, -1),
}
"""What is done to upright pixels so that a viewer that follows the tag shows them upright."""


def scene(seed=0):
    small = np.random.default_rng(seed).integers(30, 226, (3, 5, 3)).astype(np.uint8)
    return small.repeat(8, 0).repeat(8, 1)


def save(path, upright, orientation, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    image = image.convert(mode) if mode else image
    if path.suffix == ".tif":
        image.save(path, tiffinfo={TAG: orientation})
        return path
    exif = Image.Exif()
    exif[TAG] = orientation
    more = {"quality": 98, "subsampling": 0} if path.suffix == ".jpg" else {"lossless": True}
    image.save(path, exif=exif, **(more if path.suffix in (".jpg", ".webp") else {}))
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_picture_is_turned_as_it_says(tmp_path, orientation, suffix):
    path = save(tmp_path / f"a{suffix}", scene(), orientation)
    assert picture_size(path) == (HEIGHT, WIDTH)
    pixels = np.moveaxis(picture(path), 0, -1).astype(int)
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(pixels - scene()).mean() < (4 if suffix == ".jpg" else 0.01)


@pytest.mark.parametrize("orientation", [2, 3, 6, 7, 8])
@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_a_mask_is_turned_as_it_says(tmp_path, orientation, mode):
    label = np.zeros((HEIGHT, WIDTH), np.uint8)
    label[2:9, 3:20] = 255
    mask = save(tmp_path / "label.png", label, orientation, mode)
    before = save(tmp_path / "a.png", scene(), 1)
    after = save(tmp_path / "b.jpg", scene(1), orientation)
    pair = read_pair(PairFiles("a", "a", before, after, label=mask))
    assert (pair.mask == (label > 0)).all()
    assert ((read_mask(mask, label.shape) > 0) == (label > 0)).all()


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_scenes_of_turned_pictures_lie_on_each_other(tmp_path, orientation):
    label = np.zeros((HEIGHT, WIDTH), np.uint8)
    label[2:9, 3:20] = 1
    save(tmp_path / "A" / "a.png", scene(), 1)
    save(tmp_path / "B" / "a.png", scene(1), orientation)
    save(tmp_path / "label" / "a.png", label, orientation)
    (result,) = picture_scenes(tmp_path, {"1": 1})
    assert result.shape_px == (HEIGHT, WIDTH)
    window = PixelWindow(0, HEIGHT, 0, WIDTH)
    (tile,) = result.tiles([TileWindow(0, 0, 0, window, window)])
    assert (np.moveaxis(tile.tile.after, 0, -1) == scene(1)).all()
    assert ((tile.classes > 0) == (label > 0)).all()


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_frames_are_turned_as_their_file_says(tmp_path, suffix):
    stored = [Image.fromarray(np.ascontiguousarray(STORED[6](scene(seed)))) for seed in (0, 1)]
    exif = Image.Exif()
    exif[TAG] = 6
    path = tmp_path / f"a{suffix}"
    more = {"lossless": True} if suffix == ".webp" else {}
    stored[0].save(path, save_all=True, append_images=stored[1:], exif=exif, **more)
    for seed, frame in enumerate(video_frames(path)):
        assert (np.moveaxis(frame, 0, -1) == scene(seed)).all()


@pytest.mark.parametrize("orientation", [0, 9, 4000])
def test_an_orientation_that_is_none_leaves_the_picture_as_it_is(tmp_path, orientation):
    exif = Image.Exif()
    exif[TAG] = orientation
    Image.fromarray(scene()).save(tmp_path / "a.png", exif=exif)
    assert (np.moveaxis(picture(tmp_path / "a.png"), 0, -1) == scene()).all()


@pytest.mark.parametrize("block", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"garbage"])
def test_damaged_exif_leaves_the_picture_as_it_is(tmp_path, block):
    Image.fromarray(scene()).save(tmp_path / "a.png", exif=block)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (np.moveaxis(picture(tmp_path / "a.png"), 0, -1) == scene()).all()


def test_a_picture_too_large_to_be_read_whole_is_refused_with_its_size(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", scene(), 1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    with pytest.raises(InputError, match=r"a\.png has 960 pixels; .* up to 800"):
        picture(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert picture(path).shape == (3, HEIGHT, WIDTH)
    assert frames.picture_size(path) == (HEIGHT, WIDTH)
