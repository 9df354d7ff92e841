"""The set-up page beside a run, and the options that are seen at once."""

import shutil

import pytest
from processes import gone, wait_until_gone
from qgis.PyQt.QtCore import Qt
from qgis_worker import WORKER_PYTHON

from geochg_qgis.link.errors import LinkError
from geochg_qgis.settings import store_setting, stored_setting


@pytest.fixture
def other_python(tmp_path):
    """Another way to the same interpreter, as if it were another one."""
    folder = tmp_path / "other" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").symlink_to(WORKER_PYTHON)
    shutil.copy(WORKER_PYTHON.parent.parent / "pyvenv.cfg", folder.parent)
    library = WORKER_PYTHON.parent.parent / "lib"
    (folder.parent / "lib").symlink_to(library)
    return folder / "python"


def test_check_and_use_leaves_a_run_alone(dock, qtbot, other_python):
    failed = []
    dock.runs.failed.connect(failed.append)
    dock.options.model.setEditText("builtin")
    dock.options.fields["tile_size_px"].widget.setValue(64)
    with qtbot.waitSignal(dock.runs.progressed, timeout=90_000):
        dock.run()
    worker = dock._connection.current_client
    setup = dock.open_setup()
    setup.python.setFilePath(str(other_python))
    setup.check()
    qtbot.waitUntil(lambda: "works" in setup.status.text(), timeout=60_000)
    assert "under way" in setup.status.text()
    assert stored_setting("python") == str(other_python)
    assert dock.runs.is_running
    # What is asked from now on is asked of the other one.
    client = dock._connection.client()
    assert client.python == other_python
    assert client.pid != worker.pid
    assert not gone(worker.pid)
    with qtbot.waitSignal(dock.runs.done, timeout=900_000):
        pass
    assert failed == []
    wait_until_gone(worker.pid, 10)
    assert client.is_alive


def test_an_environment_in_use_is_not_installed_into(dock, qtbot):
    store_setting("python", str(WORKER_PYTHON))
    dock.options.model.setEditText("builtin")
    dock.options.fields["tile_size_px"].widget.setValue(64)
    with qtbot.waitSignal(dock.runs.progressed, timeout=90_000):
        dock.run()
    setup = dock.open_setup()
    setup.base.setFilePath("/usr/bin/python3")
    setup.folder.setFilePath(str(WORKER_PYTHON.parent.parent))
    setup.package.setText("no-such-thing")
    setup.install()
    qtbot.waitUntil(lambda: "under way" in setup.status.text(), timeout=10_000)
    assert "wait until" in setup.status.text()
    assert dock.runs.is_running
    dock.cancel()
    qtbot.waitUntil(lambda: not dock.runs.is_running, timeout=10_000)


def test_the_python_of_qgis_is_refused(dock, qtbot, monkeypatch, tmp_path):
    from geochg_qgis import connection
    from geochg_qgis.link.interpreters import System
    from geochg_qgis.panel import setup_dialog

    own = System.here(qgis=[tmp_path / "qgis"])
    for module in (connection, setup_dialog):
        monkeypatch.setattr(module, "this_system", lambda: own)
    setup = dock.open_setup()
    setup.python.setFilePath(str(tmp_path / "qgis" / "bin" / "python3"))
    setup.check()
    qtbot.waitUntil(lambda: "belongs to QGIS" in setup.status.text(), timeout=10_000)


def test_model_device_and_least_area_are_seen_at_once_and_the_rest_is_folded(dock, qtbot):
    dock.tabs.setCurrentIndex(0)
    options = dock.options
    fields = {name: field.widget for name, field in options.fields.items()}
    for widget in (options.model, options.device, fields.pop("min_area_m2")):
        assert widget.isVisible()
    assert {"min_confidence", "bands", "tile_size_px", "max_area_m2", "nodata"} <= set(fields)
    for widget in (*fields.values(), options.output):
        assert not widget.isVisible()


