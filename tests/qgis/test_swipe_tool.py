"""The swipe, by the colours on the map: the earlier date is red, the later blue."""

import pytest
from colored_map import (
    BLUE,
    CRS,
    GREEN,
    NORTH,
    RED,
    SIDE_M,
    WEST,
    WHITE,
    height,
    raster,
    seen,
    width,
)
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsMapSettings,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.gui import QgsMapToolPan
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest

from geochg_qgis.layers.image_identity import AFTER, BEFORE, ImageIdentity
from geochg_qgis.layers.result_layers import RESULT
from geochg_qgis.panel.date_renderer import single_date_layers, single_date_settings


@pytest.fixture
def dates(tmp_path, qgis_new_project):
    """The two images; the later covers the earlier."""
    layers = [raster(tmp_path / "early.tif", RED), raster(tmp_path / "late.tif", BLUE)]
    for layer in layers:
        QgsProject.instance().addMapLayer(layer)
    return layers


@pytest.fixture
def result(dates):
    """A result of them: one green change in the south."""
    fields = "field=class:string&field=change:string&field=confidence:double&field=caption:string"
    layer = QgsVectorLayer(f"Polygon?crs={CRS}&{fields}", "result", "memory")
    layer.renderer().symbol().setColor(_color(GREEN))
    feature = QgsFeature(layer.fields())
    south = QgsRectangle(WEST, NORTH - SIDE_M, WEST + SIDE_M, NORTH - 0.8 * SIDE_M)
    feature.setGeometry(QgsGeometry.fromRect(south))
    layer.dataProvider().addFeatures([feature])
    images = [ImageIdentity.of(date).to_text() for date in dates]
    for name, value in ((RESULT, True), (BEFORE, images[0]), (AFTER, images[1])):
        layer.setCustomProperty(name, value)
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.fixture
def canvas(qgis_iface, qtbot, dates, result):
    canvas = qgis_iface.mapCanvas()
    window = qgis_iface.mainWindow()
    window.setCentralWidget(canvas)
    window.resize(500, 400)
    window.show()
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem(CRS))
    canvas.setLayers([result, dates[1], dates[0]])
    canvas.setExtent(dates[0].extent())
    canvas.setRotation(0)
    canvas.waitWhileRendering()
    yield canvas
    canvas.setRotation(0)
    canvas.setLayers([])
    canvas.setParent(None)


@pytest.fixture
def changes(qgis_iface, canvas, qtbot):
    from geochg_qgis.panel.change_list_widget import ChangeListWidget

    changes = ChangeListWidget(qgis_iface, pytest.fail)
    yield changes
    changes.close_down()
    changes.deleteLater()


@pytest.fixture
def swipe(changes, canvas, qtbot):
    """Begun, and drawn."""
    tool = changes.swipe.tool
    with drawn(qtbot, tool):
        changes.swipe.click()
    return tool


def drawn(qtbot, tool):
    """A wait for both dates."""
    return qtbot.waitSignals([tool.before.rendered, tool.after.rendered], timeout=10_000)


def _color(rgb):
    from qgis.PyQt.QtGui import QColor

    return QColor(*rgb)


