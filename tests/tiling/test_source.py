import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasters import ORIGIN, UTM, texture

from geochg.errors import InputError
from geochg.tiling.source import open_source, read_source


def test_a_source_says_what_it_is(make_raster):
    path = make_raster(
        "a.tif",
        texture(40, 60, 3),
        nodata=0,
        names=["red", "green", "blue"],
        tags={"TIFFTAG_DATETIME": "2014:07:20 10:30:00"},
        overviews=[2],
    )
    source = read_source(path)
    assert source.geobox.shape == (40, 60)
    assert source.geobox.crs == UTM
    assert [band.name for band in source.bands] == ["red", "green", "blue"]
    assert (source.dtype, source.nodata, source.mask) == ("uint8", 0, "nodata")
    assert source.overviews == (2,)
    assert source.acquired == "2014-07-20T10:30:00"
    assert source.to_dict()["size_bytes"] == path.stat().st_size


def test_what_lies_beside_a_raster_belongs_to_it(make_raster, tmp_path):
    path = make_raster("a.tif", texture(64, 64))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False, TIFF_USE_OVR=True):
        with rasterio.open(path, "r+") as dataset:
            half = np.zeros((64, 64), bool)
            half[:32] = True
            dataset.write_mask(half)
        with rasterio.open(path, "r+") as dataset:
            dataset.build_overviews([2])
    assert (tmp_path / "a.tif.msk").exists()
    assert (tmp_path / "a.tif.ovr").exists()
    source = read_source(path)
    assert source.mask == "mask"
    assert source.overviews == (2,)
    assert {Path(file).name for file in source.files} >= {"a.tif", "a.tif.msk", "a.tif.ovr"}


def test_a_picture_is_placed_by_the_files_beside_it(make_raster, tmp_path):
    picture = tmp_path / "a.png"
    rasterio.shutil.copy(
        make_raster("a.tif", texture(20, 30)), picture, driver="PNG", worldfile="YES"
    )
    assert read_source(picture).geobox.crs == UTM


@pytest.mark.parametrize("kind", ["none", "nodata", "alpha", "mask"])
def test_where_validity_comes_from(make_raster, kind):
    valid = np.ones((20, 20), bool)
    extra = {"nodata": {"nodata": 0}, "alpha": {"alpha": valid}, "mask": {"mask": valid}}
    source = read_source(make_raster("a.tif", texture(20, 20), **extra.get(kind, {})))
    assert source.mask == kind
    assert sum(not band.alpha for band in source.bands) == 1


def test_a_palette_image_reads_as_colours_with_alpha(make_raster):
    index = np.array([[0, 1], [2, 3]], np.uint8)
    colors = {i: (10 + 30 * i, 20 + 30 * i, 30 + 30 * i, 255) for i in range(4)}
    path = make_raster("a.tif", index, palette=colors, nodata=3)
    source = read_source(path)
    assert [band.role for band in source.bands] == ["red", "green", "blue", ""]
    with open_source(str(path)) as dataset:
        pixels = dataset.read()
    assert pixels[:3, 0, 1].tolist() == [40, 50, 60]
    assert (pixels[3] > 0).tolist() == [[True, True], [True, False]]


def test_ground_control_points_are_rectified(make_raster):
    data = texture(50, 60)
    corners = [(0, 0), (0, 60), (50, 0), (50, 60), (25, 30)]
    points = [GroundControlPoint(row, col, *(ORIGIN * (col, row))) for row, col in corners]
    path = make_raster("a.tif", data, crs=None, transform=None, gcps=(points, UTM))
    source = read_source(path)
    assert source.placed_by == "gcps"
    assert source.geobox.crs == UTM
    assert np.allclose(source.geobox.transform[:6], ORIGIN[:6], atol=1e-3)
    with open_source(str(path)) as dataset:
        assert (dataset.read(1) == data[0]).mean() > 0.98


