"""Rasters that are given as objects: open datasets, DataArrays and numpy arrays."""

import gc
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray
from affine import Affine
from odc.geo.geobox import GeoBox
from pairs import planted_pair
from rasterio.io import MemoryFile
from rasters import ORIGIN, UTM

import geochg
from geochg.errors import InputError, OptionError
from geochg.options import AnalyzeOptions
from geochg.pipeline.outputs import Outputs
from geochg.records import PixelWindow
from geochg.tiling.pair import open_pair
from geochg.tiling.raster_input import raster_input
from geochg.tiling.read import PairReader
from geochg.tiling.source import read_source

pytestmark = pytest.mark.usefixtures("marker_plugin")
WKT = rasterio.CRS.from_epsg(32633).to_wkt()
TURNED = ORIGIN * Affine.rotation(20)


def options(**changes):
    few = {"model": "marker", "tile_size_px": 64, "overlap_px": 16, "align": "off"}
    return AnalyzeOptions.from_dict(few | changes)


def grid_of(values, transform=ORIGIN):
    return GeoBox(values.shape[-2:], transform, UTM)


def data_array(values, style="rioxarray", transform=ORIGIN, **attrs):
    """A DataArray as one of two libraries writes it."""
    height_px, width_px = values.shape[-2:]
    gdal = " ".join(map(str, transform.to_gdal()))
    mapping = {"crs_wkt": WKT, "spatial_ref": WKT, "GeoTransform": gdal}
    rows, cols = np.arange(height_px) + 0.5, np.arange(width_px) + 0.5
    coords = {"spatial_ref": ((), np.int32(0), mapping)}
    if transform is TURNED and style == "odc-geo":
        coords |= {"y": ("y", rows, {"units": "pixel"}), "x": ("x", cols, {"units": "pixel"})}
    elif transform is not TURNED:
        coords |= {"y": transform.f + rows * transform.e, "x": transform.c + cols * transform.a}
    dims = ("band", "y", "x") if values.ndim == 3 else ("y", "x")
    found = xarray.DataArray(values, coords, dims, attrs=attrs)
    if style == "rioxarray":
        found.encoding["grid_mapping"] = "spatial_ref"
        return found.assign_coords(band=range(1, len(values) + 1)) if values.ndim == 3 else found
    return found.assign_attrs(grid_mapping="spatial_ref")


def located(values, **changes):
    """A DataArray whose `spatial_ref` has other attributes."""
    array = data_array(values)
    array.coords["spatial_ref"].attrs.update(changes)
    return array


def at_columns(values, moved):
    """A DataArray with other coordinates of its columns."""
    array = data_array(values)
    return array.assign_coords(x=("x", moved(array.x.values)))


@pytest.fixture(scope="module")
def images():
    return planted_pair()


@pytest.fixture
def expected(images, make_raster):
    paths = [make_raster(name, i) for name, i in zip(("a.tif", "b.tif"), images, strict=True)]
    return geochg.analyze(*paths, options()).features


def as_datasets(images, stack, folder):
    for number, image in enumerate(images):
        path = folder / f"{number}.tif"
        profile = {"driver": "GTiff", "crs": UTM, "transform": ORIGIN, "dtype": image.dtype}
        height, width = image.shape[1:]
        size = {"count": len(image), "height": height, "width": width}
        with rasterio.open(path, "w", **profile, **size) as dataset:
            dataset.write(image)
        yield stack(rasterio.open(path))


def as_memory(images, stack, folder):
    for path in as_datasets(images, stack, folder):
        memory = stack(MemoryFile(Path(path.name).read_bytes()))
        yield stack(memory.open())


