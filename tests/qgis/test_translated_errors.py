"""Errors of `link/` in the user's language."""

from pathlib import Path

import pytest

from geochg_qgis.i18n import load_translation
from geochg_qgis.link.errors import (
    Cancelled,
    LinkError,
    Refused,
    SetupError,
    exit_error,
    timeout_error,
)
from geochg_qgis.link.protocol import error_of
from geochg_qgis.link_messages import translated_error, worker_notice


@pytest.fixture
def german():
    load_translation("de")
    yield
    load_translation("en")


def test_messages_take_the_values():
    error = translated_error(exit_error(Path("py"), 9, "the end of the log", has_answered=True))
    assert error.message == "The worker stopped (exit code 9)"
    assert "run again" in error.hint
    assert error.detail == "the end of the log"


def test_the_kind_of_an_error_stays():
    for code, kind in ((-32002, Refused), (-32800, Cancelled), (-32001, LinkError)):
        assert type(translated_error(error_of({"code": code, "message": "no"}))) is kind
    assert type(translated_error(timeout_error(Path("py"), 1.0, ""))) is SetupError


def test_flags_of_the_command_line_become_names_of_the_panel(german):
    data = {"hint": "give a larger --max-area, or --model-option a=b; see x--y and -- and --z"}
    told = {"code": -32002, "message": "no --bands", "data": data}
    error = translated_error(error_of(told))
    assert error.message == "geochg meldet: no “Bänder”"
    assert error.hint.startswith("was zu tun ist: give a larger “Höchstfläche”, or “Model")
    assert "see x--y and -- and" in error.hint
    assert worker_notice({"message": "name them with --nodata"}).endswith("“Nodata”")


def test_flags_of_fetching_become_names_of_its_fields(german):
    data = {"hint": "raise --max-cloud, or choose another --catalog; --before 2020 --after 2024"}
    hint = translated_error(error_of({"code": -32002, "message": "no", "data": data})).hint
    assert hint.endswith(
        "raise “Höchstens bewölkt”, or choose another “Katalog”; “Monat vorher” 2020 "
        "“Monat nachher” 2024"
    )


def test_an_error_without_a_code_stays_as_it_is():
    error = LinkError("{words}", "{hint}")
    assert translated_error(error) is error


def test_the_workers_messages_stay_english_behind_german_words(german):
    told = {"code": -32002, "message": "x.tif does {not} exist", "data": {"hint": "check {it}"}}
    error = translated_error(error_of(told))
    assert error.message == "geochg meldet: x.tif does {not} exist"
    assert error.hint == "was zu tun ist: check {it}"
    assert translated_error(error_of({"code": 1, "message": "no"})).hint == ""


def test_an_error_within_an_error_is_translated_too(german):
    inner = LinkError.from_code("python-too-old", "said", python="/py")
    outer = type(inner).from_code("environment-half-changed", failure=inner, folder="/env")
    assert translated_error(outer).message == "/py ist kein Python 3.11 oder neuer"
    assert "/env" in translated_error(outer).hint
    broken = LinkError.from_code("environment-broken", failure=inner, folder="/env")
    assert translated_error(broken).message == (
        "Die Umgebung in /env funktioniert nicht: /py ist kein Python 3.11 oder neuer"
    )


def test_a_worker_that_does_not_know_a_method_is_too_old(german):
    told = {"code": -32601, "message": "no method x", "data": {"hint": "see docs/worker.md"}}
    error = translated_error(error_of(told))
    assert error.message == "Dieses geochg ist dafür zu alt"
    assert error.hint == "ein neueres einrichten"


def test_a_task_ends_with_a_translated_error(german, connection, qtbot, tmp_path):
    from geochg_qgis.settings import store_setting
    from geochg_qgis.tasks import request_task, start_unlisted

    store_setting("python", str(tmp_path / "nowhere"))
    task = request_task("look", connection, "models", lambda _: {})
    with qtbot.waitSignal(task.failed, timeout=10_000) as failed:
        start_unlisted(task)
    (error,) = failed.args
    assert isinstance(error, SetupError)
    assert error.message == f"{tmp_path / 'nowhere'} gibt es nicht"
