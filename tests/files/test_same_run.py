"""Whether a run that was begun is the one that is asked for."""

from pathlib import Path

import pytest

from geochg.errors import OptionError
from geochg.files.same_run import differences, refuse_another_run


@pytest.mark.parametrize(
    ("begun", "asked", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"classes": ["road"]}, {"classes": ("road",)}, []),
        ({"rank": 8}, {"rank": 16}, ["rank (8, not 16)"]),
        ({"model": "cva"}, {"model": "irmad"}, ["model (cva, not irmad)"]),
        ({"b": 1, "a": 0.5}, {"b": 2, "a": 0.25}, ["a (0.5, not 0.25)", "b (1, not 2)"]),
        ({"classes": None}, {"classes": ["road"]}, ["classes"]),
        ({"prompt": "x" * 41}, {"prompt": "y"}, ["prompt"]),
        ({"prompt": "x\ny"}, {"prompt": "y"}, ["prompt"]),
        ({}, {"vote": None}, ["vote"]),
        ({"gone": 1}, {}, ["gone"]),
    ],
)
def test_what_differs_is_named_with_its_values_where_they_are_short(begun, asked, expected):
    assert differences(begun, asked) == expected


def test_another_run_is_refused_with_the_way_out():
    with pytest.raises(OptionError) as caught:
        refuse_another_run({"rank": 8}, {"rank": 16}, Path("out.work"))
    assert str(caught.value).splitlines() == [
        "the run in out.work differs in rank (8, not 16)",
        "give what it was begun with, or delete out.work to start again",
    ]
    refuse_another_run({"rank": 8}, {"rank": 8}, Path("out.work"))
