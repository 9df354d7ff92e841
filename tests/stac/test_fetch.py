"""Scenes of a catalogue on the loopback, fetched as images."""

import json

import numpy as np
import pytest
import rasterio
from scene_catalog import CLOUD, SIDE_PX, box_text

from geochg.errors import InputError, OptionError
from geochg.events import Notice
from geochg.stac.date_window import DateWindow
from geochg.stac.fetch import fetch_scene
from geochg.stac.options import FetchOptions
from geochg.stac.search_area import SearchArea

HIDDEN = -32768


def fetch(catalog, path, start="2020-06", end="", *, area=None, listener=None, **options):
    options = {"catalog": catalog.url, "cloud_margin_m": 0, **options}
    return fetch_scene(
        SearchArea.of(area or box_text()),
        DateWindow.of(start, end),
        path,
        FetchOptions(**options),
        listener=listener or (lambda event: None),
    )


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
