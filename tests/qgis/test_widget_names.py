"""Every widget of panel and dialogs: names, tool tips, mnemonics, and the way of the Tab key."""

import re
from itertools import pairwise

import pytest
from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QDialog,
    QLabel,
    QWidget,
)

from geochg_qgis.i18n import load_translation
from geochg_qgis.panel.bands_dialog import BandsDialog
from geochg_qgis.panel.message_controller import show_text
from geochg_qgis.panel.shape_controller import NewChangeDialog

MENU_BAR = set("jevlsporwdmch")
"""Letters of QGIS's English menus, which keep them while the panel is docked."""

WHOLE = (QComboBox, QAbstractSpinBox, QAbstractItemView)
"""Widgets whose parts are Qt's own."""


@pytest.fixture
def german():
    load_translation("de")
    yield
    load_translation("en")


def pages_of(dock):
    return [dock.tabs.widget(tab).widget() for tab in range(dock.tabs.count())]


def dialogs_of(dock):
    window = dock.window()
    names = ["Band 1", "Band 2", "Band 3", "Band 4"]
    show_text(window, "geochg", "text")
    return [
        dock.open_setup(),
        dock.options.model_choice.open_dialog(),
        BandsDialog([("a", names), ("b", names)], "", window),
        NewChangeDialog(window),
        dock.open_scenes(),
        window.findChild(QDialog, "GeochgText"),
        dock.open_tables(),
        dock.sampling.open_draw(),
        dock.sampling.open_assess(),
    ]


def shown_parts(root):
    """The widgets of a page or dialog that are ours, not parts of others."""
    for widget in root.findChildren(QWidget):
        above = widget.parentWidget()
        while above is not None and above is not root and not isinstance(above, WHOLE):
            above = above.parentWidget()
        is_part = above is not root or widget.objectName().startswith("qt_")
        if not is_part and widget.isVisibleTo(root) and not widget.isWindow():
            yield widget


def takes_focus(widget):
    return widget.focusPolicy() != Qt.FocusPolicy.NoFocus and widget.focusProxy() is None


def unfold(dock):
    dock.options.layout().itemAt(1).widget().setCollapsed(False)
    QgsApplication.processEvents()


def test_every_widget_that_takes_the_focus_is_named_and_explained(dock):
    unfold(dock)
    dock.options.model_choice.set_adapter("/adapter")
    dock.setup_note.setVisible(True)
    roots = [*pages_of(dock), *dialogs_of(dock)]
    wrong, names = [], []
    for root in roots:
        for widget in filter(takes_focus, shown_parts(root)):
            label = widget.accessibleName()
            if isinstance(widget, QLabel):  # text that can be selected
                continue
            if not (label and widget.toolTip() and widget.objectName()):
                wrong.append((root.objectName(), type(widget).__name__, widget.objectName(), label))
            names.append(widget.objectName())
    assert wrong == [], repr(wrong)
    assert len(names) > 70
    twice = {name for name in names if names.count(name) > 1}
    assert twice == set()
    assert not [name for name in names if not name.startswith("Geochg")]


def mnemonics_of(root):
    """Texts of buttons, and of labels that lead to a field."""
    for widget in shown_parts(root):
        is_label = isinstance(widget, QLabel) and widget.buddy() is not None
        if (isinstance(widget, QAbstractButton) and takes_focus(widget)) or is_label:
            text = widget.text()
            if text:
                match = re.search("&([^&])", text)
                yield text, match[1].lower() if match else ""


def letters(text):
    return {letter for letter in text.lower() if "a" <= letter <= "z"}


def check_mnemonics(root, kept_letters, dynamic_texts=()):
    pairs = list(mnemonics_of(root))
    used = [letter for _, letter in pairs if letter]
    assert len(used) == len(set(used)), sorted(pairs)
    assert not set(used) & kept_letters, sorted(pairs)
    # A text goes without only where others have all of its letters.
    bare = [text for text, letter in pairs if not letter and text not in dynamic_texts]
    free = [text for text in bare if letters(text) - set(used) - kept_letters]
    assert free == [], sorted(used)
    return used


