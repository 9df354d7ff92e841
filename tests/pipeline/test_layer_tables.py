"""Tables of a layer that was reviewed and edited since."""

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
