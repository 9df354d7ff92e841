"""Messages are seen whole, also those that are longer than QGIS's one line."""

import weakref

import pytest
from qgis.core import Qgis, QgsVectorLayer
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtWidgets import QTextEdit

from geochg_qgis.link.errors import LinkError
from geochg_qgis.panel.message_controller import MessageController

LONG = "This result cannot be reviewed where it lies, as each edit gives its features other ids"


class Interface:
    """The part of QGIS's interface that shows messages."""

    def __init__(self, bar):
        self._bar = bar

    def messageBar(self):
        return self._bar


@pytest.fixture
def bar(qtbot):
    bar = QgsMessageBar()
    qtbot.addWidget(bar)
    bar.setFixedWidth(700)
    bar.show()
    return bar


def shown_text(bar):
    (view,) = bar.currentItem().findChildren(QTextEdit)
    return view


def test_a_message_of_several_lines_is_seen_whole(bar, qtbot):
    MessageController(Interface(bar), list, list).show_error(LinkError(LONG, LONG))
    view = shown_text(bar)
    qtbot.waitUntil(lambda: view.viewport().height() >= view.document().size().height())
    assert view.document().size().height() > 2 * view.fontMetrics().lineSpacing()


def test_one_of_a_whole_page_leaves_room_for_the_map(bar, qtbot):
    MessageController(Interface(bar), list, list).show_error(LinkError(20 * LONG, LONG))
    qtbot.wait(50)
    assert 3 < shown_text(bar).height() / shown_text(bar).fontMetrics().lineSpacing() < 6


def test_one_that_is_closed_at_once_is_left(bar, qtbot):
    messages = MessageController(Interface(bar), list, list)
    messages.show_error(LinkError(LONG, LONG))
    bar.clearWidgets()
    qtbot.wait(50)
    bar.pushMessage("geochg", "short", Qgis.MessageLevel.Info, 0)
    assert shown_text(bar).toPlainText() == "geochg: short"


def test_a_message_keeps_no_layer_that_failed(bar, qtbot):
    messages, deleted = MessageController(Interface(bar), list, list), []

    def open_layer():
        layer = QgsVectorLayer("Polygon?crs=EPSG:4326", "x", "memory")
        weakref.finalize(layer, deleted.append, "layer")
        raise LinkError("it cannot be opened", "choose another")

    try:
        open_layer()
    except LinkError as error:
        messages.show_error(error)
    assert deleted == ["layer"]
