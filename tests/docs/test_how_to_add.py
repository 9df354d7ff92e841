"""docs/how_to_add.md names files and names of the code as they are."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "how_to_add.md"
_PATH = re.compile(r"[\w.-]+(/[\w.-]+)+|\w+\.(md|toml)")
_NAME = re.compile(r"-{0,2}[A-Za-z_][\w.-]*")


def recipes():
    """Heading and body of each recipe."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


@cache
def text_of(path):
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def untrue(body):
    """What a recipe names that is not there."""
    named = re.findall(r"`([^`\n]+)`", body)
    paths = [ROOT / name for name in named if _PATH.fullmatch(name)]
    missing = [str(path.relative_to(ROOT)) for path in paths if not path.exists()]
    code = "\n".join(text_of(path) for path in paths if path.exists())
    names = [n for n in named if not _PATH.fullmatch(n) and _NAME.fullmatch(n)]
    words = {part for name in names for part in name.split(".")}
    return missing + sorted(w for w in words if not re.search(rf"(?<!\w){w}(?!\w)", code))


@pytest.mark.parametrize(("heading", "body"), recipes(), ids=lambda value: value[:40])
def test_what_a_recipe_names_is_there(heading, body):
    assert not untrue(body), f"docs/how_to_add.md, {heading!r}, names what is not there any more"
    assert len(body.strip().splitlines()) < 10


def test_the_eleven_changes_are_told():
    assert len(recipes()) == 11


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        ("In `geochg/nosuch.py`, call it.", ["geochg/nosuch.py"]),
        ("In `geochg/options.py`, `NO_SUCH_NAME`.", ["NO_SUCH_NAME"]),
        ("`AnalyzeOptions.nothing` of `geochg/options.py`", ["nothing"]),
        ("the help of `--no-such-option` in `cli/analyze.py`", ["--no-such-option"]),
    ],
)
def test_what_is_gone_is_found(body, missing):
    assert untrue(body) == missing
