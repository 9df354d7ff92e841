"""The temporal controller steps from one date to the other."""

import pytest
from colored_map import BLUE, CRS, RED, WHITE, raster, seen
from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsDateTimeRange,
    QgsProject,
    QgsTemporalUtils,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QDateTime, Qt

from geochg_qgis.layers.temporal import DateRange, pair_times, set_time


def told(before="", after=""):
    """What the worker says of a run whose files give these dates."""
    sources = {"before": {"acquired": before or None}, "after": {"acquired": after or None}}
    return {"geochg": {"sources": sources}}


def days(times):
    """The four days, as text."""
    return [day.isoformat() for period in times for day in period]


@pytest.mark.parametrize(
    ("names", "files", "expected"),
    [
        (("a_2015", "a_2018"), ("", ""), "2015-01-01 2017-12-31 2018-01-01 2018-12-31"),
        (("a_2016-02", "b_20180503"), ("", ""), "2016-02-01 2018-05-02 2018-05-03 2018-05-03"),
        (("2016-02", "2016-03"), ("", ""), "2016-02-01 2016-02-29 2016-03-01 2016-03-31"),
        # A file is more exact than its name.
        (
            ("a_2015", "a_2018"),
            ("2015-12-11", "2018-03-30T07:00:00"),
            "2015-12-11 2018-03-29 2018-03-30 2018-03-30",
        ),
        # But may have been written another year.
        (("a_2015", "a_2018"), ("2020-01-01", ""), "2015-01-01 2017-12-31 2018-01-01 2018-12-31"),
        (("a", "b"), ("2015-12-11", "2018-03-30"), "2015-12-11 2018-03-29 2018-03-30 2018-03-30"),
    ],
)
def test_dates_come_from_names_and_files(names, files, expected):
    assert days(pair_times(*names, told(*files))) == expected.split()


def test_dates_that_the_user_gave_count_before_names():
    result = told("2016-02", "2019-05-01")
    result["geochg"]["options"] = {"dates": ["2016-02", "2019-05-01"]}
    expected = "2016-02-01 2019-04-30 2019-05-01 2019-05-01"
    assert days(pair_times("a_2015", "a_2018", result)) == expected.split()


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (("a", "b"), ("", "")),
        (("a_2015", "b"), ("", "")),
        (("a_2018", "b_2015"), ("", "")),
        (("a", "b"), ("2020-01-01", "2020-01-01")),
        (("a", "b"), ("2020-13-01", "soon")),
        (("a_2015-02-30", "b"), ("", "")),
    ],
)
def test_without_two_dates_in_order_there_are_no_times(names, files):
    assert pair_times(*names, told(*files)) is None
    assert pair_times("a", "b", {}) is None


@pytest.fixture
def timed(tmp_path, qgis_new_project):
    """Early, late and changes, with their times."""
    early = raster(tmp_path / "place_2015.tif", RED)
    late = raster(tmp_path / "place_2018.tif", BLUE)
    changes = QgsVectorLayer(f"Polygon?crs={CRS}", "changes", "memory")
    times = pair_times(early.name(), late.name(), {})
    for layer, period in ((early, times.before), (late, times.after), (changes, times.after)):
        QgsProject.instance().addMapLayer(layer)
        set_time(layer, period)
    return early, late, changes


def test_each_step_shows_its_date(timed, qgis_iface, qtbot):
    early, late, changes = timed
    canvas = qgis_iface.mapCanvas()
    canvas.resize(300, 300)
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem(CRS))
    canvas.setLayers([changes, late, early])
    canvas.setExtent(early.extent())
    canvas.show()
    steps = QgsTemporalUtils.usedTemporalRangesForProject(QgsProject.instance())
    assert len(steps) == 2
    shown = []
    for step in steps:
        canvas.setTemporalRange(step)
        canvas.refresh()
        canvas.waitWhileRendering()
        shown.append(seen(canvas, 0.5, 0.5))
    assert shown == [RED, BLUE]
    # A step between them still shows the earlier one, and one before both nothing.
    for year, color in ((2017, RED), (2010, WHITE)):
        begin, end = (_moment(f"{year}-0{month}-01") for month in (3, 4))
        canvas.setTemporalRange(QgsDateTimeRange(begin, end, True, False))
        canvas.refresh()
        canvas.waitWhileRendering()
        assert seen(canvas, 0.5, 0.5) == color
    canvas.setTemporalRange(QgsDateTimeRange(QDateTime(), QDateTime()))
    canvas.setLayers([])
    assert changes.temporalProperties().isActive()


def test_times_are_kept_with_the_project(timed, tmp_path):
    early = timed[0]
    former = early.temporalProperties().fixedTemporalRange()
    QgsProject.instance().write(str(tmp_path / "p.qgz"))
    QgsProject.instance().clear()
    QgsProject.instance().read(str(tmp_path / "p.qgz"))
    (again,) = QgsProject.instance().mapLayersByName("place_2015")
    properties = again.temporalProperties()
    assert properties.isActive()
    found = properties.fixedTemporalRange()
    assert (found.begin(), found.end()) == (former.begin(), former.end())
    # Ours still: another pair may give it another.
    set_time(again, _period("2015-01-01", "2016-12-31"))
    assert properties.fixedTemporalRange().end() == _moment("2016-12-31T23:59:59")


def test_what_the_user_set_stays(timed):
    early, late, changes = timed
    other = QgsDateTimeRange(_moment("2001-01-01"), _moment("2002-01-01"))
    early.temporalProperties().setFixedTemporalRange(other)
    late.temporalProperties().setIsActive(False)
    changes.temporalProperties().setMode(Qgis.VectorTemporalMode.RedrawLayerOnly)
    for layer in (early, late, changes):
        set_time(layer, _period("2020-01-01", "2020-12-31"))
    assert early.temporalProperties().fixedTemporalRange() == other
    assert not late.temporalProperties().isActive()
    assert changes.temporalProperties().mode() == Qgis.VectorTemporalMode.RedrawLayerOnly


def test_what_the_user_set_before_the_first_run_stays(tmp_path, qgis_app):
    layer = raster(tmp_path / "place_2015.tif", RED)
    properties = layer.temporalProperties()
    properties.setMode(Qgis.RasterTemporalMode.RedrawLayerOnly)
    properties.setIsActive(True)
    set_time(layer, _period("2015-01-01", "2015-12-31"))
    assert properties.mode() == Qgis.RasterTemporalMode.RedrawLayerOnly


def _moment(text):
    text = text if "T" in text else f"{text}T00:00:00"
    return QDateTime.fromString(f"{text}Z", Qt.DateFormat.ISODate)


def _period(first, last):
    from datetime import date

    return DateRange(date.fromisoformat(first), date.fromisoformat(last))
