"""Drives an analyst's journeys on the real desktop, in two sessions; started by test_journeys.py.

The first is closed in the midst of a run. The second has a profile and a project of its own, and
speaks German.
"""

import json
import os
import shutil
from pathlib import Path

from desktop_steps import DATA, OUT, REPORT, Driver, click, pause, picture, until
from qgis.core import QgsProject, QgsRasterLayer, QgsRectangle, QgsVectorFileWriter, QgsVectorLayer
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QFileDialog, QPushButton
from qgis.utils import iface, plugins

HERE = Path(os.environ["GEOCHG_JOURNEY"])
IS_FIRST = os.environ["GEOCHG_JOURNEY_SESSION"] == "first"
YEARS = (2015, 2018)


def open_panel():
    """Adds the pair, and shows the panel beside it."""
    iface.mainWindow().resize(1640, 1000)
    layers = []
    for year in YEARS:
        path = HERE / f"dubai_{year}.tif"
        if not path.exists():
            shutil.copy(DATA / path.name, path)
        layers.append(QgsRasterLayer(str(path), path.stem))
    QgsProject.instance().addMapLayers(layers)
    QgsProject.instance().setCrs(layers[0].crs())
    iface.mapCanvas().setExtent(layers[0].extent())
    dock = plugins["geochg_qgis"].dock
    dock.setUserVisible(True)
    QApplication.setActiveWindow(iface.mainWindow())
    return dock


def choose(dock, model, least_area_m2, tile_px):
    dock.options.model.setEditText(model)
    dock.options.fields["min_area_m2"].widget.setValue(least_area_m2)
    dock.options.fields["tile_size_px"].widget.setValue(tile_px)


def closed_in_the_midst_of_a_run():
    dock = open_panel()
    yield pause(1)
    choose(dock, "builtin", 2000, 64)
    click(dock.run_widget.run_button)
    yield until(lambda: dock.run_widget.bar.value() > 200)
    REPORT["was_running"] = dock.runs.is_running
    REPORT["done"] = True


def another_session():
    dock = open_panel()
    yield until(lambda: dock.interrupted.isVisible(), 20)
    yield pause()
    REPORT["unfinished"] = [run.output.name for run in dock.interrupted.runs]
    show(dock, dock.interrupted)
    picture("unfinished")
    yield from go_on_behind_another(dock)
    yield from presets(dock)
    yield from form_and_labels(dock)
    yield from ask_in_german(dock)
    yield from image_gone(dock)
    yield from a_copy_is_reviewed(dock)
    REPORT["done"] = True


def show(dock, widget):
    """Scrolls the page of the panel to a widget."""
    dock.tabs.currentWidget().ensureWidgetVisible(widget)


def go_on_behind_another(dock):
    choose(dock, "cva", 5000, 256)
    dock.options.output.setFilePath(str(HERE / "other.gpkg"))
    click(dock.run_widget.run_button)
    # The list of what is unfinished stays while another runs.
    REPORT["listed_meanwhile"] = [run.output.name for run in dock.interrupted.runs]
    click(dock.interrupted.go_on_buttons[0])
    choose(dock, "irmad", 7000, 256)
    dock.options.output.setFilePath("")
    click(dock.run_widget.run_button)
    REPORT["waiting"] = [plan.output.name for plan in dock.runs.waiting]
    yield pause(0.3)
    show(dock, dock.waiting)
    picture("waiting")
    yield until(lambda: not dock.runs.is_running and not dock.runs.waiting, 240)
    yield pause(1)
    yield until(lambda: not dock.runs.is_running, 120)
    layers = QgsProject.instance().mapLayers().values()
    REPORT["results"] = sorted(
        layer.name() for layer in layers if layer.customProperty("geochg/result")
    )
    REPORT["still_unfinished"] = [run.output.name for run in dock.interrupted.runs]


def presets(dock):
    dock.tabs.setCurrentIndex(0)
    iface.messageBar().clearWidgets()
    group = dock.options.presets.parentWidget()
    while group is not None and not hasattr(group, "setCollapsed"):
        group = group.parentWidget()
    if group is not None:
        group.setCollapsed(False)
    yield pause(1)
    show(dock, dock.options.presets)
    yield pause(0.5)
    choose(dock, "cva", 5000, 256)
    dock.options.presets.names.setEditText("Schnell, ab 0,5 ha")
    click(dock.options.presets.save)
    choose(dock, "builtin", 0, 512)
    row = dock.options.presets.names.findText("Schnell, ab 0,5 ha")
    dock.options.presets.names.setCurrentIndex(row)
    dock.options.presets.names.activated.emit(row)
    yield pause(0.5)
    REPORT["preset"] = [
        dock.options.model.currentText(),
        dock.options.fields["min_area_m2"].widget.value(),
    ]
    show(dock, dock.options.presets)
    picture("presets")


