"""A result of thousands of changes: the list stays quick."""

import sys
import time

import pytest
from qgis.core import QgsFeature, QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QElapsedTimer, Qt, QTimer
from slowness import slowness

from geochg_qgis.panel.change_table_model import STATE

MANY = 5000
QUICK_S = 1.0
"""A row sought from the top for each feature took minutes."""

WRITTEN_S = 3.0
"""Attributes of all features written, and the rows read again and sorted."""


@pytest.fixture
def layer(qgis_new_project):
    from geochg_qgis.layers.result_layers import RESULT

    fields = "class:string", "change:string", "area_m2:double", "confidence:double"
    more = "caption:string", "review:string", "review_class:string"
    definition = "&".join(f"field={each}" for each in (*fields, *more))
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:32640&{definition}", "many", "memory")
    features = []
    for number in range(MANY):
        feature = QgsFeature(layer.fields())
        area = float(number * 7919 % MANY)
        feature.setAttributes(["road", "appeared", area, 0.5, f"caption {number}", None, None])
        features.append(feature)
    assert layer.dataProvider().addFeatures(features)[0]
    layer.setCustomProperty(RESULT, True)
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.fixture
def changes(qgis_iface, layer, qtbot):
    from geochg_qgis.panel.change_list_widget import ChangeListWidget

    changes = ChangeListWidget(qgis_iface, pytest.fail)
    changes.resize(400, 600)
    changes.show()
    qtbot.waitUntil(lambda: changes.model.rowCount() == MANY, timeout=10_000)
    yield changes
    changes.close_down()
    changes.deleteLater()


def test_they_are_read_sorted_and_sought_without_holding_up_the_window(changes, qtbot):
    """The window answers within a tenth of a second, on a machine that does nothing else."""
    waits_ms, clock, timer = [], QElapsedTimer(), QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.setInterval(2)
    timer.timeout.connect(lambda: waits_ms.append(clock.restart()))
    changes.model.set_records([])
    clock.start()
    timer.start()
    with qtbot.waitSignal(changes.reader.done, timeout=20_000):
        changes.read_records()
    changes.table.sortByColumn(4, Qt.SortOrder.AscendingOrder)
    qtbot.wait(20)
    changes.filter.setText("caption 12")
    qtbot.wait(20)
    timer.stop()
    assert changes.model.total == MANY
    assert 100 < changes.model.rowCount() < MANY
    assert len(waits_ms) > 3
    assert max(waits_ms) < 100 * slowness(sys.executable), sorted(waits_ms)[-5:]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_selection_on_the_map_is_followed_at_once(changes, layer, step):
    wanted = layer.allFeatureIds()[::step]
    signals = []
    changes.table.selectionModel().selectionChanged.connect(lambda *_: signals.append(1))
    start = time.perf_counter()
    layer.selectByIds(wanted)
    assert time.perf_counter() - start < QUICK_S * slowness(sys.executable)
    assert sorted(changes.selected_features()) == sorted(wanted)
    assert sorted(layer.selectedFeatureIds()) == sorted(wanted)
    assert len(signals) == 1
    layer.removeSelection()
    assert changes.selected_features() == []


def test_a_review_of_all_is_quick_and_keeps_the_selection(changes, layer, qtbot):
    changes.table.selectAll()
    assert layer.selectedFeatureCount() == MANY
    start = time.perf_counter()
    with qtbot.waitSignal(changes.review.edited, timeout=60_000):
        changes.buttons["accept"].click()
    assert time.perf_counter() - start < WRITTEN_S * slowness(sys.executable)
    assert len(changes.selected_features()) == MANY
    qtbot.waitUntil(lambda: not changes.reader.is_reading, timeout=10_000)
    marks = {changes.model.index(row, STATE).data() for row in range(MANY)}
    assert marks == {"✓"}
    assert {each["review"] for each in layer.getFeatures()} == {"accepted"}


def test_other_layers_do_not_have_the_result_read_again(changes, layer):
    resets = []
    changes.model.modelReset.connect(lambda: resets.append(1))
    layer.selectByIds([7])
    other = QgsVectorLayer("Point", "other", "memory")
    QgsProject.instance().addMapLayer(other)
    QgsProject.instance().removeMapLayer(other.id())
    assert resets == []
    assert changes.selected_features() == [7]
    QgsProject.instance().removeMapLayer(layer.id())
    assert resets == [1]
    assert changes.model.rowCount() == 0
