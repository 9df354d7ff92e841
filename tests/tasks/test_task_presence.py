import pytest

from geochg.records import Presence, Unparsed
from geochg.tasks.presence import PROMPT, SPEC

YES = [
    "Yes",
    "yes",
    " YES!\n",
    "Yes.</s>",
    "**Yes**",
    '"Yes."',
    "Answer: yes",
    "The answer is yes.",
    "Yes, a house was built.",
    "Yes. No roads were removed.",
    "Yes - new houses.",
    "The images have changed.",
    "There are changes, such as new houses.",
    "The two images are not the same.",
    f"{PROMPT} Yes",
    "Have the images changed? Yes.",
    "USER: <image> q? ASSISTANT: Yes</s>USER: q? ASSISTANT: No</s>",
]
NO = [
    "No",
    "no.",
    "NO\n\n",
    "No, there is no change.",
    "no there is no difference",
    "No. No new buildings have been built.",
    "There is no change.",
    "no changes have occurred",
    "No significant changes are visible between the two images.",
    "I don't see any changes.",
    "The images haven't changed",
    "The two scenes seem identical.",
    "nothing has changed",
    "There are 0 changes",
    "Changed: No",
    "Change detected: false",
    "please judge whether these two images have changed please answer yes or no no",
]
NONSENSE = [
    "maybe",
    "Yes, maybe",
    "Yes and no.",
    "yes no",
    "Yes. No.",
    "yes or no",
    "Yes?",
    "Yes, there is no change.",
    "No, the images have changed.",
    "No the images have changed",
    "No, a house has been built along the road.",
    "No buildings have changed.",
    "There is no change, except for a new house.",
    "There are not many changes.",
    "I cannot tell whether the images have changed.",
    "Whether the images have changed or not",
    "not sure",
    "north",
    "nope",
    "yesterday",
    "42",
    "Changes: N/A",
    "a house",
]


def test_the_prompt_is_that_of_the_data():
    assert PROMPT == (
        "Please judge whether these two images have changed. Please answer yes or no."
    )


@pytest.mark.parametrize("text", YES)
def test_yes(text):
    assert SPEC.parse(text) == Presence(changed=True)


@pytest.mark.parametrize("text", NO)
def test_no(text):
    assert SPEC.parse(text) == Presence(changed=False)


@pytest.mark.parametrize("text", NONSENSE)
def test_neither_or_both_is_unparsed(text):
    assert isinstance(SPEC.parse(text), Unparsed)


@pytest.mark.parametrize(("changed", "text"), [(True, "Yes"), (False, "No")])
def test_round_trip(changed, text):
    assert SPEC.render(Presence(changed, probability=0.7)) == text
    assert SPEC.parse(text) == Presence(changed)
