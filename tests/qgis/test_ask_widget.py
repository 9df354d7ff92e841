"""Questions: answers agree with the map, and conversations are kept, copied and deleted."""

import re
from pathlib import Path

import pytest
from asked_places import start_at
from qgis.core import QgsGeometry, QgsPointXY, QgsProject
from qgis.PyQt.QtWidgets import QApplication

from geochg_qgis.i18n import load_translation
from geochg_qgis.layers.result_fields import REJECTED, REVIEW
from geochg_qgis.layers.result_layers import results_in_project
from geochg_qgis.layers.review_edits import FeatureState, ReviewEdit, apply_edit
from geochg_qgis.panel.dialogues import load_dialogues

PLACE = 55.2222, 25.0332


@pytest.fixture
def errors(dock, monkeypatch):
    told = []
    monkeypatch.setattr(dock.ask, "_show_error", told.append)
    return told


def asked(dock, qtbot, question):
    """Asks about the shown place; the answer."""
    dock.ask.question.setText(question)
    dock.ask.send.click()
    qtbot.waitUntil(lambda: dock.ask._task is None, timeout=90_000)
    return dock.ask._current().exchanges[-1][1]


def inside(dock, layer):
    """The features of a layer within the outline that is drawn."""
    ring = [QgsPointXY(*lonlat) for lonlat in dock.ask._current().outline]
    square = QgsGeometry.fromPolygonXY([ring])
    features = [each for each in layer.getFeatures() if each.geometry().intersects(square)]
    parts = [
        each["area_m2"] * each.geometry().intersection(square).area() / each.geometry().area()
        for each in features
    ]
    return len(features), sum(parts)


def test_numbers_and_areas_are_those_of_the_features_drawn(dock, qtbot, errors):
    dock.options.model.setEditText("cva")
    dock.options.fields["min_area_m2"].widget.setValue(5000)
    with qtbot.waitSignal(dock.runs.ended, timeout=90_000):
        dock.run()
    (layer,) = results_in_project()
    dock.tabs.setCurrentIndex(3)
    start_at(dock.ask, *PLACE)
    counted = asked(dock, qtbot, "How many changes are there?")
    count, area_m2 = inside(dock, layer)
    assert count > 2
    assert int(re.search(r"\d+", counted)[0]) == count
    stated = asked(dock, qtbot, "How large is the changed area?")
    number, unit = re.search(r"on ([\d.,]+) (ha|km²|m²)", stated).groups()
    stated_m2 = float(number.replace(",", "")) * {"ha": 1e4, "km²": 1e6, "m²": 1}[unit]
    assert stated_m2 == pytest.approx(area_m2, rel=0.06)
    # The ground that is spoken of is drawn.
    assert dock.ask.markers.band is not None
    # A rejected change is none, and a filter hides what it hides.
    ring = QgsGeometry.fromPolygonXY([[QgsPointXY(*each) for each in dock.ask._current().outline]])
    first = next(f.id() for f in layer.getFeatures() if f.geometry().within(ring))
    edit = ReviewEdit({first: FeatureState({})}, {first: FeatureState({REVIEW: REJECTED})})
    apply_edit(layer, edit)
    assert int(re.search(r"\d+", asked(dock, qtbot, "How many changes?"))[0]) == count - 1
    layer.setSubsetString('"area_m2" < 0')
    assert asked(dock, qtbot, "How many changes?").startswith("Nothing has changed")
    assert errors == []


def test_german_is_understood_and_answered(dock, qtbot, errors):
    dock.options.model.setEditText("cva")
    start_at(dock.ask, *PLACE)
    assert asked(dock, qtbot, "Was hat sich hier geändert?").startswith("Änderungen bedecken")
    load_translation("de")
    try:
        from geochg_qgis.i18n import tr

        assert asked(dock, qtbot, tr("What changed here?")).startswith("Änderungen bedecken")
    finally:
        load_translation("en")
    answer = asked(dock, qtbot, "What is the weather?")
    assert "--" not in answer
    assert errors == []


def test_a_place_outside_is_told_in_a_line_and_leaves_nothing(dock, errors, pair, qgis_iface):
    qgis_iface.mapCanvas().setDestinationCrs(pair[0].crs())
    dock.ask._click(QgsPointXY(10, 50), None)
    assert dock.ask.note.text() == "This place lies outside the two images."
    assert dock.ask.places.count() == 0
    assert errors == []
    dock.ask._click(QgsPointXY(*PLACE), None)
    assert dock.ask.note.text() == ""
    assert dock.ask.places.count() == 1


def test_a_place_that_the_worker_refuses_leaves_no_conversation(dock, qtbot, errors):
    dock.options.model.setEditText("cva")
    start_at(dock.ask, 10.0, 50.0)
    dock.ask.question.setText("What changed?")
    dock.ask.send.click()
    qtbot.waitUntil(lambda: dock.ask._task is None, timeout=90_000)
    assert "outside" in errors[0].message
    assert dock.ask.places.count() == 0
    assert dock.ask.question.text() == "What changed?"
    assert load_dialogues() == []


def test_conversations_are_copied_deleted_and_kept_with_their_outline(
    dock, qtbot, errors, tmp_path
):
    dock.options.model.setEditText("cva")
    assert not dock.ask.delete.isEnabled()
    for lon in (PLACE[0], PLACE[0] + 0.01):
        start_at(dock.ask, lon, PLACE[1])
        asked(dock, qtbot, "What changed?")
    dock.ask.copy.click()
    copied = QApplication.clipboard().text()
    assert "dubai_2015 → dubai_2018, cva" in copied
    assert "> What changed?\nChanges cover" in copied
    assert copied.startswith("25.03320, 55.23220")
    outline = dock.ask._current().outline
    assert len(outline) > 4
    assert QgsProject.instance().write(str(tmp_path / "p.qgz"))
    dock.ask.delete.click()
    assert dock.ask.places.count() == 1
    assert [each.lon for each in load_dialogues()] == [PLACE[0]]
    dock.ask.delete.click()
    assert dock.ask.places.count() == 0
    assert not dock.ask.delete.isEnabled()
    assert QgsProject.instance().read(str(tmp_path / "p.qgz"))
    assert load_dialogues()[1].outline == outline
    assert Path(tmp_path / "p.qgz").is_file()
