"""Classes that a user names: ticked or written in the panel, and drawn in their colours."""

import json
from types import SimpleNamespace

import pytest
from qgis.core import QgsFeature, QgsGeometry, QgsRectangle, QgsVectorLayer
from qgis.PyQt.QtWidgets import QWidget

from geochg_qgis.i18n import load_translation
from geochg_qgis.layers.class_colors import CLASSES, COLORS, colors_of_result
from geochg_qgis.layers.result_layers import ResultOrigin
from geochg_qgis.layers.style import add_to_legend, layer_colors
from geochg_qgis.panel.change_table_model import CLASS, ChangeTableModel
from geochg_qgis.panel.classes_widget import ClassesWidget
from geochg_qgis.panel.review_actions import ReviewActions
from geochg_qgis.panel.shape_controller import NewChangeDialog

PANELS, POOL = "solar panels", "swimming pool"
RESULT = {"geochg": {"colors": {PANELS: "#1f4e79", POOL: "#7b3294", "x": "url(bad)"}}}
DECORATION = 1


@pytest.fixture
def layer(qgis_app):
    fields = "field=class:string&field=change:string&field=area_m2:double&field=confidence:double"
    made = QgsVectorLayer(
        f"Polygon?crs=EPSG:32633&{fields}&field=caption:string", "changes", "memory"
    )
    features = []
    for number, name in enumerate((PANELS, "building")):
        feature = QgsFeature(made.fields())
        feature.setAttributes([name, "appeared", 10.0, 0.5, "words"])
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(number, 0, number + 1, 1)))
        features.append(feature)
    made.dataProvider().addFeatures(features)
    identity = SimpleNamespace(to_text=lambda: "{}")
    ResultOrigin(identity, identity, {}, None, colors_of_result(RESULT)).mark(made)
    return made


def color_of(layer, label):
    category = next(c for c in layer.renderer().categories() if c.label() == label)
    return category.symbol().symbolLayer(2).color().name()


def test_the_legend_has_the_users_colors(layer):
    assert color_of(layer, "solar panels appeared") == "#1f4e79"
    assert color_of(layer, "building appeared") == "#d55e00"
    assert json.loads(layer.customProperty(COLORS)) == {PANELS: "#1f4e79", POOL: "#7b3294"}
    add_to_legend(layer, [(POOL, "appeared")])
    assert color_of(layer, "swimming pool appeared") == "#7b3294"


def test_the_list_has_the_users_colors(layer):
    from geochg_qgis.layers.changes import changes_of

    model = ChangeTableModel()
    model.set_layer(layer)
    model.set_records(changes_of(layer, [feature.id() for feature in layer.getFeatures()]))
    colors = {
        model.index(row, CLASS).data().split()[0]: model.index(row, CLASS).data(DECORATION).name()
        for row in range(model.rowCount())
    }
    assert colors == {"solar": "#1f4e79", "building": "#d55e00"}


def test_a_drawn_change_can_be_of_the_users_classes(layer, qtbot):
    dialog = NewChangeDialog()
    qtbot.addWidget(dialog)
    dialog.offer(layer_colors(layer))
    names = [dialog.classes.itemData(row) for row in range(dialog.classes.count())]
    assert names == [*CLASSES, PANELS, POOL]


def test_names_of_the_users_classes_are_not_translated(layer, qtbot):
    layer.setCustomProperty(COLORS, json.dumps({"Draw": "#1f4e79"}))
    load_translation("de")
    try:
        add_to_legend(layer, [("Draw", "appeared"), ("water", "appeared")])
        dialog, widget = NewChangeDialog(), ClassesWidget()
        qtbot.addWidget(dialog)
        qtbot.addWidget(widget)
        dialog.offer(layer_colors(layer))
        widget.offer({"classes": ["Draw", "water"]})
        labels = [category.label() for category in layer.renderer().categories()]
        titles = [dialog.classes.itemText(row) for row in range(dialog.classes.count())]
        ticked = list(ticks(widget))
    finally:
        load_translation("en")
    assert labels[-2:] == ["Wasser erschienen", "Draw erschienen"]
    assert titles[-1] == "Draw"
    assert ticked == ["Draw", "Wasser"]


def test_broken_colors_of_a_layer_are_left(layer):
    for text in ("{", "[1]", '{"a": 3}', '{"a": "#12345"}'):
        layer.setCustomProperty(COLORS, text)
        assert tuple(layer_colors(layer)) == CLASSES


def ticks(widget):
    widget._fill_menu()
    return {entry.text(): entry for entry in widget.menu.actions()}


def test_classes_of_the_model_are_ticked(qtbot):
    widget = ClassesWidget()
    qtbot.addWidget(widget)
    widget.offer({"classes": ["road", "water"], "free_classes": False})
    assert widget.isReadOnly()
    with qtbot.waitSignal(widget.editingFinished):
        ticks(widget)["water"].trigger()
    assert widget.text() == "water"
    ticks(widget)["road"].trigger()
    assert widget.ticked() == ["water", "road"]
    ticks(widget)["water"].trigger()
    assert widget.text() == "road"


def test_a_model_of_any_words_takes_text(qtbot):
    widget = ClassesWidget()
    qtbot.addWidget(widget)
    widget.offer({"classes": list(CLASSES), "free_classes": True})
    assert not widget.isReadOnly()
    widget.setText("solar panels, road")
    entries = ticks(widget)
    assert entries["solar panels"].isChecked()
    assert entries["road"].isChecked()
    assert not entries["water"].isChecked()
    widget.offer({})  # another model, of which nothing is known
    assert not widget.isReadOnly()


def test_the_panel_offers_the_classes_of_the_chosen_model(dock):
    options_widget = dock.options
    options_widget.set_models(
        [
            {"name": "builtin", "capabilities": {"classes": ["road"], "free_classes": False}},
            {"name": "openai", "capabilities": {"classes": ["road"], "free_classes": True}},
        ]
    )
    field = options_widget.fields["classes"]
    options_widget.model.setEditText("builtin")
    assert field.widget.isReadOnly()
    options_widget.model.setEditText("openai:http://127.0.0.1:1/v1#seer")
    assert not field.widget.isReadOnly()
    field.widget.setText("solar panels, swimming pool")
    assert options_widget.options()["classes"] == [PANELS, POOL]


def test_each_class_has_a_key_of_its_own_or_none(layer, qtbot):
    widget = QWidget()
    qtbot.addWidget(widget)
    layer.setCustomProperty(COLORS, json.dumps({f"class {n}": "#1f4e79" for n in range(8)}))
    named = []
    slots = dict.fromkeys(("accept reject clear next undo redo draw cut merge").split(), list)
    actions = ReviewActions({**slots, "relabel": named.append}, widget)
    actions.set_layer(layer)
    texts = [entry.text() for entry in actions.classes.actions()]
    keys = [text[1] for text in texts if text.startswith("&")]
    assert keys == list("123456789")
    assert len(texts) == len(CLASSES) + 8
    assert texts[-1] == "class 7"
    actions.classes.actions()[-1].trigger()
    assert named == ["class 7"]
