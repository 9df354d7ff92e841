"""The layers of all scenes in one, and their areas."""

import csv
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from batch_pairs import features

from geochg.batch.batch_outputs import BatchOutputs, SceneStatus, write_batch
from geochg.batch.scene_records import SCENES_FOLDER, ScenePaths, SceneRecord
from geochg.errors import InputError, RunError
from geochg.features.layer import COLUMN_TYPES
from geochg.files.sidecars import file_states
from geochg.options import CHANGES_LAYER
from geochg.writers.layers import write_features


@pytest.fixture
def folder(tmp_path):
    (tmp_path / SCENES_FOLDER).mkdir()
    return tmp_path


def scene(folder: Path, name: str, boxes, crs="EPSG:32633", classes=("building",)) -> SceneStatus:
    """A finished scene with a box for each `(x, y)`, 100 m or .001 degrees wide."""
    side = 0.001 if crs in ("EPSG:4326", "OGC:CRS84") else 100.0
    count = len(boxes)
    kinds = {key: kind for key, kind in COLUMN_TYPES.items() if key not in ("id", "step")}
    columns = {"id": pd.Series(range(1, count + 1), dtype="int64")}
    columns |= {key: pd.Series([None] * count, dtype=kind) for key, kind in kinds.items()}
    columns["class"] = pd.Series([classes[n % len(classes)] for n in range(count)], dtype="string")
    columns["change"] = pd.Series(["appeared"] * count, dtype="string")
    columns["count"] = pd.Series([n if n % 2 else None for n in range(count)], dtype="Int64")
    columns["area_m2"] = pd.Series([100.0 + n for n in range(count)], dtype="float64")
    for key in ("tiles", "cells"):
        columns[key] = pd.Series([["r0c1", "r0c2"] for _ in range(count)], dtype="object")
    shapes = [shapely.box(x, y, x + side, y + side) for x, y in boxes]
    frame = geopandas.GeoDataFrame(columns, geometry=np.array(shapes, dtype=object), crs=crs)
    layer = ScenePaths.of(folder, name).layer
    write_features(frame, layer, {"version": "0"}, layer=CHANGES_LAYER)
    record = SceneRecord(
        {}, [], file_states([layer])[0], crs, count, 0.0, {}, warnings=["w1", "w2"]
    )
    return SceneStatus(name, "done", record=record, before="/b.tif", after="/a.tif")


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_scenes_of_one_crs_keep_it_and_all_that_their_layers_say(folder):
    first = scene(folder, "a", [(500_000, 5e6), (500_500, 5e6)], classes=("water", "building"))
    empty = scene(folder, "empty", [])
    last = scene(folder, "z.1", [(600_000, 5e6)])
    failed = SceneStatus("gone", "failed", "no, really\nnot", 2)
    totals = write_batch(folder, [first, empty, last, failed])
    assert (totals.features, totals.area_m2) == (3, 301.0)
    outputs = BatchOutputs.of(folder)
    merged = features(outputs.changes)
    assert merged.crs == "EPSG:32633"
    assert list(merged["id"]) == [1, 2, 3]
    assert list(merged["scene"]) == ["a", "a", "z.1"]
    assert list(merged["id_in_scene"]) == [1, 2, 1]
    assert merged["count"].isna().tolist() == [True, False, True]
    assert merged["tiles"].tolist() == ['["r0c1", "r0c2"]'] * 3
    own = features(ScenePaths.of(folder, "a").layer)
    assert merged.geometry[:2].equals(own.geometry)
    assert merged["caption"].isna().all()
    info = pyogrio.read_info(outputs.changes, layer=CHANGES_LAYER)
    types = dict(zip(info["fields"], info["dtypes"], strict=True))
    assert (types["count"], types["area_m2"]) == ("int64", "float64")
    assert info["geometry_type"] == "Polygon"
    assert '"missing_scenes": ["gone"]' in info["layer_metadata"]["geochg"]
    areas = [tuple(row.values()) for row in rows_of(outputs.areas)]
    assert areas == [
        ("a", "", "building", "appeared", "1", "101.0"),
        ("a", "", "water", "appeared", "1", "100.0"),
        ("empty", "", "", "", "0", "0.0"),
        ("z.1", "", "building", "appeared", "1", "100.0"),
    ]
    states = rows_of(outputs.scenes)
    assert [row["status"] for row in states] == ["done", "done", "done", "failed"]
    assert states[0]["warnings"] == "w1; w2"
    assert states[3]["reason"] == "no, really not"


