import pytest

from geochg.records import Reply, Unparsed
from geochg.tasks.question import SPEC


@pytest.mark.parametrize(
    "text",
    [
        "Two.",
        "No",
        "I cannot tell.",
        "First line\n\n- a list\n- of things",
        "变化很大",
        "**3** roads",
    ],
)
def test_any_words_are_a_reply(text):
    assert SPEC.parse(f" {text}\n</s>") == Reply(text)
    assert SPEC.parse(SPEC.render(Reply(text))) == Reply(text)


@pytest.mark.parametrize("text", ["", "...", " \n", "</s>", "Answer: "])
def test_no_words_are_unparsed(text):
    assert isinstance(SPEC.parse(text), Unparsed)


def test_no_words_have_no_text_form():
    with pytest.raises(ValueError, match="no text form"):
        SPEC.render(Reply(""))
