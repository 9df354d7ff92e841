"""What every widget of the panel has: a name, a tool tip, a place in the order of focus."""

import pytest
from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsRectangle, QgsVectorLayer
from qgis.PyQt.QtCore import QLocale
from qgis.PyQt.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QSlider,
)

from geochg_qgis.formatting import formatted_area, formatted_number, sentence
from geochg_qgis.layers.attribute_form import apply_form
from geochg_qgis.layers.result_groups import dissolve_empty_groups
from geochg_qgis.layers.result_layers import RESULT, placement_steps
from geochg_qgis.layers.review_edits import (
    EditStack,
    FeatureState,
    ReviewEdit,
    apply_edit,
)
from geochg_qgis.layers.review_fields import add_review_fields
from geochg_qgis.layers.style import apply_style
from geochg_qgis.link.errors import LinkError
from geochg_qgis.panel.presets_widget import stored_presets
from geochg_qgis.run_estimates import RunEstimates, RunExpectation
from geochg_qgis.settings import store_setting

KINDS = (QAbstractButton, QComboBox, QLineEdit, QPlainTextEdit, QSlider)
FIELDS = (
    "id:integer", "class:string", "change:string", "before_class:string", "after_class:string",
    "confidence:double", "caption:string", "area_m2:double", "tiles:string", "cells:string",
)  # fmt: skip


@pytest.fixture
def layer(qgis_new_project):
    definition = "&".join(f"field={field}" for field in FIELDS)
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:32640&{definition}", "result", "memory")
    add_review_fields(layer)
    for number in range(3):
        feature = QgsFeature(layer.fields())
        feature.setAttributes(
            [number, "road", "appeared", "bare", "road", 0.5, "A road.", 1e4, "[]", "[]"]
            + [None] * 3
        )
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(number, 0, number + 1, 1)))
        layer.dataProvider().addFeatures([feature])
    apply_style(layer)
    layer.setCustomProperty(RESULT, True)
    return layer


def test_every_widget_has_a_name_and_a_tool_tip(dock):
    pages = [dock.tabs.widget(tab).widget() for tab in range(dock.tabs.count())]
    wrong = []
    for page in pages:
        for kind in KINDS:
            for widget in page.findChildren(kind):
                # Parts that Qt and QGIS make themselves lie in a named widget.
                is_part = widget.objectName().startswith("qt_") or not widget.isVisibleTo(page)
                parent = widget.parentWidget()
                if is_part or isinstance(parent, QComboBox) or "FileWidget" in str(type(parent)):
                    continue
                if isinstance(parent, QLineEdit) or "Collapsible" in str(type(parent)):
                    continue
                label = widget.accessibleName() or getattr(widget, "text", str)()
                if not (label and widget.toolTip() and widget.objectName()):
                    wrong.append((type(widget).__name__, widget.objectName(), label))
    assert wrong == []


def test_no_field_of_options_lies_outside_the_forms(dock):
    fields = {field.widget for field in dock.options.fields.values()}
    boxes = dock.options.findChildren(QAbstractSpinBox)
    assert len(boxes) > 5
    assert [box for box in boxes if box not in fields] == []


def test_the_focus_goes_from_the_list_to_the_buttons(dock):
    dock.tabs.setCurrentIndex(1)
    changes = dock.changes
    order = [changes.filter, changes.states, changes.table, *changes.buttons.values()]
    places, widget = [], changes.filter
    for _ in range(60):
        places.append(widget)
        widget = widget.nextInFocusChain()
    positions = [places.index(widget) for widget in order]
    assert positions == sorted(positions)


def test_numbers_follow_the_locale():
    former = QLocale()
    try:
        QLocale.setDefault(QLocale("de_DE"))
        assert formatted_area(224_000) == "22,40 ha"
        assert formatted_number(20_000) == "20.000"
    finally:
        QLocale.setDefault(former)


def test_sentences_begin_with_capitals(dock):
    dock.messages.show_error(LinkError("one thing is wrong", "do another"))
    assert sentence("reading") == "Reading"
    assert sentence("geochg starts") == "geochg starts"
    dock.run_widget.set_running(True)
    assert dock.run_widget.status.text()[0] in "gABCDEFGHIJKLMNOPQRSTUVWXYZ"


