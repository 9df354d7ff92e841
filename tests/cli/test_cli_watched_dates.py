"""`geochg series` on the command line."""

import json

import pytest
from drawn_dates import draw_dates

FEW = ["--block", "8", "--no-land-cover"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_dates(tmp_path_factory.mktemp("drawn"), hidden=(5,))


def test_a_series_is_told_in_words(geochg, drawn, tmp_path):
    output = tmp_path / "breaks.geojson"
    code, out, err = geochg("series", *drawn.paths, "-o", output, "--block", "4", *FEW[2:])
    assert code == 0
    assert str(output) in out
    assert "4 left their usual course" in out
    assert "in 1 features" in out
    assert f"{drawn.days[5]}: 0% seen, no place counts" in out
    assert "warning: 1 of 40 dates shows no place" in err
    (feature,) = json.loads(output.read_text(encoding="utf-8"))["features"]
    assert feature["properties"]["break_to"] == drawn.days[26]


def test_json_has_the_quality_of_each_date(geochg, drawn, tmp_path):
    table = tmp_path / "seen.csv"
    _, out, _ = geochg("series", *drawn.paths, "--observations", table, *FEW, "--json")
    facts = json.loads(out)
    dates = facts["geochg"]["series"]["dates"]
    assert [date["date"] for date in dates] == drawn.days
    assert [date["empty"] for date in dates].count(True) == 1
    assert facts["outputs"] == {"observations": str(table)}


def test_plots_are_drawn_and_drawn_anew(geochg, drawn, tmp_path):
    folder = tmp_path / "plots"
    for _ in range(2):
        code, *_ = geochg("series", *drawn.paths, "--plots", folder, "--block", "4", *FEW[2:])
        assert code == 0
    (plot,) = folder.iterdir()
    assert plot.read_bytes().startswith(b"\x89PNG")
    plot.write_bytes(b"mine")
    code, _, err = geochg("series", *drawn.paths, "--plots", folder, *FEW)
    assert code == 2
    assert "did not write" in err


@pytest.mark.parametrize(
    ("extra", "names"),
    [
        (["-o", "b.tif"], "cannot tell the format"),
        (["-o", "b.geojson", "--block", "x"], "a block of 'x' makes no sense"),
        (["-o", "b.geojson", "--method", "x"], "no method 'x'"),
        (["-o", "b.geojson", "--dates", "2019"], "--dates names 1 dates"),
        (["-o", "b.geojson", "--watch", "swir"], "'swir'"),
        (["-o", "b.geojson", "--layer", "x"], "no place for the layer name"),
    ],
)
def test_what_makes_no_sense_is_refused(refused, drawn, monkeypatch, tmp_path, extra, names):
    monkeypatch.chdir(tmp_path)
    refused("series", *drawn.paths, *FEW[2:], *extra, names=names)


def test_a_report_has_the_features_the_dates_and_the_charts(geochg, drawn, tmp_path):
    page = tmp_path / "breaks.html"
    code, _, err = geochg("series", *drawn.paths, "--report", page, "--block", "4", *FEW[2:])
    assert code == 0, err
    text = page.read_text(encoding="utf-8")
    assert f"What left its usual course from {drawn.days[0]} to {drawn.days[-1]}" in text
    assert "Feature 1, block in row" in text
    assert f"Left its usual course between {drawn.days[25]} and {drawn.days[26]}" in text
    assert 'data-id="1"' in text
    assert "no pictures" not in text
