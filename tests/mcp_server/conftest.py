"""Servers on folders with a pair, with the deterministic model of the tests."""

from pathlib import Path

import pytest
import rasterio
from mcp_client import McpClient
from pairs import planted_pair
from rasters import ORIGIN, UTM

FAST = 'model = "marker"\ntile_size_px = 64\noverlap_px = 16\nalign = "off"\n'
SLOW = FAST + "batch_size = 1\n[model_options]\ndelay_s = 0.15\n"


def _write_pair(folder: Path) -> None:
    for name, data in zip(("before.tif", "after.tif"), planted_pair(), strict=True):
        profile = {"count": 2, "height": 200, "width": 300, "dtype": "uint8"}
        with rasterio.open(
            folder / name, "w", driver="GTiff", crs=UTM, transform=ORIGIN, **profile
        ) as dataset:
            dataset.write(data)


@pytest.fixture(scope="session")
def write_pair():
    """Writes `before.tif` and `after.tif` into a folder."""
    return _write_pair


@pytest.fixture(scope="session")
def started(tmp_path_factory):
    """Starts servers, each on a folder of its own with a pair: `started(options, ...)`."""
    clients = []

    def start(options, *arguments, mode="auto"):
        root = tmp_path_factory.mktemp("mcp")
        folder = root / "data"
        folder.mkdir()
        _write_pair(folder)
        (root / "options.toml").write_text(options)
        client = McpClient(
            root / "log.txt", folder, "--options", root / "options.toml", *arguments, mode=mode
        )
        client.folder = folder
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def server(started):
    """A server for all that leave no trace but files."""
    return started(FAST)


@pytest.fixture(scope="session")
def slow_server(started):
    """A server whose runs take seconds, which may ask another; as older clients speak with it."""
    return started(SLOW, "--allow-raster", "https://host.invalid/scene.tif", mode="legacy")
