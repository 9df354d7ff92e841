"""A server of catalogues on the loopback, in a process of its own for all tests here."""

import subprocess
import sys
from pathlib import Path

import pytest
from scene_catalog import CatalogFolder

SERVER = Path(__file__).parents[1] / "support" / "stac_server.py"


@pytest.fixture(scope="session")
def stac_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("stac")
    server = subprocess.Popen(
        [sys.executable, str(SERVER), str(root)], stdout=subprocess.PIPE, text=True
    )
    yield root, int(server.stdout.readline())
    server.kill()
    server.wait()


@pytest.fixture
def catalog(stac_root, request, monkeypatch, tmp_path):
    """An empty catalogue; the settings of whoever runs the tests count for nothing."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "settings"))
    monkeypatch.setenv("HOME", str(tmp_path))
    root, port = stac_root
    return CatalogFolder(root, f"case{len(list(root.iterdir()))}", port)
