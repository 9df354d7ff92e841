"""Tables of a layer that was reviewed and edited since."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from geochg.errors import InputError, OptionError
from geochg.features.zones import ground_areas
from geochg.pipeline.layer_tables import layer_tables, write_layer_tables
from geochg.writers.layers import write_features

GRID = {
    "crs": "EPSG:32633",
    "transform": [10, 0, 500_000, 0, -10, 5_000_000],
    "width_px": 300,
    "height_px": 200,
}


def square(x, y, side):
    return shapely.box(500_000 + x, 4_999_000 + y, 500_000 + x + side, 4_999_000 + y + side)


def reviewed_frame():
    shapes = np.array([square(200 * n, 100, 60 + n) for n in range(6)], dtype=object)
    frame = gpd.GeoDataFrame(
        {
            "id": range(1, 7),
            "class": pd.Series(["building"] * 3 + ["water"] * 3, dtype="string"),
            "change": pd.Series(["appeared"] * 6, dtype="string"),
            "before_class": pd.Series(["bare"] * 6, dtype="string"),
            "after_class": pd.Series(["building"] * 3 + ["water"] * 3, dtype="string"),
            "confidence": [0.2, 0.9, 0.9, 0.9, 0.9, 0.9],
            "review": pd.Series(
                ["rejected", "accepted", None, "accepted", None, None], dtype="string"
            ),
            "review_class": pd.Series([None, None, None, "road", None, ""], dtype="string"),
        },
        geometry=shapes,
        crs=32633,
    )
    frame["area_m2"] = ground_areas(shapes, frame.crs).round(1)
    return frame


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".fgb", ".parquet"])
def test_rejected_changes_do_not_count_and_new_classes_do(tmp_path, suffix):
    path, frame = tmp_path / f"c{suffix}", reviewed_frame()
    write_features(frame, path, {"grid": GRID})
    tables = layer_tables(str(path))
    assert (tables.features, tables.rejected) == (5, 1)
    table = tables.sums.from_to()
    by_class = table.groupby("class")[["features", "area_m2"]].sum()
    assert by_class["features"].to_dict() == {"building": 2, "road": 1, "water": 2}
    assert by_class["area_m2"]["building"] == pytest.approx(frame["area_m2"][1:3].sum(), abs=0.1)
    road = table[table["class"] == "road"].iloc[0]
    # The model took it for water, which a road is not.
    assert road["before_class"] == "bare"
    assert pd.isna(road["after_class"])
    assert tables.remarks == ()


def test_a_filter_behind_the_layer_counts(tmp_path):
    path = tmp_path / "c.gpkg"
    write_features(reviewed_frame(), path, {"grid": GRID})
    text = f'{path}|layername=changes|subset="confidence" >= 0.5 AND "class" = \'building\''
    assert layer_tables(text).features == 2
    assert layer_tables(text).rejected == 0


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson"])
def test_zones_are_held_against_the_grid_of_the_run(tmp_path, suffix):
    path, zones, frame = tmp_path / f"c{suffix}", tmp_path / "z.gpkg", reviewed_frame()
    write_features(frame, path, {"grid": GRID})
    shapes = [square(0, 0, 430), square(2000, 0, 300), square(9000, 0, 300)]
    gpd.GeoDataFrame({"name": ["a", "empty", "far"]}, geometry=shapes, crs=32633).to_file(zones)
    tables = layer_tables(str(path), str(zones))
    rows = tables.sums.rows()
    assert rows[rows["zone"] == "a"]["count"].tolist() == [2]
    # The second lies in the zone as a whole, the third with 30 of its 62 metres.
    expected = frame["area_m2"][1] + frame["area_m2"][2] * 30 / 62
    assert rows[rows["zone"] == "a"]["area_m2"].tolist() == pytest.approx([expected], rel=1e-3)
    assert rows[rows["zone"] == "empty"]["count"].tolist() == [0]
    assert "far" not in set(rows["zone"])
    assert rows["area_m2"].sum() == pytest.approx(frame["area_m2"][1:].sum(), abs=0.5)


def test_areas_of_shapes_that_were_edited_are_those_of_the_shapes(tmp_path):
    path, frame = tmp_path / "c.gpkg", reviewed_frame()
    frame.loc[1, "area_m2"] = 17.0
    frame.loc[2, "area_m2"] = np.nan
    write_features(frame, path, {"grid": GRID})
    tables = layer_tables(str(path))
    assert tables.sums.from_to()["area_m2"].sum() == pytest.approx(
        reviewed_frame()["area_m2"][1:].sum(), abs=0.2
    )
    assert tables.remarks[0].startswith("2 changes have another area")


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".parquet"])
def test_changes_without_an_area_are_told_and_are_not_rejected(tmp_path, suffix):
    path, frame = tmp_path / f"c{suffix}", reviewed_frame()
    frame.geometry = np.array([*frame.geometry[:3], None, None, shapely.Polygon()], dtype=object)
    frame.to_parquet(path) if suffix == ".parquet" else frame.to_file(path)
    tables = layer_tables(str(path))
    assert (tables.features, tables.rejected) == (2, 1)
    assert tables.remarks == ("3 changes have no area (no shape, a point or a line): left out",)


def test_changes_without_class_or_direction_are_told(tmp_path):
    path, frame = tmp_path / "c.gpkg", reviewed_frame()
    frame.loc[1, "class"] = None
    frame.loc[2, "change"] = " "
    write_features(frame, path, {"grid": GRID})
    tables = layer_tables(str(path))
    assert tables.features == tables.sums.from_to()["features"].sum() == 5
    assert tables.remarks == (
        "2 changes lack a class or a direction: summed up under an empty one",
    )


@pytest.mark.parametrize("kind", ["Int64", "float64"])
def test_classes_that_a_gis_stored_as_numbers_are_kept(tmp_path, kind):
    path, frame = tmp_path / "c.gpkg", reviewed_frame()
    frame["class"] = pd.Series([1, 1, 2, 2, 2, 3]).astype(kind)
    frame["review_class"] = pd.Series([None, None, None, 7, None, None]).astype(kind)
    frame.to_file(path)
    tables = layer_tables(str(path))
    by_class = tables.sums.from_to().groupby("class")["features"].sum()
    assert by_class.to_dict() == {"1": 1, "2": 2, "3": 1, "7": 1}
    assert tables.remarks == ()


@pytest.mark.filterwarnings("error")
def test_classes_of_mixed_kinds_are_read_without_a_word_of_gdal(tmp_path):
    path = tmp_path / "c.geojson"
    write_features(reviewed_frame(), path, {"grid": GRID})
    value = json.loads(path.read_text(encoding="utf-8"))
    for feature, name in zip(value["features"], (1, 2, "a\nb", 4, {"a": 1}, None), strict=True):
        feature["properties"].update({"class": name, "review_class": None})
    path.write_text(json.dumps(value), encoding="utf-8")
    classes = layer_tables(str(path)).sums.from_to()["class"]
    assert {"2", "a b", "4"} < set(classes.dropna())


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson"])
@pytest.mark.parametrize("with_zones", [False, True])
def test_changes_off_the_ground_of_the_run_are_told(tmp_path, suffix, with_zones):
    path, zones, frame = tmp_path / f"c{suffix}", tmp_path / "z.gpkg", reviewed_frame()
    frame.loc[1, "geometry"] = square(900_000, 0, 61)
    frame["area_m2"] = ground_areas(frame.geometry.to_numpy(), frame.crs).round(1)
    write_features(frame, path, {"grid": GRID})
    gpd.GeoDataFrame({"name": ["a"]}, geometry=[square(0, 0, 430)], crs=32633).to_file(zones)
    tables = layer_tables(str(path), str(zones) if with_zones else "")
    assert tables.remarks[0].startswith("a change lies off the ground that was analysed")
    table = tables.sums.from_to()
    assert table["features"].sum() == 5 + with_zones  # one lies in the zone with a part
    assert table["area_m2"].sum() == pytest.approx(frame["area_m2"][1:].sum(), abs=0.5)


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson"])
def test_zones_over_the_antimeridian_hold_the_changes_of_either_side(tmp_path, suffix):
    path, zones = tmp_path / f"c{suffix}", tmp_path / "z.geojson"
    grid = {"crs": "EPSG:4326", "transform": [1e-4, 0, 179.99, 0, -1e-4, -16.0]}
    shapes = [shapely.box(west, -16.002, west + 0.001, -16.001) for west in (179.992, 180.006)]
    frame = gpd.GeoDataFrame(
        {"class": ["a", "b"], "change": ["appeared"] * 2}, geometry=shapes, crs=4326
    )
    frame["area_m2"] = ground_areas(frame.geometry.to_numpy(), frame.crs).round(1)
    write_features(frame, path, {"grid": {**grid, "width_px": 200, "height_px": 100}})
    sides = [shapely.box(179.9, -16.1, 180, -15.9), shapely.box(-180, -16.1, -179.9, -15.9)]
    gpd.GeoDataFrame({"name": ["west", "east"]}, geometry=sides, crs=4326).to_file(zones)
    tables = layer_tables(str(path), str(zones))
    rows = tables.sums.rows()
    assert dict(zip(rows["zone"], rows["class"], strict=True)) == {"west": "a", "east": "b"}


def test_a_layer_that_another_program_saved_is_summed_up_too(tmp_path):
    path, zones = tmp_path / "c.gpkg", tmp_path / "z.gpkg"
    reviewed_frame().to_file(path)
    gpd.GeoDataFrame(geometry=[square(0, 0, 430)], crs=32633).to_file(zones)
    tables = layer_tables(str(path), str(zones))
    assert tables.features == 5
    assert set(tables.sums.rows()["zone"]) == {"1", ""}
    assert "does not tell what ground" in tables.remarks[0]


def test_what_is_no_layer_of_changes_is_refused(tmp_path):
    other = tmp_path / "other.gpkg"
    gpd.GeoDataFrame({"name": ["x"]}, geometry=[square(0, 0, 9)], crs=32633).to_file(other)
    with pytest.raises(InputError, match="no field 'class'"):
        layer_tables(str(other))
    with pytest.raises(InputError, match="gone"):
        layer_tables(str(tmp_path / "gone.gpkg"))
    path = tmp_path / "c.gpkg"
    write_features(reviewed_frame(), path, {"grid": GRID})
    with pytest.raises(OptionError, match="needs zones"):
        layer_tables(str(path), zone_name="x")
    tables = layer_tables(str(path))
    with pytest.raises(OptionError, match="needs zones"):
        write_layer_tables(tables, str(path), zones_table=tmp_path / "z.csv")
    with pytest.raises(OptionError, match="known suffixes"):
        write_layer_tables(tables, str(path), table=path)
    (tmp_path / "mine.csv").write_text("a,b\n")
    with pytest.raises(InputError, match="did not write it"):
        write_layer_tables(tables, str(path), table=tmp_path / "mine.csv")
    write_layer_tables(tables, str(path), table=tmp_path / "mine.csv", overwrite=True)
    assert (tmp_path / "mine.csv").read_text().startswith("class,change,before_class")
