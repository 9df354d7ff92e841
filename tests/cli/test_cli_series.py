"""`geochg analyze` and `geochg info` of three images or more."""

import json

import pytest
from drawn_steps import DAYS, drawn_series

pytestmark = pytest.mark.usefixtures("marker_plugin")
FEW = ["--model", "marker", "--tile-size", "64", "--overlap", "16", "--align", "off"]


@pytest.fixture
def images(make_raster):
    dated = zip(DAYS, drawn_series(), strict=True)
    return [
        make_raster(f"t{number}.tif", date, tags={"TIFFTAG_DATETIME": f"{day} 00:00:00"})
        for number, (day, date) in enumerate(dated, start=1)
    ]


def test_a_series_is_analysed_and_told_step_by_step(geochg, images, tmp_path):
    output = tmp_path / "changes.geojson"
    code, out, _ = geochg("analyze", *images, "-o", output, *FEW)
    assert code == 0
    assert f"step 1, {DAYS[0]} to {DAYS[1]}: 1 changes" in out
    assert f"step 2, {DAYS[1]} to {DAYS[2]}: 2 changes" in out
    assert f"the whole, {DAYS[0]} to {DAYS[2]}: 1 changes" in out
    features = json.loads(output.read_text(encoding="utf-8"))["features"]
    told = [[f["properties"][n] for n in ("from_date", "to_date", "step")] for f in features]
    assert told == [
        [*DAYS[:2], 1], [*DAYS[1:], 2], [*DAYS[1:], 2], [DAYS[0], DAYS[2], None],
    ]  # fmt: skip
    seen = [[f["properties"][name] for name in ("first_seen", "last_seen")] for f in features]
    # What came at the second date was gone at the third; the other thing is there to the end.
    assert seen == [[DAYS[1], DAYS[1]], *[[DAYS[2], DAYS[2]]] * 3]


def test_json_counts_each_step(geochg, images, tmp_path):
    _, out, _ = geochg("analyze", *images, "-o", tmp_path / "x.fgb", *FEW, "--json")
    features = json.loads(out)["features"]
    assert features["count"] == 1
    assert [step["count"] for step in features["steps"]] == [1, 2]


def test_images_out_of_order_are_refused_in_a_line(refused, images, tmp_path):
    mixed = [images[2], images[0], images[1]]
    arguments = ["analyze", *mixed, "-o", tmp_path / "x.geojson", *FEW]
    refused(*arguments, names=f"t1.tif ({DAYS[0]})")


@pytest.mark.parametrize(
    ("count", "extra", "names"),
    [
        (1, [], "one image shows no change"),
        (3, ["--dates", "2019,2020"], "--dates names 2 dates, and there are 3 images"),
        (3, ["--dates", "2019,2020,x"], "'x' is no date"),
        (3, ["--bands", "1/2"], "the band '1/2' is named for two dates, and there are 3"),
        (2, ["--dates", "2020,2019"], "is newer than"),
        (3, ["--nodata", "1,2"], "nodata has 2 values, and there are 3 dates"),
    ],
)
def test_what_makes_no_sense_is_refused(refused, images, tmp_path, count, extra, names):
    refused("analyze", *images[:count], "-o", tmp_path / "x.geojson", *FEW, *extra, names=names)


def test_an_image_that_nothing_dates_is_refused(refused, images, make_raster, tmp_path):
    blank = make_raster("blank.tif", drawn_series()[0])
    refused(
        "analyze", *images, blank, "-o", tmp_path / "x.geojson", *FEW,
        names="blank.tif was taken",
    )  # fmt: skip


def test_info_tells_dates_and_what_is_out_of_order(geochg, images):
    code, out, _ = geochg("info", *images, *FEW)
    assert code == 0
    for number, day in enumerate(DAYS, start=1):
        assert f"image {number}" in out
        assert f"acquired {day}" in out
    assert f"step 2       {DAYS[1]} to {DAYS[2]}" in out
    code, out, _ = geochg("info", *reversed(images), *FEW)
    assert code == 0
    assert "refused      the images are not in the order of their dates" in out
    _, out, _ = geochg("info", *images, *FEW, "--json")
    facts = json.loads(out)
    assert [image["date"] for image in facts["images"]] == list(DAYS)
    assert [span["step"] for span in facts["spans"]] == [1, 2, None]