def test_mnemonics_are_unique_and_leave_qgis_its_menus(dock):
    unfold(dock)
    # Of what there may be many there are too few letters.
    options = [field.option.label for field in dock.options.fields.values()]
    options += ["Go on", "Discard"]  # rows of unfinished runs
    for page in pages_of(dock):
        assert len(check_mnemonics(page, MENU_BAR, options)) >= 4
    for dialog in dialogs_of(dock):
        dialog.show()
        options = [field.option.label for field in getattr(dialog, "fields", ())]
        assert len(check_mnemonics(dialog, set(), options)) >= 1


def test_german_mnemonics_are_unique(german, dock):
    unfold(dock)
    for root in (*pages_of(dock), *dialogs_of(dock)):
        used = [letter for _, letter in mnemonics_of(root) if letter]
        assert len(used) == len(set(used)), repr(sorted(mnemonics_of(root)))
        assert used


def check_order(root, least_stops):
    """Tab goes through a page from top to bottom, and along a row."""
    stops = [
        widget
        for widget in shown_parts(root)
        if takes_focus(widget) and not isinstance(widget, QLabel)
    ]
    stops = [widget for widget in stops if widget.focusPolicy() & Qt.FocusPolicy.TabFocus]
    chain, widget = [], stops[0]
    for _ in range(2000):
        if widget in stops and widget not in chain:
            chain.append(widget)
        widget = widget.nextInFocusChain()
    assert len(chain) == len(stops) >= least_stops
    places = [widget.mapTo(root, QPoint(0, 0)) for widget in chain]
    rows = [
        (place.y(), place.y() + widget.height())
        for place, widget in zip(places, chain, strict=True)
    ]
    # The chain is a ring: it may be entered anywhere.
    start = min(range(len(chain)), key=lambda at: (places[at].y(), places[at].x()))
    order = [*range(start, len(chain)), *range(start)]
    wrong = []
    for first, second in pairwise(order):
        is_same_row = rows[second][0] < rows[first][1] and rows[first][0] < rows[second][1]
        is_after = places[second].x() > places[first].x() if is_same_row else (
            rows[second][0] >= rows[first][0]
        )  # fmt: skip
        if not is_after:
            wrong.append((chain[first].objectName(), chain[second].objectName()))
    assert wrong == []


def test_tab_goes_from_top_to_bottom_in_each_tab(dock):
    dock.resize(460, 1400)
    unfold(dock)
    dock.options.model_choice.set_adapter("/adapter")
    for tab, (page, least) in enumerate(zip(pages_of(dock), (25, 12, 10, 5), strict=True)):
        dock.tabs.setCurrentIndex(tab)
        dock.show()
        QgsApplication.processEvents()
        check_order(page, least)
    # Fields that a worker's options made anew keep their places.
    dock.tabs.setCurrentIndex(0)
    entries = [{"name": "zebra", "type": "boolean", "default": False, "help": "Stripes."}]
    dock.options.set_options({"options": entries})
    QgsApplication.processEvents()
    check_order(pages_of(dock)[0], 12)


def test_tab_goes_from_top_to_bottom_in_dialogs(dock):
    for dialog, least in zip(dialogs_of(dock), (18, 4, 11, 4, 9, 2, 5, 10, 3), strict=True):
        dialog.show()
        QgsApplication.processEvents()
        check_order(dialog, least)


def test_mnemonics_of_labels_lead_to_fields_that_take_the_focus(dock):
    for root in (*pages_of(dock), *dialogs_of(dock)):
        for widget in shown_parts(root):
            if isinstance(widget, QLabel) and widget.buddy() is not None:
                target = widget.buddy()
                while target.focusProxy() is not None:
                    target = target.focusProxy()
                assert target.focusPolicy() != Qt.FocusPolicy.NoFocus, widget.text()