def form_and_labels(dock):
    dock.tabs.setCurrentIndex(1)
    # The one that the first session began.
    (layer,) = [
        layer
        for layer in QgsProject.instance().mapLayers().values()
        if layer.source().startswith(str(HERE / REPORT["unfinished"][0]))
    ]
    dock.changes.show_layer(layer)
    yield until(lambda: dock.changes.model.rowCount() > 0, 20)
    dock.changes.choose([dock.changes.model.at(0).feature])
    yield pause()
    picture("labels")
    feature = layer.getFeature(dock.changes.model.at(0).feature)
    layer.startEditing()
    dialog = iface.getFeatureForm(layer, feature)
    dialog.resize(640, 560)
    dialog.show()
    yield pause(1)
    picture("form", dialog)
    dialog.reject()
    layer.rollBack()
    yield pause(0.5)


def ask_in_german(dock):
    dock.tabs.setCurrentIndex(3)
    dock.options.model.setEditText("builtin")
    iface.mapCanvas().setExtent(QgsRectangle(dock.pair.layers()[0].extent()))
    iface.mapCanvas().refresh()
    yield pause()
    click(dock.ask.pick)
    view = iface.mapCanvas().viewport()
    middle = QPoint(view.width() // 2, view.height() // 2)
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=middle)
    yield until(lambda: dock.ask.places.count() == 1, 10)
    for question in ("", "Wie viele Gebäude sind entstanden?", "Wie groß ist die Fläche?"):
        dock.ask.question.setText(question)
        click(dock.ask.send)
        yield until(lambda: dock.ask._task is None, 120)
    REPORT["dialogue"] = dock.ask._dialogues[0].exchanges
    yield pause()
    picture("ask_german")


def image_gone(dock):
    dock.tabs.setCurrentIndex(1)
    (gone,) = QgsProject.instance().mapLayersByName("dubai_2015")
    QgsProject.instance().removeMapLayer(gone.id())
    moved = HERE / "elsewhere.tif"
    (HERE / "dubai_2015.tif").rename(moved)
    iface.messageBar().clearWidgets()
    yield pause(1)
    click(dock.changes.swipe)
    yield pause(1)
    picture("image_gone")
    (button,) = [
        button
        for button in iface.messageBar().currentItem().findChildren(QPushButton)
        if button.text().rstrip("…") == "Suchen"
    ]
    QFileDialog.getOpenFileName = lambda *_: (str(moved), "")
    click(button)
    yield pause(1)
    click(dock.changes.swipe)
    yield pause()
    REPORT["swipes_again"] = dock.changes.swipe.isChecked()
    picture("image_found")
    dock.changes.swipe.close_down()


def a_copy_is_reviewed(dock):
    layer = dock.changes.layer
    path = HERE / "result.fgb"
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "FlatGeobuf"
    context = QgsProject.instance().transformContext()
    QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), context, options)
    other = QgsVectorLayer(str(path), "result", "ogr")
    for name in layer.customPropertyKeys():
        if name.startswith("geochg/"):
            other.setCustomProperty(name, layer.customProperty(name))
    QgsProject.instance().addMapLayer(other)
    dock.changes.show_layer(other)
    iface.messageBar().clearWidgets()
    count = layer.featureCount()
    yield until(lambda: dock.changes.model.rowCount() == count, 20)
    dock.changes.choose([dock.changes.model.at(0).feature])
    yield pause(1)
    click(dock.changes.buttons["accept"])
    yield pause(1)
    picture("not_editable")
    item = iface.messageBar().currentItem()
    buttons = {button.text(): button for button in item.findChildren(QPushButton)}
    click(buttons["Kopie prüfen"])
    yield until(lambda: dock.changes.layer is not other, 30)
    yield until(lambda: dock.changes.model.rowCount() == count, 20)
    dock.changes.choose([dock.changes.model.at(0).feature])
    click(dock.changes.buttons["accept"])
    yield pause()
    picture("copy_reviewed")
    copy = dock.changes.layer
    REPORT["copy"] = [
        Path(copy.source().partition("|")[0]).name,
        [feature["review"] for feature in copy.getFeatures()].count("accepted"),
    ]


REPORT["session"] = json.dumps({"first": IS_FIRST})
(OUT / "data").mkdir(exist_ok=True)
driver = Driver(closed_in_the_midst_of_a_run() if IS_FIRST else another_session())
