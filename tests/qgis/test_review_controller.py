"""Large edits of a review, written in parts: all of one or nothing of it."""

import pytest
from qgis.core import QgsFeature, QgsGeometry, QgsRectangle, QgsVectorLayer

from geochg_qgis.layers.changes import changes_of
from geochg_qgis.layers.result_fields import REVIEW
from geochg_qgis.layers.review_edits import FeatureState, ReviewEdit
from geochg_qgis.layers.style import apply_style
from geochg_qgis.link.errors import LinkError
from geochg_qgis.panel import review_controller
from geochg_qgis.panel.review_controller import ReviewController


@pytest.fixture
def layer(qgis_new_project):
    fields = "field=review:string&field=review_class:string&field=class:string&field=change:string"
    layer = QgsVectorLayer(f"Polygon?crs=EPSG:32640&{fields}", "result", "memory")
    layer.dataProvider().addFeatures([QgsFeature(layer.fields()) for _ in range(7)])
    return layer


@pytest.fixture
def controller(layer, monkeypatch):
    monkeypatch.setattr(review_controller, "_PART", 2)
    controller = ReviewController()
    controller.set_layer(layer)
    yield controller
    controller.set_layer(None)


def accepting(layer):
    ids = layer.allFeatureIds()
    empty, accepted = FeatureState({REVIEW: None}), FeatureState({REVIEW: "accepted"})
    return ReviewEdit(dict.fromkeys(ids, empty), dict.fromkeys(ids, accepted))


def reviews(layer):
    return [feature[REVIEW] or "" for feature in layer.getFeatures()]


@pytest.mark.parametrize("is_in_session", [False, True])
@pytest.mark.parametrize("failing", ["changeGeometryValues", "addFeatures", "deleteFeatures"])
def test_of_an_edit_that_fails_midway_nothing_stays(
    controller, layer, monkeypatch, qtbot, failing, is_in_session
):
    first, second = sorted(layer.allFeatureIds())[:2]
    shapes = [QgsGeometry.fromRect(QgsRectangle(0, 0, side, side)) for side in (1, 2)]
    layer.dataProvider().changeGeometryValues({first: shapes[0]})
    before, after = (
        FeatureState({REVIEW: text}, shape)
        for text, shape in zip((None, "accepted"), shapes, strict=True)
    )
    edit = ReviewEdit({first: before, second: after, -1: None}, {first: after, -1: after})
    edit.after[second] = None
    if is_in_session:
        layer.startEditing()
        monkeypatch.setattr(type(layer), _IN_SESSION[failing], lambda *_: False)
    else:
        provider = _Failing(layer.dataProvider(), failing)
        monkeypatch.setattr(layer, "dataProvider", lambda: provider, raising=False)
    with qtbot.waitSignal(controller.failed):
        controller.make(edit)
    monkeypatch.undo()
    assert reviews(layer) == [""] * 7
    assert layer.getFeature(first).geometry().area() == 1
    assert not controller.stack.can_undo


_IN_SESSION = {
    "changeGeometryValues": "changeGeometry",
    "addFeatures": "addFeature",
    "deleteFeatures": "deleteFeature",
}


class _Failing:
    """A provider one of whose calls fails, the first time."""

    def __init__(self, provider, name):
        self._provider, self._name = provider, name

    def __getattr__(self, name):
        if name == self._name:
            self._name = ""
            return lambda *_: (False, []) if name == "addFeatures" else False
        return getattr(self._provider, name)


def test_the_legend_has_a_class_once_a_change_is_of_it(controller, layer, qtbot, monkeypatch):
    apply_style(layer)
    (change,) = changes_of(layer, [layer.allFeatureIds()[0]])
    labels = [category.label() for category in layer.renderer().categories()]
    real = review_controller.apply_edit
    monkeypatch.setattr(review_controller, "apply_edit", _refuse)
    with qtbot.waitSignal(controller.failed):
        controller.relabel([change], "water")
    assert [category.label() for category in layer.renderer().categories()] == labels
    monkeypatch.setattr(review_controller, "apply_edit", real)
    with qtbot.waitSignal(controller.edited):
        controller.relabel([change], "water")
    added = {category.label() for category in layer.renderer().categories()} - set(labels)
    assert {label.split()[0] for label in added} == {"water"}


def _refuse(*_):
    raise LinkError("it cannot be reviewed", "")


def test_all_parts_are_written_and_undone_as_one(controller, layer, qtbot):
    with qtbot.waitSignal(controller.edited):
        controller.make(accepting(layer))
    assert reviews(layer) == ["accepted"] * 7
    with qtbot.waitSignal(controller.edited):
        controller.undo()
    assert reviews(layer) == [""] * 7


@pytest.mark.parametrize("failing", [1, 2, 4])
def test_where_one_part_fails_none_stays_written(controller, layer, qtbot, monkeypatch, failing):
    real, calls = review_controller.apply_edit, []

    def apply(target, edit):
        calls.append(edit)
        if len(calls) == failing:
            raise LinkError("the disk is full", "")
        return real(target, edit)

    monkeypatch.setattr(review_controller, "apply_edit", apply)
    with qtbot.waitSignal(controller.failed):
        controller.make(accepting(layer))
    qtbot.waitUntil(lambda: not controller.is_busy)
    assert reviews(layer) == [""] * 7
    assert not controller.stack.can_undo
