"""The cutouts of a change, whose images may be removed while they are shown."""

import pytest
from qgis.core import QgsGeometry, QgsProject

from geochg_qgis.panel.cutouts_widget import CutoutsWidget


@pytest.fixture
def cutouts(pair, qtbot):
    widget = CutoutsWidget()
    widget.resize(400, 200)
    qtbot.addWidget(widget)
    shape = QgsGeometry.fromRect(pair[0].extent().scaled(0.2))
    widget.show_change(shape, pair[0].crs(), *pair)
    qtbot.waitUntil(lambda: not any(r.image.isNull() for r in widget.renderers), timeout=10_000)
    return widget


def test_both_dates_are_painted(cutouts):
    colors = {cutouts.grab().toImage().pixel(x, 100) for x in range(0, 400, 5)}
    assert len(colors) > 10


@pytest.mark.parametrize("removed", [0, 1])
def test_an_image_that_is_removed_is_painted_no_more(cutouts, pair, qtbot, removed):
    cutouts._timer.start()
    QgsProject.instance().removeMapLayer(pair[removed].id())
    # A failure in painting ends QGIS.
    cutouts.setVisible(True)
    cutouts.grab()
    qtbot.wait(100)
    assert len({cutouts.grab().toImage().pixel(x, 100) for x in range(0, 400, 5)}) == 1


def test_another_layer_that_is_removed_changes_nothing(cutouts, pair):
    other = pair[0].clone()
    QgsProject.instance().addMapLayer(other)
    QgsProject.instance().removeMapLayer(other.id())
    assert not cutouts.isHidden()


def test_the_project_is_closed(cutouts):
    QgsProject.instance().clear()
    assert cutouts.isHidden()
    cutouts.grab()
