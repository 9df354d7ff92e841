"""The table of classes, and what follows from it."""

import json
import subprocess
import sys
from pathlib import Path

from geochg.classes import CHANGE_CLASSES, CLASSES, LEGEND, MASK_CLASSES
from geochg.datasets.captions.truth import CLASS_NAMES
from geochg.records import LAND_COVER, Change

ROOT = Path(__file__).parent.parent
NEW_ROW = """    ChangeClass(
        name="greenhouse",
        mask_code=7,
        color="#56b4e9",
        rank=3,
        covers=frozenset(),
        singular="greenhouse",
        plural="greenhouses",
        nouns=("greenhouse",),
        caption_nouns=("greenhouse",),
        appeared=("{is} built",),
        disappeared=("{is} removed",),
        altered=("{has} been rebuilt",),
    ),
"""
WITH_NEW_ROW = """
import json, sys, types
from pathlib import Path

module = types.ModuleType("geochg.classes")
sys.modules["geochg.classes"] = module
exec(sys.stdin.read(), module.__dict__)

import numpy as np
from geochg.datasets.captions.facts import Fact
from geochg.datasets.captions.sentences import CaptionWriter
from geochg.datasets.captions.truth import CLASS_NAMES
from geochg.class_list import ListedClass
from geochg.models.clip.classes import usual_classes
from geochg.records import Change, Counts, Task
from geochg.tasks import SPECS
from geochg.tasks.lexicon import COUNTABLE, NOUNS
from geochg.worker.methods import hello

folder = Path(sys.argv[1])
(folder / "layers").mkdir()
(folder / "classes.json").write_text(json.dumps(module.LEGEND))
colors = folder / "layers" / "class_colors.py"
colors.write_text(Path("qgis_plugin/layers/class_colors.py").read_text())
plugin = {"__file__": str(colors)}
exec(colors.read_text(), plugin)

counts = Counts({"greenhouse": 3}, {"greenhouse": Change.APPEARED})
text = SPECS[Task.COUNT].render(counts)
fact = Fact("greenhouse", Change.APPEARED, 1, (), 0.1, (0.5, 0.5), 0.1)
print(json.dumps({
    "nouns": NOUNS["greenhouses"],
    "countable": COUNTABLE["greenhouse"],
    "text": text,
    "parsed": SPECS[Task.COUNT].parse(text).counts.get("greenhouse"),
    "caption": CaptionWriter(np.random.default_rng(0)).caption([fact]),
    "mask": [module.MASK_CLASSES[7], CLASS_NAMES[7], CLASS_NAMES[:7]],
    "clip": [item.phrase for item in usual_classes().classes if item.class_name == "greenhouse"],
    "clip_file": ListedClass.from_dict(
        {"name": "x", "prompt": "an x", "class": "greenhouse"}, "file"
    ).class_name,
    "hello": hello(None)["classes"],
    "legend": list(plugin["CLASS_COLORS"].items()),
}))
"""


def test_masks_that_were_written_before_mean_the_same():
    codes = {"building": 1, "road": 2, "vegetation": 3, "water": 4, "bare": 5, "other": 6}
    assert codes.items() <= {row.name: row.mask_code for row in CHANGE_CLASSES}.items()
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


def test_qgis_draws_the_classes_of_the_table():
    """Written anew by `make plugin-options`."""
    file = ROOT / "qgis_plugin" / "classes.json"
    assert json.loads(file.read_text(encoding="utf-8")) == LEGEND
    assert [(row["name"], row["color"]) for row in LEGEND] == [
        (row.name, row.color) for row in CHANGE_CLASSES
    ]


def test_a_class_is_one_row(tmp_path):
    table = (ROOT / "geochg" / "classes.py").read_text(encoding="utf-8")
    last_row = '    ChangeClass(\n        name="other"'
    assert table.count(last_row) == 1
    outcome = subprocess.run(
        [sys.executable, "-c", WITH_NEW_ROW, str(tmp_path)],
        input=table.replace(last_row, NEW_ROW + last_row),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert outcome.returncode == 0, outcome.stderr
    places = json.loads(outcome.stdout)
    assert places["nouns"] == ["greenhouse", "greenhouse"]
    assert places["countable"] == ["greenhouse", "greenhouses"]
    assert "3 new greenhouses" in places["text"]
    assert places["parsed"] == 3
    assert "greenhouse" in places["caption"]
    assert places["mask"] == ["greenhouse", "greenhouse", ["none", *CLASSES]]
    assert places["clip"] == ["a greenhouse"]
    assert places["clip_file"] == "greenhouse"
    assert places["hello"] == [*CLASSES[:-1], "greenhouse", "other"]
    assert places["legend"][-2:] == [["greenhouse", "#56b4e9"], ["other", "#8c8c8c"]]
