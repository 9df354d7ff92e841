"""Pairs that batches are made of."""

from pathlib import Path

import pytest
from batch_pairs import MARKER_PLUGIN, write_pair


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
