"""Under a dark palette all that the panel draws can be read, by WCAG's ratio of contrast."""

from collections import Counter

import pytest
from qgis.core import QgsFeature, QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QRect, Qt
from qgis.PyQt.QtGui import QColor, QPalette
from qgis.PyQt.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QStyle,
    QStyleOptionComboBox,
    QToolButton,
)

from geochg_qgis.layers.result_layers import RESULT
from geochg_qgis.panel.dialogues import (
    DialogueSubject,
    PlaceDialogue,
    store_dialogues,
)

TEXT_RATIO = 4.5
"""WCAG 2.2, level AA, text of usual size."""

ROWS = (
    ("building", "appeared", 22_000.0, 0.9, "Buildings have been built here.", "accepted"),
    ("road", "disappeared", 2_000.0, 0.5, "Roads disappeared here.", "rejected"),
    ("water", "altered", 200.0, 0.1, "The water is another one.", None),
)


def dark_palette():
    """As dark as QGIS's theme Night Mapping."""
    window, base, text = QColor("#323232"), QColor("#222222"), QColor("#e0e0e0")
    role = QPalette.ColorRole
    palette = QPalette(window)
    for each in (role.WindowText, role.Text, role.ButtonText, role.ToolTipText):
        palette.setColor(each, text)
    palette.setColor(role.Base, base)
    palette.setColor(role.AlternateBase, window)
    palette.setColor(role.Highlight, QColor("#0e6e00"))
    palette.setColor(role.HighlightedText, QColor("#ffffff"))
    return palette


@pytest.fixture
def dark(qgis_app):
    former = QApplication.palette()
    QApplication.setPalette(dark_palette())
    yield
    QApplication.setPalette(former)


@pytest.fixture
def shown(dark, dock, qtbot):
    """The dock with a result, a dialogue and a run."""
    fields = "class:string", "change:string", "area_m2:double", "confidence:double"
    definition = "&".join(f"field={each}" for each in (*fields, "caption:string", "review:string"))
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:4326&{definition}", "result", "memory")
    features = []
    for values in ROWS:
        feature = QgsFeature(layer.fields())
        feature.setAttributes(list(values))
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    layer.setCustomProperty(RESULT, True)
    QgsProject.instance().addMapLayer(layer)
    qtbot.waitUntil(lambda: dock.changes.model.rowCount() == len(ROWS), timeout=5000)
    subject = DialogueSubject("a", "b", "builtin", "a → b, builtin")
    store_dialogues([PlaceDialogue(55.22, 25.03, [["What?", "Much."]], subject)])
    dock.ask.load()
    dock.ask._show(0)
    dock.run_widget.set_running(True)
    dock.run_widget.info.setText("634 x 774 px")
    dock.resize(430, 800)
    return dock


def luminance(color):
    """Relative, of sRGB, as WCAG defines it."""
    shares = (color.redF(), color.greenF(), color.blueF())
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ratio(one, other):
    """Of contrast, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def contrast(widget, rect=None):
    """Between the ground of what a widget draws and what stands out from it most."""
    image = widget.grab(rect or widget.rect()).toImage()
    colors = Counter(image.pixel(x, y) for x in range(image.width()) for y in range(image.height()))
    ground = QColor(colors.most_common(1)[0][0])
    return max(ratio(ground, QColor(color)) for color in colors)


def text_part(widget):
    """Where the text is, without the arrow or box beside it, which might outshine it."""
    if isinstance(widget, QComboBox):
        option = QStyleOptionComboBox()
        widget.initStyleOption(option)
        return widget.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            widget,
        )
    inner = widget.rect().adjusted(4, 4, -4, -4)
    if isinstance(widget, QCheckBox):
        return inner.adjusted(22, 0, 0, 0)
    return inner.adjusted(0, 0, -16, 0) if isinstance(widget, QToolButton) else inner


def test_the_measure_tells_what_cannot_be_read(dark, qtbot):
    label = QLabel("Text")
    qtbot.addWidget(label)
    label.resize(80, 30)
    assert contrast(label) > TEXT_RATIO
    label.setStyleSheet("color: #404040")
    assert contrast(label) < 2


@pytest.mark.parametrize("tab", [0, 1, 2])
def test_texts_can_be_read(shown, qtbot, tab):
    shown.tabs.setCurrentIndex(tab)
    QApplication.processEvents()
    kinds = (QLabel, QPushButton, QComboBox, QCheckBox, QToolButton, QPlainTextEdit)
    page = shown.tabs.currentWidget()
    seen = [
        widget
        for kind in kinds
        for widget in page.findChildren(kind)
        if widget.isVisible() and widget.isEnabled() and words(widget)
    ]
    assert len(seen) > 4
    found = {
        f"{type(each).__name__} {words(each)}": contrast(each, text_part(each)) for each in seen
    }
    assert {name: value for name, value in found.items() if value < TEXT_RATIO} == {}


def words(widget):
    """The text of a widget."""
    for name in ("text", "currentText", "toPlainText"):
        if hasattr(widget, name):
            return getattr(widget, name)()
    return ""


@pytest.mark.parametrize("is_chosen", [False, True])
def test_every_cell_can_be_read(shown, is_chosen):
    shown.tabs.setCurrentIndex(1)
    changes = shown.changes
    if is_chosen:
        changes.table.selectAll()
    QApplication.processEvents()
    found = {}
    for row in range(len(ROWS)):
        for column in range(changes.model.columnCount()):
            index = changes.model.index(row, column)
            rect = QRect(changes.table.visualRect(index))
            if column == 0:
                # Beside the patch of the class's colour.
                rect.setLeft(rect.left() + 24)
            if index.data():
                found[row, column] = contrast(changes.table.viewport(), rect)
    assert len(found) == 3 * 4 + 2
    assert {place: value for place, value in found.items() if value < TEXT_RATIO} == {}


def test_the_heads_of_columns_and_tabs_can_be_read(shown):
    shown.tabs.setCurrentIndex(1)
    QApplication.processEvents()
    header = shown.changes.table.horizontalHeader()
    for column in range(header.count()):
        left, width = header.sectionViewportPosition(column), header.sectionSize(column)
        part = QRect(left + 2, 2, width - 4, header.height() - 4)
        assert contrast(header.viewport(), part) >= TEXT_RATIO, column
    bar = shown.tabs.tabBar()
    for tab in range(bar.count()):
        assert contrast(bar, bar.tabRect(tab).adjusted(4, 4, -4, -4)) >= TEXT_RATIO, tab


def test_no_color_of_the_panels_texts_is_fixed(shown):
    """What the palette says, and nothing else: no style sheet, no text colour of a cell."""
    widgets = [shown, *shown.findChildren(QLabel), *shown.findChildren(QPushButton)]
    assert [each for each in widgets if each.styleSheet()] == []
    model = shown.changes.model
    for role in (Qt.ItemDataRole.ForegroundRole, Qt.ItemDataRole.BackgroundRole):
        assert {model.index(0, column).data(role) for column in range(6)} == {None}
