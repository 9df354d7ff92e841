"""A nodata value that is given by hand counts instead of what the files say."""

import numpy as np
import pytest
from rasters import put, texture, virtual

import geochg
from geochg.errors import OptionError
from geochg.options import AnalyzeOptions, DateOptions
from geochg.records import PixelWindow
from geochg.tiling.date_reader import DatePlan, DateReader
from geochg.tiling.pair import open_pair
from geochg.tiling.read import PairReader
from geochg.tiling.source import read_source

pytestmark = pytest.mark.usefixtures("marker_plugin")

SIDE = 64
HOLE = np.zeros((SIDE, SIDE), bool)
HOLE[20:40, 10:40] = True
WHOLE = PixelWindow(0, SIDE, 0, SIDE)


def image(value, dtype="uint8", bands=3):
    """Ground with a hole that holds a value."""
    values = texture(SIDE, SIDE, bands).astype(dtype)
    values[:, HOLE] = value
    return values


def valid_of(path, nodata, moved_px=0.0, numbers=(1, 2, 3)):
    """Where a raster is valid, read on its own lattice or warped onto one beside it."""
    source = read_source(path, DateOptions(nodata=nodata))
    grid = source.geobox.translate_pix(moved_px, moved_px) if moved_px else source.geobox
    with DateReader(DatePlan(source, tuple(numbers)), grid) as reader:
        return reader.read(WHOLE)[1]


@pytest.mark.parametrize("moved_px", [0, 0.5])
@pytest.mark.parametrize("said", [None, 7])
@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (0, "uint8"),
        (255, "uint8"),
        (65535, "uint16"),
        (4294967295, "uint32"),
        (-32768, "int16"),
        (-9999, "float32"),
        (0.1, "float32"),
        (-3.4028234663852886e38, "float32"),
        (1e20, "float64"),
        (np.nan, "float32"),
    ],
)
def test_a_value_that_the_file_does_not_name_is_a_hole(tmp_path, value, dtype, said, moved_px):
    path = put(tmp_path / "a.tif", image(value, dtype), nodata=said)
    # Ground that the file calls nodata is ground now.
    valid = valid_of(path, (float(value),), moved_px)
    assert not valid[23:37, 13:37].any()
    assert valid[44:-3, 3:-3].all()
    assert read_source(path, DateOptions(nodata=(float(value),))).mask == "nodata"


def test_text_keeps_enough_digits_of_a_value():
    options = AnalyzeOptions(nodata=("-3.4028235e38", "0.1"))
    assert options.of_dates()[0].nodata == (-3.4028235e38,)
    assert options.of_dates()[1].nodata == (0.1,)


@pytest.mark.parametrize(
    "kind", ["value", "value of one band", "value beside a mask", "NODATA_VALUES"]
)
def test_none_takes_what_the_file_calls_nodata_for_ground(tmp_path, make_raster, kind):
    planes = list(image(0))
    if kind == "value of one band":
        path = virtual(tmp_path, planes, (None, 0, None))
    elif kind == "value beside a mask":
        mask = np.ones((SIDE, SIDE), bool)
        mask[:10] = False
        path = make_raster("a.tif", image(0), nodata=0, mask=mask)
    elif kind == "NODATA_VALUES":
        path = make_raster("a.tif", image(0), tags={"NODATA_VALUES": "0 0 0"})
    else:
        path = put(tmp_path / "a.tif", image(0), nodata=0)
    assert not valid_of(path, None)[HOLE].any()
    for moved_px in (0, 0.5):
        valid = valid_of(path, (), moved_px)
        assert valid[12:-3, 3:-3].all()
        if kind == "value beside a mask":
            assert not valid[:9].any()
    expected = "mask" if kind == "value beside a mask" else "none"
    assert read_source(path, DateOptions(nodata=())).mask == expected


@pytest.mark.parametrize("kind", ["mask", "alpha", "masks of bands"])
def test_masks_count_beside_a_value(make_raster, kind):
    mask = np.ones((SIDE, SIDE), bool)
    mask[:10] = False
    how = {"mask": {"mask": mask}, "alpha": {"alpha": mask}}.get(kind, {"nodata": 9, "mask": mask})
    path = make_raster("a.tif", image(200), **how)
    for moved_px in (0, 0.5):
        valid = valid_of(path, (200.0,), moved_px)
        assert not valid[:9].any()
        assert not valid[23:37, 13:37].any()
        assert valid[44:-3, 3:-3].all()


