"""The prompts that docs/models.md shows are those that are asked."""

from pathlib import Path

import pytest

from geochg.class_list import ClassList
from geochg.models.vlm import tile_questions
from geochg.records import Task
from geochg.tasks import SPECS
from geochg.tasks.prompts import check_prompts

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
MAPPED = (Task.PRESENCE, Task.LOCATE, Task.COUNT, Task.CAPTION)


def blocks(language):
    return [part.partition("```")[0] for part in PAGE.split(f"```{language}\n")[1:]]


@pytest.mark.parametrize("task", MAPPED)
def test_the_prompts_of_each_task_are_shown(task):
    for prompt in (*SPECS[task].prompts, *SPECS[task].class_prompts):
        assert f"| {prompt} |" in PAGE


@pytest.mark.parametrize("name", ["CELL_QUESTION", "LIST_QUESTION", "COUNT_QUESTION"])
def test_the_patterns_for_each_class_are_shown(name):
    assert f"| {getattr(tile_questions, name)} |" in PAGE


def test_the_files_that_are_shown_can_be_read():
    import tomllib

    files = [tomllib.loads(text) for text in blocks("toml")]
    class_files = [values for values in files if "classes" in values]
    prompt_files = [values for values in files if "presence" in values]
    assert len(class_files) == len(prompt_files) == 1
    class_list = ClassList.from_dict(class_files[0], "docs/models.md")
    assert class_list.names == ("solar panels", "building")
    check_prompts(prompt_files[0])
