"""Dates that are packed by different scales and offsets are compared as physical values."""

import numpy as np
import pytest
import rasterio
import rasterio.features
from affine import Affine
from rasters import ORIGIN

import geochg
from geochg.options import AnalyzeOptions
from geochg.records import PixelWindow
from geochg.tiling.pair import open_pair
from geochg.tiling.preparation import Preparation
from geochg.tiling.read import PairReader

SHAPE = (3, 60, 80)

PACKINGS = {
    "reflectance as stored and as it is": (("uint16", 1e-4, -0.1), ("float32", 1.0, 0.0)),
    "Sentinel-2 before and after 2022": (("uint16", 1e-4, 0.0), ("uint16", 1e-4, -0.1)),
    "Landsat and Sentinel-2": (("uint16", 2.75e-5, -0.2), ("int16", 1e-4, 0.0)),
    "bytes": (("uint8", 1 / 250, 0.0), ("uint8", 1 / 500, 0.1)),
}
HOLE = (slice(0, 10), slice(0, 10))


def physical():
    """`(bands, height, width)` reflectances of 0.15 to 0.5 in fields."""
    rng = np.random.default_rng(4)
    return rng.uniform(0.15, 0.5, (3, 6, 8)).repeat(10, axis=1).repeat(10, axis=2)


def packed(values, dtype, scale, offset):
    stored = (values - offset) / scale
    return (stored if dtype.startswith("f") else stored.round()).astype(dtype)


@pytest.fixture
def write(make_raster):
    def write(name, values, packing, holes=False, **more):
        _, scale, offset = packing
        stored = packed(values, *packing)
        if holes:
            stored[(slice(None), *HOLE)] = 0
            more["nodata"] = 0
        path = make_raster(name, stored, **more)
        if (scale, offset) != (1.0, 0.0):
            with rasterio.open(path, "r+") as file:
                file.scales, file.offsets = [scale] * 3, [offset] * 3
        return path

    return write


def read(paths, **given):
    """The pair, the values of both dates, and where both are valid."""
    pair = open_pair(*paths, AnalyzeOptions(**given), "all")
    height_px, width_px = pair.grid.shape
    with PairReader(Preparation().plan(pair)) as reader:
        return pair, *reader.read_values(PixelWindow(0, height_px, 0, width_px))


@pytest.mark.parametrize("kind", PACKINGS)
@pytest.mark.parametrize("turned", [False, True], ids=["as given", "swapped"])
def test_both_dates_have_the_values_of_the_ground(write, kind, turned):
    packings = PACKINGS[kind][::-1] if turned else PACKINGS[kind]
    paths = [
        write(f"{n}.tif", physical(), packing, holes=n == 1) for n, packing in enumerate(packings)
    ]
    pair, before, after, valid = read(paths)
    assert pair.facts.dtype == "float32"
    assert before.dtype == after.dtype == np.float32
    assert not valid[HOLE].any()
    assert valid.sum() == valid.size - 100
    for values in (before, after):
        assert np.abs(values - physical())[:, valid].max() < 0.003


def test_where_an_image_is_warped_too(write):
    packings = PACKINGS["Sentinel-2 before and after 2022"]
    flat = np.full(SHAPE, 0.3)
    aside = ORIGIN * Affine.translation(0.4, -0.3)
    paths = write("a.tif", flat, packings[0]), write("b.tif", flat, packings[1], transform=aside)
    _, _, after, valid = read(paths)
    assert after[:, valid] == pytest.approx(0.3, abs=1e-4)


@pytest.mark.parametrize("kind", PACKINGS)
def test_where_a_grey_date_is_compared_with_the_luminance_of_colors(make_raster, write, kind):
    flat = np.full(SHAPE, 0.3)
    grey, colored = PACKINGS[kind]
    color = write("color.tif", flat, colored, names=["red", "green", "blue"])
    path = make_raster("grey.tif", packed(flat[:1], *grey))
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = grey[1:2], grey[2:]
    pair = open_pair(path, color, AnalyzeOptions(bands=("gray",)), "rgb")
    with PairReader(Preparation().plan(pair)) as reader:
        before, after, valid = reader.read_values(PixelWindow(0, 60, 0, 80))
    assert len(before) == len(after) == 1
    assert valid.all()
    assert before == pytest.approx(0.3, abs=0.003)
    assert after == pytest.approx(0.3, abs=0.003)


@pytest.mark.parametrize("kind", PACKINGS)
def test_it_is_told(write, kind):
    paths = [write(f"{n}.tif", physical(), packing) for n, packing in enumerate(PACKINGS[kind])]
    remarks = open_pair(*paths, AnalyzeOptions(), "all").remarks
    (remark,) = [each for each in remarks if "different scales" in each.message]
    assert str(paths[0]) in remark.message
    # Of a file that says nothing nobody knows whether it is packed.
    silent = [p for p, packing in zip(paths, PACKINGS[kind], strict=True) if packing[1:] == (1, 0)]
    assert remark.warning is bool(silent)
    assert all(remark.hint.endswith(f"gdal_edit.py -scale S -offset O {path}") for path in silent)


@pytest.mark.parametrize(
    "scales",
    [(1e-4, 1e-4), (1e-4, float(np.float32(1e-4))), (1.0, 1.0), (0.0, 1.0), (float("nan"), 1.0)],
)
def test_what_is_packed_alike_stays_as_it_is_stored(make_raster, scales):
    paths = []
    for n, scale in enumerate(scales):
        paths.append(make_raster(f"{n}.tif", packed(physical(), "uint16", 1e-4, 0)))
        with rasterio.open(paths[-1], "r+") as file:
            file.scales = [scale] * 3
    pair, before, _, _ = read(paths)
    assert pair.facts.dtype == "uint16"
    assert before.max() > 1000
    assert not [each for each in pair.remarks if "scales" in each.message]


@pytest.mark.parametrize("model", ["cva", "irmad"])
@pytest.mark.parametrize("kind", PACKINGS)
def test_only_what_changed_is_found(write, model, kind):
    rng = np.random.default_rng(1)
    before = physical() + rng.normal(0, 0.004, SHAPE)
    after = physical() + rng.normal(0, 0.004, SHAPE)
    after[:, 20:34, 30:44] += 0.4
    before, after = before.clip(0.11, 0.99), after.clip(0.11, 0.59)
    paths = [
        write(f"{n}.tif", values, packing)
        for n, (values, packing) in enumerate(zip((before, after), PACKINGS[kind], strict=True))
    ]
    options = AnalyzeOptions(model=model, align="off", tile_size_px=64, overlap_px=8)
    features = geochg.analyze(*paths, options).features
    with rasterio.open(paths[0]) as file:
        burnt = rasterio.features.geometry_mask(
            features.to_crs(file.crs).geometry, SHAPE[1:], file.transform, invert=True
        )
    assert burnt[20:34, 30:44].mean() > 0.9
    burnt[18:36, 28:46] = False
    assert burnt.mean() < 0.01