def drag(canvas, start, end):
    """Drags over the map, from and to shares of its width and height."""
    view = canvas.viewport()
    first, last = (
        QPoint(round(x * width(canvas)), round(y * height(canvas))) for x, y in (start, end)
    )
    button = Qt.MouseButton.LeftButton
    QTest.mousePress(view, button, pos=first)
    from qgis.PyQt.QtGui import QMouseEvent

    # QTest moves without a button.
    move = QMouseEvent(
        QMouseEvent.Type.MouseMove, last, view.mapToGlobal(last), button, button,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QgsApplication.sendEvent(view, move)
    QTest.mouseRelease(view, button, pos=last)


def test_each_date_is_on_its_side(swipe, canvas):
    assert seen(canvas, 0.4, 0.5) == RED
    assert seen(canvas, 0.6, 0.5) == BLUE
    # Over half of the height, not over the part that the line's handle covers.
    for down in (0.2, 0.3, 0.7):
        assert seen(canvas, 0.48, down) == RED
        assert seen(canvas, 0.52, down) == BLUE


def test_what_else_is_on_the_map_is_on_both_sides(swipe, canvas):
    for across in (0.35, 0.65):
        assert seen(canvas, across, 0.85) == GREEN


def test_the_line_is_dragged_without_drawing_the_dates_anew(swipe, canvas):
    renders = []
    for renderer in (swipe.before, swipe.after):
        renderer.rendered.connect(lambda: renders.append(1))
    drag(canvas, (0.5, 0.3), (0.7, 0.3))
    assert seen(canvas, 0.65, 0.3) == RED
    assert seen(canvas, 0.75, 0.3) == BLUE
    drag(canvas, (0.7, 0.3), (0.3, 0.3))
    assert seen(canvas, 0.35, 0.3) == BLUE
    assert seen(canvas, 0.25, 0.3) == RED
    assert renders == []


def test_the_line_may_lie(swipe, changes, canvas):
    changes.swipe.set_direction("lying")
    assert seen(canvas, 0.4, 0.4) == RED
    assert seen(canvas, 0.6, 0.4) == RED
    assert seen(canvas, 0.4, 0.6) == BLUE
    drag(canvas, (0.4, 0.5), (0.4, 0.7))
    assert seen(canvas, 0.4, 0.65) == RED


@pytest.mark.parametrize("rotation", [0, 30])
def test_it_follows_the_map(swipe, canvas, qtbot, rotation):
    corner = QgsPointXY(WEST + 0.06 * SIDE_M, NORTH - 0.06 * SIDE_M)
    with drawn(qtbot, swipe):
        canvas.setRotation(rotation)
        canvas.setExtent(QgsRectangle(WEST - 300, NORTH - 600, WEST + 1300, NORTH + 500))
        canvas.refresh()
    place = canvas.getCoordinateTransform().transform(corner)
    across, down = place.x() / width(canvas), place.y() / height(canvas)
    assert 0.05 < across < 0.95
    # The white corner of both dates lies where the map says it does.
    assert seen(canvas, across, down) == WHITE
    inside = QgsPointXY(WEST + 0.2 * SIDE_M, NORTH - 0.06 * SIDE_M)
    place = canvas.getCoordinateTransform().transform(inside)
    side = RED if place.x() < width(canvas) / 2 else BLUE
    assert seen(canvas, place.x() / width(canvas), place.y() / height(canvas)) == side


@pytest.mark.parametrize("rotation", [0, 30])
def test_an_old_image_lies_in_its_place_until_there_is_a_new_one(
    swipe, canvas, monkeypatch, rotation
):
    monkeypatch.setattr(swipe, "_render", lambda: None)
    canvas.setRotation(rotation)
    canvas.setExtent(QgsRectangle(WEST - 300, NORTH - 600, WEST + 1300, NORTH + 500))
    canvas.refresh()
    canvas.waitWhileRendering()
    for share, color in ((0.06, WHITE), (0.2, RED)):
        point = QgsPointXY(WEST + share * SIDE_M, NORTH - 0.06 * SIDE_M)
        place = canvas.getCoordinateTransform().transform(point)
        assert place.x() < width(canvas) / 2
        assert seen(canvas, place.x() / width(canvas), place.y() / height(canvas)) == color


def test_a_date_whose_layer_is_switched_off_is_shown_all_the_same(
    changes, canvas, qtbot, result, dates
):
    canvas.setLayers([result])
    canvas.waitWhileRendering()
    with drawn(qtbot, changes.swipe.tool):
        changes.swipe.click()
    assert seen(canvas, 0.4, 0.3) == RED
    assert seen(canvas, 0.6, 0.3) == BLUE


def test_a_changed_style_is_followed(swipe, canvas, qtbot, dates):
    with drawn(qtbot, swipe):
        dates[0].setOpacity(0)
        dates[0].triggerRepaint()
    assert seen(canvas, 0.4, 0.3) == WHITE
    assert seen(canvas, 0.6, 0.3) == BLUE


def test_escape_ends_it_and_gives_the_former_tool_back(changes, canvas, qtbot):
    pan = QgsMapToolPan(canvas)
    canvas.setMapTool(pan)
    with drawn(qtbot, changes.swipe.tool):
        changes.swipe.click()
    assert changes.swipe.isChecked()
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert canvas.mapTool() is pan
    assert not changes.swipe.isChecked()
    assert seen(canvas, 0.4, 0.3) == BLUE
    canvas.unsetMapTool(pan)


def test_escape_in_the_list_ends_it(swipe, changes, canvas):
    changes.show()
    QTest.keyClick(changes.table, Qt.Key.Key_Escape)
    assert not changes.swipe.isChecked()
    assert canvas.mapTool() is not swipe


def test_the_button_and_another_tool_end_it_too(swipe, changes, canvas, qtbot):
    changes.swipe.click()
    assert not changes.swipe.isChecked()
    assert seen(canvas, 0.4, 0.3) == BLUE
    with drawn(qtbot, swipe):
        changes.swipe.click()
    assert seen(canvas, 0.4, 0.3) == RED
    pan = QgsMapToolPan(canvas)
    canvas.setMapTool(pan)
    assert not changes.swipe.isChecked()
    assert seen(canvas, 0.4, 0.3) == BLUE
    canvas.unsetMapTool(pan)


@pytest.mark.parametrize("which", [0, 1])
def test_a_date_taken_out_of_the_project_ends_it_and_is_said_to_be_missing(
    swipe, changes, canvas, dates, which, monkeypatch
):
    QgsProject.instance().removeMapLayer(dates[which].id())
    assert not changes.swipe.isChecked()
    assert canvas.mapTool() is not swipe
    told = []
    monkeypatch.setattr(changes.swipe, "_show_error", told.append)
    changes.swipe.click()
    assert ("early", "late")[which] in told[0].message
    assert "is not in the project" in told[0].message
    assert "Find it" in told[0].hint
    assert told[0].hint
    assert not changes.swipe.isChecked()


def test_a_result_taken_out_of_the_project_ends_it(swipe, changes, canvas, result):
    QgsProject.instance().removeMapLayer(result.id())
    assert not changes.swipe.isEnabled()
    assert canvas.mapTool() is not swipe


def test_the_project_may_be_closed_meanwhile(swipe, changes, canvas):
    QgsProject.instance().clear()
    assert canvas.mapTool() is not swipe
    assert not changes.swipe.isChecked()


def test_screens_with_finer_pixels_are_drawn_for(canvas, dates, qtbot):
    from qgis.PyQt.QtGui import QImage, QPainter

    from geochg_qgis.panel.date_renderer import DateRenderer

    settings = QgsMapSettings(canvas.mapSettings())
    settings.setDevicePixelRatio(2)
    renderer = DateRenderer()
    with qtbot.waitSignal(renderer.rendered, timeout=10_000):
        renderer.render(single_date_settings(settings, dates[0], dates[1]))
    assert renderer._image.width() == 2 * width(canvas)
    screen = QImage(2 * width(canvas), 2 * height(canvas), QImage.Format.Format_RGB32)
    screen.setDevicePixelRatio(2)
    screen.fill(0)
    painter = QPainter(screen)
    renderer.paint(painter, canvas.getCoordinateTransform())
    painter.end()
    for across, down in ((0.4, 0.3), (0.6, 0.6)):
        x, y = int(across * screen.width()), int(down * screen.height())
        assert screen.pixelColor(x, y).getRgb()[:3] == RED
    # White all around it, to the last pixel.
    assert screen.pixelColor(1, screen.height() - 2).getRgb()[:3] == WHITE


def test_a_date_takes_the_place_of_the_upper_of_both(dates, result):
    early, late = dates
    above = QgsVectorLayer("Point", "above", "memory")
    below = QgsVectorLayer("Point", "below", "memory")
    assert single_date_layers([above, late, below, early], early, late) == [above, early, below]
    assert single_date_layers([above, late, below, early], late, early) == [above, late, below]
    assert single_date_layers([above, below], early, late) == [above, below, early]
    other = QgsRasterLayer(early.source(), "other")
    assert single_date_layers([above, other, below], early, late) == [above, early, other, below]
