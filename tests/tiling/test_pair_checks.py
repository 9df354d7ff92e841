"""What is told or refused of two rasters as a pair."""

import os
import re
import shutil

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from rasters import ORIGIN, UTM, texture

from geochg.errors import InputError
from geochg.options import AnalyzeOptions
from geochg.tiling.acquisition_time import acquisition_time, period_of
from geochg.tiling.pair import open_pair


def dated(make_raster, name, **tags):
    return make_raster(name, texture(64, 64), tags=tags)


def remarks(before, after, **options):
    return open_pair(before, after, AnalyzeOptions(**options), "all", refusing=False).remarks


def about(found, word):
    return [remark for remark in found if word in remark.message]


# --- dates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2015", "2016-01-01"),
        ("2015:06:01 10:00:00", "2021:06:01 10:00:00"),
        ("20150601101500", "20150601101501"),
        ("2015-06-01T10:00:00Z", "2015-06-01T12:00:00+01:00"),
        ("2015-06", "2015-07-01"),
    ],
)
def test_periods_are_ordered_however_they_are_written(earlier, later):
    assert period_of(later).is_after(period_of(earlier))
    assert not period_of(earlier).is_after(period_of(later))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2015", "2015-06-01"),
        ("2015-06-01", "2015-06-01T10:00:00Z"),
        ("2015-06-01T10:00:00", "2015-06-01T12:00:00Z"),  # the zone of the first is not known
    ],
)
def test_periods_that_may_be_one_are_in_no_order(one, other):
    assert not period_of(one).is_after(period_of(other))
    assert not period_of(other).is_after(period_of(one))


@pytest.mark.parametrize("text", ["", "unknown", "0000-00-00", "2015:13:01 10:00:00", "12"])
def test_what_is_no_date_is_none(text):
    assert period_of(text) is None


def test_the_time_an_image_was_taken_counts_before_the_time_its_file_was_written():
    tags = {"TIFFTAG_DATETIME": "2024:01:01 00:00:00", "date_acquired": "2014-07-20"}
    assert acquisition_time(tags) == ("2014-07-20", "DATE_ACQUIRED")
    del tags["date_acquired"]
    assert acquisition_time(tags) == ("2024-01-01", "TIFFTAG_DATETIME")


@pytest.mark.parametrize("tag", ["TIFFTAG_DATETIME", "DATE_ACQUIRED", "datetime"])
def test_the_newer_image_first_is_refused(make_raster, tag):
    new = dated(make_raster, "new.tif", **{tag: "2021:06:01 10:00:00"})
    old = dated(make_raster, "old.tif", **{tag: "2015:06:01 10:00:00"})
    with pytest.raises(InputError, match=r"new\.tif \(2021.*newer than .*old\.tif \(2015") as told:
        open_pair(new, old, AnalyzeOptions(), "all")
    assert "--dates-as-given" in told.value.hint
    given = open_pair(new, old, AnalyzeOptions(dates_as_given=True), "all").remarks
    assert [remark.warning for remark in about(given, "newer")] == [False]
    assert not open_pair(old, new, AnalyzeOptions(), "all").remarks[1:]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"TIFFTAG_DATETIME": "2021:06:01 10:00:02"}, {"TIFFTAG_DATETIME": "2021:06:01 10:00:00"}),
        ({"TIFFTAG_DATETIME": "2021:06:01 10:00:00"}, {"DATE_ACQUIRED": "2015-06-01"}),
        ({"DATE_ACQUIRED": "2021-06-02"}, {"DATE_ACQUIRED": "2021-06-01"}),
    ],
)
def test_an_order_that_is_not_sure_is_told_but_not_refused(make_raster, first, second):
    before, after = dated(make_raster, "a.tif", **first), dated(make_raster, "b.tif", **second)
    (remark,) = about(open_pair(before, after, AnalyzeOptions(), "all").remarks, "newer")
    assert remark.warning


def test_one_date_alone_says_nothing(make_raster):
    dated_one, other = (
        dated(make_raster, "a.tif", DATE_ACQUIRED="2021-06-01"),
        dated(make_raster, "b.tif"),
    )
    assert not about(remarks(dated_one, other), "newer")


# --- identity ------------------------------------------------------------------------------------


def linked(path):
    link = path.with_name("link.tif")
    link.symlink_to(path)
    return link


