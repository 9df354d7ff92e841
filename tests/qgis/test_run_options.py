"""Fields of the panel and of Processing are made of what the worker tells of its options."""

import json

import pytest

NEW = [
    {"name": "snow_line_m", "label": "snow line", "type": "number", "default": None, "unit": "m",
     "least": 0, "greatest": 9000, "choices": [], "usual": "none", "help": "Height of the snow."},
    {"name": "season", "type": "string", "default": "dry", "unit": "", "least": None,
     "greatest": None, "choices": ["wet", "dry"], "usual": "", "help": "Season of the images."},
    {"name": "hidden", "type": "array", "default": [], "unit": "", "least": None,
     "greatest": None, "choices": [], "usual": "", "help": "Names of rasters of what is hidden."},
    {"name": "only_new", "type": "boolean", "default": False, "unit": "", "least": None,
     "greatest": None, "choices": [], "usual": "", "help": "Keep what appeared.",
     "commands": ["analyze"]},
    {"name": "depth", "type": "integer", "default": 3, "unit": "", "least": 1, "greatest": 9,
     "choices": [], "usual": "", "help": "How deep to look.", "commands": ["info", "analyze"]},
]  # fmt: skip
CHOSEN = {
    "snow_line_m": 1500.5, "season": "wet", "hidden": ["a", "b"], "only_new": True, "depth": 5,
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_stored(qgis_app):
    from geochg_qgis.settings import store_setting

    store_setting("options", "")
    yield
    store_setting("options", "")


def widget_with(options=NEW):
    from geochg_qgis.connection import Connection
    from geochg_qgis.panel.options_widget import OptionsWidget
    from geochg_qgis.panel.pair_widget import PairWidget

    widget = OptionsWidget(Connection(), PairWidget())
    widget.set_options({"options": options})
    return widget


def test_new_options_are_fields_of_the_panel(qtbot):
    widget = widget_with()
    qtbot.addWidget(widget)
    assert list(widget.fields) == [entry["name"] for entry in NEW]
    assert widget.options() == {"model": "builtin", "device": "auto"}
    for name, value in CHOSEN.items():
        widget.fields[name].set_value(value)
        assert widget.fields[name].value() == value
    assert widget.options() == {"model": "builtin", "device": "auto", **CHOSEN}
    assert widget.fields["snow_line_m"].widget.suffix() == " m"
    assert "Height of the snow." in widget.fields["snow_line_m"].widget.toolTip()
    assert widget.fields["season"].widget.count() == 2


def test_values_stay_when_the_worker_knows_other_options(qtbot):
    widget = widget_with()
    qtbot.addWidget(widget)
    widget.fields["depth"].set_value(7)
    widget.fields["snow_line_m"].set_value(20)
    widget.set_options({"options": NEW[:1] + NEW[4:]})
    assert list(widget.fields) == ["snow_line_m", "depth"]
    assert widget.options() == {
        "model": "builtin", "device": "auto", "snow_line_m": 20, "depth": 7,
    }  # fmt: skip
    widget.set_options({"options": NEW[:1] + NEW[4:]})
    assert widget.fields["depth"].value() == 7


def test_options_that_a_description_depends_on_tell_of_their_change(qtbot):
    widget = widget_with()
    qtbot.addWidget(widget)
    with qtbot.waitSignal(widget.changed, timeout=1000):
        widget.fields["depth"].set_value(8)
    with qtbot.assertNotEmitted(widget.changed):
        widget.fields["only_new"].set_value(True)


class SomeConnection:
    hello = {"options": NEW}  # noqa: RUF012


_ALIVE = []


def made(algorithm_type, connection):
    algorithm = algorithm_type(connection)
    algorithm.initAlgorithm()
    _ALIVE.append(algorithm)  # which owns its parameters
    return {parameter.name(): parameter for parameter in algorithm.parameterDefinitions()}


def test_new_options_are_parameters_of_processing(qgis_processing):
    from geochg_qgis.algorithms.analyze import AnalyzeAlgorithm
    from geochg_qgis.algorithms.info import InfoAlgorithm

    parameters = made(AnalyzeAlgorithm, SomeConnection())
    assert {"SNOW_LINE", "SEASON", "HIDDEN", "ONLY_NEW", "DEPTH"} <= set(parameters)
    assert parameters["SNOW_LINE"].description() == "Snow line, m"
    assert parameters["SNOW_LINE"].help() == "Height of the snow."
    assert parameters["SEASON"].options() == ["dry", "wet"]
    assert "ONLY_NEW" not in made(InfoAlgorithm, SomeConnection())


def test_parameters_become_options_where_they_are_set(qgis_processing):
    from qgis.core import QgsProcessingContext

    from geochg_qgis.algorithms.analyze import AnalyzeAlgorithm
    from geochg_qgis.algorithms.option_parameters import chosen_options
    from geochg_qgis.run_options import run_options

    algorithm = AnalyzeAlgorithm(SomeConnection())
    algorithm.initAlgorithm()
    options = run_options(SomeConnection.hello, "analyze")
    given = {
        "SNOW_LINE": 1500.5, "SEASON": 1, "HIDDEN": "a, b", "ONLY_NEW": True, "DEPTH": 5,
    }  # fmt: skip
    assert chosen_options(algorithm, options, given, QgsProcessingContext()) == CHOSEN
    usual = {"SNOW_LINE": None, "SEASON": 0, "HIDDEN": "", "ONLY_NEW": False, "DEPTH": 3}
    assert chosen_options(algorithm, options, usual, QgsProcessingContext()) == {}


@pytest.mark.parametrize("stored", ["", "{", "[]", "3", '[{"a": 1}, 2]'])
def test_without_a_worker_the_packaged_options_are_offered(stored):
    from geochg_qgis.run_options import run_options
    from geochg_qgis.settings import store_setting

    store_setting("options", stored)
    names = {option.name for option in run_options({}, "analyze")}
    assert {"min_area_m2", "max_area_m2", "nodata", "tile_size_px", "sensitivity"} <= names
    assert not names & {"model", "aoi", "resume", "model_options", "prompts"}
    assert "min_area_m2" not in {option.name for option in run_options({}, "info")}


def test_the_options_of_the_last_worker_are_offered_when_none_runs():
    from geochg_qgis.run_options import run_options, store_options

    store_options({"options": NEW})
    assert [option.name for option in run_options({}, "analyze")] == [e["name"] for e in NEW]
    store_options({"geochg": "of old, which tells none"})
    assert len(run_options({}, "analyze")) == len(NEW)


@pytest.mark.parametrize("kind", ["sample_options", "check_options"])
def test_the_options_of_samples_and_checks_are_the_workers_too(kind):
    from geochg_qgis import run_options
    from geochg_qgis.settings import store_setting

    options_of = getattr(run_options, kind)
    packaged = [option.name for option in options_of({})]
    names = [entry["name"] for entry in NEW]
    assert packaged
    assert packaged != names
    assert [option.name for option in options_of({kind: NEW})] == names
    run_options.store_options({kind: NEW})
    try:
        assert [option.name for option in options_of({})] == names
        assert "snow line" in run_options.option_labels()
    finally:
        store_setting(kind, "")


def test_the_dock_shows_the_options_of_its_worker(dock, qtbot):
    hello = {"geochg": "1", "models": [], "options": NEW}
    dock.worker.show_worker(hello)
    assert set(dock.options.fields) == {entry["name"] for entry in NEW}
    from geochg_qgis.settings import stored_setting

    assert json.loads(stored_setting("options")) == NEW


def test_no_field_lies_outside_the_forms(qgis_app):
    from qgis.PyQt.QtWidgets import QAbstractSpinBox

    from geochg_qgis.connection import Connection
    from geochg_qgis.panel.options_widget import OptionsWidget
    from geochg_qgis.panel.pair_widget import PairWidget

    widget = OptionsWidget(Connection(), PairWidget())
    fields = [field.widget for field in widget.fields.values()]
    boxes = widget.findChildren(QAbstractSpinBox)
    assert len(boxes) > 4
    assert all(box in fields for box in boxes)


def test_a_button_is_made_only_beside_its_field(qtbot):
    from qgis.PyQt.QtWidgets import QPushButton

    widget = widget_with()
    qtbot.addWidget(widget)
    assert "bands" not in widget.fields
    assert [
        b for b in widget.findChildren(QPushButton) if b.objectName() == "GeochgChooseBands"
    ] == []


def test_long_words_for_none_are_seen_from_their_start(qtbot):
    words = "what suits the resolution of both images"
    widget = widget_with([{**NEW[0], "usual": words}])
    qtbot.addWidget(widget)
    field = widget.fields["snow_line_m"]
    line = field.widget.lineEdit()
    assert (field.widget.text(), line.cursorPosition()) == (words, 0)
    field.set_value(1500)
    line.setCursorPosition(3)
    field.set_value(1600)
    assert line.cursorPosition() == 3
    field.set_value(None)
    assert (field.widget.text(), line.cursorPosition()) == (words, 0)
