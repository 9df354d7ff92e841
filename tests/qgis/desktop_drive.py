"""Drives the real desktop: run by QGIS with `--code`, started by test_desktop.py.

Pictures and report.json go to the folder that GEOCHG_DESKTOP_OUT names. A step that fails is
reported and ends QGIS.
"""

import os
import signal
import time

from desktop_steps import (
    HEART,
    OUT,
    REPORT,
    Driver,
    add_pair,
    click,
    difference,
    drag,
    map_pixels,
    pause,
    picture,
    tool_button,
    until,
)
from qgis.core import QgsApplication, QgsProject, QgsRectangle
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.utils import iface, plugins
from sample_steps import judge_a_sample

from geochg_qgis.layers.result_layers import results_in_project


def steps():
    """The whole way; yields what to wait for."""
    (OUT / "data").mkdir(exist_ok=True)
    iface.mainWindow().resize(1640, 1000)
    add_pair()
    yield pause()
    plugin = plugins["geochg_qgis"]
    dock, heart = plugin.dock, HEART

    REPORT["clicks"] = 0
    button = tool_button(plugin.action)
    for _ in range(5):
        if dock.isVisible():
            click(button)
            yield pause(0.2)
        start = time.perf_counter()
        click(button)
        QgsApplication.processEvents()
        REPORT["open_s"].append(time.perf_counter() - start)
    # Opened once by whoever has not come to measure.
    REPORT["clicks"] = 1
    REPORT["dock_is_visible"] = dock.isVisible()
    dock.raise_()
    REPORT["guessed"] = [layer.name() for layer in dock.pair.layers()]
    yield until(lambda: "tiles" in dock.run_widget.info.text())
    REPORT["info"] = dock.run_widget.info.text()
    yield pause(1)
    picture("panel")

    dock.options.fields["min_area_m2"].widget.setValue(2000)
    # Small tiles, for a run long enough to be looked at; into a file of its own.
    dock.options.fields["tile_size_px"].widget.setValue(64)
    dock.options.output.setFilePath(str(OUT / "data" / "small_tiles.gpkg"))
    yield until(lambda: " 456 tiles" in dock.run_widget.info.text())
    heart.begin("cancelled")
    click(dock.run_widget.run_button)
    REPORT["clicks_to_layer"] = REPORT["clicks"]
    yield until(
        lambda: "left" in dock.run_widget.status.text() and dock.run_widget.bar.value() > 300
    )
    REPORT["progress"] = dock.run_widget.status.text()
    picture("running")
    start = time.perf_counter()
    click(dock.run_widget.cancel_button)
    REPORT["cancel_shown_s"] = time.perf_counter() - start
    yield until(lambda: not dock.runs.is_running, 30)
    REPORT["cancel_s"] = time.perf_counter() - start
    REPORT["after_cancel"] = dock.run_widget.info.text()
    REPORT["layers_after_cancel"] = len(QgsProject.instance().mapLayers())

    dock.options.fields["tile_size_px"].widget.setValue(256)
    dock.options.output.setFilePath("")
    # A sample needs it, where clouds hid ground.
    dock.options.heatmap.setChecked(True)
    heart.begin("run")

    def add(_):
        QgsProject.instance().layersAdded.disconnect(add)
        heart.begin("adding")

    QgsProject.instance().layersAdded.connect(add)
    click(dock.run_widget.run_button)
    yield until(lambda: not dock.runs.is_running)
    # What the new layer makes QGIS do afterwards is its doing, too.
    yield pause(1)
    heart.stop()
    yield pause()
    REPORT["changes"] = dock.changes.model.rowCount()
    REPORT["groups"] = [g.name() for g in QgsProject.instance().layerTreeRoot().findGroups()]
    iface.messageBar().clearWidgets()
    yield pause(0.5)
    picture("result")

    canvas = iface.mapCanvas()
    plain = map_pixels()
    heart.begin("swipe")
    click(dock.changes.swipe)
    yield pause()
    drag(canvas, (0.5, 0.3), (0.6, 0.3))
    yield pause(0.3)
    swiped, line = map_pixels(), round(0.6 * canvas.viewport().width())
    REPORT["swipe"] = {
        "is_begun": dock.changes.swipe.isChecked(),
        "before_differs": difference(plain, swiped, slice(0, line - 20)),
        "after_differs": difference(plain[:-60], swiped[:-60], slice(line + 20, None)),
    }
    heart.forgive()
    # To where a road was built.
    south = QgsRectangle(dock.pair.layers()[0].extent())
    south.setYMaximum(south.yMinimum() + 0.62 * south.height())
    canvas.setExtent(south)
    canvas.refresh()
    yield pause()
    drag(canvas, (0.6, 0.3), (0.5, 0.3))
    yield pause(0.3)
    picture("swipe")
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    REPORT["swipe"]["is_over"] = not dock.changes.swipe.isChecked()
    heart.stop()

    table = dock.changes.table
    where = table.visualRect(dock.changes.model.index(0, 0)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=where)
    yield pause()
    REPORT["selected"] = dock.changes.layer.selectedFeatureCount()
    click(dock.changes.buttons["accept"])
    yield pause()
    picture("change")
    dock.changes.confidence.slider.setValue(60)
    yield pause(1)
    REPORT["changes_sure"] = dock.changes.model.rowCount()
    dock.changes.confidence.slider.setValue(0)
    dock.changes.layer.removeSelection()
    dock.options.heatmap.setChecked(False)
    yield from judge_a_sample(dock, 100)
    dock.samples.layer.removeSelection()
    iface.mapCanvas().setExtent(dock.pair.layers()[0].extent())
    iface.mapCanvas().refresh()

    dock.tabs.setCurrentIndex(3)
    yield pause(1)
    click(dock.ask.pick)
    middle = QPoint(canvas.width() // 2, canvas.height() // 2)
    QTest.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, pos=middle)
    yield until(lambda: dock.ask.places.count() == 1, 10)
    for question in ("What changed here?", "How many buildings have been built?"):
        dock.ask.question.setText(question)
        click(dock.ask.send)
        yield until(lambda: dock.ask._task is None, 120)
    REPORT["talk"] = dock.ask._dialogues[0].exchanges
    yield pause()
    picture("ask")

    setup = dock.open_setup()
    click(setup.check_button)
    yield until(lambda: "works" in setup.status.text(), 60)
    REPORT["checked"] = setup.status.text()
    yield pause(0.5)
    # No one's folders in the picture.
    setup.python.setFilePath("")
    setup.folder.setFilePath("")
    picture("setup", setup)
    setup.reject()

    dock.tabs.setCurrentIndex(0)
    yield pause(0.5)
    click(dock.options.model_choice.browse)
    chooser = dock.options.model_choice.dialog
    chooser.folder.setFilePath(os.environ["GEOCHG_DESKTOP_MODEL"])
    yield until(lambda: chooser.use.isEnabled(), 60)
    REPORT["model_facts"] = chooser.fact_texts()
    chooser.folder.blockSignals(True)
    chooser.folder.setFilePath("/models/deltavlm")
    yield pause(0.5)
    picture("model", chooser)
    click(chooser.buttons.buttons()[-1])
    REPORT["model_after_cancel"] = dock.options.model.currentText()
    chooser.reject()
    bands = dock.options.open_bands()
    yield pause(0.5)
    picture("bands", bands)
    click(bands.buttons.buttons()[0])
    REPORT["bands"] = dock.options.fields["bands"].widget.text()
    dock.options.fields["bands"].widget.setText("")
    yield pause(0.5)

    dock.tabs.setCurrentIndex(0)
    dock.options.fields["min_area_m2"].widget.setValue(1000)
    click(dock.run_widget.run_button)
    yield until(lambda: "tiles" in dock.run_widget.status.text())
    os.kill(plugin.connection.current_client.pid, signal.SIGKILL)
    yield until(lambda: not dock.runs.is_running, 20)
    REPORT["killed"] = "; ".join(item.text() for item in iface.messageBar().items())
    yield pause(1)
    picture("killed")
    REPORT["shown_on_top"] = iface.messageBar().currentItem().text()
    # The panel starts the next worker at once; there is none until it answers.
    yield until(lambda: plugin.connection.current_client is not None, 60)
    REPORT["worker_pid"] = plugin.connection.current_client.pid
    REPORT["unfinished"] = [run.output.name for run in dock.interrupted.runs]
    # Whatever the panel shows by now.
    dock.options.model.setEditText("cva")
    former = {layer.name() for layer in results_in_project()}
    click(dock.interrupted.go_on_buttons[0])
    yield until(lambda: not dock.runs.is_running, 90)
    REPORT["went_on"] = sorted({layer.name() for layer in results_in_project()} - former)
    REPORT["unfinished_then"] = [run.output.name for run in dock.interrupted.runs]
    dock.options.model.setEditText("builtin")
    dock.tabs.setCurrentIndex(0)

    dock.options.fields["min_area_m2"].widget.setValue(1500)
    click(dock.run_widget.run_button)
    yield until(lambda: "tiles" in dock.run_widget.status.text())
    REPORT["worker_pid"] = plugin.connection.current_client.pid
    REPORT["done"] = True


driver = Driver(steps())
