"""The cutouts of a change, whose images may be removed while they are shown."""

import pytest
from qgis.core import QgsGeometry, QgsProject, QgsSingleBandGrayRenderer

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


def test_the_earlier_image_follows_the_style_of_the_later_one(cutouts, pair, qtbot):
    shape = QgsGeometry.fromRect(pair[0].extent().scaled(0.2))
    pictures = []
    for band in (1, 2, 3, 1):
        pair[1].setRenderer(QgsSingleBandGrayRenderer(pair[1].dataProvider(), band))
        with qtbot.waitSignal(cutouts.renderers[0].rendered, timeout=10_000):
            cutouts.show_change(shape, pair[0].crs(), *pair)
        image = cutouts.renderers[0].image
        pictures.append([image.pixelColor(x, 100).getRgb() for x in range(0, 180, 5)])
    assert all(red == green == blue for red, green, blue, _ in pictures[0])
    assert pictures[0] == pictures[3]
    assert len({str(picture) for picture in pictures}) == 3
