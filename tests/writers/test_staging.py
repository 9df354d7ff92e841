import os
import subprocess
import sys
from pathlib import Path

import pytest

from geochg.errors import InputError, OptionError, RunError
from geochg.writers.staging import Output, Staging, check_outputs

SUFFIXES = (".gpkg", ".geojson")
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def out(path):
    return Output(path, SUFFIXES)


def stage(targets, staging):
    for target in targets:
        with staging.write(target) as path:
            path.write_text("new")


def test_outputs_appear_together_at_the_commit(tmp_path):
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("old")
    with Staging() as staging:
        stage([one, other], staging)
        assert one.read_text() == "old"
        assert not other.exists()
        staging.commit()
        assert one.read_text() == other.read_text() == "new"
    assert sorted(tmp_path.iterdir()) == [one, other]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_without_a_commit_nothing_changes(tmp_path, error):
    target = tmp_path / "one.txt"
    target.write_text("old")
    with pytest.raises(error), Staging() as staging:  # noqa: PT012
        stage([target], staging)
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_rename_that_fails_takes_back_the_others(tmp_path, monkeypatch):
    targets = [tmp_path / name for name in ("old.txt", "new.txt", "locked.txt")]
    targets[0].write_text("old")
    targets[2].write_text("open elsewhere")
    replace = os.replace

    def locked(source, target):
        if Path(target).name == "locked.txt" and Path(source).read_text() == "new":
            raise PermissionError(13, "in use by another program")
        replace(source, target)

    monkeypatch.setattr(os, "replace", locked)
    with pytest.raises(RunError, match=r"locked\.txt: in use") as caught, Staging() as staging:  # noqa: PT012
        stage(targets, staging)
        staging.commit()
    assert "close it" in caught.value.hint
    assert [path.read_text() for path in (targets[0], targets[2])] == ["old", "open elsewhere"]
    assert sorted(tmp_path.iterdir()) == sorted([targets[0], targets[2]])


def test_disks_without_hard_links_copy(tmp_path, monkeypatch):
    target = tmp_path / "one.txt"
    target.write_text("old")

    def refuse(self, other):
        raise OSError(95, "not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with Staging() as staging:
        stage([target], staging)
        staging.commit()
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_stays_a_link(tmp_path):
    place, link = tmp_path / "there" / "real.txt", tmp_path / "link.txt"
    place.parent.mkdir()
    place.write_text("old")
    link.symlink_to(place)
    with Staging() as staging:
        stage([link], staging)
        staging.commit()
    assert link.is_symlink()
    assert place.read_text() == "new"


def test_a_folder_that_is_gone(tmp_path):
    with pytest.raises(RunError, match="cannot write"), Staging() as staging:
        stage([tmp_path / "gone" / "one.txt"], staging)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize("name", ["x.gpkg", "x.geojson", "x.parquet", "x.fgb"])
def test_a_real_disk_limit_leaves_nothing_behind(tmp_path, name):
    """The kernel refuses to let files grow past 1 kB, as a full disk would."""
    script = """
import resource, sys
from pathlib import Path
import geopandas, shapely
from geochg.errors import RunError
from geochg.writers.staging import Staging
from geochg.writers.layers import write_features
boxes = [shapely.box(0, 0, 1, 1)] * 500
frame = geopandas.GeoDataFrame({"id": range(500)}, geometry=boxes, crs=4326)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with Staging() as staging:
        with staging.write(Path(sys.argv[1])) as path:
            write_features(frame, path, {})
        staging.commit()
except RunError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-B", "-c", script, tmp_path / name],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"cannot write {tmp_path / name}: File too large\n")
    assert list(tmp_path.iterdir()) == []


# --- checks before the run -----------------------------------------------------------------------


def test_good_outputs_pass_and_leave_no_trace(tmp_path):
    source = tmp_path / "before.tif"
    source.touch()
    check_outputs(
        [
            out(tmp_path / "a.gpkg"),
            out(tmp_path / "b.GeoJSON"),
            Output(tmp_path / "h.tif", (".tif",)),
        ],
        [source, Path("https://example.org/after.tif")],
    )
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("name", ["x.shp", "x", "x.tif"])
def test_an_unknown_suffix_lists_the_known_ones(tmp_path, name):
    with pytest.raises(OptionError, match=r"\.gpkg, \.geojson"):
        check_outputs([out(tmp_path / name)], [])


def test_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match="does not exist") as caught:
        check_outputs([out(tmp_path / "gone" / "x.gpkg")], [])
    assert "create" in caught.value.hint


def test_a_folder_as_target(tmp_path):
    (tmp_path / "x.gpkg").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        check_outputs([out(tmp_path / "x.gpkg")], [])


def test_a_folder_that_takes_no_files(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        check_outputs([out(tmp_path / "x.gpkg")], [])


@pytest.mark.skipif(IS_ROOT or sys.platform == "win32", reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="may write to"):
            check_outputs([out(tmp_path / "x.gpkg")], [])
    finally:
        tmp_path.chmod(0o700)


def test_an_output_that_is_an_input(tmp_path, monkeypatch):
    source = tmp_path / "x.gpkg"
    source.touch()
    (tmp_path / "link.gpkg").symlink_to(source)
    (tmp_path / "hard.gpkg").hardlink_to(source)
    monkeypatch.chdir(tmp_path)
    for path in (source, Path("x.gpkg"), tmp_path / "link.gpkg", tmp_path / "hard.gpkg"):
        with pytest.raises(InputError, match="one of the inputs"):
            check_outputs([out(path)], [source])


def test_an_output_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="twice"):
        check_outputs([out(tmp_path / "x.gpkg"), out(Path("x.gpkg"))], [])
