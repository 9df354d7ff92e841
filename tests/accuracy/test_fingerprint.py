"""The changes of a sample known again in any format, and any real edit of them noticed."""

import base64
import json
import zlib

import geopandas as gpd
import numpy as np
import pytest
import shapely
from odc.geo.geobox import GeoBox

from geochg.accuracy.fingerprint import are_same_outlines, kinds_checksum, packed_outlines
from geochg.accuracy.strata import Strata
from geochg.pipeline.reviewed_layer import read_changes
from geochg.writers.layers import write_features

SIDE = 100
"""Features of a row: 10,000 in all."""

GRIDS = {
    "projected": GeoBox.from_bbox(
        (500_000, 5_200_000, 505_000, 5_205_000), "EPSG:32633", resolution=1
    ),
    "polar": GeoBox.from_bbox((300_000, 2_500, 305_000, 7_500), "EPSG:3413", resolution=10),
    "degrees over the antimeridian": GeoBox.from_bbox(
        (179.975, -16, 180.025, -15.95), "EPSG:4326", resolution=1e-5
    ),
}
SUFFIXES = (".gpkg", ".geojson", ".fgb", ".parquet", ".shp")


def layer_of(grid, rng):
    """L-shaped outlines at odd places, three kinds; those in degrees lie on edges of rounding."""
    west, south, east, _ = grid.boundingbox.bbox
    step = (east - west) / SIDE
    corner_x, corner_y = np.meshgrid(west + step * np.arange(SIDE), south + step * np.arange(SIDE))
    corners = np.column_stack([corner_x.ravel(), corner_y.ravel()])
    corners += step * rng.uniform(0.05, 0.3, corners.shape)
    shape = np.array([[0, 0], [0.6, 0], [0.6, 0.25], [0.2, 0.25], [0.2, 0.6], [0, 0.6], [0, 0]])
    rings = corners[:, None] + step * shape * rng.uniform(0.3, 1, (len(corners), 1, 2))
    if grid.crs.geographic:
        rings = np.round(rings, 7) + 0.5e-7
    number = np.arange(len(rings)) % 3
    return gpd.GeoDataFrame(
        {
            "class": np.array(["building", "road", "bâtiment, neuf"])[number],
            "change": np.array(["appeared", "disappeared", "altered"])[number],
        },
        geometry=shapely.polygons(rings),
        crs=grid.crs.proj,
    ).astype({"class": "string", "change": "string"})


def strata_of(layer, grid):
    return Strata.of_layer(layer, grid, near_m=0)


def kept_of(layer, grid):
    """What the metadata of a sample keep."""
    strata = strata_of(layer, grid)
    return kinds_checksum(strata), packed_outlines(strata, grid)


def is_known(kept, layer, grid):
    strata = strata_of(layer, grid)
    return kept[0] == kinds_checksum(strata) and are_same_outlines(kept[1], strata, grid)


@pytest.fixture(scope="module", params=GRIDS)
def case(request):
    """A grid, a layer on it, and what a sample of that keeps."""
    grid = GRIDS[request.param]
    layer = layer_of(grid, np.random.default_rng(3))
    return grid, layer, kept_of(layer, grid)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_changes_are_known_again_in_any_format(case, tmp_path, suffix):
    grid, layer, kept = case
    path = tmp_path / f"changes{suffix}"
    if suffix == ".shp":
        layer.to_file(path, encoding="UTF-8")
    else:
        write_features(layer, path, {})
    read = read_changes(str(path))[0]
    if suffix == ".fgb":  # its index puts neighbours together
        places = {shape.wkb: row for row, shape in enumerate(read.geometry)}
        order = [places[shape.wkb] for shape in layer.geometry]
        read = read.iloc[order].reset_index(drop=True)
    assert is_known(kept, read, grid)
    # And the other way round: drawn of the file, held against the layer.
    assert is_known(kept_of(read, grid), layer, grid)


