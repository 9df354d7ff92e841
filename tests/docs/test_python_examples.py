"""The Python of docs/using.md runs as it stands there."""

import re
from pathlib import Path

import pytest
import rasterio

import geochg

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "using.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A part of the example pair, under the names that the page uses."""
    folder = tmp_path_factory.mktemp("page")
    for name, year in (("before", 2015), ("after", 2018)):
        with rasterio.open(ROOT / "examples" / f"dubai_{year}.tif") as image:
            window = rasterio.windows.Window(100, 100, 256, 256)
            transform = image.window_transform(window)
            size = {"width": 256, "height": 256, "transform": transform}
            with rasterio.open(folder / f"{name}.tif", "w", **image.profile | size) as part:
                part.write(image.read(window=window))
    return folder


def test_the_blocks_run_one_after_another(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    found = {}
    results = []
    for block in BLOCKS:
        exec(block, found)
        results.append(found.get("result"))
    assert len(BLOCKS) == 5
    assert (folder / "changes.gpkg").is_file()
    assert results[0].metadata["tiles"].keys() >= {"total", "read", "changed"}
    assert results[1].metadata["sources"]["before"]["path"] == "array"
    assert len(results[0].features) == len(results[1].features) > 0
    assert [len(each.features) > 0 for each in found["both"]] == [True, True]
    told = capsys.readouterr().out
    assert told.startswith("r0c0 Presence(")


def test_the_public_names_are_all_there_and_no_more():
    for name in geochg.__all__:
        assert getattr(geochg, name) is not None
    assert set(re.findall(r"geochg\.([a-zA-Z_]+)", "".join(BLOCKS))) <= set(geochg.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        _ = geochg.nosuch
