"""Steps on QGIS's desktop: a sample is drawn of a result, and its units are judged by keys."""

from desktop_steps import REPORT, click, pause, picture, until
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication
from qgis.utils import iface

SAMPLES_TAB = 2
KEYS = (Qt.Key.Key_0, Qt.Key.Key_1, Qt.Key.Key_A, Qt.Key.Key_0, Qt.Key.Key_N)


def judge_a_sample(dock, units):
    """Draws so many units of the result that is listed, and judges three of them."""
    samples, table = dock.samples, dock.samples.table
    dock.tabs.setCurrentIndex(SAMPLES_TAB)
    yield pause(0.5)
    click(samples.draw)
    dialog = dock.sampling.draw_dialog
    fields = {field.option.name: field for field in dialog.fields}
    fields["units"].set_value(units)
    yield pause(0.3)
    picture("draw", dialog)
    click(dialog.go)

    def is_drawn():
        REPORT["draw_status"] = dialog.status.text()
        return samples.model.rowCount() == units

    yield until(is_drawn, 90)
    QApplication.setActiveWindow(iface.mainWindow())
    table.setFocus()
    QTest.keyClick(table, Qt.Key.Key_N)
    yield pause(0.5)
    for letter in KEYS:
        QTest.keyClick(table, letter)
        yield pause(0.2)
    yield pause()
    REPORT["judged"] = [samples.model.judged_count, samples.count.text()]
    REPORT["judgements"] = sorted(
        (feature["reference_class"] or "", feature["reference_change"])
        for feature in samples.layer.getFeatures()
        if feature["reference_change"]
    )
    picture("accuracy")
