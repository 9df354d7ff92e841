"""Scenes of a catalogue on the loopback, fetched as images."""

import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from fetched_scenes import HIDDEN, bands_of, fetch
from scene_catalog import CLOUD, LEFT, SIDE_PX, TOP, box_text

from geochg.errors import CancelledRunError, InputError, OptionError
from geochg.events import Notice, Progress
from geochg.stac.options import FetchOptions


def half_cloudy(first_row):
    classes = np.full((SIDE_PX, SIDE_PX), 4)
    classes[first_row : first_row + SIDE_PX // 2] = CLOUD
    return classes


def test_the_day_that_shows_most_is_fetched_and_clouds_are_nodata(catalog, tmp_path):
    catalog.add_scene("cloudy", "2020-06-03", 1000, CLOUD)
    classes = half_cloudy(0)
    classes[10:] = 4
    catalog.add_scene("clearest", "2020-06-13", 2000, classes)
    catalog.add_scene("half", "2020-06-23", 3000, half_cloudy(0))
    catalog.save()
    scene = fetch(catalog, tmp_path / "a.tif", cloud_margin_m=None)
    assert scene.items == ("clearest",)
    assert scene.dates == ("2020-06-13",)
    # Clouds are grown by 90 m.
    assert scene.hidden_share == pytest.approx(19 / 64, abs=1e-4)
    with rasterio.open(tmp_path / "a.tif") as image:
        assert image.descriptions == ("red", "green", "blue", "nir")
        assert image.nodatavals == (HIDDEN,) * 4
        assert image.shape == (SIDE_PX, SIDE_PX)
        values = image.read()
    assert (values[:, :19] == HIDDEN).all()
    assert (values[:, 19:] == np.array([2000, 2001, 2002, 2003])[:, None, None]).all()


def test_a_median_leaves_clouds_out_and_counts_a_day_once(catalog, tmp_path):
    catalog.add_scene("a", "2020-06-03", 1000, half_cloudy(0))
    catalog.add_scene("b", "2020-06-13", 2000)
    catalog.add_scene("b-again", "2020-06-13", 2400)
    catalog.add_scene("c", "2020-06-23", 5000)
    catalog.save()
    scene = fetch(catalog, tmp_path / "a.tif", composite="median")
    assert scene.dates == ("2020-06-03", "2020-06-13", "2020-06-23")
    with rasterio.open(tmp_path / "a.tif") as image:
        red = image.read(1)
    # Above, the mean of two days; below, the middle one of three.
    assert (red[:32] == (2400 + 5000) / 2).all()
    assert (red[32:] == 2400).all()
    assert scene.hidden_share == 0


def test_the_tags_do_not_hold_the_key_of_the_catalogue(catalog, tmp_path):
    catalog.add_scene("a", "2020-06-03", 1000)
    catalog.save()
    address = f"{catalog.url}?api_key=SECRET12345"
    catalog.url, address = address, catalog.url
    scene = fetch(catalog, tmp_path / "a.tif")
    assert scene.metadata["catalog"] == address
    with rasterio.open(tmp_path / "a.tif") as image:
        assert "SECRET12345" not in str(image.tags())


def test_the_tags_tell_time_scenes_and_licence(catalog, tmp_path):
    catalog.add_scene("s", "2020-06-13", 2000)
    catalog.save()
    fetch(catalog, tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as image:
        tags = image.tags()
    assert tags["ACQUISITIONDATETIME"] == "2020-06-13T10:00:00Z"
    assert "Copernicus" in tags["TIFFTAG_COPYRIGHT"]
    metadata = json.loads(tags["geochg"])
    assert metadata["scenes"][0]["id"] == "s"
    assert metadata["licence"] == "CC-BY-SA-3.0-IGO"


def test_a_vanished_file_sends_the_best_day_to_the_next_and_says_so(catalog, tmp_path):
    catalog.add_scene("good", "2020-06-13", 2000)
    catalog.add_scene("gone", "2020-06-15", 3000)
    catalog.faults = [{"path": "gone/nir.tif", "status": 404}]
    catalog.save()
    notices = []
    scene = fetch(catalog, tmp_path / "a.tif", listener=notices.append)
    assert scene.items == ("good",)
    (warning,) = scene.warnings
    assert warning.startswith("left out: gone has an asset 'nir' that cannot be read")
    assert [event.message for event in notices if isinstance(event, Notice)] == [warning]


def test_no_scene_and_all_cloudy_are_errors(catalog, tmp_path):
    catalog.add_scene("cloudy", "2020-06-03", 1000, CLOUD)
    catalog.save()
    with pytest.raises(InputError, match=r"has no scene of .* from 2021-06-01 to 2021-06-30"):
        fetch(catalog, tmp_path / "a.tif", "2021-06")
    with pytest.raises(InputError, match=r"clouds hide all of the area .*\(1 day\)"):
        fetch(catalog, tmp_path / "a.tif")
    assert list(tmp_path.glob("*.tif")) == []


def test_a_grid_named_twice_is_refused():
    with pytest.raises(OptionError, match="--like names a grid"):
        FetchOptions(like="a.tif", crs="EPSG:32633")


@pytest.mark.parametrize("composite", ["best", "median"])
def test_scenes_of_one_day_that_split_the_area_are_one_image(catalog, tmp_path, composite):
    catalog.add_scene("west", "2020-06-13", 2000, left=LEFT - 320)
    catalog.add_scene("east", "2020-06-13", 3000, left=LEFT + 320)
    catalog.save()
    scene = fetch(catalog, tmp_path / "a.tif", composite=composite)
    assert scene.items == ("east", "west")
    assert scene.hidden_share == 0
    red = bands_of(tmp_path / "a.tif")[0]
    assert (red[:, :32] == 2000).all()
    assert (red[:, 32:] == 3000).all()


def test_scenes_of_two_days_that_split_the_area_are_told_or_joined(catalog, tmp_path):
    catalog.add_scene("west", "2020-06-13", 2000, left=LEFT - 320)
    catalog.add_scene("east", "2020-06-19", 3000, left=LEFT + 320)
    catalog.save()
    best = fetch(catalog, tmp_path / "a.tif")
    assert best.items == ("west",)  # nearer to the middle of the month
    assert best.hidden_share == pytest.approx(0.5)
    assert "50 % of the area is not seen on 2020-06-13" in best.warnings[0]
    assert (bands_of(tmp_path / "a.tif")[0, :, 32:] == HIDDEN).all()
    median = fetch(catalog, tmp_path / "b.tif", composite="median")
    assert (median.hidden_share, median.warnings) == (0, ())


def test_where_scenes_of_a_day_overlap_the_clear_one_is_taken(catalog, tmp_path):
    catalog.add_scene("b", "2020-06-13", 2000, half_cloudy(0))
    catalog.add_scene("a", "2020-06-13", 3000, half_cloudy(32))
    catalog.save()
    assert fetch(catalog, tmp_path / "a.tif").hidden_share == 0
    red = bands_of(tmp_path / "a.tif")[0]
    assert (red[:32] == 3000).all()
    assert (red[32:] == 2000).all()


def test_scenes_of_two_utm_zones_lie_on_one_grid(catalog, tmp_path):
    # 12 degrees east, where zone 32 ends and zone 33 begins.
    area = "11.998,46.0,12.004,46.004"
    catalog.add_scene("z33", "2020-06-13", 2000, left=267_600, top=5_099_400, side_px=128)
    catalog.add_scene(
        "z32", "2020-06-13", 3000, left=731_600, top=5_099_400, side_px=128, crs="EPSG:32632"
    )
    catalog.save()
    scene = fetch(catalog, tmp_path / "a.tif", area=area)
    with rasterio.open(tmp_path / "a.tif") as image:
        assert image.crs.to_epsg() == 32633
    assert set(scene.items) == {"z32", "z33"}
    assert scene.hidden_share == 0
    assert set(np.unique(bands_of(tmp_path / "a.tif")[0])) <= {2000, 3000}


def test_an_area_over_the_antimeridian(catalog, tmp_path):
    # Zone 1 begins there; zone 60 ends.
    catalog.add_scene(
        "zone1", "2020-06-13", 2000, left=177_000, top=8_123_120, side_px=512, crs="EPSG:32701"
    )
    catalog.add_scene(
        "zone60", "2020-06-13", 3000, left=817_000, top=8_123_120, side_px=512, crs="EPSG:32760"
    )
    catalog.save()
    scene = fetch(catalog, tmp_path / "a.tif", area="179.995,-16.985,-179.995,-16.98")
    assert scene.hidden_share < 0.01
    boxes = [
        json.loads(line.split(" ", 2)[2])["bbox"]
        for line in catalog.requests
        if line.startswith("POST")
    ]
    assert [box[::2] for box in boxes] == [[179.995, 180.0], [-180.0, -179.995]]
    with rasterio.open(tmp_path / "a.tif") as image:
        assert 100 < image.width < 115  # 0.01 degrees, not the way around the globe


def test_all_dates_and_commands_of_an_area_have_one_grid(catalog, tmp_path):
    catalog.add_scene("june", "2020-06-13", 2000, left=LEFT - 100, top=TOP + 100)
    catalog.add_scene("june24", "2024-06-13", 2000, left=LEFT + 30, top=TOP + 70, side_px=100)
    catalog.save()
    area = box_text(LEFT + 3, TOP - 4, 396, 295)
    fetch(catalog, tmp_path / "a.tif", area=area)
    fetch(catalog, tmp_path / "b.tif", "2024-06", area=area, composite="median")
    fetch(catalog, tmp_path / "c.tif", "2024-06", like=str(tmp_path / "a.tif"))
    grids = []
    for name in "abc":
        with rasterio.open(tmp_path / f"{name}.tif") as image:
            grids.append((image.crs, image.transform, image.shape))
    assert grids[0] == grids[1] == grids[2]
    assert grids[0][1:] == (Affine(10, 0, LEFT, 0, -10, TOP), (30, 40))


def test_a_grid_of_ones_own(catalog, tmp_path):
    catalog.add_scene("s", "2020-06-13", 2000)
    catalog.save()
    fetch(catalog, tmp_path / "a.tif", crs="EPSG:3857", resolution=30.0)
    with rasterio.open(tmp_path / "a.tif") as image:
        assert (image.crs.to_epsg(), image.res) == (3857, (30.0, 30.0))
        values = image.read(1)
    assert (values[3:-3, 3:-3] == 2000).all()


@pytest.mark.parametrize(
    ("properties", "value"),
    [
        ({}, 3000),
        ({"s2:processing_baseline": "02.14"}, 3000),
        ({"s2:processing_baseline": "04.00"}, 2000),
        ({"s2:processing_baseline": "05.11"}, 2000),
        ({"s2:processing_baseline": "05.11", "earthsearch:boa_offset_applied": True}, 3000),
        ({"s2:processing_baseline": "05.11", "earthsearch:boa_offset_applied": False}, 2000),
    ],
)
def test_the_offset_of_newer_baselines_is_taken_off_once(catalog, tmp_path, properties, value):
    catalog.add_scene("s", "2022-06-13", 3000, properties=properties)
    catalog.save()
    fetch(catalog, tmp_path / "a.tif", "2022-06")
    assert (bands_of(tmp_path / "a.tif")[0] == value).all()


def test_what_analyze_reads_of_fetched_scenes(catalog, tmp_path):
    """Dates come from the tags, and what clouds hide is not seen: nothing is found there."""
    import geochg

    rng = np.random.default_rng(3)
    before = rng.integers(900, 1100, (SIDE_PX, SIDE_PX))
    after = before.copy()
    after[8:16, 8:56] = 4000  # under the cloud
    after[44:52, 8:56] = 4000
    catalog.add_scene("before", "2020-06-13", before)
    catalog.add_scene("after", "2024-06-13", after, half_cloudy(0))
    catalog.save()
    fetch(catalog, tmp_path / "before.tif")
    fetch(catalog, tmp_path / "after.tif", "2024-06")
    result = geochg.analyze(
        tmp_path / "before.tif", tmp_path / "after.tif", geochg.AnalyzeOptions(model="cva")
    )
    features = result.features.to_crs(32633)
    assert set(features["from_date"]) == {"2020-06-13"}
    assert set(features["to_date"]) == {"2024-06-13"}
    assert features.area.sum() == pytest.approx(8 * 48 * 100, rel=0.2)
    assert features.total_bounds[3] <= TOP - 320


def test_clouds_are_grown_over_the_edge_of_the_image(catalog, tmp_path):
    """A cloud beside the area hides what lies within the margin, as one in it does."""
    classes = np.full((SIDE_PX, SIDE_PX), 4)
    classes[:, :10] = CLOUD
    catalog.add_scene("s", "2020-06-13", 2000, classes)
    catalog.save()
    area = box_text(LEFT + 100, TOP, 500, 640)
    fetch(catalog, tmp_path / "a.tif", area=area, cloud_margin_m=50)
    red = bands_of(tmp_path / "a.tif")[0]
    assert (red[:, :5] == HIDDEN).all()
    assert (red[:, 5:] == 2000).all()


def test_progress_is_told_and_a_run_can_be_cancelled(catalog, tmp_path):
    catalog.add_scene("s", "2020-06-13", 2000)
    catalog.save()
    events = []
    fetch(catalog, tmp_path / "a.tif", listener=events.append)
    assert {event.stage for event in events if isinstance(event, Progress)} == {"clouds", "scenes"}

    class Set:
        def is_set(self):
            return True

    from geochg.stac.date_window import DateWindow
    from geochg.stac.fetch import fetch_scene
    from geochg.stac.search_area import SearchArea

    with pytest.raises(CancelledRunError):
        fetch_scene(
            SearchArea.of(box_text()),
            DateWindow.of("2020-06"),
            tmp_path / "b.tif",
            FetchOptions(catalog=catalog.url),
            cancel=Set(),
        )
    assert not (tmp_path / "b.tif").exists()


def test_a_file_of_others_is_not_replaced(catalog, tmp_path):
    catalog.add_scene("s", "2020-06-13", 2000)
    catalog.save()
    catalog.write_asset("mine.tif", 5, Affine(10, 0, 0, 0, -10, 0), "EPSG:32633", 8)
    mine = catalog.path / "mine.tif"
    content = mine.read_bytes()
    with pytest.raises(InputError, match="geochg did not write it"):
        fetch(catalog, mine)
    assert mine.read_bytes() == content
    fetch(catalog, tmp_path / "a.tif")
    fetch(catalog, tmp_path / "a.tif")  # its own is


def test_no_area_is_refused(tmp_path):
    from geochg.stac.date_window import DateWindow
    from geochg.stac.fetch import fetch_scene

    with pytest.raises(OptionError, match="no area"):
        fetch_scene(None, DateWindow.of("2020"), tmp_path / "a.tif", FetchOptions())