def test_scenes_of_several_crs_are_merged_in_longitude_and_latitude(folder):
    utm = scene(folder, "utm", [(500_000, 5e6)])
    degrees = scene(folder, "degrees", [(179.9995, 10.0), (20.0, 10.0)], "EPSG:4326")
    write_batch(folder, [utm, degrees])
    merged = features(BatchOutputs.of(folder).changes)
    assert merged.crs == "EPSG:4326"
    west, south, east, north = merged.geometry[0].bounds
    assert west == pytest.approx(15.0, abs=1e-6)
    assert (east - west) * 111_320 * np.cos(np.radians(45.15)) == pytest.approx(100, rel=0.01)
    assert 45.1 < south < north < 45.2
    # Cut at the antimeridian, not drawn around the world.
    cut = merged.geometry[1]
    assert len(cut.geoms) == 2
    assert cut.area == pytest.approx(1e-6)
    assert merged.geometry[2].area == pytest.approx(1e-6)


def test_a_batch_without_changes_has_an_empty_layer(folder):
    write_batch(folder, [scene(folder, "a", []), scene(folder, "b", [])])
    merged = features(BatchOutputs.of(folder).changes)
    assert len(merged) == 0
    assert {"scene", "id_in_scene", "class"} <= set(merged)


def test_many_small_scenes_and_a_large_one_are_copied_in_parts(folder, monkeypatch):
    for module in ("merged_layer", "batch_outputs"):
        monkeypatch.setattr(f"geochg.batch.{module}.FRAME_ROWS", 7)
    sizes = [3, 0, 20, 1, 1, 1, 9]
    statuses = [
        scene(folder, f"s{n}", [(500_000 + 200 * k, 5e6 + 1e4 * n) for k in range(size)])
        for n, size in enumerate(sizes)
    ]
    assert write_batch(folder, statuses).features == sum(sizes)
    merged = features(BatchOutputs.of(folder).changes)
    assert list(merged["id"]) == list(range(1, sum(sizes) + 1))
    assert merged.groupby("scene").size().to_dict() == {
        f"s{n}": size for n, size in enumerate(sizes) if size
    }
    assert merged.geometry.to_wkb().nunique() == sum(sizes)
    counts = [(row["scene"], row["count"]) for row in rows_of(BatchOutputs.of(folder).areas)]
    assert counts == [(f"s{n}", str(size)) for n, size in enumerate(sizes)]


def test_nothing_is_replaced_when_a_layer_cannot_be_read(folder):
    good = scene(folder, "good", [(500_000, 5e6)])
    write_batch(folder, [good])
    outputs = BatchOutputs.of(folder)
    before = [path.read_bytes() for path in vars(outputs).values()]
    bad = scene(folder, "bad", [(500_000, 5e6)])
    ScenePaths.of(folder, "bad").layer.write_bytes(b"nothing")
    with pytest.raises(RunError, match="the scene bad"):
        write_batch(folder, [good, bad])
    assert [path.read_bytes() for path in vars(outputs).values()] == before
    assert sorted(path.name for path in folder.iterdir()) == [
        *("areas.csv", "changes.gpkg", "scenes", "scenes.csv"),
    ]


def test_without_a_finished_scene_only_the_states_are_written(folder):
    write_batch(folder, [SceneStatus("a", "failed", "no")])
    assert [path.name for path in folder.glob("*.*")] == ["scenes.csv"]


def test_tables_of_others_are_not_replaced(folder):
    (folder / "areas.csv").write_text("scene,zone,mine\n")
    with pytest.raises(InputError, match="did not write"):
        BatchOutputs.of(folder).check([], overwrite=False)
    BatchOutputs.of(folder).check([], overwrite=True)
    (folder / "areas.csv").unlink()
    write_batch(folder, [scene(folder, "a", [])])
    BatchOutputs.of(folder).check([], overwrite=False)
