"""Pairs that batches are made of."""

import subprocess
from pathlib import Path

import pytest
from batch_pairs import MARKER_PLUGIN, SLOW, environment, geochg, write_list, write_pair

from geochg.options import AnalyzeOptions


@pytest.fixture(scope="session")
def pairs_folder(tmp_path_factory) -> Path:
    """A folder with four pairs, and one of another UTM zone, number 4."""
    folder = tmp_path_factory.mktemp("pairs")
    for number in range(4):
        write_pair(folder, number)
    write_pair(folder, 4, "EPSG:32634")
    return folder


@pytest.fixture
def marker(monkeypatch):
    """The model `marker`, here and in the processes that are started."""
    monkeypatch.syspath_prepend(MARKER_PLUGIN)
    monkeypatch.setenv("PYTHONPATH", str(MARKER_PLUGIN))


@pytest.fixture(scope="session")
def whole(tmp_path_factory, pairs_folder) -> Path:
    """The batch of `pairs.csv`, pairs 0 to 3, with `options.toml`, in one go on two processes."""
    out = tmp_path_factory.mktemp("whole") / "out"
    listed = write_list(pairs_folder / "pairs.csv", pairs_folder, 0, 1, 2, 3)
    options = pairs_folder / "options.toml"
    AnalyzeOptions.from_dict(SLOW).to_toml(options)
    words = ("batch", str(listed), "-o", str(out), "--jobs", "2", "--options", str(options))
    done = subprocess.run(geochg(*words), env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "4 of 4 scenes are finished: 12 changes" in done.stdout
    return out
