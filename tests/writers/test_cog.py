"""Cloud-optimised files that are written block by block: what a full disk takes is noticed."""

import numpy as np
import pytest
import rasterio
from tile_factory import make_grid

from geochg.records import PixelWindow
from geochg.writers.cog import cog_draft

SIDE_PX = 1024
WHOLE = PixelWindow(0, SIDE_PX, 0, SIDE_PX)


def write(path, dtype, nodata):
    values = np.random.default_rng(0).integers(0, 200, (2, SIDE_PX, SIDE_PX)).astype(dtype)
    with cog_draft(path, make_grid((SIDE_PX, SIDE_PX)), 2, dtype, nodata, {}) as draft:
        draft.write(values, WHOLE, np.ones((SIDE_PX, SIDE_PX), bool) if nodata is None else None)
        draft.describe(["red", "nir"], {"text": "größe", "number": 3}, 0.5)
    return values


KINDS = [("int16", -32768), ("float32", np.nan), ("uint8", None)]


@pytest.mark.parametrize(("dtype", "nodata"), KINDS)
def test_a_file_holds_what_was_written(tmp_path, dtype, nodata):
    values = write(tmp_path / "a.tif", dtype, nodata)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.tif"]
    with rasterio.open(tmp_path / "a.tif") as file:
        np.testing.assert_array_equal(file.read(), values)
        assert file.descriptions == ("red", "nir")
        assert file.scales == (0.5, 0.5)
        assert (file.tags()["text"], file.tags()["number"]) == ("größe", "3")
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


@pytest.mark.parametrize(("dtype", "nodata"), KINDS)
def test_a_copy_that_lost_a_block_is_refused(tmp_path, dtype, nodata, monkeypatch):
    real_copy = rasterio.shutil.copy

    def losing_copy(source, *arguments, **options):
        with rasterio.open(source, "r+") as file:
            lost = np.full((1, 512, 512), 0 if nodata is None else nodata, dtype)
            file.write(lost, [2], window=((512, 1024), (0, 512)))
        real_copy(source, *arguments, **options)

    monkeypatch.setattr("rasterio.shutil.copy", losing_copy)
    with pytest.raises(OSError, match="not complete"):
        write(tmp_path / "a.tif", dtype, nodata)
