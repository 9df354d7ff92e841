"""Thoughts and marks around answers."""

import pytest

from geochg.models.chat.dialogue import spoken_pieces
from geochg.records import Caption, Counts, GridCell, Locations, Presence, Task, Unparsed
from geochg.tasks import SPECS
from geochg.tasks.reply_text import spoken_answer
from geochg.tasks.thoughts import (
    ends_in_thoughts,
    has_bare_thoughts,
    has_thoughts,
    without_thoughts,
)

THOUGHT = "Yes, I think it changed. SECRET"
WRAPPINGS = {
    "DeepSeek, Qwen": "<think>\n{thought}\n</think>\n\n{answer}",
    "the template opened": "{thought}\n</think>\n{answer}",
    "thinking": "<thinking>{thought}</thinking>{answer}",
    "Magistral": "[THINK]{thought}[/THINK]{answer}",
    "Kimi": "◁think▷{thought}◁/think▷{answer}",
    "Seed": "<seed:think>{thought}</seed:think>{answer}",
    "Command": "<|START_THINKING|>{thought}<|END_THINKING|><|START_RESPONSE|>{answer}"
    "<|END_RESPONSE|>",
    "Sky": "<|begin_of_thought|>{thought}<|end_of_thought|><|begin_of_solution|>{answer}"
    "<|end_of_solution|>",
    "gpt-oss": "<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>final"
    "<|message|>{answer}<|return|>",
    "Gemma": "<|channel>thought\n{thought}<channel|>{answer}",
    "GLM": "<think>{thought}</think><|begin_of_box|>{answer}<|end_of_box|>",
    "R1 with an answer": "<think>{thought}</think>\n<answer>{answer}</answer>",
    "twice": "<think>{thought}</think><think>{thought}</think>{answer}",
    "behind": "{answer}\n<think>{thought}</think>",
}
MARKED = {
    "a fence": "```\n{answer}\n```",
    "a named fence": "```text\n{answer}\n```",
    "a role on its line": "assistant\n{answer}",
    "Gemma's turn": "<start_of_turn>model\n{answer}<end_of_turn>",
    "Llama's header": "<|start_header_id|>assistant<|end_header_id|>\n\n{answer}<|eot_id|>",
    "ChatML": "<|im_start|>assistant\n{answer}<|im_end|>",
    "an end of DeepSeek": "{answer}<｜end▁of▁sentence｜>",  # noqa: RUF001
    "quotes": '"{answer}"',
    "bold": "**{answer}**",
}
BRACES = {
    "JSON": '{"answer": "ANSWERS"}',
    "JSON with thoughts": '{"reasoning": "Hm. Yes.", "Answer": "ANSWERS"}',
    "JSON in a fence": '```json\n{"caption": "ANSWERS"}\n```',
    "a box": "\\boxed{ANSWERS}",
    "a box of text": "$\\boxed{\\text{ANSWERS}}$",
    "both": 'Answer: {"response": "\\"ANSWERS\\""}',
}
ANSWERS = ("No.", "A farmer's house has been built.", "roads: []. buildings: ['top-left'].")


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("wrapping", WRAPPINGS.values(), ids=WRAPPINGS)
def test_thoughts_are_no_part_of_the_answer(wrapping, answer):
    text = wrapping.format(thought=THOUGHT, answer=answer)
    assert spoken_answer(text) == answer
    assert has_thoughts(text)


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("wrapping", MARKED.values(), ids=MARKED)
def test_marks_are_no_part_of_the_answer(wrapping, answer):
    assert spoken_answer(wrapping.format(answer=answer)) == answer
    assert not has_thoughts(wrapping.format(answer=answer))


