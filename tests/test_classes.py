"""The table of classes, and what follows from it."""

import ast
from pathlib import Path

from geochg.classes import CHANGE_CLASSES, CLASSES, MASK_CLASSES
from geochg.datasets.captions.truth import CLASS_NAMES
from geochg.records import LAND_COVER, Change

PLUGIN_FIELDS = Path(__file__).parent.parent / "qgis_plugin" / "layers" / "result_fields.py"


def test_masks_that_were_written_before_mean_the_same():
    codes = {"building": 1, "road": 2, "vegetation": 3, "water": 4, "bare": 5, "other": 6}
    assert {row.name: row.mask_code for row in CHANGE_CLASSES} == codes
    assert [CLASS_NAMES[row.mask_code] for row in CHANGE_CLASSES] == list(CLASSES)
    assert MASK_CLASSES[0] == "none"


def test_rows_are_whole():
    assert len({row.mask_code for row in CHANGE_CLASSES}) == len(CHANGE_CLASSES)
    covers = [cover for row in CHANGE_CLASSES for cover in row.covers]
    assert sorted(covers) == sorted(LAND_COVER)
    for row in CHANGE_CLASSES:
        assert row.nouns
        assert row.caption_nouns
        assert all(getattr(row, change) for change in Change)


def test_qgis_draws_classes_in_the_same_colors():
    tree = ast.parse(PLUGIN_FIELDS.read_text(encoding="utf-8"))
    colors = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CLASS_COLORS"
    )
    assert colors == {row.name: row.color for row in CHANGE_CLASSES}
