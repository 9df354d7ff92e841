"""Of a raster on a server nothing but the raster is asked for."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasters import texture

from geochg.options import AnalyzeOptions
from geochg.records import PixelWindow
from geochg.tiling.date_reader import DateReader
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.pair import open_pair
from geochg.tiling.source import open_source

SERVER = Path(__file__).parent.parent / "support" / "range_server.py"


@pytest.fixture
def served(tmp_path):
    """The address of the files in `tmp_path`, and what was asked of it."""
    log = tmp_path / "asked.txt"
    command = [sys.executable, str(SERVER), str(tmp_path), str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        port = int(server.stdout.readline())
        yield f"/vsicurl/http://127.0.0.1:{port}", lambda: {line.split()[0] for line in log.open()}
        server.kill()


def hole(shape=(64, 64)):
    valid = np.ones(shape, bool)
    valid[:20, :20] = False
    return valid


KINDS = {
    "plain": {},
    "nodata": {"nodata": 3},
    "mask": {"mask": hole()},
    "alpha": {"alpha": hole()},
    "palette": {"palette": {i: (i, i, i, 255) for i in range(256)}},
    "overviews": {"overviews": [2, 4]},
}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_beside_it_is_asked_for(make_raster, served, tmp_path, kind):
    address, asked = served
    make_raster("a.tif", texture(64, 64), **KINDS[kind])
    # What GDAL would look for, and take.
    (tmp_path / "a.tif.aux.xml").write_text("<PAMDataset/>")
    (tmp_path / "a.tif.msk").write_bytes((tmp_path / "a.tif").read_bytes())
    name = f"{address}/a.tif"
    pair = open_pair(name, name, AnalyzeOptions(), "all")
    window = PixelWindow(0, 64, 0, 64)
    with gdal_settings(), DateReader(pair.plan().before, pair.grid) as reader:
        _, valid = reader.read_finished(window)
    if kind in ("mask", "alpha"):
        assert not valid[:20, :20].any()
    assert asked() == {"/a.tif"}


def test_nor_where_it_is_opened_as_it_is(make_raster, served):
    address, asked = served
    make_raster("a.tif", texture(20, 30))
    with open_source(f"{address}/a.tif") as dataset:
        dataset.read(masked=True)
        assert dataset.overviews(1) == []
    assert asked() == {"/a.tif"}


def test_masks_beside_files_on_this_machine_count(make_raster):
    path = make_raster("a.tif", texture(64, 64))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as file:
        file.write_mask(hole())
    assert path.with_name("a.tif.msk").exists()
    with open_source(str(path)) as dataset:
        assert not dataset.read_masks(1)[:20, :20].any()
