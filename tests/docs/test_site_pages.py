"""The site: links between files lead to pages, and what is missing or loads from elsewhere is told.

`make docs` builds the whole of it.
"""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = {"docs/models.md": "models.md", "README.md": "index.md", "docs/qgis/a.png": "qgis/a.png"}


@pytest.fixture(scope="module")
def pages():
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "docs" / "site_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "source", "page", "led"),
    [
        ("[m](docs/models.md#clip)", "README.md", "index.md", "[m](models.md#clip)"),
        ("![a](docs/qgis/a.png)", "README.md", "index.md", "![a](qgis/a.png)"),
        ("[r](../README.md)", "docs/models.md", "models.md", "[r](index.md)"),
        ("[r](../../README.md)", "a/b/README.md", "b/card.md", "[r](../index.md)"),
        ("[scripts](../benchmarks)", "docs/models.md", "models.md", "scripts"),
        ("[gone](nosuch.md)", "docs/models.md", "models.md", "[gone](nosuch.md)"),
        ("[o](https://a.test/b)", "docs/models.md", "models.md", "[o](https://a.test/b)"),
        ("[here](#below)", "docs/models.md", "models.md", "[here](#below)"),
    ],
)
def test_links_lead_to_pages(pages, text, source, page, led):
    assert pages.with_links_to_pages(text, source, page, PAGES) == led


@pytest.mark.parametrize(
    ("html", "loaded"),
    [
        ('<script src="https://a.test/x.js"></script>', ["https://a.test/x.js"]),
        ('<link rel="stylesheet" href="//a.test/x.css">', ["//a.test/x.css"]),
        ('<img src="a.png" srcset="HTTP://a.test/b.png 2x">', ["HTTP://a.test/b.png 2x"]),
        ('<iframe src="https://a.test"></iframe>', ["https://a.test"]),
        ('<a href="https://a.test">read</a>', []),
        ('<link rel="canonical" href="https://a.test/">', []),
        ('<script src="assets/x.js"></script><img src="data:image/png;base64,AA">', []),
    ],
)
def test_what_a_page_loads_from_elsewhere(pages, html, loaded):
    assert pages.loaded_from_elsewhere(html) == loaded


def test_an_empty_site_lacks_every_command_and_every_name(pages, tmp_path):
    lacking = "\n".join(pages.faults(tmp_path))
    for name in ("'geochg'", "'geochg analyze'", "'geochg train compact'", "geochg.analyze "):
        assert name in lacking
    import geochg

    assert all(f"geochg.{name} has no page" in lacking for name in geochg.__all__)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.css", "@import 'https://a.test/x.css';"),
        ("b.css", "body {background: url(//a.test/x.png)}"),
        ("c.html", '<script src="https://a.test/x.js"></script>'),
    ],
)
def test_a_file_that_loads_from_elsewhere_is_told(pages, tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert any(fault.startswith(f"{name} loads ") for fault in pages.faults(tmp_path))
