"""Drives a review on the real desktop: run by QGIS with `--code`, started by test_review.py."""

import os
import time
from pathlib import Path

from desktop_steps import (
    HEART,
    OUT,
    REPORT,
    Driver,
    add_pair,
    click,
    drag,
    map_pixels,
    pause,
    picture,
    until,
)
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication
from qgis.utils import iface, plugins

FEW, MANY = 100, 20_000
KINDS = [
    (name, change)
    for name in ("building", "road", "vegetation", "water", "bare", "other")
    for change in ("appeared", "disappeared", "altered")
]
FIELDS = (
    "id:integer", "class:string", "change:string", "before_class:string", "after_class:string",
    "confidence:double", "caption:string", "count:integer", "area_m2:double", "tiles:string",
    "cells:string",
)  # fmt: skip
IS_SMALL = "GEOCHG_DESKTOP_SMALL" in os.environ


def write_result(path, count, extent):
    """A result of so many changes in rows, of all classes, some of them tiny."""
    definition = "&".join(f"field={field}" for field in FIELDS)
    made = QgsVectorLayer(f"Polygon?crs=EPSG:4326&{definition}", "made", "memory")
    side = int(count**0.5) + 1
    step_x, step_y = extent.width() / side, extent.height() / side
    features = []
    for number in range(count):
        row, column = divmod(number, side)
        center = QgsPointXY(
            extent.xMinimum() + (column + 0.5) * step_x, extent.yMaximum() - (row + 0.5) * step_y
        )
        radius = step_x * (0.05 + 0.4 * (number * 7919 % count) / count)
        shape = QgsGeometry.fromPointXY(center).buffer(radius, 6)
        name, change = KINDS[number * 31 % len(KINDS)]
        feature = QgsFeature(made.fields())
        feature.setAttributes([
            number + 1, name, change, "low plants", name if name in ("building", "road") else None,
            (number * 104729 % count) / count,
            f"In the middle of the area, a {name} {change} on about {number} square metres.",
            None, round((radius * 1e5) ** 2 * 3.1, 1), "[]", "[]",
        ])  # fmt: skip
        feature.setGeometry(shape)
        features.append(feature)
    made.dataProvider().addFeatures(features)
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.layerName = "changes"
    context = QgsProject.instance().transformContext()
    QgsVectorFileWriter.writeAsVectorFormatV3(made, str(path), context, options)


def add_result(path, pair):
    from geochg_qgis.layers.image_identity import ImageIdentity
    from geochg_qgis.layers.result_layers import ResultOrigin, open_result, placement_steps

    origin = ResultOrigin(*map(ImageIdentity.of, pair), {})
    layer = open_result(f"{path}|layername=changes", Path(path).stem, origin)
    for step in placement_steps(layer, pair[0].id(), pair[1].id(), None):
        step()
    iface.setActiveLayer(layer)
    return layer


def key(widget, letter, modifier=Qt.KeyboardModifier.NoModifier):
    QTest.keyClick(widget, letter, modifier)


def timed(action):
    """Milliseconds of an action with the events that it caused: by the clock, and computing."""
    start, computed = time.perf_counter(), time.thread_time()
    action()
    QApplication.processEvents()
    spans = time.perf_counter() - start, time.thread_time() - computed
    return [round(1000 * span, 1) for span in spans]


def reviews(layer):
    return [feature["review"] or "" for feature in layer.getFeatures()]


def steps():
    (OUT / "data").mkdir(exist_ok=True)
    window = iface.mainWindow()
    window.resize(1640, 1000)
    add_pair()
    yield pause(1)
    pair = [QgsProject.instance().mapLayersByName(f"dubai_{year}")[0] for year in (2015, 2018)]
    write_result(OUT / "data" / "few.gpkg", FEW, pair[0].extent())
    layer = add_result(OUT / "data" / "few.gpkg", pair)
    dock = plugins["geochg_qgis"].dock
    dock.setUserVisible(True)
    # Without a window manager no window is active, and none takes shortcuts.
    QApplication.setActiveWindow(window)
    dock.tabs.setCurrentIndex(1)
    changes, table = dock.changes, dock.changes.table
    yield until(lambda: changes.model.rowCount() == FEW, 20)
    yield pause()
    picture("overview")
    if IS_SMALL:
        yield from small_screen(window, dock)
    else:
        yield from choose_and_swipe(changes, table, layer)
        yield from decide_by_keys(changes, table, layer)
        yield from draw_cut_and_merge(changes, layer)
        yield from many_changes(changes, table, pair)
    REPORT["done"] = True


