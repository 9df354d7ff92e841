"""Charts of places: what is drawn, and that text of others stays text."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from drawn_dates import draw_dates

from geochg.timeseries.chart_png import chart_file, write_chart
from geochg.timeseries.chart_svg import HEIGHT, WIDTH, course_svg
from geochg.timeseries.options import SeriesOptions
from geochg.timeseries.series import series

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_dates(tmp_path_factory.mktemp("drawn"), hidden=(5,))


@pytest.fixture(scope="module")
def chart(drawn):
    result = series(drawn.paths, SeriesOptions(block="4", land_cover=False))
    (chart,) = result.charts()
    return chart


def test_a_chart_shows_the_break(drawn, chart):
    assert [str(day) for day in chart.break_days] == drawn.days[25:27]
    assert np.isnan(chart.values[5])
    known = np.isfinite(chart.fitted)
    assert known.all()
    assert (chart.lower[known] < chart.upper[known]).all()
    # After the break the place lies off its usual course.
    on_dates = np.isin(chart.curve_days, chart.days[26:])
    is_off = (chart.values[26:] > chart.upper[on_dates]) | (
        chart.values[26:] < chart.lower[on_dates]
    )
    assert is_off.all()


def test_the_shown_values_are_those_seen_and_what_of_the_interval_lies_near(chart):
    low, high = chart.value_range
    seen = chart.values[np.isfinite(chart.values)]
    assert low < seen.min()
    assert seen.max() < high
    wide = replace(chart, lower=chart.lower - 1e6, upper=chart.upper + 1e6)
    span = np.ptp(seen)
    assert wide.value_range == pytest.approx((seen.min() - span / 20, seen.max() + span / 20))


def test_an_svg_is_a_picture_without_ids_or_scripts(chart):
    root = ET.fromstring(course_svg(chart))
    dots = root.findall(f"{SVG}circle")
    assert len(dots) == 39
    assert len({dot.get("fill") for dot in dots}) == 2
    for dot in dots:
        assert 0 <= float(dot.get("cx")) <= WIDTH
        assert 0 <= float(dot.get("cy")) <= HEIGHT
    assert not any("id" in element.attrib for element in root.iter())
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        *("svg", "title", "rect", "line", "text", "polygon", "polyline", "circle")
    }


def test_text_of_others_is_escaped(chart):
    title = '<script>alert("x")</script>\x1b[2J & \u202e'
    text = course_svg(replace(chart, title=title, column="a<b"))
    assert "<script" not in text
    assert "\x1b" not in text
    root = ET.fromstring(text)
    assert root.find(f"{SVG}title").text.startswith('<script>alert("x")</script>')


def test_places_without_values_can_be_drawn(chart, tmp_path):
    empty = np.full(len(chart.days), np.nan)
    curve = np.full(len(chart.curve_days), np.nan)
    blank = replace(
        chart, values=empty, fitted=curve, lower=curve, upper=curve, break_days=None, text=""
    )
    assert not ET.fromstring(course_svg(blank)).findall(f"{SVG}circle")
    write_chart(tmp_path / "x.png", blank, "1")
    flat = replace(blank, values=np.full(len(chart.days), 3.0), title="$x_$ ../ä")
    assert ET.fromstring(course_svg(flat)).findall(f"{SVG}circle")
    write_chart(tmp_path / chart_file(2, flat), flat, "1")
    assert (tmp_path / "0002_x.png").is_file()


def test_of_an_early_break_the_dates_before_it_are_off(chart):
    early = replace(chart, is_early=True)
    assert early.is_off.sum() == 26
    assert chart.is_off.sum() == 14
    assert course_svg(early) != course_svg(chart)
