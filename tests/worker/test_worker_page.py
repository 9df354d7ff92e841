"""The messages shown in docs/worker.md are those of the worker."""

import json
from pathlib import Path

import geopandas as gpd
import pytest
import rasterio
from shapely import box
from worker_process import Worker

from geochg.writers.layers import write_features

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "worker.md").read_text(encoding="utf-8")
LEFT_OUT = "…"


def shown():
    """Each request of the page with what comes back."""
    talks = []
    for line in PAGE.splitlines():
        if line.startswith("→ "):
            talks.append((line[2:], []))
        elif line.startswith("← "):
            talks[-1][1].append(json.loads(line[2:]))
    return talks


def fits(wanted, given) -> bool:
    """Whether a message is the one shown; lists may hold more."""
    if wanted == LEFT_OUT:
        return True
    if isinstance(wanted, dict):
        return set(wanted) == set(given) and all(fits(wanted[key], given[key]) for key in wanted)
    if isinstance(wanted, list):
        return all(any(fits(each, other) for other in given) for each in wanted)
    return wanted == given


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    process = Worker(tmp_path_factory.mktemp("page"))
    yield process
    process.kill()


def write_changes(path):
    """A change layer, as the worker finds it."""
    columns = {"class": ["road"], "change": ["appeared"], "area_m2": [123.0]}
    frame = gpd.GeoDataFrame(columns, geometry=[box(0, 0, 1e-4, 1e-4)], crs=4326)
    images = {"before": "dubai_2015.tif", "after": "dubai_2018.tif"}
    sources = {name: {"path": str(ROOT / "examples" / file)} for name, file in images.items()}
    place = {"crs": "EPSG:4326", "transform": [1e-4, 0, 55.2, 0, -1e-4, 25.05]}
    metadata = {"sources": sources, "grid": {**place, "width_px": 50, "height_px": 40}}
    write_features(frame.astype({"class": "string", "change": "string"}), path, metadata)


def write_buildings(image, path):
    """A layer of one polygon in the middle of an image."""
    with rasterio.open(image) as source:
        x, y = source.lnglat()
    polygon = box(x, y, x + 0.002, y + 0.002)
    gpd.GeoDataFrame(geometry=[polygon], crs=4326).to_file(path)


@pytest.mark.parametrize(("line", "wanted"), shown(), ids=lambda value: str(value)[30:60])
def test_the_page_shows_what_happens(worker, tmp_path, line, wanted):
    names = {
        "BEFORE": ROOT / "examples" / "dubai_2015.tif",
        "AFTER": ROOT / "examples" / "dubai_2018.tif",
        "FOLDER": tmp_path,
        "MODEL": ROOT / "geochg" / "models" / "builtin",
    }
    for name, path in names.items():
        line = line.replace(f'"{name}', f'"{path.as_posix()}')
    if "changes.gpkg" in line and '"analyze"' not in line:
        write_changes(tmp_path / "changes.gpkg")
    if '"check"' in line:
        write_buildings(names["AFTER"], tmp_path / "buildings.gpkg")
    worker.write(line.encode() + b"\n")
    received = [worker.next()]
    while "id" not in received[-1]:
        received.append(worker.next())
    assert fits(wanted[-1], received[-1])
    assert all(any(fits(each, message) for message in received[:-1]) for each in wanted[:-1])


def test_every_method_is_told(worker):
    told = worker.refused("nosuch")["data"]["hint"].removeprefix("methods: ").split(", ")
    asked = {json.loads(line)["method"] for line, _ in shown()}
    assert set(told) == asked
