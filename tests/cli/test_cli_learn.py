"""`geochg learn`: refusals, and the lines that tell what was learned and what it did."""

import json

import geopandas as gpd
import numpy as np
import pytest
from judged_ground import drawn_pair, is_light
from rasters import ORIGIN
from shapely import box

from geochg.writers.layer_metadata import read_metadata
from geochg.writers.layers import write_features

QUICK = ("--align", "off")


@pytest.fixture
def layer(make_raster, tmp_path, geochg):
    names = ("before.tif", "after.tif")
    pair = [make_raster(name, date) for name, date in zip(names, drawn_pair(), strict=True)]
    path = tmp_path / "changes.gpkg"
    assert geochg("analyze", *pair, *QUICK, "-o", path)[0] == 0
    return path, pair


def test_a_review_is_learned_ranked_and_heeded(layer, tmp_path, geochg):
    path, pair = layer
    frame, (_, metadata) = gpd.read_file(path), read_metadata(str(path))
    light = is_light(frame, drawn_pair()[1], ORIGIN)
    verdict = np.where(light, "accepted", "rejected").astype(object)
    verdict[:4] = None
    frame["review"] = verdict
    frame["review"] = frame["review"].astype("string")
    write_features(frame, path, metadata)
    head = tmp_path / "my-changes"
    code, out, _ = geochg("learn", path, "-o", head)
    assert code == 0
    assert out.splitlines()[0] == str(head)
    assert f"{(verdict == 'accepted').sum()} accepted" in out
    assert "precision of what it keeps: 1.00" in out or "precision of what it keeps: 0.9" in out
    assert sorted(file.name for file in head.iterdir()) == ["README.md", "card.json", "head.onnx"]

    code, out, _ = geochg("learn", path, "--rank", "--learned", head, "--json")
    assert code == 0
    assert {row["id"] for row in json.loads(out)["ranked"]} == set(frame["id"][:4])

    after = tmp_path / "next.geojson"
    code, out, _ = geochg("analyze", *pair, *QUICK, "-o", after, "--learned", head)
    assert code == 0
    facts = read_metadata(str(after))[1]["learned"]
    assert facts["rejected"] > 15
    assert f"  by what was learned: {facts['rejected']} left out, {facts['added']} added" in out
    assert str(head) not in after.read_text()


def test_too_few_verdicts_end_with_2_and_leave_nothing(tmp_path, refused):
    path = tmp_path / "changes.gpkg"
    kinds = {"class": ["water"], "change": ["appeared"]}
    frame = gpd.GeoDataFrame(kinds, geometry=[box(0, 0, 9, 9)], crs=32633)
    transform = [1, 0, 0, 0, -1, 10]
    grid = {"crs": "EPSG:32633", "transform": transform, "width_px": 10, "height_px": 10}
    write_features(frame, path, {"grid": grid})
    refused("learn", path, "-o", tmp_path / "h", names="has no verdicts")
    refused("learn", tmp_path / "gone.gpkg", "-o", tmp_path / "h", names="is not there")
    refused("learn", path, "-o", tmp_path / "no" / "h", names="does not exist")


def test_output_or_rank_is_wanted(geochg, tmp_path):
    for arguments in (
        ("learn", "a.gpkg"),
        ("learn", "a.gpkg", "-o", tmp_path / "h", "--rank"),
        ("learn", "a.gpkg", "-o", tmp_path / "h", "--learned", tmp_path),
        ("learn", "a.gpkg", "b.gpkg", "--rank"),
    ):
        code, _, errors = geochg(*arguments)
        assert code == 2, errors