def test_the_form_offers_choices_and_hides_cells(layer):
    apply_form(layer)

    def setup(name):
        return layer.editorWidgetSetup(layer.fields().indexFromName(name))

    assert setup("review").type() == "ValueMap"
    offered = [value for row in setup("review").config()["map"] for value in row.values()]
    assert {"accepted", "rejected"} <= set(offered)
    assert setup("tiles").type() == setup("cells").type() == "Hidden"
    review = layer.fields().indexFromName("review")
    assert layer.attributeAlias(review) == "Decision"
    assert "accepted" in layer.constraintExpression(review)
    hidden = {c.name for c in layer.attributeTableConfig().columns() if c.hidden and c.name}
    assert hidden == {"tiles", "cells"}


def test_edits_are_undone_in_order_with_features_that_come_and_go(layer):
    stack, first = EditStack(), layer.allFeatureIds()[0]
    decision = ReviewEdit(
        {first: FeatureState({"review": None})}, {first: FeatureState({"review": "accepted"})}
    )
    apply_edit(layer, decision)
    stack.add(decision)
    state = FeatureState({"class": "road"}, QgsGeometry.fromRect(QgsRectangle(5, 5, 6, 6)))
    removal = ReviewEdit({first: state}, {first: None})
    apply_edit(layer, removal)
    stack.add(removal)
    assert layer.featureCount() == 2
    new_ids = apply_edit(layer, stack.edit_to_undo())
    stack.rename(new_ids)
    stack.note_undone()
    assert layer.featureCount() == 3
    # The decision before is now on the feature's new id.
    assert list(stack.edit_to_undo().after) == list(new_ids.values())
    assert stack.can_redo


def test_results_of_a_pair_share_a_group_that_goes_with_the_last(dock, pair, layer):
    other = layer.clone()
    for result in (layer, other):
        for step in placement_steps(result, pair[0].id(), pair[1].id(), None):
            step()
    root, project = QgsProject.instance().layerTreeRoot(), QgsProject.instance()
    (group,) = root.findGroups()
    assert len(group.findLayers()) == 4
    project.removeMapLayer(layer.id())
    dissolve_empty_groups()
    assert len(root.findGroups()) == 1
    project.removeMapLayer(other.id())
    dissolve_empty_groups()
    assert root.findGroups() == []
    names = {node.name() for node in root.findLayers()}
    assert names == {"dubai_2015", "dubai_2018"}
    assert len(project.mapLayers()) == 2


def test_options_are_saved_and_set_by_name(dock):
    options = dock.options
    presets, area = options.presets, options.fields["min_area_m2"].widget
    options.model.setEditText("irmad")
    area.setValue(1234)
    presets.names.setEditText("fields")
    presets.save.click()
    options.model.setEditText("cva")
    area.setValue(1)
    row = presets.names.findText("fields")
    presets.names.setCurrentIndex(row)
    presets.names.activated.emit(row)
    assert options.options()["model"] == "irmad"
    assert options.options()["min_area_m2"] == 1234
    presets.remove.click()
    assert presets.names.findText("fields") == -1
    assert stored_presets() == {}


def test_estimates_learn_from_what_runs_took(qgis_app):
    store_setting("run_times", "{}")
    now = [0.0]
    estimates = RunEstimates(lambda: now[0])
    builtin, cva = RunExpectation("builtin cpu", 10), RunExpectation("cva cpu", 10)
    assert estimates.corrected(builtin) == 10
    for _ in range(3):
        estimates.begin(builtin)
        now[0] += 60
        estimates.end()
    learned_s = estimates.corrected(builtin)
    assert 30 <= learned_s <= 120
    assert estimates.corrected(cva) == 10
    # A run that was stopped teaches nothing, and one that is resumed has no expectation.
    estimates.begin(builtin)
    estimates.abandon()
    estimates.end()
    estimates.begin(None)
    now[0] += 3
    estimates.end()
    assert estimates.corrected(builtin) == learned_s
    # What was looked at is not what is chosen now.
    assert estimates.expectation == builtin
    estimates.forget()
    assert estimates.expectation is None
    for text in ("[]", "7", "no json", '{"cva cpu": 3}', '{"cva cpu": [[0, 0], [-1, 2]]}'):
        store_setting("run_times", text)
        assert estimates.corrected(cva) == 10
    store_setting("run_times", "{}")
