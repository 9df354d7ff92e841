"""The dock, with the real worker, in a QGIS without a window."""

import os
import shutil
import sys
import time
from operator import attrgetter
from pathlib import Path

import pytest
from asked_places import start_at
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QTimer
from slowness import slowness

from geochg_qgis.layers.result_fields import REVIEW, REVIEW_CLASS
from geochg_qgis.layers.result_layers import RESULT
from geochg_qgis.panel.area_widget import DRAWN, SELECTION
from geochg_qgis.panel.change_table_model import CAPTION


@pytest.fixture
def errors(dock, monkeypatch):
    """What the user was told went wrong."""
    told = []
    monkeypatch.setattr(dock.messages, "show_error", told.append)
    dock.runs.failed.disconnect()
    dock.runs.failed.connect(told.append)
    return told


@pytest.fixture
def done(dock, qtbot, errors):
    """The result of a quick run."""
    dock.options.model.setEditText("cva")
    dock.options.fields["min_area_m2"].widget.setValue(5000)
    with qtbot.waitSignal(dock.runs.ended, timeout=90_000):
        dock.run()
    assert errors == []
    (layer,) = [
        each for each in QgsProject.instance().mapLayers().values() if each.customProperty(RESULT)
    ]
    return layer


def part(layer, share=0.4):
    """The lower left part of a layer."""
    box = layer.extent()
    return QgsRectangle(
        box.xMinimum(), box.yMinimum(),
        box.xMinimum() + share * box.width(), box.yMinimum() + share * box.height(),
    )  # fmt: skip


def test_a_run_puts_a_styled_layer_into_a_group_with_its_sources(dock, done, pair):
    assert [layer.name() for layer in dock.pair.layers()] == ["dubai_2015", "dubai_2018"]
    path = Path(done.source().partition("|")[0])
    assert path.parent == Path(pair[1].source()).parent
    group = QgsProject.instance().layerTreeRoot().children()[0]
    assert [node.name() for node in group.children()] == [
        "dubai 2018 changes", "dubai_2018", "dubai_2015",
    ]  # fmt: skip
    assert done.renderer().type() == "categorizedSymbol"
    assert done.renderer().categories()
    assert done.labelsEnabled()
    assert "caption" in done.mapTipTemplate()
    assert {REVIEW, REVIEW_CLASS} <= {field.name() for field in done.fields()}
    again = QgsVectorLayer(done.source(), "again", "ogr")
    assert again.renderer().type() == "categorizedSymbol"


def test_the_list_follows_the_map_and_the_map_the_list(dock, done):
    changes = dock.changes
    assert changes.model.rowCount() == done.featureCount() > 1
    areas = [changes.model.at(row).area_m2 for row in range(changes.model.rowCount())]
    assert areas == sorted(areas, reverse=True)
    changes.table.setCurrentIndex(changes.model.index(1, 0))
    assert done.selectedFeatureIds() == changes.selected_features()
    feature = changes.model.at(changes.model.rowCount() - 1).feature
    done.selectByIds([feature])
    assert changes.selected_features() == [feature]


def test_changes_are_accepted_rejected_relabelled_and_taken_back(dock, done):
    changes = dock.changes
    changes.table.setCurrentIndex(changes.model.index(0, 0))
    (feature,) = changes.selected_features()
    changes.buttons["accept"].click()
    assert done.getFeature(feature)[REVIEW] == "accepted"
    assert changes.selected_features() == [changes.model.at(1).feature]
    changes.choose([feature])
    changes.buttons["reject"].click()
    assert done.getFeature(feature)[REVIEW] == "rejected"
    changes.choose([feature])
    changes.relabel("road")
    assert done.getFeature(feature)[REVIEW_CLASS] == "road"
    assert done.getFeature(feature)[REVIEW] == "accepted"
    assert any("road" in str(c.value()) for c in done.renderer().categories())
    for _ in range(3):
        changes.buttons["undo"].click()
        assert changes.selected_features() == [feature]
    again = QgsVectorLayer(done.source(), "again", "ogr").getFeature(feature)
    assert not again[REVIEW]
    assert not again[REVIEW_CLASS]


