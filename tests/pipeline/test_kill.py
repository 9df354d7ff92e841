"""Runs killed from outside, at moments nobody chose."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pairs import planted_pair

MARKER_PLUGIN = Path(__file__).parents[1] / "models" / "marker_plugin"
SLOW = ["--model-option", "delay_s=0.03", "--batch-size", "1"]


@pytest.fixture
def command(make_raster):
    """The command line of a run that takes a while, without its output."""
    before, after = planted_pair()
    pair = [str(make_raster("before.tif", before)), str(make_raster("after.tif", after))]
    return [
        sys.executable, "-m", "geochg_cli", "analyze", *pair, "--model", "marker", *SLOW,
        "--tile-size", "64", "--overlap", "16", "--align", "off",
    ]  # fmt: skip


def start(command, output: Path, *extra: str) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(MARKER_PLUGIN)}
    return subprocess.Popen(
        [*command, "-o", str(output), "--heatmap", str(output.with_suffix(".tif")), *extra],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for_journal(output: Path, tiles_s: float) -> None:
    journal = output.with_name(output.name + ".journal-wal")
    deadline = time.monotonic() + 60
    while not (journal.exists() and journal.stat().st_size > 0):
        assert time.monotonic() < deadline, "the run never began"
        time.sleep(0.01)
    time.sleep(tiles_s)


def outcome(output: Path) -> tuple[bytes, bytes]:
    return output.read_bytes(), output.with_suffix(".tif").read_bytes()


def unbroken(command, folder: Path) -> tuple[bytes, bytes]:
    output = folder / "whole.geojson"
    process = start(command, output)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return outcome(output)


@pytest.mark.parametrize(
    "extra", [[], ["--vote", "--refine", "1", "--model-option", "location=grid"]]
)
def test_three_kills_and_a_resume_give_the_bytes_of_an_unbroken_run(command, tmp_path, extra):
    if "--vote" in extra:
        overlap = command.index("--overlap")
        command = [*command[:overlap], *command[overlap + 2 :], *extra]
    whole = unbroken(command, tmp_path)
    output = tmp_path / "killed.geojson"
    for tiles_s in (0.05, 0.12, 0.21):
        process = start(command, output, "--resume")
        wait_for_journal(output, tiles_s)
        process.kill()
        process.communicate()
        assert not output.exists()
    process = start(command, output, "--resume")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert outcome(output) == whole
    assert not list(tmp_path.glob("*.journal*"))


def test_a_torn_journal_costs_at_most_its_last_tiles(command, tmp_path):
    whole = unbroken(command, tmp_path)
    output = tmp_path / "torn.geojson"
    process = start(command, output)
    wait_for_journal(output, 0.3)
    process.kill()
    process.communicate()
    log = output.with_name(output.name + ".journal-wal")
    size = log.stat().st_size
    for cut in (1, 700, size // 2, size - 10):
        folder = tmp_path / f"cut{cut}"
        folder.mkdir()
        for file in tmp_path.glob("torn.geojson.journal*"):
            shutil.copy(file, folder)
        torn = folder / log.name
        with torn.open("r+b") as file:
            file.truncate(size - cut)
        process = start(command, folder / output.name, "--resume")
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert outcome(folder / output.name) == whole


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to a child")
def test_ctrl_c_stops_at_the_next_tile_and_exits_130(command, tmp_path):
    whole = unbroken(command, tmp_path)
    output = tmp_path / "stopped.geojson"
    process = start(command, output)
    wait_for_journal(output, 0.1)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - asked < 5
    assert "--resume" in errors
    assert "Traceback" not in errors
    assert not output.exists()
    process = start(command, output, "--resume")
    process.communicate(timeout=120)
    assert outcome(output) == whole


def test_two_runs_cannot_write_one_output(command, tmp_path):
    output = tmp_path / "busy.geojson"
    first = start(command, output, "--model-option", "delay_s=0.3")
    wait_for_journal(output, 0)
    second = start(command, output, "--resume")
    _, errors = second.communicate(timeout=60)
    first.communicate(timeout=120)
    assert first.returncode == 0
    assert second.returncode == 2
    assert "another run" in errors


@pytest.mark.skipif(os.name == "nt", reason="signals are sent as POSIX does")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("writer", ["write_frames", "write_heatmap"])
def test_a_request_to_end_while_outputs_are_written_leaves_nothing_beside_them(
    command, tmp_path, name, writer
):
    # What writes the output asks the process to end, and goes on writing.
    code = (
        "import os, signal, sys, geochg_cli.main as m, geochg.pipeline.finish as p\n"
        f"write = p.{writer}\n"
        "def press(*words, **more):\n"
        f"    os.kill(os.getpid(), signal.{name}); return write(*words, **more)\n"
        f"p.{writer} = press; sys.argv[0] = 'geochg'; m.main()"
    )
    output = tmp_path / "o.gpkg"
    process = start([sys.executable, "-c", code, *command[3:]], output)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    left = {path.name for path in tmp_path.iterdir()} - {"before.tif", "after.tif"}
    assert left == {"o.gpkg.journal"}
    process = start(command, output, "--resume")
    assert process.wait(timeout=120) == 0
    assert output.is_file()