@pytest.mark.parametrize("answer", ANSWERS[:2])
@pytest.mark.parametrize("wrapping", BRACES.values(), ids=BRACES)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_braces_are_no_part_of_the_answer(wrapping, answer, size):
    text = wrapping.replace("ANSWERS", answer)
    assert spoken_answer(text) == answer
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert "".join(spoken_pieces(pieces)) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"changed": true}', "Yes"),
        ('{"changed": false}', "No"),
        ('{"count": 3}', "3"),
        ('{"answer": ["top-left", "center"]}', "top-left, center"),
        ('{"changed": true, "confidence": 0.9, "Reasoning": "Hm."}', "Yes"),
        ('{"thought": "Hm.", "score": 1, "answer": "A house."}', "A house."),
        # No wrapping: places of one class, several answers, none, and no JSON.
        ('{"buildings": ["top-left"]}', '{"buildings": ["top-left"]}'),
        ('{"answer": "a", "text": "b"}', '{"answer": "a", "text": "b"}'),
        ('{"answer": null}', '{"answer": null}'),
        ("{answer: yes}", "{answer: yes}"),
    ],
)
def test_objects_that_hold_one_answer(text, answer):
    assert spoken_answer(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        '{"changed": true, "locations": ["top left"]}',
        '{"changed": true, "buildings": 3, "roads": 0}',
        '{"changed": true, "explanation": "Three houses were built"}',
        '{"text": "A house.", "confidence": 0.9, "places": []}',
        '{"changed": true, "Changed": false}',
        '{"confidence": 0.9}',
        "{}",
    ],
)
@pytest.mark.parametrize("form", ["{}", "```json\n{}\n```", "Answer: {}"])
def test_objects_that_say_more_stay_whole(text, form):
    assert spoken_answer(form.replace("{}", text)) == text


def test_what_stands_beside_an_answer_is_read():
    text = '{"changed": true, "buildings": 3, "roads": 0}'
    assert SPECS[Task.COUNT].parse(text) == Counts({"road": 0, "building": 3})


@pytest.mark.parametrize(
    "more",
    ['"explanation": "Three houses were built"', '"buildings": 3', '"locations": ["top left"]'],
)
def test_an_object_that_says_more_still_says_whether_anything_changed(more):
    text = f'{{"changed": true, {more}}}'
    assert SPECS[Task.PRESENCE].parse(text) == Presence(True)
    assert SPECS[Task.CAPTION].parse(text) == Caption(text, changed=True)
    # A description of a change that is called none is not taken for one.
    assert isinstance(SPECS[Task.CAPTION].parse(text.replace("true", "false")), Unparsed)


@pytest.mark.parametrize("more", ['"explanation": "All is the same"', '"buildings": 0'])
def test_an_object_that_says_more_may_say_no(more):
    assert SPECS[Task.PRESENCE].parse(f'{{"changed": false, {more}}}') == Presence(False)


@pytest.mark.parametrize(
    "text",
    [
        "No images were provided.",
        "No, there are no images attached to your message.",
        "I don't see any images. Please upload them.",
        "The images are not visible.",
        "Please provide the two images so that I can compare them.",
    ],
)
@pytest.mark.parametrize("task", [Task.PRESENCE, Task.CAPTION])
def test_a_model_that_saw_nothing_has_not_answered(task, text):
    assert isinstance(SPECS[task].parse(text), Unparsed)


@pytest.mark.parametrize("wrapping", [*WRAPPINGS.values(), *MARKED.values()])
def test_wrapped_answers_are_read_as_plain_ones(wrapping):
    text = {
        task: wrapping.format(thought=THOUGHT, answer=answer)
        for task, answer in zip((Task.PRESENCE, Task.CAPTION, Task.LOCATE), ANSWERS, strict=True)
    }
    assert SPECS[Task.PRESENCE].parse(text[Task.PRESENCE]) == Presence(False)
    assert SPECS[Task.CAPTION].parse(text[Task.CAPTION]) == Caption(ANSWERS[1], changed=True)
    cells = {"road": {}, "building": {GridCell(0, 0): None}}
    assert SPECS[Task.LOCATE].parse(text[Task.LOCATE]) == Locations(cells)


@pytest.mark.parametrize(
    "text",
    [
        "<think>No. And on it goes",
        "Let me see. <think>No",
        "<think>No.</think>",
        "No, all is the same.</think>",
        "[THINK]No",
        "<|channel|>analysis<|message|>No.",
        "<think>a</think><think>No",
    ],
)
def test_thoughts_alone_are_no_answer(text):
    assert without_thoughts(text) == ""


@pytest.mark.parametrize("text", ["No.", "", "a < b", "[top-left]", "I think it changed.", "<p>"])
def test_what_holds_no_thoughts_stays(text):
    assert without_thoughts(text) == text
    assert not has_thoughts(text)


def test_who_opened_the_thoughts():
    assert has_bare_thoughts("No.</think>Yes")
    assert not has_bare_thoughts("<think>No.</think>Yes")
    assert ends_in_thoughts("<|im_start|>assistant\n<think>\n")
    assert not ends_in_thoughts("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert not ends_in_thoughts("USER: think ASSISTANT:")
