import pytest

from geochg.errors import InputError, OptionError
from geochg.records import Task
from geochg.tasks import ask
from geochg.tasks.prompts import check_prompts, clue_sentence, read_prompts


def written(folder, text):
    path = folder / "prompts.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_prompts_file_words_some_tasks(tmp_path):
    result = read_prompts(written(tmp_path, 'caption = "What  is new?"\nclue = "Hint: {clue}"\n'))
    assert result == {"caption": "What is new?", "clue": "Hint: {clue}"}
    assert ask(Task.CAPTION, result[Task.CAPTION]).text == "What is new?"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('captoin = "x"', "'captoin'"),
        ('question = "x"', "'question'"),
        ('caption = ""', "'caption' is empty"),
        ("caption = 3", "'caption' is no text"),
        ('caption = ["a", "b"]', "'caption' is no text"),
        ('dialogue = "a"', "no prompt 'dialogue'"),
        ('clue = "Hint:"', "no place"),
    ],
)
def test_what_cannot_be_asked_is_refused(tmp_path, text, told):
    with pytest.raises(OptionError, match=told):
        read_prompts(written(tmp_path, text))


@pytest.mark.parametrize("text", ["caption", "\x00"])
def test_what_is_no_toml_is_refused(tmp_path, text):
    with pytest.raises(InputError, match=r"not a TOML file|zero bytes"):
        read_prompts(written(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot read the prompts file"):
        read_prompts(tmp_path / "none.toml")


def test_options_are_checked_too():
    with pytest.raises(OptionError, match="is empty"):
        check_prompts({"count": " "})


def test_a_clue_is_one_line_in_its_wording():
    assert clue_sentence("a new\nhouse {x}", {}) == "Clue: a new house {x}"
    assert clue_sentence("a house", {"clue": "({clue})"}) == "(a house)"
    assert clue_sentence("  ", {}) == ""