KINDS = {
    "open datasets": as_datasets,
    "datasets in memory": as_memory,
    "arrays": lambda images, *_: images,
    "rioxarray": lambda images, *_: [data_array(image) for image in images],
    "odc-geo": lambda images, *_: [data_array(image, "odc-geo") for image in images],
    "other order": lambda images, *_: [data_array(i).transpose("x", "y", "band") for i in images],
    "of a series": lambda images, *_: [data_array(i).expand_dims(time=[0]) for i in images],
    "a path and an array": lambda images, stack, folder: [
        next(as_datasets(images, stack, folder)).name,
        images[1],
    ],
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_objects_give_what_files_give(images, expected, tmp_path, kind):
    import contextlib

    before_files = {path for path in tmp_path.rglob("*") if path.is_file()}
    with contextlib.ExitStack() as stack:
        rasters = list(KINDS[kind](images, stack.enter_context, tmp_path))
        are_arrays = any(isinstance(raster, np.ndarray) for raster in rasters)
        made = {path for path in tmp_path.rglob("*") if path.is_file()}
        geobox = grid_of(images[0]) if are_arrays else None
        result = geochg.analyze(*rasters, options(), geobox=geobox)
        assert {path for path in tmp_path.rglob("*") if path.is_file()} == made
    assert made >= before_files
    assert result.features.drop(columns="geometry").equals(expected.drop(columns="geometry"))
    assert result.features.geometry.geom_equals(expected.geometry).all()
    sources = [source["path"] for source in result.metadata["sources"].values()]
    named = {
        "arrays": ["array", "array"],
        "datasets in memory": ["dataset in memory"] * 2,
        "open datasets": [str(tmp_path / "0.tif"), str(tmp_path / "1.tif")],
        "a path and an array": [str(tmp_path / "0.tif"), "array"],
    }
    assert sources == named.get(kind, ["array", "array"])
    assert "vsimem" not in json.dumps(result.metadata)


@pytest.mark.parametrize("style", ["rioxarray", "odc-geo"])
@pytest.mark.parametrize("transform", [ORIGIN, TURNED])
def test_the_grid_of_a_data_array(images, style, transform):
    found = read_source(raster_input(data_array(images[0], style, transform))).geobox
    assert found.shape == images[0].shape[1:]
    assert found.crs == UTM
    assert found.transform.almost_equals(transform, 1e-6)
    # What is cut out lies where it was, though the stored transform still tells the whole.
    if transform is not TURNED:
        part = data_array(images[0], style, transform).isel(y=slice(10, 40), x=slice(20, 80))
        moved = read_source(raster_input(part)).geobox
        assert moved.transform.almost_equals(transform * Affine.translation(20, 10), 1e-6)


def test_bands_nodata_scales_and_time_of_a_data_array_are_kept(images):
    values = images[0].astype(np.int16)
    array = data_array(values, _FillValue=-1, scale_factor=0.5, add_offset=2.0)
    array = array.assign_coords(
        band=["red", "green", "blue"][: len(values)], time=np.datetime64("2020-05-06T07:08:09")
    ).rename("reflectance")
    source = read_source(raster_input(array))
    assert [band.name for band in source.bands] == ["red", "green", "blue"][: len(values)]
    assert (source.nodata, source.mask) == (-1, "nodata")
    assert source.acquired.startswith("2020-05-06T07:08:09")
    assert source.to_dict()["path"] == "array reflectance"
    with rasterio.open(source.path) as dataset:
        assert (dataset.scales[0], dataset.offsets[0]) == (0.5, 2.0)
    named = data_array(images[0], long_name=("red", "green", "blue")[: len(values)])
    assert read_source(raster_input(named)).bands[0].name == "red"
    masked = data_array(images[0].astype(np.float32))
    masked.encoding["_FillValue"] = 0
    assert read_source(raster_input(masked)).nodata is None


@pytest.mark.parametrize(
    ("time", "acquired"),
    [
        (np.datetime64("2020-05-06"), "2020-05-06"),
        ([np.datetime64("2020-05-06T07:08:09")], "2020-05-06T07:08:09"),
        ("2020-05-06", "2020-05-06"),
        (np.datetime64("NaT", "ns"), ""),
        (2020, ""),
        ("spring", ""),
    ],
)
def test_the_time_of_a_data_array(images, time, acquired):
    array = data_array(images[0])
    array = (
        array.expand_dims(time=time) if isinstance(time, list) else array.assign_coords(time=time)
    )
    source = read_source(raster_input(array))
    assert source.acquired.startswith(acquired)
    assert bool(source.acquired) == bool(acquired)


@pytest.mark.parametrize(
    ("nodata", "kept"), [(-9999, None), (math.nan, None), (1e300, None), ([7], 7), ((7, 7), 7)]
)
def test_nodata_that_no_pixel_can_hold_is_none(images, nodata, kept):
    source = read_source(raster_input(data_array(images[0], _FillValue=nodata)))
    assert source.nodata == kept


@pytest.mark.parametrize("long_name", [5, [1, 2], {"a": 1}])
def test_names_that_are_none_do_no_harm(images, long_name):
    source = read_source(raster_input(data_array(images[0], long_name=long_name)))
    assert len(source.bands) == len(images[0])


@pytest.mark.parametrize("kind", ["masked", "not a number", "by hand"])
def test_holes_of_arrays_are_holes(images, kind):
    hole = np.zeros(images[0].shape[1:], bool)
    hole[20:60, 30:70] = True
    given = options()
    if kind == "masked":
        after = np.ma.array(images[1], mask=np.broadcast_to(hole, images[1].shape))
    elif kind == "not a number":
        after = np.where(hole, np.nan, images[1].astype(np.float32))
    else:
        after, given = (
            np.where(hole, 255, images[1]).astype(np.uint8),
            options(nodata=["none", "255"]),
        )
    pair = open_pair(images[0], after, given, "all", geobox=grid_of(after))
    gc.collect()  # the pair keeps alive what it reads
    with PairReader(pair.plan()) as reader:
        valid = reader.read_values(PixelWindow.whole(hole.shape))[2]
    assert not valid[hole].any()
    assert valid[~hole].mean() > 0.99


def test_memory_is_let_go_with_the_pair(images):
    pair = open_pair(*images, options(), "all", geobox=grid_of(images[0]))
    name = pair.before.path
    with rasterio.open(name) as dataset:
        assert dataset.count == len(images[0])
    del pair
    gc.collect()
    with pytest.raises(rasterio.RasterioIOError):
        rasterio.open(name)


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32", "float64", "float16", "bool"])
def test_arrays_of_many_types(dtype):
    values = (np.arange(2 * 70 * 80).reshape(2, 70, 80) % 200).astype(dtype)
    source = read_source(raster_input(values, grid_of(values)))
    kept = {"float16": "float32", "bool": "uint8"}.get(dtype, dtype)
    assert source.dtype == kept
    with rasterio.open(source.path) as dataset:
        assert (dataset.read() == values.astype(kept)).all()


def test_one_array_twice_is_told(images):
    pair = open_pair(images[0], images[0], options(), "all", geobox=grid_of(images[0]))
    assert any("the same file, array" in remark.text for remark in pair.remarks)


def test_a_run_of_arrays_goes_on_with_the_same_pixels_only(images, tmp_path):
    outputs = Outputs(tmp_path / "c.geojson")
    broken = options(model_options={"fail_tiles": [3]})
    given = {"outputs": outputs, "geobox": grid_of(images[0])}
    with pytest.raises(geochg.errors.TilesFailedError):
        geochg.analyze(*images, broken, **given)
    other = images[1].copy()
    other[0, 0, 0] += 1
    again = options(model_options={"fail_tiles": [3]}, allow_failed_tiles=True, resume=True)
    with pytest.raises(OptionError, match="the after image"):
        geochg.analyze(images[0], other, again, **given)
    result = geochg.analyze(images[0].copy(), images[1].copy(), again, **given)
    assert result.metadata["tiles"]["failed"] == 1
    assert outputs.features.is_file()


@pytest.mark.parametrize("name", ["features", "tiles", "heatmap"])
def test_outputs_may_be_texts_and_nothing_but_paths(images, tmp_path, name):
    path = tmp_path / ("h.tif" if name == "heatmap" else "c.geojson")
    outputs = Outputs(**{name: str(path)})
    assert outputs == Outputs(**{name: path})
    geochg.analyze(*images, options(), geobox=grid_of(images[0]), outputs=outputs)
    assert path.is_file()
    for other in (5, b"c.geojson", [path]):
        with pytest.raises(OptionError, match=f"output {name} cannot be a {type(other).__name__}"):
            Outputs(**{name: other})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda image: (image, None), "an array has no place"),
        (lambda image: (image.transpose(1, 2, 0), grid_of(image)), "bands first"),
        (lambda image: (image[:, :-1], grid_of(image)), "does not fit a grid of"),
        (lambda image: (image, GeoBox(image.shape[1:], ORIGIN, None)), "has no CRS"),
        (lambda image: (image.astype(object), grid_of(image)), "holds no pixels"),
        (lambda image: (image.astype("datetime64[s]"), grid_of(image)), "holds no pixels"),
        (lambda image: (data_array(image), grid_of(image)), "a raster that has a grid"),
        (lambda image: (data_array(image).drop_vars("spatial_ref"), None), "tells no CRS"),
        (lambda image: (data_array(image).rename(x="column"), None), "no dimension x"),
        (lambda image: (data_array(image).to_dataset(name="a"), None), "xarray.Dataset is no"),
        (lambda image: (data_array(image).expand_dims(time=[0, 1]), None), "isel"),
        (lambda image: (image, "EPSG:32633"), "a str is no grid"),
        (lambda image: (image, ORIGIN), "a Affine is no grid"),
        (lambda image: (image, (grid_of(image), grid_of(image))), "a tuple is no grid"),
        (lambda image: (image, grid_of(image, ORIGIN * Affine.scale(0))), "^array has pixels of"),
        (lambda image: (image, grid_of(image, ORIGIN * Affine.scale(math.nan))), "^array is plac"),
        (lambda image: (image, grid_of(image, Affine.translation(1e12, 0))), "^array "),
        (lambda image: (data_array(image).variable, None), "xarray.Variable is no"),
        (lambda image: (data_array(image)[:, :, :0], None), "has no pixels"),
        (lambda image: (data_array(image)[:, :0], None), "has no pixels"),
        (lambda image: (data_array(image)[:0], None), "has no pixels"),
        (lambda image: (data_array(image, _FillValue="none"), None), "_FillValue .* not a number"),
        (lambda image: (data_array(image, nodata=[0, 1]), None), "nodata .* not a number"),
        (lambda image: (data_array(image, scale_factor="a"), None), "scale_factor .* not a number"),
        (lambda image: (data_array(image, add_offset={}), None), "add_offset .* not a number"),
        (lambda image: (located(image, GeoTransform="1 2 3"), None), "GeoTransform .* six numbers"),
        (lambda image: (located(image, GeoTransform="1 2 3 4 5 x"), None), "six numbers: '1 2 3 4"),
        (lambda image: (located(image, GeoTransform=[1, 2]), None), "six numbers"),
        (lambda image: (located(image, crs_wkt="hello"), None), "not one that PROJ knows: 'hello'"),
        (lambda image: (located(image, crs_wkt="EPSG:999999"), None), "not one that PROJ knows"),
        (lambda image: (located(image, crs_wkt="PROJCS[]"), None), "not one that PROJ knows"),
        (lambda image: (at_columns(image, lambda x: x * 0 + 5), None), "no evenly spaced"),
        (lambda image: (at_columns(image, lambda x: x * math.nan), None), "no evenly spaced"),
        (lambda image: (at_columns(image, lambda x: x.astype(str)), None), "no evenly spaced"),
        (lambda image: (3, None), "a int is no raster"),
        (lambda image: ([image], None), "a list is no raster"),
    ],
)
def test_what_is_no_raster_is_refused_in_a_line(images, make, message):
    raster, geobox = make(images[0])
    with pytest.raises(InputError, match=message) as caught:
        raster_input(raster, geobox)
    assert caught.value.hint


