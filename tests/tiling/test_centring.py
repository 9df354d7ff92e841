"""Numbers that float32 does not tell apart are brought near zero, or refused; complex ones are."""

import json
import warnings

import numpy as np
import pytest
from rasters import texture, virtual

from geochg.errors import InputError
from geochg.options import AlignMode, AnalyzeOptions
from geochg.tiling.pair import open_pair
from geochg.tiling.preparation import Preparation, prepare
from geochg.tiling.read import read_ahead

SMALL = AnalyzeOptions(tile_size_px=64, overlap_px=16)
GROUND = texture(64, 64, 2).astype(np.float64)


def large(dtype, level, step, ground=GROUND):
    kind = np.dtype(dtype).kind
    values = ground * step
    if kind == "f":
        return (values + level).astype(dtype)
    return values.astype(np.int64).astype(dtype) + np.dtype(dtype).type(level)


def differences(make_raster, dtype, level, step, **more):
    """How float32 shows a change of ten steps within a change of one."""
    changed = GROUND + 1
    changed[:, 20:40, 20:40] += 9
    before = make_raster("b.tif", large(dtype, level, step), **more)
    after = make_raster("a.tif", large(dtype, level, step, changed), **more)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        pair = open_pair(before, after, SMALL, "all")
        found = prepare(pair, AlignMode.AUTO)
        # As a resumed run has it, out of its journal.
        found = Preparation.from_dict(json.loads(json.dumps(found.to_dict())))
        (tile,) = read_ahead(found.plan(pair), pair.layout(SMALL), 2)
    assert tile.before.dtype == np.float32
    return found, tile.valid, (tile.after - tile.before)


@pytest.mark.parametrize(
    ("dtype", "level", "step"),
    [
        ("uint32", 4_200_000_000, 1),
        ("int32", -1_600_000_000, 1),
        ("int32", 1_600_000_000, 3),
        ("int64", 2**53 - 10_000, 1),
        ("int64", -(2**62), 1),
        ("uint64", 2**63 + 5, 1),
        ("float64", 1e9, 0.1),
        ("float64", -3e12, 0.5),
    ],
)
def test_large_numbers_keep_their_differences(make_raster, dtype, level, step):
    found, valid, change = differences(make_raster, dtype, level, step)
    assert found.centring is not None
    (remark,) = found.remarks()
    assert "taken off" in remark.message
    assert valid.all()
    assert np.allclose(change[:, 5:15, 5:15], step, rtol=0.01)
    assert np.allclose(change[:, 22:38, 22:38], 10 * step, rtol=0.01)


@pytest.mark.parametrize("scale", [1e39, 1e200, 1e-60])
def test_numbers_beyond_float32_are_brought_into_its_range(make_raster, scale):
    found, valid, change = differences(make_raster, "float64", 0, scale)
    assert "divided by" in found.remarks()[0].message
    assert valid.all()
    ratio = change[:, 22:38, 22:38].mean() / change[:, 5:15, 5:15].mean()
    assert ratio == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize(
    ("dtype", "level", "step"),
    [("int32", 0, 1), ("uint32", 3000, 10), ("float64", 0.2, 1e-3), ("int64", 0, 1000)],
)
def test_usual_numbers_are_left_as_they_are(make_raster, dtype, level, step):
    found, valid, change = differences(make_raster, dtype, level, step)
    assert found.centring is None
    assert found.remarks() == ()
    assert valid.all()
    assert np.allclose(change[:, 22:38, 22:38], 10 * step, rtol=0.01)


@pytest.mark.parametrize("nodata", [np.finfo(np.float64).min, -1.797693e308, 1e300])
def test_nodata_beyond_float32_is_a_hole_without_a_warning(make_raster, nodata):
    values = GROUND.copy()
    values[:, 10:20] = nodata
    path = make_raster("a.tif", values, nodata=nodata)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        pair = open_pair(path, path, SMALL, "all", refusing=False)
        found = prepare(pair, AlignMode.OFF)
        (tile,) = read_ahead(found.plan(pair), pair.layout(SMALL), 2)
    assert found.centring is None
    assert not tile.valid[10:20].any()
    assert tile.valid[:10].all()


def test_a_single_number_beyond_float32_is_a_hole(make_raster):
    values = GROUND.copy()
    values[0, 3, 4] = 1e200
    path = make_raster("a.tif", values)
    pair = open_pair(path, path, SMALL, "all", refusing=False)
    (tile,) = read_ahead(prepare(pair, AlignMode.OFF).plan(pair), pair.layout(SMALL), 2)
    assert tile.valid.sum() == tile.valid.size - 1
    assert np.isfinite(tile.before).all()


def test_dates_that_lie_too_far_apart_are_refused(make_raster):
    before = make_raster("b.tif", large("int32", 0, 1))
    after = make_raster("a.tif", large("int32", 2_000_000_000, 1))
    pair = open_pair(before, after, SMALL, "all")
    with pytest.raises(InputError, match="too far apart"):
        prepare(pair, AlignMode.OFF)


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "complex_int16"])
@pytest.mark.parametrize("purpose", ["rgb", "all"])
def test_complex_numbers_are_refused_with_the_way_out(make_raster, dtype, purpose):
    values = (GROUND[:1] * (1 + 1j)).astype(np.complex64 if "int" in dtype else dtype)
    path = make_raster("a.tif", values, dtype=dtype)
    with pytest.raises(InputError, match="complex numbers") as told:
        open_pair(path, path, SMALL, purpose, refusing=False)
    assert "amplitude" in told.value.hint


def test_bands_of_several_types_are_read_as_one(tmp_path):
    planes = [GROUND[0][:64].astype(np.uint8), GROUND[1].astype(np.float32) / 300]
    path = virtual(tmp_path, planes, (None, None))
    pair = open_pair(path, path, SMALL, "all", refusing=False)
    for crs in (None, "EPSG:32634"):
        pair = open_pair(path, path, AnalyzeOptions(crs=crs), "all", refusing=False)
        found = prepare(pair, AlignMode.OFF)
        tile = next(iter(read_ahead(found.plan(pair), pair.layout(AnalyzeOptions()), 2)))
        assert tile.before[0].max() > 200
        assert 0.5 < tile.before[1].max() < 1
