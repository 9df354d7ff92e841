"""The report of a result: made beside its file, as it was reviewed, and opened."""

import shutil
from pathlib import Path

import pytest
from qgis.core import QgsProject
from qgis.PyQt.QtGui import QDesktopServices

from geochg_qgis.i18n import tr
from geochg_qgis.layers.image_identity import ImageIdentity
from geochg_qgis.layers.result_layers import ResultOrigin, open_result
from geochg_qgis.panel.report_controller import report_path


@pytest.fixture
def opened(monkeypatch):
    """Addresses that were to be opened in a browser."""
    addresses = []
    monkeypatch.setattr(
        QDesktopServices, "openUrl", lambda url: addresses.append(url.toLocalFile())
    )
    return addresses


@pytest.fixture
def result(dock, pair, written, tmp_path):
    """A result in the project, whose changes are listed."""
    path = shutil.copy(written / "c.gpkg", tmp_path / "c.gpkg")
    origin = ResultOrigin(*map(ImageIdentity.of, pair), {"model": "cva"})
    layer = open_result(f"{path}|layername=changes", "c", origin)
    QgsProject.instance().addMapLayer(layer)
    dock.changes.show_layer(layer)
    return layer


def test_the_button_makes_the_report_of_the_reviewed_result_and_opens_it(
    dock, result, qtbot, opened, tmp_path
):
    first = min(feature.id() for feature in result.getFeatures())
    review = result.fields().indexFromName("review")
    result.dataProvider().changeAttributeValues({first: {review: "rejected"}})
    assert dock.changes.report.isEnabled()
    with qtbot.waitSignal(dock.reports.done, timeout=90_000) as made:
        dock.changes.report.click()
    path, notes = made.args
    assert opened == [path]
    assert Path(path) == tmp_path / "c.html"
    assert notes == []
    text = Path(path).read_text(encoding="utf-8")
    assert text.count('class="rejected"') == 1
    assert text.count("<img id=") == 2
    # Once more, in the place of the first.
    with qtbot.waitSignal(dock.reports.done, timeout=90_000) as again:
        dock.changes.report.click()
    assert again.args[0] == path


def test_a_result_that_is_no_file_is_told(dock, result, qtbot, opened, tmp_path):
    (tmp_path / "c.gpkg").rename(tmp_path / "moved.gpkg")
    with qtbot.waitSignal(dock.reports.failed) as failed:
        dock.changes.report.click()
    assert tr("save it as a GeoPackage") in failed.args[0].hint
    assert opened == []


def test_without_a_result_there_is_nothing_to_press(dock):
    assert not dock.changes.report.isEnabled()
    dock.reports.make(None)


def test_files_of_others_are_left_alone(tmp_path):
    layer = f"{tmp_path / 'c.gpkg'}|layername=changes"
    assert report_path(layer) == tmp_path / "c.html"
    (tmp_path / "c.html").write_text("<html>mine</html>")
    assert report_path(layer) == tmp_path / "c_report.html"
    assert report_path(f"{tmp_path / 'c.gpkg'}|layername=changes 2024") == (
        tmp_path / "c_changes2024.html"
    )
    (tmp_path / "c.html").write_text('<html>\n<meta name="generator" content="geochg 1">')
    assert report_path(f"{layer}|subset=x=1") == tmp_path / "c.html"
