"""When images were taken, by hand, by tags and by names."""

import pytest
from rasters import put, texture

import geochg
from geochg.errors import InputError, OptionError
from geochg.tiling.series_dates import date_in_name, date_of, naming_remarks, with_given_dates
from geochg.tiling.source import read_source


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("scene_2020-06-01.tif", "2020-06-01"),
        ("2020_06_01.tif", "2020-06-01"),
        ("S2A_MSIL2A_20200601T103021_N0214.SAFE", "2020-06-01"),
        ("LC08_L2SP_160043_20200601_20200820_02_T1_B4.TIF", "2020-06-01"),
        ("/data/2019/scene_202006.tif", ""),
        ("scene_2020-06.tif", "2020-06"),
        ("/data/2019/dubai_2015.tif", "2015"),
        (r"C:\images\dubai2015.tif", "2015"),
        ("https://example.org/2020-06-01/b.tif?when=2021-01-01", ""),
        ("change_2015_2018.tif", ""),
        ("crop_2000x2000.tif", ""),
        ("tile_2048.tif", ""),
        ("scene_2020-13-01.tif", "2020"),
        ("scene_20200231.tif", ""),
        ("120200601.tif", ""),
        ("t1.tif", ""),
    ],
)
def test_dates_are_found_in_names(name, date):
    assert date_in_name(name) == date


@pytest.fixture
def source(tmp_path):
    """An image with a name and tags."""

    def make(name, **tags):
        import rasterio

        path = put(tmp_path / name, texture(32, 32))
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(**tags)
        return read_source(path)

    return make


@pytest.mark.parametrize(
    ("name", "tags", "date", "told_by"),
    [
        ("a.tif", {"TIFFTAG_DATETIME": "2020:06:01 10:20:30"}, "2020-06-01", "TIFFTAG_DATETIME"),
        ("a.tif", {"ACQUISITION_DATE": "2020-06"}, "2020-06", "ACQUISITION_DATE"),
        ("a_2019.tif", {"ACQUISITION_DATE": "2020-06-01"}, "2020-06-01", "ACQUISITION_DATE"),
        ("a_2019.tif", {}, "2019", "name"),
        ("a_2019.tif", {"TIFFTAG_DATETIME": "soon"}, "2019", "name"),
        ("a.tif", {}, "", ""),
    ],
)
def test_tags_count_before_names(source, name, tags, date, told_by):
    found = date_of(source(name, **tags))
    assert (found.text, found.told_by) == (date, told_by)


def test_dates_by_hand_count_before_tags(source):
    dated = source("a_2018.tif", TIFFTAG_DATETIME="2020:06:01 10:20:30")
    (given,) = with_given_dates([dated], ["2019-05"])
    assert date_of(given).text == "2019-05"
    with pytest.raises(OptionError, match="no date"):
        with_given_dates([dated], ["2019-5-x"])


def test_a_file_that_was_written_at_another_time_is_told(source):
    (remark,) = naming_remarks([source("a_2015.tif", TIFFTAG_DATETIME="2024:06:01 10:20:30")])
    assert "2024-06-01" in remark.message
    assert "2015" in remark.message
    assert remark.warning
    assert not list(naming_remarks([source("b_2015.tif", TIFFTAG_DATETIME="2015:06:01 00:00:00")]))
    assert not list(naming_remarks([source("c_2015.tif", ACQUISITION_DATE="2024-06-01")]))


@pytest.mark.parametrize(
    "dates", [("2021", "2019"), ("2020", "2019"), ("2020-01-02", "2020-01-01")]
)
def test_a_pair_is_refused_by_dates_that_its_user_gave(tmp_path, dates):
    paths = [put(tmp_path / name, texture(64, 64, 3)) for name in ("a.tif", "b.tif")]
    with pytest.raises(InputError, match="is newer than"):
        geochg.open_pair(*paths, geochg.AnalyzeOptions(dates=dates))
