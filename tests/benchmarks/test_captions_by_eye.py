"""Features are drawn evenly and shown whole; verdicts on them are counted with intervals."""

import csv
from collections import Counter

import captions_by_eye
import numpy as np
import pytest
from captions_by_eye import OUTLINE, PER_PAGE, Captioned, Pair, sampled, tally, write_pages
from masked_pairs import some_kind
from PIL import Image
from rasters import ORIGIN
from shapely.geometry import MultiPolygon, box

from geochg import AnalyzeOptions
from geochg.datasets.georeferenced_mask import GeoreferencedMask
from geochg.datasets.kinds import kinds_of
from geochg.models.registry import load_model


def ground_box(top, bottom, left, right):
    x0, y0 = ORIGIN * (left, top)
    x1, y1 = ORIGIN * (right, bottom)
    return box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))


@pytest.mark.parametrize(
    "shape",
    [
        ground_box(0, 10, 0, 10),
        ground_box(90, 110, 140, 170),
        ground_box(0, 200, 0, 300),
        MultiPolygon([ground_box(150, 200, 280, 300), ground_box(100, 120, 200, 210)]),
    ],
)
def test_a_crop_lies_in_the_image_and_holds_the_feature(shape):
    known = np.ones((200, 300), bool)
    top, left, side = captions_by_eye._window(shape, GeoreferencedMask(known, known, ORIGIN, None))
    assert 0 <= top <= 200 - side
    assert 0 <= left <= 300 - side
    west, south, east, north = shape.bounds
    (x0, y0), (x1, y1) = ~ORIGIN * (west, north), ~ORIGIN * (east, south)
    if max(x1 - x0, y1 - y0) < 150:
        assert left <= x0
        assert x1 <= left + side
        assert top <= y0
        assert y1 <= top + side


def test_as_many_features_of_each_kind_are_drawn_and_few_of_a_pair(monkeypatch):
    def features(pair, *_):
        return [Captioned(pair, None, {"number": number}) for number in range(40)]

    monkeypatch.setattr(captions_by_eye, "_features", features)
    pairs = [Pair(kind, name, None, None) for kind in "abc" for name in "pqr"]

    def drawn(count, seed):
        found = sampled(pairs, None, AnalyzeOptions(), count, seed)
        return [(each.pair.kind, each.pair.name, each.properties["number"]) for each in found]

    assert Counter(kind for kind, *_ in drawn(12, 0)) == dict.fromkeys("abc", 4)
    assert drawn(12, 0) == drawn(12, 0) != drawn(12, 1)
    every = drawn(90, 0)
    assert set(Counter(each[:2] for each in every).values()) == {captions_by_eye.MOST_OF_A_PAIR}
    assert len(set(every)) == 27


@pytest.mark.usefixtures("marker_plugin")
def test_pages_and_a_table_have_every_caption(tmp_path):
    (kind,) = kinds_of(some_kind(tmp_path / "planted"))
    pairs = [Pair(kind.name, pair.name, pair.before, pair.after) for pair in kind.pairs]
    model = load_model("marker", {}, "cpu")
    found = sampled(pairs, model, AnalyzeOptions(model="marker"), 8, 0)
    write_pages(found, tmp_path / "sheet")
    with (tmp_path / "sheet" / "captions.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["caption"] for row in table] == [each.properties["caption"] for each in found]
    assert len(table) > 3
    assert {row["verdict"] for row in table} == {""}
    pages = sorted((tmp_path / "sheet").glob("*.png"))
    assert len(pages) == -(-len(found) // PER_PAGE)
    assert (np.asarray(Image.open(pages[0])) == OUTLINE).all(axis=-1).sum() > 100


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
