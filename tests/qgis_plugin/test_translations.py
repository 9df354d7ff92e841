"""Each translation is of a text the plugin says, and takes the same values."""

import ast
import json
import string
import sys
from pathlib import Path

import pytest

from geochg.accuracy.options import SampleOptions
from geochg.layer_check.options import CheckOptions
from geochg.options import AnalyzeOptions

FOLDER = Path(sys.modules["geochg_qgis"].__file__).parent
SHOWN_VALUES = {
    "building", "road", "vegetation", "water", "bare", "other",
    "appeared", "disappeared", "altered", "low plants", "woody",
}  # fmt: skip


def said():
    """The texts that go through `tr`."""
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_tr = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tr"
            if is_tr and isinstance(node.args[0], ast.Constant):
                yield node.args[0].value


def values(text):
    """What a text is filled with; texts with JSON in them are filled with nothing."""
    try:
        return sorted(
            f"{name}:{form}"
            for _, name, form, _ in string.Formatter().parse(text)
            if name is not None
        )
    except ValueError:
        return []


def told_by_the_worker():
    """Texts of the options that the plugin came with; new ones need no translation."""
    for file in ("options.json", "sample_options.json", "check_options.json"):
        for option in json.loads((FOLDER / file).read_text(encoding="utf-8")):
            label = option["label"]
            yield from (label[:1].upper() + label[1:], option["usual"], option["help"])


@pytest.mark.parametrize("path", sorted((FOLDER / "i18n").glob("*.json")), ids=lambda p: p.stem)
def test_translations_fit_what_is_said(path):
    words = json.loads(path.read_text(encoding="utf-8"))
    classes = json.loads((FOLDER / "classes.json").read_text(encoding="utf-8"))
    names = {row["name"] for row in classes}
    known = set(said()) | SHOWN_VALUES | names | set(told_by_the_worker())
    assert len(words) > 100
    assert set(words) <= known, sorted(set(words) - known)
    for text, translated in words.items():
        assert values(text) == values(translated), text


@pytest.mark.parametrize("path", sorted((FOLDER / "i18n").glob("*.json")), ids=lambda p: p.stem)
def test_translations_are_complete(path):
    words = json.loads(path.read_text(encoding="utf-8"))
    missing = (set(said()) | SHOWN_VALUES) - set(words)
    assert not missing, sorted(missing)
    assert all(words.values())


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("options.json", AnalyzeOptions),
        ("sample_options.json", SampleOptions),
        ("check_options.json", CheckOptions),
    ],
    ids=lambda value: str(value)[:20],
)
def test_the_options_that_the_plugin_comes_with_are_those_of_geochg(file, kind):
    """Written anew by `make plugin-options`."""
    packaged = json.loads((FOLDER / file).read_text(encoding="utf-8"))
    assert packaged == json.loads(json.dumps([spec.to_dict() for spec in kind.specs()]))
