"""Each translation is of a text the plugin says, and takes the same values."""

import ast
import json
import string
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("path", sorted((FOLDER / "i18n").glob("*.json")), ids=lambda p: p.stem)
def test_translations_fit_what_is_said(path):
    words = json.loads(path.read_text(encoding="utf-8"))
    known = set(said()) | SHOWN_VALUES
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
