"""Names that no file system takes are refused in a line, before anything is done."""

from pathlib import Path

import pytest

from geochg.errors import InputError
from geochg.files.new_files import check_file_name
from geochg.options import AnalyzeOptions
from geochg.pipeline.outputs import Outputs


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (f"{'a' * 300}.geojson", "308 bytes"),
        (f"{'a' * 242}.geojson", "250 bytes"),
        (f"{'ü' * 130}.gpkg", "265 bytes"),
        (f"{'b' * 256}/a.gpkg", "256 bytes"),
        ("a\x00b.gpkg", "NUL"),
        ("a\ud83c.gpkg", "half of a character"),
    ],
)
def test_names_that_no_file_system_takes(tmp_path, name, reason):
    for refuse in (
        check_file_name,
        lambda path: Outputs(features=path).check([], AnalyzeOptions()),
    ):
        with pytest.raises(InputError, match=reason) as caught:
            refuse(tmp_path / name)
        assert len(str(caught.value)) < 600


@pytest.mark.parametrize("name", ["a.gpkg", f"{'a' * 230}.gpkg", "変化 ق.geojson", "caf\udce9.fgb"])
def test_names_that_are_taken(tmp_path, name):
    check_file_name(Path(tmp_path / name))
