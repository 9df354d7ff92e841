"""Ctrl-C while `geochg evaluate` runs: exit 130, a line, and nothing left behind."""

import os
import signal
import tempfile
from pathlib import Path

import pytest
from labelled_pairs import some_pairs
from masked_pairs import plain_pair, unchanged_pair
from question_rows import some_rows

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are sent as POSIX does")


def pairs(folder):
    files = ("--predictions", folder / "p.jsonl", "--markdown", folder / "m.md")
    return ("evaluate", some_pairs(folder / "pairs"), "--tile-size", 64, *files)


def rows(folder):
    (folder / "set").mkdir()
    files = ("--predictions", folder / "p.jsonl", "-o", folder / "s.json")
    return ("evaluate", some_rows(folder / "set"), "--no-meteor", *files)


def kinds(folder):
    plain_pair(folder / "kinds" / "houses" / "plain")
    unchanged_pair(folder / "kinds" / "houses" / "unchanged")
    files = ("-o", folder / "s.json", "--markdown", folder / "m.md")
    return ("evaluate", folder / "kinds", "--tile-size", 128, *files)


@pytest.fixture(params=["SIGINT", "SIGTERM"])
def press(request):
    """What asks this process to end."""

    def ask(*_, **__):
        os.kill(os.getpid(), getattr(signal, request.param))

    return ask


@pytest.fixture
def marker(marker_plugin):
    from geochg_marker import MarkerModel

    return MarkerModel


@pytest.fixture
def interrupted(geochg, marker, tmp_path, monkeypatch):
    """Runs it, with a folder of its own for temporary files, and looks at what is left."""

    def run(words):
        (tmp_path / "tmp").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
        before = sorted(tmp_path.rglob("*"))
        code, out, errors = geochg(*words, "--model", "marker")
        assert code == 130
        assert out == ""
        assert errors.splitlines()[-1] == "Error: cancelled"
        assert "Traceback" not in errors
        return [path for path in sorted(tmp_path.rglob("*")) if path not in before]

    return run


@pytest.mark.parametrize("source", [pairs, rows, kinds])
def test_while_the_model_is_asked(interrupted, marker, tmp_path, monkeypatch, source, press):
    words = source(tmp_path)
    answer = marker.answer

    def pressed(model, tiles, questions):
        press()
        return answer(model, tiles, questions)

    monkeypatch.setattr(marker, "answer", pressed)
    assert interrupted(words) == []


@pytest.mark.parametrize("source", [pairs, rows, kinds])
def test_while_a_file_is_written(interrupted, tmp_path, monkeypatch, source, press):
    words = source(tmp_path)
    write_text = Path.write_text

    def pressed(path, *text, **how):
        write_text(path, *text, **how)
        if path.suffix in (".md", ".json"):
            press()

    monkeypatch.setattr(Path, "write_text", pressed)
    left = interrupted(words)
    # What was said is kept as soon as all of it is there.
    assert [path.name for path in left] == ([] if source is kinds else ["p.jsonl"])


def test_answers_that_are_kept_to_go_on_stay(
    interrupted, geochg, marker, tmp_path, monkeypatch, press
):
    words, count = rows(tmp_path), 0
    answer = marker.answer

    def pressed(model, tiles, questions):
        nonlocal count
        count += 1
        if count == 3:
            press()
        return answer(model, tiles, questions)

    monkeypatch.setattr(marker, "answer", pressed)
    assert interrupted((*words, "--batch-size", 1)) == [tmp_path / "p.jsonl.unfinished"]
    code, _, errors = geochg(*words, "--batch-size", 1, "--resume", "--model", "marker")
    assert code == 0, errors
    assert not (tmp_path / "p.jsonl.unfinished").exists()


@pytest.mark.parametrize("source", [pairs, rows, kinds])
def test_the_same_again_replaces_what_it_has_written(geochg, marker, tmp_path, source):
    words = (*source(tmp_path), "--model", "marker")
    words = (*words, "-o", tmp_path / "s.json", "--markdown", tmp_path / "m.md")
    for _ in range(2):
        code, _, errors = geochg(*words)
        assert code == 0, errors
    (tmp_path / "s.json").write_text('{"model": "mine"}')
    code, _, errors = geochg(*words)
    assert code == 2
    assert "geochg did not write it" in errors
