"""Composites, values and grids of scenes, piece by piece."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from fetched_scenes import HIDDEN, bands_of, fetch
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from scene_catalog import LEFT, TOP, box_text

from geochg.errors import OptionError
from geochg.stac.asset_reader import ReadSettings
from geochg.stac.collection import BandSource, Collection, OffsetRule
from geochg.stac.composite_writer import windows_of
from geochg.stac.date_window import DateWindow
from geochg.stac.days import coarse_plan, days_of, least_cloudy, ranked_days
from geochg.stac.items import SceneAsset, SceneItem
from geochg.stac.options import CloudSource, FetchOptions
from geochg.stac.packing import packing_of, written_values
from geochg.stac.scene_file import acquisition_text
from geochg.stac.scene_grid import scene_grid, utm_crs
from geochg.stac.scene_reader import ScenePixels, ScenePlan, median_of, mosaic_of
from geochg.stac.search_area import SearchArea


def pixels(values, clear, dtype=np.int16):
    return ScenePixels(np.array(values, dtype)[None, None], np.array(clear, bool)[None])


@pytest.mark.parametrize(
    ("dtype", "even"), [(np.int16, 16), (np.uint8, 16), (np.float32, 15.5), (np.uint16, 16)]
)
def test_a_median_is_that_of_the_clear_days(dtype, even):
    days = [
        pixels([10, 10, 10, 9], [1, 1, 1, 0], dtype),
        pixels([21, 21, 99, 9], [1, 1, 0, 0], dtype),
        pixels([90, 9, 99, 9], [1, 0, 0, 0], dtype),
    ]
    median = median_of(days)
    assert median.values.dtype == dtype
    assert median.values[0, 0, :3].tolist() == [21, even, 10]
    assert median.clear.tolist() == [[True, True, True, False]]


def test_a_median_equals_that_of_numpy():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(7, 3, 20, 30)).astype(np.float32)
    clear = rng.random((7, 20, 30)) < 0.6
    median = median_of([ScenePixels(v, c) for v, c in zip(values, clear, strict=True)])
    expected = np.ma.median(
        np.ma.array(values, mask=np.broadcast_to(~clear[:, None], values.shape)), 0
    )
    assert (median.clear == clear.any(axis=0)).all()
    seen = median.values[:, median.clear]
    assert np.allclose(seen, expected.filled(np.nan)[:, median.clear], atol=1e-6)


def test_a_mosaic_takes_the_first_clear_scene_and_changes_none():
    first, second = pixels([1, 2, 3], [1, 0, 0]), pixels([4, 5, 6], [1, 1, 0])
    mosaic = mosaic_of([first, second])
    assert mosaic.values[0, 0, :2].tolist() == [1, 5]
    assert mosaic.clear.tolist() == [[True, True, False]]
    assert first.values[0, 0].tolist() == [1, 2, 3]


def item_of(name, day="2020-06-13", cloud_cover=None, asset=None, **properties):
    return SceneItem(
        id=name,
        collection="c",
        taken=datetime.fromisoformat(f"{day}T10:00:00+00:00"),
        cloud_cover=cloud_cover,
        footprint=shapely.box(14.9, 45.9, 15.1, 46.1),
        assets={} if asset is None else {"red": asset},
        properties=properties,
    )


RULE = OffsetRule("baseline", "04.00", -0.1, "applied")


@pytest.mark.parametrize(
    ("asset", "collection", "properties", "packing"),
    [
        (SceneAsset("x"), {"scale": 2e-4, "offset": 0.5}, {}, (2e-4, 0.5)),
        (SceneAsset("x", scales=(1e-3,)), {"scale": 2e-4, "offset": 0.5}, {}, (1e-3, 0.5)),
        (SceneAsset("x", scales=(1e-3,), offsets=(0.0,)), {"offset": 0.5}, {}, (1e-3, 0.0)),
        (SceneAsset("x", scales=(0.0,)), {"scale": 2e-4}, {}, (2e-4, 0.0)),
        (SceneAsset("x", scales=(None,)), {"scale": 2e-4}, {}, (2e-4, 0.0)),
        # What items tell of the offset is wrong in some catalogues: the rule counts.
        (SceneAsset("x", offsets=(-0.1,)), {"offset_rule": RULE}, {"baseline": "03.01"}, (1, 0.0)),
        (SceneAsset("x", offsets=(0.0,)), {"offset_rule": RULE}, {"baseline": "05.09"}, (1, -0.1)),
        (
            SceneAsset("x", offsets=(-0.1,)),
            {"offset_rule": RULE},
            {"baseline": "05.09", "applied": True},
            (1, 0.0),
        ),
        (SceneAsset("x", offsets=(-0.2,)), {"offset_rule": RULE}, {}, (1, -0.2)),
    ],
)
def test_how_values_are_packed(asset, collection, properties, packing):
    item = item_of("s", asset=asset, **properties)
    answer = packing_of(item, Collection("c", "x", **collection), BandSource("red"))
    assert (answer.scale, answer.offset) == packing


def test_written_values_are_cut_and_never_nodata():
    reflectance = np.array([0.12344, -0.05, 99, -99, np.nan, np.inf], np.float32)
    assert written_values(reflectance).tolist() == [1234, -500, 32767, -32767, 0, 32767]


@pytest.mark.parametrize(
    ("moments", "text"),
    [
        (["2020-06-13T10:00:00.5"], "2020-06-13T10:00:00Z"),
        (["2020-06-13T10:00:30", "2020-06-13T10:00:00"], "2020-06-13T10:00:00Z"),
        (["2020-06-30T10:00:00", "2020-06-01T10:00:00"], "2020-06"),
        (["2020-06-01T00:00:00", "2020-08-30T00:00:00"], "2020-07-16"),
    ],
)
def test_the_acquisition_time_of_several_scenes(moments, text):
    moments = [datetime.fromisoformat(moment).replace(tzinfo=UTC) for moment in moments]
    assert acquisition_text(moments) == text


def test_days_are_ranked_by_what_they_show_then_by_their_distance_from_the_middle():
    days = days_of([item_of(f"s{day}", f"2020-06-{day:02}") for day in (2, 14, 20)], area())
    shares = {"2020-06-02": 0.999, "2020-06-14": 0.998, "2020-06-20": 0.9}
    ranking = ranked_days(days, shares, DateWindow.of("2020-06"))
    assert [day.day[-2:] for day in ranking] == ["14", "02", "20"]


def test_of_many_days_those_with_fewest_clouds_are_looked_at():
    items = [item_of(f"s{day}", f"2020-06-{day:02}", 100 - day) for day in range(1, 29)]
    unknown = item_of("unknown", "2020-07-01")
    days = least_cloudy(days_of([*items, unknown], area()), 3)
    # A day of which nobody tells counts as half cloudy.
    assert [day.day for day in days] == ["2020-06-27", "2020-06-28", "2020-07-01"]


def area(text=None):
    return SearchArea.of(text or box_text())


@pytest.mark.parametrize(
    ("box", "epsg"),
    [
        ("14,46,15,47", 32633),
        ("11,46,11.9,47", 32632),
        ("14,-46,15,-45", 32733),
        ("179,1,-179.5,2", 32660),
        ("179.5,-2,-179,-1", 32701),
        ("10,85,11,86", 32661),
        ("10,-86,11,-85", 32761),
    ],
)
def test_the_zone_of_an_area(box, epsg):
    assert utm_crs(area(box)).epsg == epsg


def test_grids_are_snapped_to_the_pixels_of_the_collection():
    box = box_text(LEFT + 12, TOP - 1, 100, 100)
    grid = scene_grid(area(box), FetchOptions(), resolution_m=30, anchor_m=15)
    assert (grid.transform.c - 15) % 30 == 0
    assert (grid.transform.f - 15) % 30 == 0
    west, south, east, north = grid.boundingbox.bbox
    assert west <= LEFT + 12
    assert east >= LEFT + 112
    assert south <= TOP - 101
    assert north >= TOP - 1
    degrees = scene_grid(area(box), FetchOptions(crs="EPSG:4326"), resolution_m=10)
    assert degrees.resolution.x == pytest.approx(10 / 111_320)
    tiny = scene_grid(area(box_text(LEFT + 1, TOP - 1, 0.5, 0.5)), FetchOptions(), resolution_m=10)
    assert tiny.shape == (1, 1)


@pytest.mark.parametrize(("layers", "rows"), [(4, 512), (160, 128), (100_000, 64)])
def test_the_more_is_held_at_once_the_smaller_the_windows(layers, rows):
    grid = GeoBox((1100, 700), Affine(10, 0, 0, 0, -10, 0), CRS("EPSG:32633"))
    windows = windows_of(grid, layers)
    covered = np.zeros(grid.shape, int)
    for window in windows:
        assert window.height_px <= rows
        covered[window.row_start : window.row_stop, window.col_start : window.col_stop] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize(
    ("clouds", "bands_read"),
    [(CloudSource.TABLE, 0), (CloudSource.MODEL, 0), (CloudSource.NONE, 1)],
)
def test_what_is_read_to_tell_how_much_a_scene_shows(clouds, bands_read):
    bands = {"red": BandSource("r"), "green": BandSource("g")}
    plan = ScenePlan(Collection("c", "x", bands), bands, clouds, 0.0, ReadSettings())
    coarse = coarse_plan(plan)
    assert (coarse.clouds, len(coarse.bands)) == (clouds, bands_read)


def test_the_cloud_model_hides_a_cloud(catalog, tmp_path):
    """The scene of `test_cloud_model`, of a collection that no table knows."""
    pytest.importorskip("ukis_csmask")
    with rasterio.open(Path(__file__).with_name("cold_springs.tif")) as file:
        values, transform, names = file.read(), file.transform, file.descriptions
    corner = {"left": transform.c, "top": transform.f, "crs": "EPSG:32613"}
    catalog.add_collection("landsat")
    item = catalog.add_scene(
        "s", "2016-07-07", side_px=480, bands=(), collection="landsat", **corner
    )
    item["assets"] = {}
    for name, band in zip(names, values, strict=True):
        key = "nir08" if name == "nir" else name
        catalog.write_asset(
            f"s/{key}.tif", band[None], transform, "EPSG:32613", None, "uint8", None
        )
        item["assets"][key] = {
            "href": f"{catalog.base}/s/{key}.tif",
            "bands": [{"eo:common_name": key, "raster:scale": 1 / 250}],
            "gsd": 30,
        }
    catalog.save()
    box = box_text(transform.c, transform.f, 160 * 30, 130 * 30, "EPSG:32613")
    scene = fetch(
        catalog, tmp_path / "a.tif", "2016-07", area=box, collection="landsat", clouds="model"
    )
    assert 0.15 < scene.hidden_share < 0.5
    red = bands_of(tmp_path / "a.tif")[0]
    assert (red[80:100, 140:155] == HIDDEN).all()  # the cloud
    assert (red[40:60, 80:105] == HIDDEN).all()  # its shadow
    assert (red[5:35, 5:45] != HIDDEN).all()
    with pytest.raises(OptionError, match="cannot be told in pixels of 300 m"):
        fetch(
            catalog,
            tmp_path / "b.tif",
            "2016-07",
            area=box,
            collection="landsat",
            clouds="model",
            resolution=300.0,
        )