@pytest.mark.parametrize("is_named", [True, False])
def test_a_name_that_is_taken_is_never_written_over_and_that_is_said(
    dock, qtbot, pair, tmp_path, is_named
):
    plan = dock.choice.plan()
    output = plan.output
    resumed = plan.with_resume(dock._connection)
    assert (resumed.output, resumed.notice) == (output, "")
    # An unfinished run of the same images and options, whose name someone took meanwhile.
    plan.interrupted(dock._connection).record()
    journal = output.with_name(output.name + ".journal")
    journal.write_text("")
    assert plan.with_resume(dock._connection).options["resume"]
    assert plan.with_resume(dock._connection).notice == ""
    output.write_text("someone's")
    if is_named:
        dock.options.output.setFilePath(str(output))
    again = dock.choice.plan().with_resume(dock._connection)
    assert again.output.name == "dubai_2018_changes_2.gpkg"
    assert "resume" not in again.options
    assert output.name in again.notice
    assert again.output.name in again.notice


def test_an_unfinished_run_of_another_kind_is_said(dock, pair):
    output = dock.choice.plan().output
    output.with_name(output.name + ".journal").write_text("")
    plan = dock.choice.plan().with_resume(dock._connection)
    assert plan.output.name == "dubai_2018_changes_2.gpkg"
    assert "unfinished" in plan.notice


def test_dots_in_a_name_stay(dock, tmp_path):
    for named, kept in (("v1.2", "v1.2.gpkg"), ("v1.2.GPKG", "v1.2.GPKG"), ("a", "a.gpkg")):
        dock.options.output.setFilePath(str(tmp_path / named))
        assert dock.choice.plan().output.name == kept
    dock.options.output.setFilePath(str(tmp_path / "no" / "x.gpkg"))
    with pytest.raises(LinkError, match="no folder"):
        dock.choice.plan()


def test_an_empty_project_says_at_once_that_nothing_is_set_up(
    qgis_iface, qgis_new_project, qtbot, monkeypatch
):
    from geochg_qgis import connection as connection_module
    from geochg_qgis.connection import Connection
    from geochg_qgis.panel.dock_widget import GeochgDockWidget

    monkeypatch.setattr(connection_module, "pythons_with_geochg", lambda *_: [])
    store_setting("python", "")
    connection = Connection()
    dock = GeochgDockWidget(qgis_iface, connection)
    qgis_iface.mainWindow().addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    try:
        qgis_iface.mainWindow().show()
        dock.show()
        qtbot.waitUntil(dock.setup_note.isVisible, timeout=5_000)
        assert "not set up" in dock.setup_note.label.text()
        dock.setup_note.button.click()
        assert dock.setup.isVisible()
        # As after Install, or Check and use.
        store_setting("python", str(WORKER_PYTHON))
        dock.setup.python.setFilePath(str(WORKER_PYTHON))
        dock.setup.check()
        qtbot.waitUntil(lambda: not dock.setup_note.isVisible(), timeout=60_000)
        assert dock.worker.label.text().startswith("geochg ")
    finally:
        dock.close_down()
        dock.deleteLater()
        connection.close()
        store_setting("python", "")


def test_a_worker_that_is_there_is_met_in_an_empty_project(dock, qtbot):
    qtbot.waitUntil(lambda: dock.options.model.count() > 2, timeout=60_000)
    assert not dock.setup_note.isVisible()


def test_the_set_up_page_offers_the_geochg_of_the_plugin(dock, monkeypatch):
    from geochg_qgis.link.release import Release
    from geochg_qgis.panel import setup_dialog

    setup = dock.open_setup()
    # The folder of the repository is no zip.
    assert setup.package.placeholderText() == "a wheel or a folder with geochg"
    shown = [
        setup_dialog._own_release(Release(address, "0" * 64))
        for address in ("file:///p/geochg-1.2.0-py3-none-any.whl", "https://g.test/geochg-1-x.whl")
    ]
    assert shown[0] == "geochg 1.2.0, which came with this plugin"
    assert shown[1] == "geochg 1, from https://g.test/geochg-1-x.whl"
    assert not setup.without_gpu.isEnabled()
    setup.larger_models.setChecked(True)
    assert setup.without_gpu.isEnabled()
    setup.package.setText("x.whl")
    assert not setup.larger_models.isEnabled()
