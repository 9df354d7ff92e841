import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import rasterio
from affine import Affine
from tile_factory import layout, make_grid

from geochg.errors import RunError
from geochg.records import PixelWindow
from geochg.writers.heatmap import write_heatmap
from geochg.writers.staging import Staging

METADATA = {"version": "0.1.0", "sources": ["größe.tif"]}


def heat(shape=(900, 1200), seed=0):
    values = np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)
    values[100:300, 200:500] = 255
    return values


def blocks(values, core_px=224):
    height, width = values.shape
    for window in layout(-(-height // core_px), -(-width // core_px), core_px):
        core = window.core
        part = PixelWindow(
            core.row_start, min(core.row_stop, height), core.col_start, min(core.col_stop, width)
        )
        yield part, values[part.row_start : part.row_stop, part.col_start : part.col_stop]


def test_pixels_scale_tags_and_place(tmp_path):
    values, path = heat(), tmp_path / "heat.tif"
    grid = make_grid(values.shape, affine=Affine(10, 2, 500_000, 2, -10, 5_000_000))
    write_heatmap(blocks(values), grid, path, METADATA)
    assert list(tmp_path.iterdir()) == [path]
    with rasterio.open(path) as found:
        np.testing.assert_array_equal(found.read(1), values)
        assert found.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (found.dtypes, found.nodata, found.scales) == (("uint8",), 255, (1 / 254,))
        assert found.transform == grid.affine
        assert found.crs == "EPSG:32633"
        assert json.loads(found.tags()["geochg"]) == METADATA
        assert found.descriptions == ("probability of change",)
        assert found.overviews(1) == [2, 4]


def test_overviews_are_averages_of_what_is_valid(tmp_path):
    values = np.full((1024, 1024), 255, np.uint8)
    values[::2, ::2], values[1::2, 1::2] = 100, 200
    values[:512] = 255
    write_heatmap(blocks(values), make_grid(values.shape), tmp_path / "heat.tif", METADATA)
    with rasterio.open(tmp_path / "heat.tif", overview_level=0) as overview:
        small = overview.read(1)
    assert (small[:256] == 255).all()
    assert (small[256:] == 150).all()


def test_places_without_a_block_have_no_data(tmp_path):
    values = heat((600, 600))
    some = [block for i, block in enumerate(blocks(values, 150)) if i % 3]
    write_heatmap(some, make_grid(values.shape), tmp_path / "heat.tif", METADATA)
    expected = np.full_like(values, 255)
    for window, part in some:
        expected[window.row_start : window.row_stop, window.col_start : window.col_stop] = part
    with rasterio.open(tmp_path / "heat.tif") as found:
        np.testing.assert_array_equal(found.read(1), expected)


def test_the_same_heat_gives_the_same_bytes(tmp_path):
    values = heat()
    write_heatmap(blocks(values), make_grid(values.shape), tmp_path / "one.tif", METADATA)
    time.sleep(1.1)
    write_heatmap(blocks(values, 300), make_grid(values.shape), tmp_path / "two.tif", METADATA)
    assert (tmp_path / "one.tif").read_bytes() == (tmp_path / "two.tif").read_bytes()


def test_an_error_while_the_blocks_come_leaves_nothing_behind(tmp_path):
    def broken():
        yield PixelWindow(0, 10, 0, 10), np.zeros((10, 10), np.uint8)
        raise KeyError("journal")

    with pytest.raises(KeyError), Staging() as staging, staging.write(tmp_path / "h.tif") as path:
        write_heatmap(broken(), make_grid((600, 600)), path, METADATA)
    assert list(tmp_path.iterdir()) == []


def test_gdal_failures_name_the_file(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise rasterio.errors.RasterioIOError("write failed")

    monkeypatch.setattr("rasterio.shutil.copy", refuse)
    with pytest.raises(RunError, match=r"h\.tif: write failed"), Staging() as staging:
        with staging.write(tmp_path / "h.tif") as path:
            write_heatmap(blocks(heat()), make_grid((900, 1200)), path, METADATA)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize("limit_kb", [50, 150, 500, 1100])
def test_a_real_disk_limit_is_noticed(tmp_path, limit_kb):
    """GDAL says nothing about some blocks it could not write; the pixels are counted again."""
    script = """
import resource, sys
from pathlib import Path
sys.path[:0] = [sys.argv[3], sys.argv[4]]
from test_heatmap import METADATA, blocks, heat, make_grid
from geochg.errors import RunError
from geochg.writers.heatmap import write_heatmap
from geochg.writers.staging import Staging
limit = int(sys.argv[2]) * 1000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    with Staging() as staging:
        with staging.write(Path(sys.argv[1])) as path:
            write_heatmap(blocks(heat()), make_grid((900, 1200)), path, METADATA)
        staging.commit()
except RunError as error:
    print(error)
"""
    target, here = tmp_path / "heat.tif", Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-B", "-c", script, target, str(limit_kb), here, here.parent / "support"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"cannot write {target}: ")
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_grid(tmp_path, monkeypatch):
    monkeypatch.setattr("geochg.writers.cog._CACHE_BYTES", 16 * 2**20)
    process, side = psutil.Process(), 11_200
    row = np.full((224, side), 255, np.uint8)
    row[:, :2000] = 30
    used = []

    def strips():
        for start in range(0, side, 224):
            yield PixelWindow(start, start + 224, 0, side), row
            used.append(process.memory_info().rss)

    write_heatmap(strips(), make_grid((side, side)), tmp_path / "heat.tif", METADATA)
    # The whole grid is 125 MB.
    assert max(used) - used[0] < 60e6
    assert process.memory_info().rss - used[0] < 60e6