def test_coordinates_that_are_uneven_are_refused(images):
    array = data_array(images[0])
    x = array.x.values
    uneven = array.assign_coords(x=np.where(np.arange(len(x)) < 20, x, x + 25))
    with pytest.raises(InputError, match="no evenly spaced"):
        raster_input(uneven)


def test_a_geobox_without_an_array_is_refused(images, make_raster):
    path = make_raster("a.tif", images[0])
    with pytest.raises(OptionError, match="geobox is for numpy arrays"):
        geochg.analyze(path, path, options(), geobox=grid_of(images[0]))


def test_datasets_that_cannot_be_opened_again_are_refused(images, make_raster):
    path = make_raster("a.tif", images[0], overviews=[2])
    with rasterio.open(path) as dataset:
        pass
    with pytest.raises(InputError, match="is closed"):
        raster_input(dataset)
    with rasterio.open(path, "r+") as dataset, pytest.raises(InputError, match="open for writing"):
        raster_input(dataset)
    with rasterio.open(path, OVERVIEW_LEVEL=0) as dataset:
        with pytest.raises(InputError, match="cannot be opened again") as caught:
            raster_input(dataset)
    assert "masked=True" in caught.value.hint
    with rasterio.open(path) as dataset, rasterio.vrt.WarpedVRT(dataset, crs="EPSG:3857") as warped:
        with pytest.raises(InputError, match="WarpedVRT"):
            raster_input(warped)