def small_screen(window, dock):
    changes = dock.changes
    window.showNormal()
    window.resize(838, 520)
    table_row = changes.table.visualRect(changes.model.index(1, 0)).center()
    QTest.mouseClick(changes.table.viewport(), Qt.MouseButton.LeftButton, pos=table_row)
    yield pause()
    REPORT["window"] = [window.width(), window.height()]
    page = dock.tabs.currentWidget()
    REPORT["least_dock_px"] = dock.minimumSizeHint().width()
    REPORT["dock_px"] = dock.width()
    REPORT["least_page_px"] = page.widget().minimumSizeHint().width()
    REPORT["view_px"] = page.viewport().width()
    REPORT["scrolls_sideways"] = page.horizontalScrollBar().maximum() > 0
    REPORT["caption_px"] = changes.table.columnWidth(3)
    REPORT["table_scrolls_sideways"] = changes.table.horizontalScrollBar().maximum() > 0
    picture("small")
    page.verticalScrollBar().setValue(page.verticalScrollBar().maximum())
    yield pause(0.5)
    picture("small_below")
    buttons = changes.buttons.values()
    REPORT["cut_off"] = [
        button.text()
        for button in buttons
        if page.viewport().rect().intersected(
            button.rect().translated(button.mapTo(page.viewport(), QPoint(0, 0)))
        ).size() != button.size()
    ]  # fmt: skip


def choose_and_swipe(changes, table, layer):
    where = table.visualRect(changes.model.index(2, 0)).center()
    HEART.begin("choosing")
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=where)
    yield pause()
    for _ in range(5):
        key(table, Qt.Key.Key_Down)
        yield pause(0.3)
    yield pause()
    HEART.stop()
    picture("chosen")
    REPORT["inside"] = inside_the_choice(changes, layer)
    HEART.begin("swipe")
    click(changes.swipe)
    yield pause()
    drag(iface.mapCanvas(), (0.5, 0.3), (0.45, 0.3))
    yield pause(0.5)
    HEART.stop()
    picture("chosen_swiped")
    REPORT["inside_swiped"] = inside_the_choice(changes, layer)
    changes.swipe.close_down()
    canvas = iface.mapCanvas()
    (feature,) = changes.selected_features()
    box = canvas.mapSettings().layerExtentToOutputExtent(
        layer, layer.getFeature(feature).geometry().boundingBox()
    )
    view = canvas.extent()
    REPORT["context"] = min(view.width() / box.width(), view.height() / box.height())


def inside_the_choice(changes, layer):
    """Share of the pixels within the chosen change that are the selection's yellow."""
    canvas = iface.mapCanvas()
    (feature,) = changes.selected_features()
    settings = canvas.mapSettings()
    shape = layer.getFeature(feature).geometry()
    center = settings.mapToPixel().transform(
        settings.layerToMapCoordinates(layer, shape.centroid().asPoint())
    )
    box = settings.layerExtentToOutputExtent(layer, shape.boundingBox())
    half = int(0.3 * box.width() / settings.mapUnitsPerPixel())
    x, y = int(center.x()), int(center.y())
    colors = map_pixels()[y - half : y + half, x - half : x + half]
    blue, green, red = (colors[..., band] for band in range(3))
    return float(((red > 220) & (green > 220) & (blue < 60)).mean())


def decide_by_keys(changes, table, layer):
    changes.states.setCurrentIndex(changes.states.findData("undecided"))
    key(table, Qt.Key.Key_N)
    yield pause(1)
    HEART.begin("deciding")
    start, waits = time.monotonic(), []
    for number in range(FEW):
        letter = Qt.Key.Key_R if number % 3 == 0 else Qt.Key.Key_A
        waits.append(timed(lambda letter=letter: key(table, letter)))
        yield pause(0.02)
    REPORT["decided_s"] = time.monotonic() - start
    REPORT["decide_ms"] = waits
    yield pause(1)
    HEART.stop()
    REPORT["decisions"] = reviews(layer)
    REPORT["left"] = changes.model.rowCount()
    changes.states.setCurrentIndex(0)
    yield pause(0.5)
    picture("decided")
    for _ in range(3):
        key(table, Qt.Key.Key_U)
    key(table, Qt.Key.Key_U, Qt.KeyboardModifier.ShiftModifier)
    yield pause(0.5)
    REPORT["after_undo"] = reviews(layer).count("")
    HEART.begin("all at once")
    table.selectAll()
    key(table, Qt.Key.Key_R)
    yield until(lambda: reviews(layer).count("rejected") == FEW, 20)
    key(table, Qt.Key.Key_U)
    yield until(lambda: reviews(layer).count("") == 2, 20)
    yield pause(1)
    HEART.stop()
    changes.confidence.slider.setValue(60)
    yield until(lambda: layer.featureCount() < FEW, 10)
    yield pause(1)
    REPORT["count"] = changes.count.text()
    changes.states.setCurrentIndex(changes.states.findData("hidden"))
    REPORT["hidden"] = changes.model.rowCount()
    changes.states.setCurrentIndex(0)
    changes.confidence.slider.setValue(0)
    yield until(lambda: layer.featureCount() == FEW, 10)
    changes.choose([changes.model.at(0).feature])
    yield pause(1)
    key(table, Qt.Key.Key_L)
    yield pause(0.5)
    picture("classes", changes.commands.classes)
    changes.commands.classes.close()