def test_rational_polynomials_alone_are_refused_with_the_way_out(make_raster):
    path = make_raster("a.tif", texture(20, 20), crs=None, transform=None)
    ones = [1.0] + [0.0] * 19
    with rasterio.open(path, "r+") as dataset:
        dataset.rpcs = RPC(0, 1, 45, 1, ones, ones, 10, 10, 15, 1, ones, ones, 10, 10)
    with pytest.raises(InputError, match="RPC") as caught:
        read_source(path)
    assert "gdalwarp -rpc" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist"), (b"", "is empty"), (b"plain text, no raster", "not a raster")],
)
def test_files_that_are_no_rasters(tmp_path, content, message):
    path = tmp_path / "a.tif"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_source(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        read_source(tmp_path)


def test_a_file_cut_off_in_its_header_is_refused(make_raster):
    path = make_raster("a.tif", texture(300, 300), COPY_SRC_OVERVIEWS="NO")
    path.write_bytes(path.read_bytes()[:6])
    with pytest.raises(InputError, match="not a raster"):
        read_source(path)


def test_no_crs_and_no_place_are_refused(make_raster):
    with pytest.raises(InputError, match="no coordinate reference system"):
        read_source(make_raster("a.tif", texture(20, 20), crs=None))
    with pytest.raises(InputError, match="no place on the ground"):
        read_source(make_raster("b.tif", texture(20, 20), transform=Affine.identity()))


def test_a_container_without_a_chosen_raster_lists_them(tmp_path):
    path = tmp_path / "two.gpkg"
    profile = {
        "driver": "GPKG",
        "height": 20,
        "width": 20,
        "count": 3,
        "dtype": "uint8",
        "crs": UTM,
        "transform": ORIGIN,
    }
    for table in ("one", "two"):
        with rasterio.open(
            path,
            "w",
            RASTER_TABLE=table,
            APPEND_SUBDATASET="YES" if path.exists() else "NO",
            **profile,
        ) as dataset:
            dataset.write(texture(20, 20, 3))
    with pytest.raises(InputError, match="several rasters") as caught:
        read_source(path)
    assert "GPKG:" in caught.value.hint
    assert read_source(f"GPKG:{path}:two").geobox.shape == (20, 20)


def test_a_raster_inside_a_zip_opens_by_its_gdal_name(make_raster, tmp_path):
    path = make_raster("a.tif", texture(20, 30))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "a.tif")
    assert read_source(f"/vsizip/{tmp_path}/a.zip/a.tif").geobox.shape == (20, 30)


def test_a_netcdf_variable_opens_by_its_gdal_name(make_raster, tmp_path):
    path = tmp_path / "a.nc"
    rasterio.shutil.copy(make_raster("a.tif", texture(20, 30)), path, driver="NetCDF")
    source = read_source(f'NETCDF:"{path}":Band1')
    assert source.geobox.shape == (20, 30)
    assert source.geobox.crs.epsg == 32633


@pytest.fixture
def address(tmp_path):
    """Where the files of `tmp_path` are served."""
    script = Path(__file__).parent.parent / "support" / "range_server.py"
    command = [sys.executable, str(script), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield f"/vsicurl/http://127.0.0.1:{int(server.stdout.readline())}"
        server.kill()


def test_a_raster_on_a_server_is_read_in_parts(make_raster, address):
    data = texture(20, 30)
    make_raster("a.tif", data)
    with open_source(f"{address}/a.tif") as dataset:
        assert (dataset.read() == data).all()
    with pytest.raises(InputError, match="cannot open"):
        read_source(f"{address}/missing.tif")


def test_the_files_behind_virtual_rasters_and_archives_are_known(make_raster, tmp_path):
    base = make_raster("base.tif", texture(20, 30))
    inner, outer = tmp_path / "inner.vrt", tmp_path / "outer.vrt"
    rasterio.shutil.copy(base, inner, driver="VRT")
    plain = inner.read_text()
    name = re.search("<SourceFilename.*</SourceFilename>", plain).group()
    outer.write_text(plain.replace(name, f"<SourceFilename>{inner}</SourceFilename>"))
    files = {Path(file).resolve() for file in read_source(outer).files}
    assert files >= {base, inner, outer}
    colors = {i: (i, i, i, 255) for i in range(4)}
    painted = make_raster("painted.tif", np.zeros((20, 30), np.uint8), palette=colors)
    rasterio.shutil.copy(painted, tmp_path / "painted.vrt", driver="VRT")
    files = {Path(file).resolve() for file in read_source(tmp_path / "painted.vrt").files}
    assert painted in files
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(base, "in/base.tif")
    files = read_source(f"/vsizip/{tmp_path}/a.zip/in/base.tif").files
    assert str(tmp_path / "a.zip") in files


def test_secrets_in_an_address_stay_out_of_messages():
    with pytest.raises(InputError, match="cannot open") as caught:
        read_source("/vsicurl/http://127.0.0.1:9/a.tif?" + "s" * 1100)
    assert "sss" not in caught.value.message
