"""Names that no file system takes are refused in a line; what is made is whole or not there."""

from pathlib import Path

import pytest

from geochg.errors import InputError
from geochg.files.new_files import (
    check_file_name,
    make_folder_aside,
    write_aside,
    write_text_aside,
)
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


# --- whole or not there --------------------------------------------------------------------------


def test_a_text_is_as_it_was_until_all_of_the_new_one_is_written(tmp_path):
    file = tmp_path / "run.json"
    write_text_aside(file, "old")

    def fail():
        with write_aside(file) as aside:
            aside.write_text("ne", encoding="utf-8")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert file.read_text(encoding="utf-8") == "old"
    write_text_aside(file, "new é")
    assert file.read_text(encoding="utf-8") == "new é"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("is_there", [False, True])
def test_a_folder_appears_when_all_in_it_is_written(tmp_path, is_there):
    folder = tmp_path / "set"
    if is_there:
        folder.mkdir()
    with make_folder_aside(folder) as aside:
        (aside / "a.txt").write_text("a", encoding="utf-8")
        assert not (folder / "a.txt").exists()
    assert (folder / "a.txt").read_text(encoding="utf-8") == "a"
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_folder_that_was_not_finished(tmp_path, error):
    def fail():
        with make_folder_aside(tmp_path / "set") as aside:
            (aside / "a.txt").touch()
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_there_already_is_not_replaced_by_a_folder(tmp_path, kind):
    target = tmp_path / "set"
    if kind == "folder":
        target.mkdir()
        (target / "own.txt").touch()
    else:
        target.touch()
    with pytest.raises(InputError, match="is not empty"), make_folder_aside(target):
        pass
    assert target.exists()
