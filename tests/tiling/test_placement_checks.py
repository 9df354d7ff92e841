"""Rasters that lie nowhere on the earth are refused by name, before a model is loaded."""

import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.control import GroundControlPoint
from rasters import ORIGIN, UTM, texture

import geochg
from geochg.errors import InputError, OptionError
from geochg.options import AnalyzeOptions
from geochg.pipeline.describe import describe_pair
from geochg.pipeline.dialogue import open_dialogue
from geochg.tiling.grid import shared_grid
from geochg.tiling.layout import Layout
from geochg.tiling.pair import tiles_of
from geochg.tiling.placement_checks import check_placement
from geochg.tiling.source import read_source

NAN, INF = float("nan"), float("inf")
ENGINEERING = (
    'ENGCRS["site plan",EDATUM["pile 1"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],'
    'LENGTHUNIT["metre",1]]'
)


@pytest.mark.parametrize(
    "crs",
    [
        'LOCAL_CS["site plan",UNIT["metre",1]]',
        ENGINEERING,
        "+proj=eqc +R=3396190 +units=m +no_defs",
        "+proj=stere +lat_0=-90 +R=1737400 +units=m +no_defs",
        "+proj=longlat +R=6051800 +no_defs",
        "+proj=airy +lat_0=45 +lon_0=15 +datum=WGS84",
        "EPSG:4978",  # geocentric
    ],
)
def test_systems_that_lead_nowhere_are_refused(crs):
    with pytest.raises(InputError, match=r"a\.tif"):
        check_placement("a.tif", crs, ORIGIN, (128, 128))


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32633+5773", ORIGIN),
        ("+proj=sinu +R=6371007.181 +units=m", ORIGIN),  # the sphere of MODIS
        ("EPSG:4326", Affine(0.25, 0, -180.125, 0, -0.25, 90.125)),  # grids of pixel centres
        ("EPSG:4326", Affine(0.25, 0, 0, 0, 0.25, -90)),
        ("EPSG:3857", Affine(40_000, 0, -20_037_508, 0, -40_000, 20_037_508)),
        ("+proj=geos +h=35785831 +lon_0=0", Affine(8e4, 0, -5.5e6, 0, -8e4, 5.5e6)),  # full disk
        ("EPSG:2193", Affine(10, 0, 1.6e6, 0, -10, 5.4e6)),
    ],
)
def test_systems_of_the_earth_are_taken(crs, transform):
    check_placement("a.tif", crs, transform, (128, 128))


@pytest.mark.parametrize(
    "transform",
    [
        Affine(10, 0, NAN, 0, -10, 5e6),
        Affine(NAN, 0, 5e5, 0, NAN, 5e6),
        Affine(10, 0, INF, 0, -10, 5e6),
        Affine(INF, 0, 5e5, 0, -INF, 5e6),
        Affine(0, 0, 5e5, 0, -10, 5e6),
        Affine(1, 1, 5e5, 1, 1, 5e6),
        Affine(1e-300, 0, 5e5, 0, -1e-300, 5e6),
        Affine(1e300, 0, 5e5, 0, -1e300, 5e6),
        Affine(10, 0, 1e15, 0, -10, 1e15),
    ],
)
def test_transforms_that_place_nothing_are_refused(transform):
    with pytest.raises(InputError, match=r"a\.tif") as told:
        check_placement("a.tif", UTM, transform, (128, 128))
    assert told.value.hint


@pytest.mark.parametrize(
    ("transform", "word"),
    [
        (Affine(0.1, 0, 10, 0, -0.1, 120), "latitude 120"),
        (Affine(0.1, 0, 10, 0, 0.1, -100), "latitude -100"),
        (Affine(0.1, 0, 1e5, 0, -0.1, 10), "longitude"),
    ],
)
def test_degrees_beyond_the_globe_are_refused(transform, word):
    with pytest.raises(InputError, match=word):
        check_placement("a.tif", "EPSG:4326", transform, (128, 128))


def points(*places):
    return [GroundControlPoint(*place) for place in places]


@pytest.mark.parametrize(
    "control",
    [
        points((0, 0, 5e5, 5e6)),
        points(*((n * 10, n * 10, 5e5 + 300 * n, 5e6 - 300 * n) for n in range(4))),
        points(*[(0, 0, 5e5, 5e6)] * 4),
        points((0, 0, 5e5, 5e6), (0, 63, 5e5, 5e6), (63, 0, 5e5, 5e6), (63, 63, 5e5, 5e6)),
        points((0, 0, NAN, 5e6), (0, 63, 500_640, 5e6), (63, 0, 5e5, 4_999_360)),
        points((0, 0, 5e5, 5e6), (0, 63, INF, 5e6), (63, 0, 5e5, 4_999_360)),
    ],
)
def test_control_points_that_place_nothing_are_refused(make_raster, control):
    path = make_raster("bad.tif", texture(64, 64), crs=None, transform=None, gcps=(control, UTM))
    with pytest.raises(InputError, match=r"bad\.tif") as told:
        read_source(path)
    assert "georeference" in told.value.hint


@pytest.mark.parametrize("use", [geochg.analyze, describe_pair, open_dialogue])
def test_the_images_are_looked_at_before_the_model_is_loaded(make_raster, tmp_path, use):
    options = AnalyzeOptions(model=f"vlm:{tmp_path}/nowhere")
    good = make_raster("good.tif", texture(64, 64))
    mars = make_raster("mars.tif", texture(64, 64), crs="+proj=eqc +R=3396190 +units=m +no_defs")
    far = make_raster("far.tif", texture(64, 64), transform=ORIGIN * Affine.translation(9000, 0))
    for bad, word in ((mars, "another body"), (far, "overlap"), (tmp_path / "none.tif", "none")):
        with pytest.raises(InputError, match=word):
            use(good, bad, options)


@pytest.mark.parametrize("crs", ["+proj=eqc +R=3396190 +units=m", ENGINEERING])
def test_a_grid_on_another_planet_is_refused(crs):
    grid = GeoBox((64, 64), ORIGIN, UTM)
    with pytest.raises(OptionError, match="CRS"):
        shared_grid((grid, grid), crs=crs, paths=("a.tif", "b.tif"))


def test_a_run_without_end_is_refused_with_its_number():
    vast = GeoBox((2_000_000_000, 2_000_000_000), Affine(1e-3, 0, 5e5, 0, -1e-3, 5e6), UTM)
    with pytest.raises(InputError, match="tiles, too many"):
        tiles_of(vast, AnalyzeOptions())
    assert len(tiles_of(vast[:200_000, :200_000], AnalyzeOptions())) == 893**2


def test_tiles_of_a_vast_grid_are_known_without_being_listed():
    layout = Layout(2_000_000_000, 2_000_000_000, 256, 32)
    last = layout[layout.tiles - 1]
    assert last.read.row_stop == last.core.row_stop == 2_000_000_000
