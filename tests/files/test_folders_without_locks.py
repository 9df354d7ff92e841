"""Folders on a network that know no file locks."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas
import pytest
import shapely
from pairs import planted_pair

from geochg.errors import InputError
from geochg.geometry.vector_file import read_areas

SOURCE = Path(__file__).parents[1] / "support" / "lockless.c"
NUMBERS = [errno.ENOLCK, errno.EACCES, errno.EIO]

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("cc") is None,
    reason="a share without locks is made by a C compiler on Linux",
)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    made = tmp_path_factory.mktemp("lockless") / "lockless.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", made, SOURCE, "-ldl"], check=True)
    return made


@pytest.fixture(params=NUMBERS, ids=[errno.errorcode[number] for number in NUMBERS])
def on_share(request, library, tmp_path):
    """Runs Python's words where locks in the folder `share` fail."""
    share = tmp_path / "share"
    share.mkdir()
    known = {"LD_PRELOAD": str(library), "LOCKLESS": str(share), "LOCK_ERRNO": str(request.param)}

    def run(*words):
        return subprocess.run(
            [sys.executable, *map(str, words)],
            env={**os.environ, **known},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run, share


@pytest.fixture
def pair(make_raster):
    return [
        make_raster(name, values)
        for name, values in zip(("a.tif", "b.tif"), planted_pair(), strict=True)
    ]


KILLED = """
import os, sys
from pathlib import Path
from geochg.files.sqlite import open_database
database = open_database(Path(sys.argv[1]), "rwc", locks=False)
database.execute("PRAGMA journal_mode = TRUNCATE")
database.execute("PRAGMA cache_size = 1")
database.execute("CREATE TABLE kept (number INTEGER)")
database.execute("INSERT INTO kept VALUES (7)")
database.execute("BEGIN")
database.execute("CREATE TABLE lost (text TEXT)")
database.executemany("INSERT INTO lost VALUES (?)", [("x" * 2000,) for _ in range(50)])
os._exit(0)
"""
OPENED = """
import sys
from pathlib import Path
from geochg.files.sqlite import open_database
database = open_database(Path(sys.argv[1]), locks=False)
print(database.execute("SELECT * FROM kept").fetchall())
print(database.execute("SELECT name FROM sqlite_master").fetchall())
"""


def test_what_a_killed_run_left_is_gone_on_with(on_share):
    run, share = on_share
    assert run("-c", KILLED, share / "journal").returncode == 0
    assert (share / "journal-journal").stat().st_size > 0
    done = run("-c", OPENED, share / "journal")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[(7,)]", "[('kept',)]"]


def test_an_area_is_read(on_share, pair, tmp_path):
    run, share = on_share
    area = geopandas.read_file(_bounds(pair[0], share / "area.gpkg"))
    assert len(area) == 1
    words = ("-m", "geochg_cli", "analyze", *pair, "--model", "cva", "--align", "off")
    for name in ("area.gpkg", "area.gpkg|layername=area"):
        output = tmp_path / f"{len(name)}.geojson"
        done = run(*words, "--aoi", f"{share}/{name}", "-o", output)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
    assert sorted(path.name for path in share.iterdir()) == ["area.gpkg"]


def _bounds(raster, path):
    import rasterio

    with rasterio.open(raster) as opened:
        frame = geopandas.GeoDataFrame(geometry=[shapely.box(*opened.bounds)], crs=opened.crs)
    frame.to_file(path, layer="area")
    return path


def test_an_area_that_another_program_is_writing_is_told(pair, tmp_path):
    path = _bounds(pair[0], tmp_path / "area.gpkg")
    code = (
        "import sqlite3, sys; database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "database.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, path]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline().strip() == b"locked"
        with pytest.raises(InputError, match="cannot be locked") as caught:
            read_areas(str(path))
        other.stdin.close()
    assert "copy the file" in caught.value.hint
