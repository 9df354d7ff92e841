"""Of a raster on a server each byte is asked for once, and near the area of interest alone."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasters import texture

from geochg.options import AnalyzeOptions
from geochg.records import PixelWindow
from geochg.tiling.date_reader import DateReader
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.pair import open_pair
from geochg.tiling.preparation import prepare
from geochg.tiling.read import read_ahead

SERVER = Path(__file__).parent.parent / "support" / "range_server.py"
SIDE_PX = 2048
AREA_PX = 512
AREA = "EPSG:32633;507680,4987200,512800,4992320"
"""The 512 px in the middle."""

KINDS = {"plain": {}, "nodata": {"nodata": 11}, "alpha": {"alpha": np.ones((SIDE_PX,) * 2, bool)}}


class Served:
    """The files of a folder on a server, and what was sent of them."""

    def __init__(self, root, log):
        self.root, self._log = root, log

    def ranges(self, name):
        lines = [line.split() for line in self._log.read_text().splitlines()]
        return [(int(start), int(stop)) for path, start, stop in lines if path == f"/{name}"]


@pytest.fixture
def served(tmp_path):
    log = tmp_path / "asked.txt"
    command = [sys.executable, str(SERVER), str(tmp_path), str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield Served(f"http://127.0.0.1:{int(server.stdout.readline())}", log)
        server.kill()


@pytest.fixture
def cogs(make_raster, tmp_path):
    def make(**kind):
        ground = texture(SIDE_PX + 8, SIDE_PX + 8)
        noise = np.random.default_rng(0).integers(0, 9, ground.shape, np.uint8)
        # The content of the after date lies 3 px off, so that it is read through a warp.
        for name, offset in (("before.tif", 0), ("after.tif", 3)):
            values = (ground + noise)[:, offset:, offset:][:, :SIDE_PX, :SIDE_PX]
            plain = make_raster(f"plain_{name}", values, **kind)
            rasterio.shutil.copy(plain, tmp_path / name, driver="COG", blocksize=128)
        return tmp_path / "before.tif", tmp_path / "after.tif"

    return make


def tiles_of(before, after, workers=2):
    options = AnalyzeOptions(aoi=AREA)
    with gdal_settings():
        pair = open_pair(before, after, options, "all")
        plan = prepare(pair, options.align, match=True).plan(pair)
    assert plan.after.displacement_px != (0, 0)
    return list(read_ahead(plan, pair.layout(options), workers))


def repeated_bytes(ranges):
    total = end = 0
    for start, stop in sorted(ranges):
        total += max(0, min(end, stop) - start)
        end = max(end, stop)
    return total


@pytest.mark.parametrize("kind", KINDS)
def test_each_byte_is_sent_once_near_the_area_alone(cogs, served, kind):
    files = cogs(**KINDS[kind])
    remote = tiles_of(*(f"{served.root}/{file.name}" for file in files))
    for file in files:
        ranges = served.ranges(file.name)
        assert repeated_bytes(ranges) == 0
        sent = sum(stop - start for start, stop in ranges)
        # Of the area's rows of blocks some more comes, as GDAL reads ahead, and the coarse view.
        assert sent < 0.35 * file.stat().st_size
        assert len(ranges) < 25
    local = tiles_of(*files)
    assert len(remote) == len(local)
    for first, second in zip(remote, local, strict=True):
        assert (first.before == second.before).all()
        assert (first.after == second.after).all()
        assert (first.valid == second.valid).all()


def test_threads_share_what_was_sent(cogs, served):
    files = cogs()
    tiles_of(*(f"{served.root}/{file.name}" for file in files), workers=6)
    for file in files:
        ranges = served.ranges(file.name)
        sent = sum(stop - start for start, stop in ranges)
        assert sent < 0.4 * file.stat().st_size


def test_a_file_that_was_replaced_on_the_server_is_read_anew(make_raster, served, tmp_path):
    name = f"{served.root}/a.tif"
    window = PixelWindow(0, 512, 0, 512)
    for seed in (0, 1):
        values = texture(512, 512, seed=seed)
        make_raster("a.tif", values)
        pair = open_pair(name, name, AnalyzeOptions(), "all")
        with gdal_settings(), DateReader(pair.plan().before, pair.grid) as reader:
            read, _ = reader.read_finished(window)
        assert (read == values).all()