@pytest.mark.parametrize("kind", ["grown", "shaken"])
def test_changes_are_known_again_after_the_last_digit_differed(case, tmp_path, kind):
    """By 1e-7 of a degree, beside GeoJSON's rounding: outlines outwards, or each vertex anyhow."""
    grid, layer, kept = case
    path = tmp_path / "changes.geojson"
    write_features(layer, path, {})
    value = json.loads(path.read_text(encoding="utf-8"))
    rng = np.random.default_rng(1)
    for feature in value["features"]:
        parts = feature["geometry"]["coordinates"]
        for polygon in parts if feature["geometry"]["type"] == "MultiPolygon" else [parts]:
            xy = np.array(polygon[0])
            away = (
                np.sign(xy - xy.mean(axis=0)) if kind == "grown" else rng.choice([-1, 1], xy.shape)
            )
            away[-1] = away[0]
            polygon[0] = (xy + 1e-7 * away).tolist()
    path.write_text(json.dumps(value), encoding="utf-8")
    assert is_known(kept, read_changes(str(path))[0], grid)


def moved_vertex(layer, grid, vertex):
    """One vertex of one of 10,000 outlines, 30 cm away."""
    step = 0.3 / 111_000 if grid.crs.geographic else 0.3
    xy = shapely.get_coordinates(layer.geometry[4321])
    xy[vertex] += (step, step)
    return layer.assign(geometry=layer.geometry.where(layer.index != 4321, shapely.Polygon(xy)))


def relabelled(layer, column, value):
    values = layer[column].copy()
    values[4321] = value
    return layer.assign(**{column: values})


def swapped(layer, columns, first, second):
    order = np.arange(len(layer))
    order[[first, second]] = second, first
    return layer.assign(**{name: layer[name].to_numpy()[order] for name in columns})


EDITS = {
    "outer vertex": lambda layer, grid: moved_vertex(layer, grid, 1),
    "inner vertex": lambda layer, grid: moved_vertex(layer, grid, 3),
    "removed": lambda layer, grid: layer.drop(index=4321).reset_index(drop=True),
    "twice": lambda layer, grid: layer.iloc[[*range(len(layer)), 4321]].reset_index(drop=True),
    "class": lambda layer, grid: relabelled(layer, "class", "water"),
    "direction": lambda layer, grid: relabelled(layer, "change", "altered"),
    "classes swapped": lambda layer, grid: swapped(layer, ["class", "change"], 4321, 4322),
    "outlines swapped": lambda layer, grid: swapped(layer, ["geometry"], 4321, 4322),
    "moved": lambda layer, grid: layer.assign(geometry=layer.translate(grid.resolution.x, 0)),
    "another run": lambda layer, grid: layer_of(grid, np.random.default_rng(4)),
}


@pytest.mark.parametrize("edit", EDITS)
def test_real_edits_are_noticed(case, edit):
    grid, layer, kept = case
    assert is_known(kept, layer, grid)
    assert not is_known(kept, EDITS[edit](layer, grid), grid)


def test_a_large_layer_keeps_few_numbers(case, monkeypatch):
    monkeypatch.setattr("geochg.accuracy.fingerprint._MOST_ROWS", 500)
    grid, layer, _ = case
    kept = kept_of(layer, grid)
    assert len(kept[1]) < 503 * 5 * 8 * 4 / 3
    assert is_known(kept, layer, grid)
    step = 3 / 111_000 if grid.crs.geographic else 3
    moved = layer.translate(step, 0).where(layer.index == 4321, layer.geometry)
    assert not is_known(kept, layer.assign(geometry=moved), grid)


@pytest.mark.parametrize(
    "kept",
    [
        None,
        {},
        "",
        "é",
        "eJw=",
        base64.b64encode(zlib.compress(b"odd")).decode(),
        base64.b64encode(zlib.compress(bytes(400_040))).decode(),
        base64.b64encode(zlib.compress(np.full(50_000, np.nan).tobytes())).decode(),
    ],
)
def test_what_was_kept_and_edited_is_not_the_same(kept):
    grid = GRIDS["projected"]
    strata = strata_of(layer_of(grid, np.random.default_rng(3)), grid)
    assert not are_same_outlines(kept, strata, grid)


def test_a_layer_without_changes_is_known_again():
    grid = GRIDS["projected"]
    layer = layer_of(grid, np.random.default_rng(3)).iloc[:0]
    assert is_known(kept_of(layer, grid), layer, grid)
