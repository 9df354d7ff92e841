"""Numbers as text, and text of models, servers and files that never becomes markup."""

from types import SimpleNamespace

import pytest
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QTextEdit

from geochg_qgis.formatting import formatted_area, pair_summary
from geochg_qgis.link.errors import LinkError

HOSTILE = "<img src='http://x'>&<b>2</b> <a href='file:///x'>here</a>"


@pytest.fixture
def bar(qgis_app):
    bar = QgsMessageBar()
    yield bar
    bar.deleteLater()


@pytest.fixture
def messages(bar):
    from geochg_qgis.panel.message_controller import MessageController

    return MessageController(SimpleNamespace(messageBar=lambda: bar), lambda: None, lambda _: None)


def shown(bar):
    """The text of the bar's message as the user reads it."""
    return bar.currentItem().findChild(QTextEdit).toPlainText()


@pytest.mark.parametrize("say", ["show_warning", "show_success"])
def test_markup_in_a_notice_stays_text(messages, bar, say):
    getattr(messages, say)(HOSTILE)
    assert HOSTILE in shown(bar)


def test_markup_in_an_error_stays_text(messages, bar):
    messages.show_error(LinkError(HOSTILE, f"do {HOSTILE}"))
    assert f"{HOSTILE}. Do {HOSTILE}." in shown(bar)


def test_markup_in_tool_tips_stays_text(qgis_app):
    from geochg_qgis.connection import Connection
    from geochg_qgis.panel.options_widget import OptionsWidget
    from geochg_qgis.panel.pair_widget import PairWidget

    box = OptionsWidget(Connection(), PairWidget())
    box.set_models([{"name": "x", "summary": HOSTILE, "broken": None}])
    box.set_devices([{"device": "cpu", "name": HOSTILE}])
    for combo in (box.model, box.device):
        tip = combo.itemData(combo.count() - 1, Qt.ItemDataRole.ToolTipRole)
        assert "<img" not in tip
        assert "&lt;img" in tip


def test_markup_in_the_workers_description_stays_text(dock):
    dock.worker.show_worker({"executable": HOSTILE})
    assert "<img" not in dock.worker.label.toolTip()
    assert "&lt;img" in dock.worker.label.toolTip()


def test_the_log_shows_text_as_it_is(monkeypatch):
    from geochg_qgis import connection

    told = []
    log = SimpleNamespace(logMessage=lambda text, *_, **__: told.append(text))
    monkeypatch.setattr(connection, "QgsMessageLog", log)
    connection.log('<a href="http://evil">look</a>\x1b]0;owned\x07\n& more')
    assert told == ['&lt;a href="http://evil"&gt;look&lt;/a&gt;\ufffd]0;owned\ufffd\n&amp; more']


@pytest.mark.parametrize(
    ("area_m2", "text"),
    [(0, "0 m²"), (4e-7, "0.004 cm²"), (0.004, "40 cm²"), (0.25, "0.25 m²"), (3.14, "3.1 m²"),
     (230, "230 m²"), (12_345, "1.23 ha")],
)  # fmt: skip
def test_areas_have_a_unit_that_shows_them(area_m2, text):
    assert formatted_area(area_m2) == text


@pytest.mark.parametrize(
    ("alignment", "text"),
    [
        ({"clear": True, "magnitude_px": 2.34, "corrected": True}, "shift 2.3 px (corrected)"),
        (
            {
                "clear": False,
                "magnitude_px": 2.34,
                "corrected": False,
                "field": {"least_px": 0.04, "greatest_px": 6.0},
            },
            "shift 0.0 to 6.0 px (not corrected)",
        ),
        (None, "4 tiles"),
    ],
)
def test_a_pair_is_told_with_its_shift_or_field(alignment, text):
    grid = {"width_px": 500, "height_px": 400, "pixel_m": 10, "overlap_km2": 20}
    assert text in pair_summary({"grid": grid, "alignment": alignment, "tiles": 4})