def hard_linked(path):
    link = path.with_name("hard.tif")
    os.link(path, link)
    return link


def relative(path):
    return os.path.join(path.parent, ".", path.name)


@pytest.mark.parametrize("another_name", [str, linked, hard_linked, relative])
def test_one_file_as_both_dates_is_told(make_raster, another_name):
    path = dated(make_raster, "a.tif")
    assert about(remarks(path, another_name(path)), "same file")


def test_a_copy_is_another_file(make_raster, tmp_path):
    path = dated(make_raster, "a.tif")
    shutil.copy(path, tmp_path / "b.tif")
    assert not about(remarks(path, tmp_path / "b.tif"), "same file")


@pytest.mark.parametrize("profile", [{}, {"compress": "deflate"}, {"driver": "HFA"}])
def test_a_copy_is_told_until_a_pixel_differs(make_raster, tmp_path, profile):
    path = make_raster("a.tif", texture(64, 64), **profile)
    copy = shutil.copy(path, tmp_path / "b.tif")
    assert about(remarks(path, copy), "copies of one file")
    with rasterio.open(copy, "r+") as file:
        file.write(texture(64, 64) ^ 1)
    assert not about(remarks(path, copy), "copies")


def test_a_virtual_raster_is_no_copy_of_one_in_another_folder(make_raster, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        made = make_raster("a.tif", texture(64, 64, seed=len(folder)))
        made.rename(tmp_path / folder / "a.tif")
        source, target = tmp_path / folder / "a.tif", tmp_path / folder / "a.vrt"
        rasterio.shutil.copy(source, target, driver="VRT")
        target.write_text(
            re.sub('relativeToVRT="0">.*?<', 'relativeToVRT="1">a.tif<', target.read_text())
        )
    assert not about(remarks(tmp_path / "one" / "a.vrt", tmp_path / "two" / "a.vrt"), "copies")


@pytest.fixture
def two_pages(tmp_path):
    path = tmp_path / "both.tif"
    profile = {"count": 1, "height": 64, "width": 64, "dtype": "uint8", "crs": UTM}
    for page in range(2):
        append = {"APPEND_SUBDATASET": "YES"} if page else {}
        with rasterio.open(
            path, "w", driver="GTiff", transform=ORIGIN, **profile, **append
        ) as file:
            file.write(texture(64, 64, seed=page))
    return path


def test_a_file_of_two_pages_given_twice_names_them(two_pages):
    (remark,) = about(remarks(two_pages, two_pages), "same file")
    assert f"GTIFF_DIR:1:{two_pages} and GTIFF_DIR:2:{two_pages}" in remark.hint


def test_pages_that_are_named_are_two_images(two_pages):
    pages = [f"GTIFF_DIR:{number}:{two_pages}" for number in (1, 2)]
    assert not about(remarks(*pages), "file")
    assert about(remarks(pages[1], pages[1]), "same file")


def test_a_page_that_nobody_named_is_told(make_raster, two_pages):
    (remark,) = about(remarks(dated(make_raster, "a.tif"), two_pages), "pages")
    assert f"GTIFF_DIR:2:{two_pages}" in remark.hint


# --- resolution ----------------------------------------------------------------------------------


def of_pixels(make_raster, name, size_m, side_m=640, crs=UTM, corner=(500_000, 5_000_000)):
    side = round(side_m / size_m)
    place = Affine(size_m, 0, corner[0], 0, -size_m, corner[1])
    return make_raster(name, texture(side, side), transform=place, crs=crs)


@pytest.mark.parametrize(("before_m", "after_m"), [(0.5, 10), (10, 0.5), (1, 2), (3, 10)])
def test_dates_of_unlike_resolution_are_compared_at_the_coarser(make_raster, before_m, after_m):
    before = of_pixels(make_raster, "a.tif", before_m)
    after = of_pixels(make_raster, "b.tif", after_m)
    pair = open_pair(before, after, AnalyzeOptions(), "all")
    coarser = max(before_m, after_m)
    assert pair.grid.transform.a == coarser
    (remark,) = about(pair.remarks, "pixels of")
    for number in (before_m, after_m):
        assert f"{number:g} m" in remark.message
    assert f"resolution of {coarser:g} m" in remark.message


def test_another_crs_does_not_hide_a_coarser_date(make_raster):
    before = of_pixels(make_raster, "a.tif", 1)
    # About ten metres of latitude and seven of longitude.
    after = of_pixels(
        make_raster, "b.tif", 0.0001, side_m=0.02, crs="EPSG:4326", corner=(14.99, 45.16)
    )
    pair = open_pair(before, after, AnalyzeOptions(), "all")
    assert pair.grid.crs == UTM
    assert pair.grid.transform.a == pytest.approx(9.4, abs=0.5)
    assert about(pair.remarks, "pixels of")


def test_a_resolution_that_was_asked_for_is_kept_and_warned_of(make_raster):
    before, after = of_pixels(make_raster, "a.tif", 1), of_pixels(make_raster, "b.tif", 10)
    pair = open_pair(before, after, AnalyzeOptions(resolution=1), "all")
    assert pair.grid.transform.a == 1
    (remark,) = about(pair.remarks, "pixels of")
    assert remark.warning
    assert "cannot show" in remark.message


@pytest.mark.parametrize(("before_m", "after_m"), [(10, 10), (10, 8), (8, 10)])
def test_like_resolutions_are_nothing_to_talk_about(make_raster, before_m, after_m):
    before = of_pixels(make_raster, "a.tif", before_m)
    after = of_pixels(make_raster, "b.tif", after_m)
    pair = open_pair(before, after, AnalyzeOptions(), "all")
    assert pair.grid.transform.a == before_m
    assert not about(pair.remarks, "pixels of")


# --- overlap -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cols", "told"), [(60, True), (30, False)])
def test_next_to_no_overlap_is_told(make_raster, cols, told):
    before = make_raster("a.tif", texture(64, 64))
    after = make_raster("b.tif", texture(64, 64), transform=ORIGIN * Affine.translation(cols, 0))
    assert bool(about(remarks(before, after), "share")) is told


def test_an_area_of_interest_does_not_count_as_little_overlap(make_raster):
    before, after = make_raster("a.tif", texture(64, 64)), make_raster("b.tif", texture(64, 64))
    small = "EPSG:32633;500000,4999950,500050,5000000"
    assert not about(remarks(before, after, aoi=small), "share")


def test_remarks_are_plain_values(make_raster):
    path = dated(make_raster, "a.tif")
    assert all(
        set(map(type, remark.to_dict().values())) <= {str, bool} for remark in remarks(path, path)
    )
    assert np.all([remark.text for remark in remarks(path, path)])


@pytest.mark.parametrize("side", [64, 300])
def test_copies_of_large_files_are_told_by_samples(make_raster, tmp_path, monkeypatch, side):
    from geochg.tiling import pair_checks

    monkeypatch.setattr(pair_checks, "_MOST_COMPARED_BYTES", 1000)
    path = make_raster("a.tif", texture(side, side))
    copy = shutil.copy(path, tmp_path / "b.tif")
    assert about(remarks(path, copy), "seem to be copies")
    assert not about(remarks(path, make_raster("c.tif", texture(side, side, seed=1))), "copies")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("25/12/2020", "2020-12-25"),
        ("12/25/2020", "2020-12-25"),
        ("31.12.2019 10:11:12", "2019-12-31T10:11:12"),
        ("13-MAY-2019", "2019-05-13"),
        ("May 5, 2020", "2020-05-05"),
        ("04-04-2020", "2020-04-04"),
        ("03/04/2020", "2020"),
        ("03/04/2020 10:00:00", "2020"),
    ],
)
def test_dates_with_the_year_last_are_read_as_far_as_they_are_sure(text, read):
    assert period_of(text).text == read


@pytest.mark.parametrize("text", ["99/99/2020", "32/01/2020", "31/02/2020", "1/2/20", "a b 2020"])
def test_what_is_no_date_with_the_year_last_is_not_read(text):
    assert period_of(text) is None


def test_the_newer_image_first_is_refused_though_its_date_has_the_year_last(make_raster):
    found = remarks(
        make_raster("b.tif", texture(64, 64), tags={"ACQUISITION_DATE": "13/05/2021"}),
        make_raster("a.tif", texture(64, 64, seed=1), tags={"ACQUISITION_DATE": "25/12/2015"}),
    )
    assert any(remark.refused for remark in found)
