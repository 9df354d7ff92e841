"""The tool `analyze_area`, which is there only where the network was allowed, on a local server."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mcp_client import McpClient
from scene_catalog import SIDE_PX, CatalogFolder, box_text

SERVER = Path(__file__).parents[1] / "support" / "stac_server.py"
TIMES = {"before": "2020-06", "after": "2024-06", "aoi": box_text()}
OPTIONS = 'model = "cva"\nalign = "off"\n'


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """A catalogue of a place where a square of ground became bright."""
    root = tmp_path_factory.mktemp("stac")
    process = subprocess.Popen(
        [sys.executable, str(SERVER), str(root)], stdout=subprocess.PIPE, text=True
    )
    catalog = CatalogFolder(root, "case", int(process.stdout.readline()))
    draw = np.random.default_rng(3)
    ground = draw.integers(800, 1200, (SIDE_PX, SIDE_PX))
    later = ground + draw.integers(-20, 20, ground.shape)
    later[20:40, 20:40] += 3000
    catalog.add_scene("before", "2020-06-13", ground)
    catalog.add_scene("after", "2024-06-12", later)
    catalog.save()
    yield catalog
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def area_server(catalog, tmp_path_factory):
    root = tmp_path_factory.mktemp("area")
    for name in ("data", "settings/geochg", "Library/Application Support/geochg"):
        (root / name).mkdir(parents=True)
        known = f'[catalogs.mine]\nurl = "{catalog.url}"\nabout = "mine"\n'
        (root / name / "catalogs.toml").write_text(known)
    (root / "data" / "catalogs.toml").unlink()
    (root / "options.toml").write_text(OPTIONS)
    environment = {"HOME": str(root), "XDG_CONFIG_HOME": str(root / "settings")}
    environment["APPDATA"] = environment["XDG_CONFIG_HOME"]
    client = McpClient(
        root / "log.txt",
        root / "data",
        "--options",
        root / "options.toml",
        "--allow-network",
        environment=environment,
    )
    client.folder = root / "data"
    yield client
    client.close()


def test_scenes_are_fetched_kept_and_compared(area_server, catalog):
    progress = []
    files = {"catalog": "mine", "output": "changes.geojson"}
    values = area_server.answer("analyze_area", progress, **TIMES, **files)
    assert values["features"]["count"] >= 1
    assert [scene["items"] for scene in values["scenes"]] == [["before"], ["after"]]
    assert len(list((area_server.folder / "changes_scenes").iterdir())) == 2
    numbers = [number for number, _ in progress]
    assert numbers == sorted(set(numbers))
    largest = values["largest"][0]
    assert abs(largest["lat"] - 46.05) < 0.01


def test_the_tool_says_that_it_reaches_out(area_server):
    tools = {tool.name: tool for tool in area_server.wait(area_server.client.list_tools()).tools}
    assert tools["analyze_area"].annotations.open_world_hint is True
    assert tools["analyze"].annotations.open_world_hint is False
    assert "mine" in tools["analyze_area"].input_schema["properties"]["catalog"]["enum"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"catalog": "http://127.0.0.1:9/stac"}, "no catalogue that is known"),
        ({"catalog": "/etc/passwd"}, "no catalogue that is known"),
        ({"after": "2019-06"}, "2019-06"),
        ({"after": "soon"}, "soon"),
        ({"aoi": "../area.gpkg"}, "leads upwards"),
        ({"output": "../c.gpkg"}, "leads upwards"),
        ({"allow_remote": True}, "unknown argument"),
        ({"like": "x.tif"}, "unknown argument"),
        ({"before": "2018-01"}, "2018-01"),
    ],
)
def test_bad_arguments_of_an_area_are_refused(area_server, arguments, text):
    given = {**TIMES, "catalog": "mine", "output": "never.gpkg", **arguments}
    assert text in area_server.refusal("analyze_area", **given)
    assert not (area_server.folder / "never.gpkg").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_folder_of_scenes_that_leads_out_is_refused(area_server, tmp_path):
    (area_server.folder / "linked_scenes").symlink_to(tmp_path)
    files = {"catalog": "mine", "output": "linked.gpkg"}
    assert "leads out" in area_server.refusal("analyze_area", **TIMES, **files)
    assert list(tmp_path.iterdir()) == []


def test_without_leave_there_is_no_such_tool(server):
    assert "there is no tool" in server.refusal("analyze_area", **TIMES, output="c.gpkg")
