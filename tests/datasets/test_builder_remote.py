"""Masks and rasters of a data set that name sources elsewhere."""

import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasters import ORIGIN, UTM, texture

from geochg.datasets.builder.rasters import raster_scene
from geochg.errors import InputError
from geochg.options import AlignMode
from geochg.tiling.source import can_open

SERVER = Path(__file__).parent.parent / "support" / "range_server.py"
CODING = {"255": 2}
SIDE = 64


@pytest.fixture
def town(make_raster, tmp_path):
    """Rasters, a mask raster and a mask of polygons, and a file that names each at a server."""
    before = texture(SIDE, SIDE, 3)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[8:16, 8:24] = 255
    make_raster("before.tif", before)
    make_raster("after.tif", np.where(mask > 0, 255 - before, before))
    make_raster("mask.tif", mask, nodata=0)
    box = shapely.transform(shapely.box(8, 8, 24, 16), lambda xy: np.stack(ORIGIN * xy.T, -1))
    frame = gpd.GeoDataFrame({"class": ["255"]}, geometry=[box], crs=UTM)
    frame.to_file(tmp_path / "areas.geojson")
    with subprocess.Popen(
        [sys.executable, str(SERVER), str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as server:
        root = f"/vsicurl/http://127.0.0.1:{int(server.stdout.readline())}"
        for name in ("before", "after", "mask"):
            rasterio.shutil.copy(tmp_path / f"{name}.tif", tmp_path / f"{name}.vrt", driver="VRT")
            text = (tmp_path / f"{name}.vrt").read_text()
            text = text.replace('relativeToVRT="1"', 'relativeToVRT="0"')
            (tmp_path / f"{name}.vrt").write_text(
                text.replace(f">{name}.tif<", f">{root}/{name}.tif<")
            )
        (tmp_path / "named.geojson").write_text(
            f'<OGRVRTDataSource><OGRVRTLayer name="areas"><SrcDataSource>{root}/areas.geojson'
            "</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
        )
        yield tmp_path
        server.kill()


@pytest.mark.parametrize(
    "names",
    [
        ("before.tif", "after.tif", "mask.vrt"),
        ("before.vrt", "after.tif", "mask.tif"),
        ("before.tif", "after.vrt", "mask.vrt"),
        ("before.tif", "after.tif", "named.geojson"),
    ],
)
def test_what_names_a_source_elsewhere_is_fetched_only_where_it_may(town, names):
    files = [str(town / name) for name in names]
    with pytest.raises(InputError, match="names a source elsewhere") as told:
        raster_scene(*files, CODING, AlignMode.OFF)
    assert "--allow-remote" in told.value.hint
    scene = raster_scene(*files, CODING, AlignMode.OFF, allow_remote=True)
    (tile,) = scene.tiles(scene.windows(SIDE, 0))
    expected = np.zeros((SIDE, SIDE), np.uint8)
    expected[8:16, 8:24] = 2
    np.testing.assert_array_equal(tile.classes, expected)


def test_a_worker_opens_what_may_fetch(town):
    for name in ("before.vrt", "mask.vrt"):
        assert not can_open(str(town / name))
        assert can_open(str(town / name), allow_remote=True)
    assert can_open(str(town / "before.tif"))
