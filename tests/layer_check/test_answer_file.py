"""Answers that a check keeps until it is complete."""

import pytest

from geochg.errors import InputError
from geochg.layer_check.answer_file import AnswerFile
from geochg.records import Label

GOOD = '{"key": "p1", "present": true, "probability": 0.75}'


def opened(path, *lines):
    path.write_text("\n".join(['{"geochg_check": "this"}', *lines]) + "\n", "utf-8")
    answers = AnswerFile.open(path, "this", resume=True)
    answers.close()
    return answers.answers


def test_answers_come_back_but_for_a_line_that_was_being_written(tmp_path):
    path = tmp_path / "verdict.gpkg.answers"
    assert opened(path, GOOD, '{"key": "p') == {"p1": Label(True, 0.75)}


@pytest.mark.parametrize(
    "line",
    [
        '{"key": "p0", "present": true, "probability": 7}',
        '{"key": "p0", "present": true, "probability": NaN}',
        '{"key": "p0", "present": true, "probability": "0.5"}',
        '{"key": "p0", "present": "perhaps", "probability": null}',
        "[" * 100_000,
        "[]",
    ],
)
def test_answers_that_make_no_sense_are_refused_in_a_line(tmp_path, line):
    with pytest.raises(InputError, match="is damaged"):
        opened(tmp_path / "verdict.gpkg.answers", line, GOOD)
