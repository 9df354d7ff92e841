import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geochg.records import Caption, Unparsed
from geochg.tasks.caption import PROMPT, SPEC
from geochg.tasks.statements import NO_CHANGE_SENTENCES

CHANGES = [
    "a house is built in the top left corner of the scene",
    "Many trees are removed, and a row of villas appears along the road.",
    "the scene is the same as before except for some trees",
    "many houses are built on the bareland with no trees around",
    "Houses are built, perhaps for a new village; trees cannot be seen any more.",
    "Some new buildings have appeared.",
    "The scenes are not the same.",
]
SAYINGS = st.sampled_from([*CHANGES, *NO_CHANGE_SENTENCES])


def test_the_prompt_is_that_of_the_data():
    assert PROMPT == "Please briefly describe the changes in these two images."


@pytest.mark.parametrize("sentence", NO_CHANGE_SENTENCES)
@pytest.mark.parametrize("form", ["{}", " {} .", "{}.", "{}!\n", "{}</s>", '"{}"', "**{}**"])
def test_the_five_sentences_mean_no_change(sentence, form):
    for spelling in (
        sentence,
        sentence.capitalize(),
        sentence.upper(),
        sentence.replace(" ", "  "),
    ):
        answer = SPEC.parse(form.format(spelling))
        assert isinstance(answer, Caption)
        assert answer.changed is False


@pytest.mark.parametrize(
    "text",
    [
        "There are no significant changes between the two images.",
        "There is no change at all.",
        "Nothing has changed.",
        "The two images are identical.",
        "The scene remains unchanged.",
        "No, there is no difference.",
        "there is no difference there is no difference",
        "There is no difference.\nNo change has occurred.",
        "No changes. No new buildings.",
    ],
)
def test_other_plain_words_for_no_change(text):
    answer = SPEC.parse(text)
    assert isinstance(answer, Caption)
    assert answer.changed is False


@pytest.mark.parametrize("text", CHANGES)
def test_a_description_tells_a_change(text):
    assert SPEC.parse(text) == Caption(text, changed=True)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, I cannot view images.",
        "The changes cannot be determined.",
        "As an AI model I do not see pictures.",
        "Yes.",
        "no",
        "the two images",
        "There is no difference. A house is built along the road.",
        "No. A house is built along the road.",
        "Yes, there is no change.",
        "There are no changes in roads or buildings.",
        "No new buildings have been built.",
        "There are not many changes.",
        "no the scene has changed",
    ],
)
def test_what_describes_nothing_or_contradicts_itself_is_unparsed(text):
    assert isinstance(SPEC.parse(text), Unparsed)


@pytest.mark.parametrize(
    "text",
    [
        "Answer: a road is built",
        "ASSISTANT: a road is built</s>",
        f"USER: <image> <image> {PROMPT} ASSISTANT: a road is built</s>USER: And now?",
        f"{PROMPT} a road is built",
        "<|im_start|>assistant:\na road is built<|im_end|>",
        "“a road is built”",
        "`a  road is\tbuilt`",
    ],
)
def test_what_a_model_puts_around_the_sentence_is_taken_off(text):
    assert SPEC.parse(text) == Caption("a road is built", changed=True)


@settings(deadline=None)
@given(st.lists(SAYINGS, min_size=1, max_size=2).map("\n".join))
def test_round_trip(text):
    answer = SPEC.parse(text)
    if not isinstance(answer, Unparsed):
        assert "\n" not in SPEC.render(answer)
        assert SPEC.parse(SPEC.render(answer)) == answer


def test_no_words_have_no_text_form():
    with pytest.raises(ValueError, match="no text form"):
        SPEC.render(Caption(" ", changed=False))
