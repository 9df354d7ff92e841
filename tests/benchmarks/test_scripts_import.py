"""Every script of benchmarks/ and docs/ can be imported: no rename breaks one unseen."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [
    path
    for folder in ("benchmarks", "docs")
    for path in sorted((ROOT / folder).glob("*.py"))
    if path.name != "qgis_pictures.py"  # needs QGIS
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_can_be_imported(script):
    assert runpy.run_path(str(script), run_name="imported")["__doc__"]
