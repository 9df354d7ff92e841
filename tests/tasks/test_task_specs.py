"""What holds for all six tasks."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geochg.records import (
    Caption,
    Counts,
    Dialogue,
    Locations,
    Presence,
    Question,
    Reply,
    Task,
    Unparsed,
)
from geochg.tasks import SPECS, ask

ANSWERS = {
    Task.CAPTION: Caption,
    Task.PRESENCE: Presence,
    Task.COUNT: Counts,
    Task.LOCATE: Locations,
    Task.DIALOGUE: Dialogue,
    Task.QUESTION: Reply,
}
WORDS = (
    "yes no not nothing there is are have has been changed change changes difference same unchanged"
    " new built removed road roads building buildings houses a 1 2 three in or and but , . : ; ? \n"
    " [ ] 'top-left' center TL top images the"
).split(" ")
model_talk = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)


def test_every_task_has_its_spec():
    assert {task: spec.task for task, spec in SPECS.items()} == {task: task for task in Task}


@pytest.mark.parametrize("task", sorted(set(Task) - {Task.QUESTION}))
def test_the_question_is_the_prompt_of_the_data(task):
    assert ask(task) == Question(task, "\n".join(SPECS[task].prompts))
    assert ask(task, " What is new?\n") == Question(task, "What is new?")


@pytest.mark.parametrize("text", [None, "", "  "])
def test_a_free_question_needs_a_text(text):
    with pytest.raises(ValueError, match="'question' needs a text"):
        ask(Task.QUESTION, text)


@pytest.mark.parametrize("task", Task)
@pytest.mark.parametrize("text", ["", " \n ", "</s>", "<s></s>", "...", "Answer:", "**", "\u200b"])
def test_silence_is_unparsed(task, text):
    answer = SPECS[task].parse(text)
    assert isinstance(answer, Unparsed)
    assert (answer.task, answer.text) == (task, text)
    assert answer.reason


@pytest.mark.parametrize("task", sorted(set(Task) - {Task.QUESTION}))
def test_an_echo_alone_is_no_answer(task):
    assert isinstance(SPECS[task].parse(ask(task).text), Unparsed)


@pytest.mark.parametrize("task", Task)
@given(text=st.text(max_size=60) | model_talk)
@settings(max_examples=150, deadline=None)
def test_any_text_is_an_answer_that_can_be_written_or_unparsed(task, text):
    spec = SPECS[task]
    answer = spec.parse(text)
    assert isinstance(answer, (ANSWERS[task], Unparsed))
    if not isinstance(answer, Unparsed):
        assert spec.parse(spec.render(answer)) == answer


@pytest.mark.parametrize("task", [Task.CAPTION, Task.PRESENCE, Task.COUNT, Task.LOCATE])
@given(text=model_talk)
@settings(max_examples=100, deadline=None)
def test_saying_a_thing_in_wrapping_says_the_same(task, text):
    spec = SPECS[task]
    plain = spec.parse(text)
    wrapped = spec.parse(f"<s> ASSISTANT: Answer: {text} </s>\nUSER: and now?")
    assert isinstance(wrapped, Unparsed) == isinstance(plain, Unparsed)
    assert isinstance(plain, Unparsed) or wrapped == plain


def test_the_tasks_load_nothing_heavy():
    heavy = "{'numpy', 'torch', 'rasterio', 'shapely', 'transformers'}"
    code = f"import sys, geochg.tasks; sys.exit(', '.join({heavy} & sys.modules.keys()) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