def press(x, y, button=Qt.MouseButton.LeftButton):
    view = iface.mapCanvas().viewport()
    place = QPoint(round(x * view.width()), round(y * view.height()))
    QTest.mouseClick(view, button, pos=place)


def draw_cut_and_merge(changes, layer):
    iface.mapCanvas().zoomToFullExtent()
    yield pause()
    HEART.begin("drawing")
    click(changes.buttons["draw"])
    for corner in ((0.4, 0.4), (0.5, 0.38), (0.52, 0.5), (0.43, 0.52)):
        press(*corner)
        yield pause(0.2)
    picture("drawing")
    press(0.43, 0.52, Qt.MouseButton.RightButton)
    yield pause(0.5)
    picture("new_change", changes.shapes.dialog)
    changes.shapes.dialog.classes.setCurrentIndex(3)
    changes.shapes.dialog.accept()
    yield until(lambda: layer.featureCount() == FEW + 1, 10)
    yield pause()
    (new,) = changes.selected_features()
    feature = layer.getFeature(new)
    names = ("class", "change", "source", "review")
    REPORT["new"] = [feature[name] for name in names] + [feature["area_m2"] > 0]
    picture("drawn")
    click(changes.buttons["cut"])
    press(0.5, 0.05)
    press(0.5, 0.95)
    press(0.5, 0.95, Qt.MouseButton.RightButton)
    yield until(lambda: layer.featureCount() == FEW + 2, 10)
    parts = changes.selected_features()
    REPORT["parts"] = [layer.getFeature(part)["source"] for part in parts]
    yield pause()
    picture("cut")
    click(changes.buttons["merge"])
    yield until(lambda: layer.featureCount() == FEW + 1, 10)
    for _ in range(3):
        click(changes.buttons["undo"])
    yield until(lambda: layer.featureCount() == FEW, 10)
    for _ in range(3):
        click(changes.buttons["redo"])
    yield until(lambda: layer.featureCount() == FEW + 1, 10)
    yield pause()
    HEART.stop()


def many_changes(changes, table, pair):
    path = OUT / "data" / "many.gpkg"
    write_result(path, MANY, pair[0].extent())
    layer = add_result(path, pair)
    HEART.begin("reading many")
    changes.show_layer(layer)
    yield until(lambda: changes.model.rowCount() == MANY, 60)
    yield pause()
    HEART.begin("many")
    times = REPORT["many_ms"] = {
        "choose": [],
        "filter": [],
        "state": [],
        "slider": [],
        "decide": [],
    }
    # The dialog took it.
    QApplication.setActiveWindow(iface.mainWindow())
    table.setFocus()
    for _ in range(6):
        times["choose"].append(timed(lambda: key(table, Qt.Key.Key_Down)))
        yield pause(1)
    picture("many")
    for text in ("road", "road appeared", "1234", ""):
        times["filter"].append(timed(lambda text=text: changes.filter.setText(text)))
        yield pause(0.5)
    for state in ("undecided", "shown"):
        index = changes.states.findData(state)
        times["state"].append(timed(lambda index=index: changes.states.setCurrentIndex(index)))
        yield pause(0.5)
    for percent in (30, 60, 0):
        times["slider"].append(timed(lambda p=percent: changes.confidence.slider.setValue(p)))
        yield pause(2)
    changes.choose([changes.model.at(3).feature])
    yield pause(1)
    for letter in (Qt.Key.Key_A, Qt.Key.Key_R, Qt.Key.Key_A, Qt.Key.Key_U):
        times["decide"].append(timed(lambda letter=letter: key(table, letter)))
        yield pause(1.5)
    REPORT["many_decided"] = len(reviews(layer)) - reviews(layer).count("")
    HEART.begin("many at once")
    # The attributes read above are the test's.
    HEART.forgive()
    table.selectAll()
    start = time.monotonic()
    key(table, Qt.Key.Key_A)
    yield until(lambda: not changes.review.is_busy and changes.model.undecided_count == 0, 120)
    REPORT["all_s"] = time.monotonic() - start
    yield pause()
    HEART.stop()


driver = Driver(steps())
