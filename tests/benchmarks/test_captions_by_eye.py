"""Verdicts on captions are counted with their intervals."""

import pytest
from captions_by_eye import tally


def rows(*verdicts, kind="houses"):
    return [
        {"number": str(i), "kind": kind, "verdict": verdict, "cause": cause}
        for i, (verdict, cause) in enumerate(verdicts, 1)
    ]


@pytest.mark.parametrize(
    ("right", "wrong", "cell"),
    [
        (1, 1, "1 (50%, 9% to 91%)"),
        (81, 9, "81 (90%, 82% to 95%)"),
        (0, 10, "0 (0%, 0% to 28%)"),
        (10, 0, "10 (100%, 72% to 100%)"),
    ],
)
def test_shares_have_wilson_intervals(right, wrong, cell):
    table = tally(rows(*[("true", "")] * right, *[("false", "class")] * wrong))
    assert f"| all | {right + wrong} | {cell} |" in table
    assert (f"| class | {wrong} |" in table) == (wrong > 0)


def test_kinds_and_causes_are_counted_apart():
    table = tally(
        [
            *rows(("true", ""), ("partly", "count")),
            *rows(("false", "class"), ("false", "class"), kind="floods"),
        ]
    )
    assert "| floods | 2 | 0 (" in table
    assert table.index("| class | 2 |") < table.index("| count | 1 |")


@pytest.mark.parametrize("verdict", ["", "True", "yes"])
def test_a_caption_without_a_verdict_is_refused(verdict):
    with pytest.raises(ValueError, match="feature 2 has the verdict"):
        tally(rows(("true", ""), (verdict, "")))
