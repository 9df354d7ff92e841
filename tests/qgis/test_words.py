"""What goes wrong below the panel, in the user's language."""

from pathlib import Path

import pytest

from geochg_qgis.link import diagnosis
from geochg_qgis.link.errors import Cancelled, LinkError, Refused, SetupError
from geochg_qgis.link.protocol import error_of
from geochg_qgis.link_words import worded
from geochg_qgis.words import area_in_words, load_words


@pytest.fixture
def german():
    load_words("de")
    yield
    load_words("en")


def test_words_take_the_values():
    error = worded(diagnosis.stopped(Path("py"), 9, "the end of the log", greeted=True))
    assert error.message == "The worker stopped (exit code 9)"
    assert "run again" in error.hint
    assert error.detail == "the end of the log"


def test_the_kind_of_an_error_stays():
    for code, kind in ((-32002, Refused), (-32800, Cancelled), (-32001, LinkError)):
        assert type(worded(error_of({"code": code, "message": "no"}))) is kind
    assert type(worded(diagnosis.silent(Path("py"), 1.0, ""))) is SetupError


def test_an_error_of_words_stays_as_it_is():
    error = LinkError("{words}", "{hint}")
    assert worded(error) is error


def test_the_workers_own_words_stay_english_in_a_german_frame(german):
    told = {"code": -32002, "message": "x.tif does {not} exist", "data": {"hint": "check {it}"}}
    error = worded(error_of(told))
    assert error.message == "geochg meldet: x.tif does {not} exist"
    assert error.hint == "was zu tun ist: check {it}"
    assert worded(error_of({"code": 1, "message": "no"})).hint == ""


def test_an_error_within_an_error_is_worded_too(german):
    inner = LinkError.coded("python-too-old", "said", python="/py")
    outer = type(inner).coded("environment-half-changed", failure=inner, folder="/env")
    assert worded(outer).message == "/py ist kein Python 3.11 oder neuer"
    assert "/env" in worded(outer).hint
    broken = LinkError.coded("environment-broken", failure=inner, folder="/env")
    assert worded(broken).message == (
        "Die Umgebung in /env funktioniert nicht: /py ist kein Python 3.11 oder neuer"
    )


def test_a_task_ends_with_words(german, connection, qtbot, tmp_path):
    from geochg_qgis.settings import remember
    from geochg_qgis.tasks import request_task, start_quietly

    remember("python", str(tmp_path / "nowhere"))
    task = request_task("look", connection, "models", lambda _: {})
    with qtbot.waitSignal(task.failed, timeout=10_000) as failed:
        start_quietly(task)
    (error,) = failed.args
    assert isinstance(error, SetupError)
    assert error.message == f"{tmp_path / 'nowhere'} gibt es nicht"


@pytest.mark.parametrize(
    ("area_m2", "words"),
    [(0, "0 m²"), (4e-7, "0.004 cm²"), (0.004, "40 cm²"), (0.25, "0.25 m²"), (3.14, "3.1 m²"),
     (230, "230 m²"), (12_345, "1.23 ha")],
)  # fmt: skip
def test_areas_have_a_unit_that_shows_them(area_m2, words):
    assert area_in_words(area_m2) == words