def test_a_dialogue_about_arrays(images):
    dialogue = geochg.open_dialogue(*images, options(model="cva"), geobox=grid_of(images[0]))
    assert "".join(dialogue.ask("Has anything changed?")).startswith("Yes")


def test_xarray_is_imported_only_where_it_is_given(images, make_raster):
    path = make_raster("a.tif", images[0])
    code = (
        "import sys, geochg, numpy as np\n"
        "from geochg.tiling.raster_input import raster_input\n"
        f"raster_input({str(path)!r})\n"
        # odc-geo imports dask itself where that is installed, which takes 15 ms.
        "print([name for name in ('xarray', 'dask.array', 'rioxarray') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_tiles_are_read_for_loops_of_ones_own(images):
    given = options()
    model = geochg.load_model("marker", {})
    pair = geochg.open_pair(*images, given, model.capabilities.bands, geobox=grid_of(images[0]))
    tiles = list(geochg.read_tiles(pair, given, pixels=model.capabilities.pixels))
    answers = model.answer(tiles, [geochg.ask(geochg.Task.PRESENCE)])
    assert len(tiles) == len(pair.layout(given)) == 24
    assert 0 < sum(answer.changed for (answer,) in answers) < 24
    assert isinstance(tiles[0], geochg.Tile)
    assert os.fspath(pair.before.path).startswith("/vsimem/")
