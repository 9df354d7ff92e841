from qgis.core import QgsProject


def test_smoke(dock, qtbot, pair):
    dock.options.model.setEditText("cva")
    assert [layer.name() for layer in dock.pair.layers()] == ["dubai_2015", "dubai_2018"]
    with qtbot.waitSignal(dock.runs.ended, timeout=60000):
        dock.run()
    print(dock.run_box.info.text(), dock.changes.model.rowCount())
    print(QgsProject.instance().mapLayers())
    assert dock.changes.model.rowCount() > 0