def test_a_value_that_could_be_measured_is_a_hole_in_all_bands_only(tmp_path):
    values = image(0)
    values[0, 50:60, 50:60] = 0
    path = put(tmp_path / "a.tif", values)
    assert valid_of(path, (0.0,))[50:60, 50:60].all()
    values = image(-9999, "float32")
    values[0, 50:60, 50:60] = -9999
    path = put(tmp_path / "b.tif", values)
    assert not valid_of(path, (-9999.0,))[50:60, 50:60].any()


def test_bands_that_cannot_hold_a_value_have_no_holes_by_it(tmp_path):
    first, second, third = image(0)
    planes = (first, second.astype(np.float32), third.astype(np.uint16))
    planes[1][HOLE] = -9999
    path = virtual(tmp_path, planes, (None, None, None))
    assert (valid_of(path, (-9999.0,)) == ~HOLE).all()


def test_an_index_of_a_palette_can_be_named(make_raster):
    index = np.ones((SIDE, SIDE), np.uint8)
    index[HOLE] = 3
    colors = {i: (10 + 30 * i, 20, 30, 255) for i in range(4)}
    path = make_raster("a.tif", index, palette=colors)
    assert (valid_of(path, (3.0,)) == ~HOLE).all()
    assert valid_of(path, None).all()
    path = make_raster("b.tif", index, palette=colors, nodata=3)
    assert valid_of(path, (np.nan,)).all()


@pytest.mark.parametrize(
    ("nodata", "left_out"),
    [
        ((), ()),
        (("0",), ("before", "after")),
        (("0", "255"), ("before", "after")),
        (("0", "none"), ("before",)),
        (("none", "0"), ("after",)),
        (("nan", "none"), ()),
    ],
)
def test_one_value_is_for_both_dates_and_two_are_for_each(tmp_path, nodata, left_out):
    before, after = texture(SIDE, SIDE, 3), texture(SIDE, SIDE, 3, seed=1)
    before[:, 5:20, 30:50] = 0
    after[:, 40:55, 10:30] = 255 if nodata == ("0", "255") else 0
    paths = put(tmp_path / "a.tif", before), put(tmp_path / "b.tif", after)
    options = AnalyzeOptions(nodata=nodata, keep_collars=True)
    pair = open_pair(*paths, options, "rgb")
    with PairReader(pair.plan()) as reader:
        valid = reader.read_values(WHOLE)[2]
    assert valid[5:20, 30:50].any() == ("before" not in left_out)
    assert valid[40:55, 10:30].any() == ("after" not in left_out)
    assert valid[58:].all()


def test_a_run_leaves_out_what_is_called_nodata_and_says_so(tmp_path):
    before, after = texture(SIDE, SIDE, 3), texture(SIDE, SIDE, 3)
    after[:, HOLE] = 0
    paths = put(tmp_path / "a.tif", before), put(tmp_path / "b.tif", after)
    few = {"model": "marker", "tile_size_px": 64, "align": "off", "keep_collars": True}
    assert len(geochg.analyze(*paths, AnalyzeOptions.from_dict(few)).features) == 1
    options = AnalyzeOptions.from_dict(few | {"nodata": ["none", "0"]})
    result = geochg.analyze(*paths, options)
    assert result.features.empty
    assert result.metadata["options"]["nodata"] == ["none", "0"]


@pytest.mark.parametrize(
    "nodata", [("x",), ("",), ("0x10",), ("1_000",), ("1", "2", "3"), ("1;2",), ("9" * 500 + "z",)]
)
def test_what_is_no_value_is_refused_in_a_line(nodata):
    with pytest.raises(OptionError, match="nodata") as caught:
        AnalyzeOptions(nodata=nodata).of_dates()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("dtype", "value"), [("uint8", 300), ("uint8", -1), ("int16", 0.5), ("float32", 1e300)]
)
def test_a_value_that_no_band_can_hold_is_refused(tmp_path, dtype, value):
    path = put(tmp_path / "a.tif", image(0, dtype))
    with pytest.raises(
        OptionError, match=rf"no value that .*a\.tif can hold: .* {dtype}"
    ) as caught:
        read_source(path, DateOptions(nodata=(float(value),)))
    assert "for each date" in caught.value.hint