def test_the_slider_filters_map_and_list_and_the_text_the_list(dock, done, qtbot):
    changes = dock.changes
    everything = done.featureCount()
    sure = sorted(f["confidence"] for f in done.getFeatures())
    changes.confidence.slider.setValue(int(100 * sure[len(sure) // 2]))
    qtbot.waitUntil(lambda: changes.model.rowCount() < everything, timeout=3000)
    qtbot.waitUntil(lambda: done.featureCount() == changes.model.rowCount(), timeout=3000)
    changes.confidence.slider.setValue(0)
    qtbot.waitUntil(lambda: done.featureCount() == everything, timeout=3000)
    changes.filter.setText("no such words")
    assert changes.model.rowCount() == 0
    assert changes.model.total == everything
    assert done.featureCount() == everything


def test_markup_in_a_caption_stays_text(dock, done, qtbot):
    index = done.fields().indexFromName("caption")
    feature = next(done.getFeatures()).id()
    done.dataProvider().changeAttributeValues({feature: {index: "<img src=x>&"}})
    model = dock.changes.model
    from qgis.PyQt.QtCore import Qt

    qtbot.waitUntil(lambda: "<img" in model.at(model.row_of(feature)).caption, timeout=5000)
    tip = model.index(model.row_of(feature), CAPTION).data(Qt.ItemDataRole.ToolTipRole)
    assert "<img" not in tip
    assert "&lt;img" in tip


def test_the_line_about_the_pair_is_shown(dock, qtbot):
    dock.options.model.setEditText("cva")
    qtbot.waitUntil(lambda: "tiles" in dock.run_widget.info.text(), timeout=60_000)
    assert "634 x 774 px" in dock.run_widget.info.text()
    names = [dock.options.model.itemText(row) for row in range(dock.options.model.count())]
    assert {"builtin", "cva", "irmad"} <= set(names)


def test_a_cancelled_run_is_resumed(dock, qtbot, errors, pair):
    dock.options.model.setEditText("builtin")
    dock.options.fields["tile_size_px"].widget.setValue(128)
    dock.runs.progressed.connect(
        lambda progress: dock.cancel() if progress.stage == "tiles" and progress.done else None
    )
    with qtbot.waitSignal(dock.runs.ended, timeout=90_000):
        dock.run()
    folder = Path(pair[0].source()).parent
    (journal,) = folder.glob("*.gpkg.journal")
    dock.runs.progressed.disconnect()
    with qtbot.waitSignal(dock.runs.ended, timeout=300_000):
        dock.run()
    # Beside it lie SQLite's own files while QGIS has it open.
    assert [path.name for path in folder.glob("*.gpkg")] == ["dubai_2018_changes.gpkg"]
    assert not journal.exists()


def test_a_drawn_area_bounds_the_result(dock, qtbot, errors, pair, qgis_iface):
    crs = pair[0].crs()
    qgis_iface.mapCanvas().setDestinationCrs(crs)
    dock.area.choose(DRAWN)
    wanted = part(pair[0])
    dock.area.set_drawn(wanted)
    dock.options.model.setEditText("cva")
    with qtbot.waitSignal(dock.runs.ended, timeout=90_000):
        dock.run()
    (layer,) = [
        each for each in QgsProject.instance().mapLayers().values() if each.customProperty(RESULT)
    ]
    assert layer.featureCount() > 0
    assert wanted.buffered(30).contains(layer.extent())


def test_a_layer_taken_away_meanwhile_loses_nothing(dock, qtbot, errors, pair):
    dock.options.model.setEditText("cva")
    with qtbot.waitSignal(dock.runs.ended, timeout=90_000):
        dock.run()
        QgsProject.instance().removeMapLayer(pair[0].id())
    assert len(QgsProject.instance().mapLayers()) == 2


def test_a_project_closed_meanwhile_is_told_where_the_result_is(dock, qtbot, errors, tmp_path):
    noticed = []
    dock.runs.noticed.connect(noticed.append)
    dock.options.model.setEditText("cva")
    with qtbot.waitSignal(dock.runs.ended, timeout=90_000):
        dock.run()
        QgsProject.instance().clear()
    assert any("dubai_2018_changes.gpkg" in text for text in noticed)
    assert (tmp_path / "dubai_2018_changes.gpkg").exists()
    assert not QgsProject.instance().mapLayers()


def test_a_project_closed_while_the_result_is_added_is_told_where_it_is(
    dock, qtbot, errors, tmp_path
):
    noticed = []
    dock.runs.noticed.connect(noticed.append)
    dock.options.model.setEditText("cva")
    added = []

    def close(_):
        added.append(1)
        QTimer.singleShot(0, QgsProject.instance().clear)

    QgsProject.instance().layersAdded.connect(close)
    with qtbot.waitSignal(dock.runs.ended, timeout=90_000):
        dock.run()
    QgsProject.instance().layersAdded.disconnect(close)
    assert added == [1]
    assert any("dubai_2018_changes.gpkg" in text for text in noticed)
    assert not QgsProject.instance().mapLayers()
    assert not dock.runs.is_running
    assert dock.changes.layer is None
    assert errors == []


def test_both_dates_and_the_changes_have_their_time(dock, done, pair):
    def days(layer):
        properties = layer.temporalProperties()
        assert properties.isActive()
        time = properties.fixedTemporalRange()
        return [each.toString("yyyy-MM-dd") for each in (time.begin(), time.end())]

    assert days(pair[0]) == ["2015-12-11", "2018-03-29"]
    assert days(pair[1]) == ["2018-03-30", "2018-03-30"]
    assert days(done) == ["2018-03-30", "2018-03-30"]


def test_the_probability_is_below_the_result(dock, qtbot, errors):
    dock.options.model.setEditText("cva")
    dock.options.heatmap.setChecked(True)
    with qtbot.waitSignal(dock.runs.ended, timeout=90_000):
        dock.run()
    assert errors == []
    group = QgsProject.instance().layerTreeRoot().children()[0]
    assert [node.name() for node in group.children()] == [
        "dubai 2018 changes", "probability of change", "dubai_2018", "dubai_2015",
    ]  # fmt: skip
    heatmap = group.children()[1]
    assert not heatmap.isVisible()
    assert heatmap.layer().isValid()
    assert heatmap.layer().thread() is heatmap.thread()


def test_what_cannot_be_run_is_said(dock, errors, pair, qgis_iface, tmp_path):
    before, after = dock.pair.before, dock.pair.after
    after.setLayer(pair[0])
    dock.run()
    assert "same image" in errors[-1].message
    far = QgsRasterLayer(pair[1].source(), "far")
    far.setCrs(QgsCoordinateReferenceSystem("EPSG:32601"))
    QgsProject.instance().addMapLayer(far)
    before.setLayer(pair[0])
    after.setLayer(far)
    dock.run()
    assert "overlap" in errors[-1].message
    after.setLayer(pair[1])
    dock.area.choose(SELECTION)
    dock.run()
    assert "selected" in errors[-1].message
    dock.area.choose(DRAWN)
    qgis_iface.mapCanvas().setDestinationCrs(pair[0].crs())
    dock.area.set_drawn(QgsRectangle(0, 0, 1, 1))
    dock.run()
    assert "outside" in errors[-1].message
    dock.area.choose("overlap")
    dock.options.output.setFilePath(str(tmp_path / "no" / "x.gpkg"))
    dock.run()
    assert "no folder" in errors[-1].message
    assert all(error.hint for error in errors)
    assert not dock.runs.is_running


def test_a_worker_killed_in_a_run_is_told_of_and_the_next_run_works(dock, qtbot, errors):
    dock.options.model.setEditText("builtin")
    with qtbot.waitSignal(dock.runs.progressed, timeout=90_000):
        dock.run()
    with qtbot.waitSignal(dock.runs.ended, timeout=30_000):
        os.kill(dock._connection.current_client.pid, 9)
    assert "The worker stopped" in errors[-1].message
    with qtbot.waitSignal(dock.runs.done, timeout=90_000):
        dock.run()


def test_a_dialogue_stays_with_its_place_and_the_project(dock, qtbot, errors, tmp_path):
    from geochg_qgis.panel.dialogues import load_dialogues

    dock.options.model.setEditText("cva")
    start_at(dock.ask, 55.22, 25.03)
    dock.ask.question.setText("What changed?")
    dock.ask.send.click()
    qtbot.waitUntil(lambda: dock.ask._task is None, timeout=60_000)
    assert errors == []
    (dialogue,) = load_dialogues()
    assert (dialogue.lon, dialogue.lat) == (55.22, 25.03)
    assert dialogue.exchanges[0][1]
    assert dialogue.exchanges[0][1] in dock.ask.transcript.toPlainText()
    start_at(dock.ask, 55.23, 25.04)
    assert dock.ask.transcript.toPlainText() == ""
    path = str(tmp_path / "talks.qgz")
    QgsProject.instance().write(path)
    QgsProject.instance().clear()
    assert dock.ask.places.count() == 0
    QgsProject.instance().read(path)
    assert [each.exchanges for each in load_dialogues()] == [dialogue.exchanges]


def asked(dock, qtbot, question="What changed?"):
    """Asks, and gives the exchanges of the dialogue then shown."""
    dock.ask.question.setText(question)
    dock.ask.send.click()
    qtbot.waitUntil(lambda: dock.ask._task is None, timeout=60_000)
    return dock.ask._current().exchanges


def test_another_model_or_pair_begins_a_dialogue_of_its_own(dock, qtbot, errors, pair):
    dock.options.model.setEditText("cva")
    start_at(dock.ask, 55.22, 25.03)
    assert dock.ask.subject_label.text() == ""
    first = asked(dock, qtbot)
    assert dock.ask.subject_label.text() == "dubai_2015 → dubai_2018, cva"
    dock.options.model.setEditText("irmad")
    told = dock.ask.subject_label.text()
    assert "cva" in told
    assert "dubai_2015 → dubai_2018, irmad" in told
    assert "new conversation" in told
    assert dock.ask.transcript.toPlainText().count(">") == 1
    second = asked(dock, qtbot)
    assert errors == []
    assert len(first) == len(second) == 1
    assert dock.ask.places.count() == 2
    assert "new conversation" not in dock.ask.subject_label.text()
    # Turned round, it is another pair.
    dock.pair.before.setLayer(pair[1])
    dock.pair.after.setLayer(pair[0])
    assert "dubai_2018 → dubai_2015, irmad" in dock.ask.subject_label.text()
    # Chosen again, the first model goes on with its own dialogue.
    dock.pair.before.setLayer(pair[0])
    dock.pair.after.setLayer(pair[1])
    dock.options.model.setEditText("cva")
    assert len(asked(dock, qtbot, "And where?")) == 2
    assert dock.ask.places.count() == 2


def test_a_click_on_a_place_brings_its_dialogue_back(dock, errors, pair, qgis_iface, qtbot):
    from qgis.core import QgsPointXY

    canvas = qgis_iface.mapCanvas()
    canvas.resize(600, 500)
    canvas.setDestinationCrs(pair[0].crs())
    canvas.setExtent(pair[0].extent())
    dock.options.model.setEditText("cva")
    dock.ask._click(QgsPointXY(55.22, 25.03), None)
    asked(dock, qtbot)
    dock.ask._click(QgsPointXY(55.23, 25.04), None)
    assert dock.ask.transcript.toPlainText() == ""
    assert dock.ask.places.count() == 2
    beside = 9 * canvas.mapUnitsPerPixel()
    dock.ask._click(QgsPointXY(55.22 + beside, 25.03), None)
    assert dock.ask.places.count() == 2
    assert "What changed?" in dock.ask.transcript.toPlainText()
    dock.ask._click(QgsPointXY(55.22 + 2 * beside, 25.03), None)
    assert dock.ask.places.count() == 3


def test_the_places_follow_the_crs_of_the_project(dock, pair, qgis_iface):
    canvas, markers = qgis_iface.mapCanvas(), dock.ask.markers
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    start_at(dock.ask, 55.22, 25.03)
    start_at(dock.ask, 55.23, 25.04)
    assert markers.markers == []
    dock.tabs.setCurrentIndex(3)
    assert [(mark.center().x(), mark.center().y()) for mark in markers.markers] == [
        (55.22, 25.03), (55.23, 25.04),
    ]  # fmt: skip
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:32640"))
    west, east = (mark.center() for mark in markers.markers)
    assert 320_000 < west.x() < east.x() < 323_000
    assert 2_769_000 < west.y() < east.y() < 2_772_000
    dock.tabs.setCurrentIndex(0)
    assert markers.markers == []


def test_malformed_dialogues_of_a_project_are_left_out(qgis_new_project):
    from geochg_qgis.panel.dialogues import load_dialogues

    for text in (
        "no json",
        "7",
        '[1, {"lon": "x"}]',
        '[{"lon":1,"lat":2,"exchanges":[[1]]}]',
        '[{"lon":1,"lat":2,"exchanges":[],"model":7}]',
        '[{"lon":1,"lat":2,"exchanges":[],"other":"x"}]',
    ):
        QgsProject.instance().writeEntry("geochg", "talks", text)
        assert load_dialogues() == []
    # As the first version wrote them.
    former = '[{"lon":1,"lat":2,"exchanges":[["a","b"]]}]'
    QgsProject.instance().writeEntry("geochg", "talks", former)
    (dialogue,) = load_dialogues()
    assert dialogue.exchanges == [["a", "b"]]
    assert dialogue.subject.model == ""


def test_the_set_up_page_checks_and_says_what_is_wrong(dock, qtbot, tmp_path):
    setup = dock.open_setup()
    setup.python.setFilePath(str(tmp_path / "missing"))
    setup.check()
    qtbot.waitUntil(lambda: "There is no" in setup.status.text(), timeout=10_000)
    setup.python.setFilePath(shutil.which("python3", path="/usr/bin"))
    setup.check()
    qtbot.waitUntil(lambda: "not installed" in setup.status.text(), timeout=10_000)
    from qgis_worker import WORKER_PYTHON

    setup.python.setFilePath(str(WORKER_PYTHON))
    setup.check()
    qtbot.waitUntil(lambda: "works" in setup.status.text(), timeout=60_000)
    qtbot.waitUntil(lambda: bool(setup.base.filePath()), timeout=20_000)
    setup.package.setText("no-such-thing")
    (tmp_path / "wheels").mkdir()
    setup.wheels.setFilePath(str(tmp_path / "wheels"))
    setup.folder.setFilePath(str(tmp_path / "env"))
    setup.install()
    qtbot.waitUntil(lambda: "failed" in setup.status.text(), timeout=120_000)
    assert "No matching distribution" in setup.output.toPlainText()
    assert not (tmp_path / "env").exists()


def test_the_dock_opens_fast(qgis_iface, connection, pair, qtbot):
    from geochg_qgis.panel.dock_widget import GeochgDockWidget

    start = time.perf_counter()
    dock = GeochgDockWidget(qgis_iface, connection)
    dock.show()
    qtbot.waitExposed(dock)
    assert time.perf_counter() - start < 0.3 * slowness(sys.executable)
    dock.close_down()
    dock.deleteLater()


@pytest.mark.parametrize("owner", ["changes.swipe", "changes.shapes", "ask", "area"])
def test_no_tool_of_a_panel_that_is_gone_stays_with_the_map(dock, qgis_iface, owner):
    tool = attrgetter(f"{owner}.tool")(dock)
    canvas = qgis_iface.mapCanvas()
    canvas.setMapTool(tool)
    dock.close_down()
    assert canvas.mapTool() is not tool


def test_dates_as_given_takes_the_newer_image_first(dock, qtbot, errors):
    dock.options.model.setEditText("cva")
    before, after = dock.pair.layers()
    dock.pair.before.setLayer(after)
    dock.pair.after.setLayer(before)
    with qtbot.waitSignal(dock.runs.failed, timeout=90_000):
        dock.run()
    assert "dubai_2018" in str(errors.pop())
    dock.options.fields["dates_as_given"].widget.setChecked(True)
    with qtbot.waitSignal(dock.runs.ended, timeout=90_000):
        dock.run()
    assert errors == []
    results = [
        each for each in QgsProject.instance().mapLayers().values() if each.customProperty(RESULT)
    ]
    assert len(results) == 1
