"""Black-and-white dates: against one in colour, and stored as a negative."""

import numpy as np
import pytest
from affine import Affine
from rasterio.enums import ColorInterp
from rasters import ORIGIN, put, texture

from geochg.errors import InputError, OptionError
from geochg.options import AlignMode, AnalyzeOptions
from geochg.records import PixelWindow
from geochg.tiling.date_reader import DateReader
from geochg.tiling.gray import luminance
from geochg.tiling.pair import open_pair
from geochg.tiling.preparation import prepare
from geochg.tiling.read import PairReader

SIDE = 40
GRAY = AnalyzeOptions(bands=("gray",))
RGB = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]


def read(pair):
    height_px, width_px = pair.grid.shape
    with PairReader(pair.plan()) as reader:
        return reader.read_values(PixelWindow(0, height_px, 0, width_px))


def color_of(count, dtype="uint8"):
    return texture(SIDE, SIDE, count).astype(dtype)


@pytest.mark.parametrize("purpose", ["rgb", "rgb+nir", "all"])
@pytest.mark.parametrize(
    ("count", "dtype", "more"),
    [
        (3, "uint8", {"colors": RGB}),
        (3, "uint16", {"names": ["B4", "B3", "B2"]}),
        (4, "float32", {"colors": [*RGB, ColorInterp.undefined]}),
        (4, "uint8", {}),
    ],
)
def test_a_date_in_colour_reads_as_its_luminance(make_raster, purpose, count, dtype, more):
    color = color_of(count, dtype)
    gray = luminance(color[:3])
    paths = make_raster("g.tif", gray), make_raster("c.tif", color, **more)
    pair = open_pair(*paths, GRAY, purpose)
    assert pair.facts.bands == ("gray",)
    assert "luminance of after" in " ".join(remark.text for remark in pair.remarks)
    before, after, valid = read(pair)
    assert valid.all()
    assert before.shape == after.shape == (1, SIDE, SIDE)
    np.testing.assert_allclose(after, before, atol=1e-3)
    assert abs(after - color[0]).max() > 10  # it is none of the bands


def test_the_order_of_the_colours_and_of_the_dates_does_not_matter(make_raster):
    color = color_of(3)
    gray = make_raster("g.tif", luminance(color))
    turned = make_raster("c.tif", color[::-1], names=["blue", "green", "red"])
    before, after, _ = read(open_pair(turned, gray, GRAY, "all"))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("align", [AlignMode.OFF, AlignMode.AUTO])
@pytest.mark.parametrize("kinds", ["cg", "gc", "cc"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_model_that_looks_at_pictures_gets_the_grey_of_each_date(
    make_raster, kinds, align, dtype
):
    color = color_of(3, dtype)
    rasters = {
        "g": make_raster("g.tif", luminance(color)),
        "c": make_raster("c.tif", color, colors=RGB),
    }
    pair = open_pair(*(rasters[kind] for kind in kinds), GRAY, "rgb")
    plan = prepare(pair, align, pixels="display").plan(pair)
    shown = []
    for date in (plan.before, plan.after):
        assert date.band_count == 1
        with DateReader(date, pair.grid) as reader:
            # The second window lies off the raster.
            for start in (0, SIDE):
                values, valid = reader.read_finished(PixelWindow(0, SIDE, start, start + SIDE))
                assert (values.shape, valid.any()) == ((1, SIDE, SIDE), start == 0)
                shown.append(values.astype(int))
    assert np.ptp(shown[0]) > 100
    np.testing.assert_allclose(shown[2], shown[0], atol=1)


def test_a_hole_in_one_colour_is_a_hole_in_the_grey_and_a_warped_date_reads_so_too(make_raster):
    color = color_of(3)
    color[:, 10:20, 10:20] = 0
    gray = make_raster("g.tif", luminance(color_of(3)))
    own = make_raster("c.tif", color, nodata=0, colors=RGB)
    _, after, valid = read(open_pair(gray, own, GRAY, "rgb"))
    assert not valid[10:20, 10:20].any()
    finer = ORIGIN * Affine.scale(0.5)
    fine = make_raster(
        "f.tif", color.repeat(2, axis=1).repeat(2, axis=2), nodata=0, colors=RGB, transform=finer
    )
    _, warped, seen = read(open_pair(gray, fine, GRAY, "rgb"))
    assert warped.shape == after.shape
    assert not seen[11:19, 11:19].any()
    both = valid & seen
    assert np.abs(warped - after)[:, both].max() <= 2


@pytest.mark.parametrize("purpose", ["rgb", "all"])
@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("colored_first", [True, False])
def test_what_the_refusal_advises_works(make_raster, purpose, count, colored_first):
    colors = [*RGB, ColorInterp.alpha][:count]
    color = color_of(count)
    if count == 4:
        color[3] = 255
    paths = make_raster("g.tif", texture(SIDE, SIDE)), make_raster("c.tif", color, colors=colors)
    paths = paths[::-1] if colored_first else paths
    with pytest.raises(InputError, match="one date is grey") as told:
        open_pair(*paths, AnalyzeOptions(), purpose)
    advised = [word.split()[0].rstrip(",") for word in told.value.hint.split("--bands ")[1:]]
    assert advised == ["gray", "1"]
    for bands in advised:
        assert open_pair(*paths, AnalyzeOptions(bands=(bands,)), purpose).facts.bands


@pytest.mark.parametrize("names", [["NDVI", "VV"], ["nir", "swir", "red"], ["VV", "VH", "HH"]])
def test_bands_that_are_no_colours_are_not_called_so(make_raster, names):
    paths = (
        make_raster("g.tif", texture(SIDE, SIDE)),
        make_raster("c.tif", color_of(len(names)), names=names),
    )
    with pytest.raises(InputError) as told:
        open_pair(*paths, AnalyzeOptions(), "all")
    assert "colour" not in told.value.message
    assert "gray" not in told.value.hint
    with pytest.raises(OptionError, match="no grey can be made of"):
        open_pair(*paths, GRAY, "all")


@pytest.mark.parametrize(("dtype", "bits"), [("uint8", None), ("uint16", None), ("uint16", 12)])
def test_a_negative_reads_as_the_positive(tmp_path, dtype, bits):
    values = texture(SIDE, SIDE).astype(dtype)
    highest = 2 ** (bits or np.iinfo(dtype).bits) - 1
    more = {"nbits": bits} if bits else {}
    stored = (highest - values.astype(np.int64)).astype(dtype)
    negative = put(tmp_path / "n.tif", stored, nodata=None, photometric="MINISWHITE", **more)
    positive = put(tmp_path / "p.tif", values, photometric="MINISBLACK", **more)
    for purpose in ("all", "rgb"):
        before, after, valid = read(open_pair(positive, negative, AnalyzeOptions(), purpose))
        assert valid.all()
        np.testing.assert_array_equal(before, after)


def test_nodata_of_a_negative_is_of_the_values_as_stored(tmp_path):
    stored = texture(SIDE, SIDE)
    stored[:, 5:9, 5:9] = 0
    negative = put(tmp_path / "n.tif", stored, nodata=0, photometric="MINISWHITE")
    positive = put(tmp_path / "p.tif", 255 - stored, photometric="MINISBLACK")
    before, after, valid = read(open_pair(positive, negative, AnalyzeOptions(), "all"))
    assert not valid[5:9, 5:9].any()
    assert valid.sum() == SIDE * SIDE - 16
    np.testing.assert_array_equal(before, after)
