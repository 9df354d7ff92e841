"""Answers that agree with the features of a change layer."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from odc.geo.geobox import GeoBox
from rasters import texture

from geochg import AnalyzeOptions, open_dialogue
from geochg.errors import InputError
from geochg.pipeline.map_features import map_view

GRID = GeoBox.from_bbox((500_000, 5_000_000, 500_100, 5_000_100), "EPSG:32633", shape=(100, 100))
EVERYWHERE = np.ones(9, bool)


@pytest.fixture
def layer(tmp_path):
    """Four squares of 10 m in the place and one beside it, as a run and a review leave them."""
    corners = [(0, 0), (20, 0), (40, 40), (60, 60), (500, 500)]
    squares = [
        shapely.box(500_000 + x, 5_000_000 + y, 500_010 + x, 5_000_010 + y) for x, y in corners
    ]
    frame = gpd.GeoDataFrame(
        {
            "class": ["building", "building", "road", "other", "building"],
            "change": ["appeared", "appeared", "appeared", "altered", "appeared"],
            "area_m2": 100.0,
            "confidence": [0.9, 0.5, 0.9, 0.9, 0.9],
            "review": [None, "accepted", "rejected", None, None],
            "review_class": [None, "water", None, None, None],
        },
        geometry=squares,
        crs="EPSG:32633",
    )
    path = tmp_path / "c.gpkg"
    frame.to_crs("EPSG:4326").to_file(path, layer="changes")
    return f"{path}|layername=changes"


def test_the_features_of_the_place_are_those_that_stand_after_the_review(layer):
    changes = map_view(layer, GRID).changes(EVERYWHERE)
    assert {(row.channel.class_name, row.pieces, round(row.area_m2)) for row in changes} == {
        ("building", 1, 100),
        ("water", 1, 100),
        ("other", 1, 100),
    }


def test_undecided_changes_stand_in_geoparquet_too(layer, tmp_path):
    frame = gpd.read_file(layer.partition("|")[0])
    path = tmp_path / "c.parquet"
    frame.astype({"review": "string", "review_class": "string"}).to_parquet(path)
    changes = map_view(str(path), GRID).changes(EVERYWHERE)
    assert {row.channel.class_name for row in changes} == {"building", "water", "other"}


def test_a_filter_of_the_layer_counts(layer):
    view = map_view(f'{layer}|subset="confidence" >= 0.8', GRID)
    assert {row.channel.class_name for row in view.changes(EVERYWHERE)} == {"building", "other"}
    assert not map_view(f'{layer}|subset="confidence" > 1', GRID).changes(EVERYWHERE)


def test_another_layer_is_refused(layer, tmp_path):
    frame = gpd.GeoDataFrame({"x": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:4326")
    path = tmp_path / "other.gpkg"
    frame.to_file(path)
    with pytest.raises(InputError, match="no field"):
        map_view(str(path), GRID)
    with pytest.raises(InputError):
        map_view(str(tmp_path / "missing.gpkg"), GRID)


def test_control_codes_of_a_layer_are_not_in_the_answer(make_raster, tmp_path):
    before, after = (make_raster(f"{seed}.tif", texture(100, 100, seed=seed)) for seed in range(2))
    dialogue = open_dialogue(before, after, AnalyzeOptions(model="cva", align="off"))
    grid = dialogue.pair.grid
    values = {"class": ["\x1b[31mhedge\x07"], "change": ["appeared"], "area_m2": [100.0]}
    frame = gpd.GeoDataFrame(values, geometry=[shapely.box(*grid.boundingbox.bbox)], crs=grid.crs)
    frame.to_file(tmp_path / "c.gpkg")
    answer = "".join(dialogue.ask("What changed?", f"{tmp_path / 'c.gpkg'}|layername=c"))
    assert "edge" in answer
    assert all(sign.isprintable() for sign in answer)
    assert dialogue.exchanges[-1].answer == answer
