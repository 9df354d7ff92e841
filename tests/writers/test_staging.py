import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from geochg.errors import InputError, RunError
from geochg.writers.staging import MARK, Staging

HAS_MODES = sys.platform != "win32"


def stage(targets, staging):
    for target in targets:
        with staging.write(target) as path:
            path.write_text("new")


def test_outputs_appear_together_at_the_commit(tmp_path):
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("old")
    with Staging(overwrite=True) as staging:
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
    with pytest.raises(error), Staging(overwrite=True) as staging:  # noqa: PT012
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
    with Staging(overwrite=True) as staging:
        stage(targets, staging)
        with pytest.raises(RunError, match=r"locked\.txt: in use") as caught:
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
    with Staging(overwrite=True) as staging:
        stage([target], staging)
        staging.commit()
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_stays_a_link(tmp_path):
    place, link = tmp_path / "there" / "real.txt", tmp_path / "link.txt"
    place.parent.mkdir()
    place.write_text("old")
    link.symlink_to(place)
    with Staging(overwrite=True) as staging:
        stage([link], staging)
        staging.commit()
    assert link.is_symlink()
    assert place.read_text() == "new"


def test_a_folder_that_is_gone(tmp_path):
    with pytest.raises(RunError, match="cannot write"), Staging(overwrite=True) as staging:
        stage([tmp_path / "gone" / "one.txt"], staging)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize(
    ("name", "limit_bytes", "reason"),
    [
        *(
            (f"x.{suffix}", 1000, "File too large")
            for suffix in ("gpkg", "geojson", "parquet", "fgb")
        ),
        ("x.gpkg", 400_000, "disk I/O error"),
        ("x.geojson", 120_000, "File too large"),
    ],
)
def test_a_real_disk_limit_leaves_nothing_behind(tmp_path, name, limit_bytes, reason):
    """The kernel refuses to let files grow, as a full disk would: at once, or at further parts."""
    script = """
import resource, sys
from pathlib import Path
import geopandas, shapely
from geochg.errors import RunError
from geochg.writers.staging import Staging
from geochg.writers.layers import write_frames
boxes = [shapely.box(0, 0, 1, 1)] * 500
frame = geopandas.GeoDataFrame({"id": range(500)}, geometry=boxes, crs=4326)
resource.setrlimit(resource.RLIMIT_FSIZE, [int(sys.argv[2])] * 2)
try:
    with Staging() as staging:
        with staging.write(Path(sys.argv[1])) as path:
            write_frames([frame] * 9, path, {})
        staging.commit()
except RunError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-B", "-c", script, tmp_path / name, str(limit_bytes)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"cannot write {tmp_path / name}: {reason}\n")
    assert list(tmp_path.iterdir()) == []


# --- what is there already -----------------------------------------------------------------------


def test_a_users_own_file_that_came_up_meanwhile_is_kept(tmp_path):
    target = tmp_path / "notes.md"
    with pytest.raises(InputError, match="geochg did not write it"), Staging() as staging:  # noqa: PT012
        stage([target], staging)
        target.write_text("# Mine\n")
        staging.commit()
    assert target.read_text() == "# Mine\n"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", [".geochg-one.txt", ".geochg-{code}", ".geochg-"])
def test_a_users_own_hidden_folder_is_kept(tmp_path, name):
    target = tmp_path / "one.txt"
    code = zlib.crc32(b"one.txt")
    own = tmp_path / name.format(code=f"{code:08x}") / "thesis.txt"
    own.parent.mkdir()
    own.write_text("the only copy")
    with Staging() as staging:
        stage([target], staging)
        staging.commit()
    assert own.read_text() == "the only copy"
    assert sorted(tmp_path.iterdir()) == sorted([own.parent, target])


def test_what_a_killed_run_left_is_cleared(tmp_path):
    left = tmp_path / f".geochg-{zlib.crc32(b'one.txt'):08x}"
    left.mkdir()
    (left / MARK).touch()
    (left / "one.txt").write_text("half")
    with Staging() as staging:
        stage([tmp_path / "one.txt"], staging)
        staging.commit()
    assert list(tmp_path.iterdir()) == [tmp_path / "one.txt"]


def test_a_name_as_long_as_a_name_may_be(tmp_path):
    target = tmp_path / ("n" * 251 + ".txt")
    with Staging() as staging:
        stage([target], staging)
        staging.commit()
    assert target.read_text() == "new"


@pytest.mark.skipif(not HAS_MODES, reason="Windows knows no modes")
@pytest.mark.parametrize("mode", [0o600, 0o664, 0o777])
def test_permissions_stay(tmp_path, mode):
    target = tmp_path / "one.txt"
    target.write_text("old")
    target.chmod(mode)
    with Staging(overwrite=True) as staging:
        stage([target], staging)
        staging.commit()
    assert target.stat().st_mode & 0o777 == mode


@pytest.mark.skipif(not hasattr(os, "chown") or os.geteuid() != 0, reason="only root gives away")
def test_the_owner_stays(tmp_path):
    target = tmp_path / "one.txt"
    target.write_text("old")
    os.chown(target, 1234, 4321)
    with Staging(overwrite=True) as staging:
        stage([target], staging)
        staging.commit()
    assert (target.stat().st_uid, target.stat().st_gid) == (1234, 4321)


@pytest.mark.parametrize("suffix", [".aux.xml", ".msk", ".ovr"])
def test_what_belonged_to_the_former_raster_goes_with_it(tmp_path, suffix):
    target = tmp_path / "heat.tif"
    target.write_text("old")
    (tmp_path / f"heat.tif{suffix}").write_text("of the old")
    with Staging(overwrite=True) as staging:
        stage([target], staging)
        staging.commit()
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(("name", "place"), [("o.geojson", "data.bin"), ("o.txt", "no_suffix")])
def test_a_link_of_another_suffix_is_written_by_its_own(tmp_path, name, place):
    (tmp_path / name).symlink_to(tmp_path / place)
    with Staging() as staging:
        with staging.write(tmp_path / name) as path:
            assert path.name == name
            path.write_text("new")
        staging.commit()
    assert (tmp_path / place).read_text() == "new"
    assert (tmp_path / name).is_symlink()
