"""What models, servers and files say is shown as it is."""

from types import SimpleNamespace

import pytest
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QTextEdit

from geochg_qgis.link.errors import LinkError

HOSTILE = "<img src='http://x'>&<b>2</b> <a href='file:///x'>here</a>"


@pytest.fixture
def bar(qgis_app):
    bar = QgsMessageBar()
    yield bar
    bar.deleteLater()


@pytest.fixture
def messages(bar):
    from geochg_qgis.panel.messages import Messages

    return Messages(SimpleNamespace(messageBar=lambda: bar), lambda: None)


def shown(bar):
    """The text of the bar's message as the user reads it."""
    return bar.currentItem().findChild(QTextEdit).toPlainText()


@pytest.mark.parametrize("say", ["warning", "success"])
def test_markup_in_a_notice_stays_text(messages, bar, say):
    getattr(messages, say)(HOSTILE)
    assert HOSTILE in shown(bar)


def test_markup_in_an_error_stays_text(messages, bar):
    messages.error(LinkError(HOSTILE, f"do {HOSTILE}"))
    assert f"{HOSTILE}. do {HOSTILE}" in shown(bar)


def test_markup_in_tool_tips_stays_text(qgis_app):
    from geochg_qgis.panel.options_box import OptionsBox

    box = OptionsBox()
    box.set_models([{"name": "x", "summary": HOSTILE, "broken": None}])
    box.set_devices([{"device": "cpu", "name": HOSTILE}])
    for combo in (box.model, box.device):
        tip = combo.itemData(combo.count() - 1, Qt.ItemDataRole.ToolTipRole)
        assert "<img" not in tip
        assert "&lt;img" in tip


def test_markup_in_the_workers_own_words_stays_text(dock):
    dock._greet({"executable": HOSTILE})
    assert "<img" not in dock.worker.toolTip()
    assert "&lt;img" in dock.worker.toolTip()


def test_the_log_shows_text_as_it_is(monkeypatch):
    from geochg_qgis import connection

    told = []
    log = SimpleNamespace(logMessage=lambda text, *_, **__: told.append(text))
    monkeypatch.setattr(connection, "QgsMessageLog", log)
    connection.log('<a href="http://evil">look</a>\x1b]0;owned\x07\n& more')
    assert told == ['&lt;a href="http://evil"&gt;look&lt;/a&gt;\ufffd]0;owned\ufffd\n&amp; more']
