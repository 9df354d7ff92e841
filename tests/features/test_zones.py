"""Zones of any polygon file, and numbers and areas of changes in them."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from pyproj import CRS, Geod, Transformer

from geochg.errors import InputError
from geochg.features.layer import ChangePeriod
from geochg.features.zone_table import ZoneTable
from geochg.features.zones import Zones, read_zones
from geochg.files.table_columns import FROM_TO_COLUMNS, ZONE_COLUMNS

UTM = 32633
CORNER = np.array((500_000, 5_000_000))
GROUND = shapely.box(500_000, 5_000_000, 504_000, 5_004_000)


def square(x, y, side):
    return shapely.box(500_000 + x, 5_000_000 + y, 500_000 + x + side, 5_000_000 + y + side)


def geod_m2(polygon, crs=UTM):
    """The area by another way than geochg's: every 10 m of the outline, one ring at a time."""
    to_degrees = Transformer.from_crs(crs, 4326, always_xy=True)
    total = 0.0
    for part in shapely.get_parts(polygon):
        dense = shapely.segmentize(part, 10)
        outer, *holes = (dense.exterior, *dense.interiors)
        rings = [
            abs(
                Geod(ellps="WGS84").polygon_area_perimeter(*to_degrees.transform(*ring.coords.xy))[
                    0
                ]
            )
            for ring in (outer, *holes)
        ]
        total += rings[0] - sum(rings[1:])
    return total


def layer(polygons, crs=UTM, **columns):
    count = len(polygons)
    values = {
        "class": ["building"] * count,
        "change": ["appeared"] * count,
        "before_class": ["bare"] * count,
        "after_class": ["building"] * count,
        "area_m2": [round(geod_m2(polygon, crs), 1) for polygon in polygons],
    }
    return gpd.GeoDataFrame({**values, **columns}, geometry=list(polygons), crs=crs)


def write_zones(path, polygons, crs=UTM, to=None, **columns):
    columns = columns or {"name": [f"z{n}" for n in range(len(polygons))]}
    frame = gpd.GeoDataFrame(columns, geometry=list(polygons), crs=crs)
    if to is not None:
        frame = frame.set_geometry(frame.geometry.segmentize(50)).to_crs(to)
    frame.to_file(path)
    return str(path)


def table_of(zones, *frames, **settings):
    table = ZoneTable(zones, **settings)
    for frame in frames:
        table.add(frame)
    return table


# --- numbers and areas ---------------------------------------------------------------------------


def test_a_change_across_a_border_counts_in_each_zone_with_its_share(tmp_path):
    halves = [square(0, 0, 1000), shapely.box(501_000, 5_000_000, 502_000, 5_001_000)]
    file = write_zones(tmp_path / "zones.gpkg", halves, to=4326)
    changes = [square(100, 100, 50), square(900, 400, 200), square(1500, 500, 20)]
    rows = table_of(read_zones(file, UTM, GROUND), layer(changes)).rows()
    assert tuple(rows.columns) == ZONE_COLUMNS
    assert rows["zone"].tolist() == ["z0", "z1"]
    assert rows["count"].tolist() == [2, 2]
    expected = [
        sum(geod_m2(shapely.intersection(change, half)) for change in changes) for half in halves
    ]
    # The zones went through a file in degrees: a border is moved by less than a millimetre.
    assert rows["area_m2"].tolist() == pytest.approx(expected, abs=0.3)


def test_what_lies_in_no_zone_has_rows_of_its_own_so_that_areas_add_up(tmp_path):
    file = write_zones(tmp_path / "zones.gpkg", [square(0, 0, 500), square(600, 0, 300)])
    rng = np.random.default_rng(3)
    places = rng.uniform(0, 1000, (300, 2))
    changes = shapely.buffer(shapely.points(places + CORNER), rng.uniform(5, 60, 300))
    frame = layer(changes, **{"class": rng.choice(["road", "building", "water"], 300)})
    table = table_of(read_zones(file, UTM, GROUND), frame.iloc[:77], frame.iloc[77:])
    for rows, number in ((table.rows(), "count"), (table.from_to(), "features")):
        assert set(rows["zone"]) == {"z0", "z1", ""}
        by_class = rows.groupby("class")["area_m2"].sum()
        layer_m2 = frame.groupby("class")["area_m2"].sum()
        assert by_class.to_dict() == pytest.approx(layer_m2.to_dict(), abs=0.2)
        assert rows[number].sum() > len(frame)
    outside = table.rows().query("zone == ''")["area_m2"].sum()
    union = shapely.union_all([square(0, 0, 500), square(600, 0, 300)])
    expected = sum(map(geod_m2, shapely.difference(changes, union)))
    assert outside == pytest.approx(expected, abs=3)


def test_zones_that_overlap_count_each_and_what_lies_in_both_is_not_outside(tmp_path):
    file = write_zones(tmp_path / "zones.gpkg", [square(0, 0, 600), square(400, 0, 600)])
    zones = read_zones(file, UTM, GROUND)
    assert zones.facts["overlapping"] == 1
    assert "'z0' and 'z1'" in " ".join(zones.remarks)
    changes = [square(450, 100, 50), square(350, 300, 300), square(950, 0, 100)]
    rows = table_of(zones, layer(changes)).rows()
    assert rows["count"].tolist() == [2, 3, 1]
    outside = geod_m2(square(950, 0, 100)) - geod_m2(
        shapely.box(500_950, 5_000_000, 501_000, 5_000_100)
    )
    assert rows["area_m2"].tolist()[2] == pytest.approx(outside, abs=0.2)
    assert rows["area_m2"].tolist()[0] == pytest.approx(
        geod_m2(changes[0]) + geod_m2(shapely.intersection(changes[1], square(0, 0, 600))), abs=0.2
    )


def test_zones_without_a_change_are_rows_of_none(tmp_path):
    file = write_zones(tmp_path / "zones.gpkg", [square(0, 0, 100), square(200, 0, 100)])
    zones = read_zones(file, UTM, GROUND)
    rows = table_of(zones, layer([square(10, 10, 10)])).rows()
    assert rows["zone"].tolist() == ["z0", "z1"]
    assert rows["count"].tolist() == [1, 0]
    assert rows["area_m2"].tolist()[1] == 0
    assert pd.isna(rows["class"][1])
    empty = table_of(zones, layer([])).rows()
    assert empty["count"].tolist() == [0, 0]
    assert table_of(zones, layer([])).from_to().empty


def test_neighbours_that_only_touch_a_change_do_not_count_it(tmp_path):
    file = write_zones(tmp_path / "zones.gpkg", [square(0, 0, 100), square(100, 0, 100)])
    rows = table_of(read_zones(file, UTM, GROUND), layer([square(80, 10, 20)])).rows()
    assert rows["count"].tolist() == [1, 0]


def test_from_to_sums_by_land_cover_of_both_dates_as_the_layer_says():
    changes = [square(100 * n, 0, 30 + n) for n in range(6)]
    frame = layer(
        changes,
        **{
            "class": ["building"] * 4 + ["vegetation"] * 2,
            "change": ["appeared"] * 4 + ["disappeared"] * 2,
            "before_class": ["bare", "bare", "woody", None, "woody", "woody"],
            "after_class": ["building"] * 4 + ["bare", "water"],
        },
    )
    table = table_of(None, frame).from_to()
    assert tuple(table.columns) == FROM_TO_COLUMNS
    assert table["features"].tolist() == [1, 2, 1, 1, 1]
    assert table["before_class"].fillna("?").tolist() == ["?", "bare", "woody", "woody", "woody"]
    assert table["area_m2"].sum() == pytest.approx(frame["area_m2"].sum(), abs=1e-6)
    assert table["area_m2"][1] == pytest.approx(frame["area_m2"][:2].sum(), abs=1e-6)
    assert set(table["zone"]) == {""}


def test_of_a_series_each_period_is_summed_apart(tmp_path):
    file = write_zones(tmp_path / "zones.gpkg", [square(0, 0, 100), square(200, 0, 100)])
    frame = layer(
        [square(10, 10, 10), square(10, 10, 20)],
        step=pd.array([1, None], "Int64"),
        from_date=["2019", "2019"],
        to_date=["2020", "2021"],
    )
    periods = [ChangePeriod("2019", "2020", 1), ChangePeriod("2020", "2021", 2)]
    periods.append(ChangePeriod("2019", "2021"))
    rows = table_of(read_zones(file, UTM, GROUND), frame, periods=periods).rows()
    assert rows["step"].fillna(0).tolist() == [1, 1, 2, 2, 0, 0]
    assert rows["to_date"].tolist() == ["2020", "2020", "2021", "2021", "2021", "2021"]
    assert rows["count"].tolist() == [1, 0, 0, 0, 1, 0]


def test_totals_are_of_the_whole_time_largest_first_and_last_outside(tmp_path):
    file = write_zones(tmp_path / "zones.gpkg", [square(x, 0, 100) for x in (0, 200, 400)])
    shapes = [square(10, 10, 10), square(10, 10, 20), square(210, 10, 30), square(600, 0, 90)]
    frame = layer(
        [*shapes, shapes[2]],
        step=pd.array([1, None, None, None, None], "Int64"),
        **{"class": ["building", "building", "building", "building", "water"]},
        from_date=["2019"] * 5,
        to_date=["2020", *["2021"] * 4],
    )
    periods = [ChangePeriod("2019", "2020", 1), ChangePeriod("2019", "2021")]
    totals = table_of(read_zones(file, UTM, GROUND), frame, periods=periods).totals()
    assert [total[:2] for total in totals] == [("z1", 2), ("z0", 1), ("z2", 0), ("", 1)]
    areas_m2 = [total.area_m2 for total in totals]
    assert areas_m2 == pytest.approx([1800, 400, 0, 8100], rel=0.01)


# --- places --------------------------------------------------------------------------------------


def test_a_zone_of_half_the_globe_is_cut_before_it_is_projected(tmp_path):
    file = write_zones(
        tmp_path / "zones.gpkg", [shapely.box(-170, -80, 15.01, 89)], crs=4326, id=[7]
    )
    zones = read_zones(file, UTM, GROUND)
    assert zones.names == ("7",)
    border = Transformer.from_crs(4326, UTM, always_xy=True).transform(15.01, 45.16)[0]
    change = shapely.box(border - 30, 5_000_100, border + 30, 5_000_130)
    rows = table_of(zones, layer([change])).rows()
    assert rows["zone"].tolist() == ["7", ""]
    assert rows["area_m2"].tolist() == pytest.approx([900, 900], abs=20)


@pytest.mark.parametrize("crs", [32701, 4326, 3832])
def test_zones_on_both_sides_of_the_antimeridian(tmp_path, crs):
    sides = [shapely.box(179.9, -17, 180, -16.9), shapely.box(-180, -17, -179.9, -16.9)]
    file = write_zones(tmp_path / "zones.gpkg", sides, crs=4326)
    degrees = shapely.segmentize(shapely.box(179.95, -16.97, 180.02, -16.95), 0.001)
    if crs == 4326:
        change, bounds = degrees, shapely.box(179.8, -17.1, 180.2, -16.8)
    else:
        to_crs = Transformer.from_crs(4326, crs, always_xy=True)
        change = shapely.transform(degrees, to_crs.transform, interleaved=False)
        bounds = change.buffer(5000).envelope
    zones = read_zones(file, crs, bounds)
    frame = layer([change], crs=crs, area_m2=[100.0])
    rows = table_of(zones, frame).rows()
    assert rows["zone"].tolist() == ["z0", "z1"]
    assert rows["area_m2"].tolist() == pytest.approx([100 * 5 / 7, 100 * 2 / 7], abs=0.3)


def test_zones_around_a_pole(tmp_path):
    quarters = [shapely.box(lon, 80, lon + 90, 90) for lon in (-180, -90, 0, 90)]
    file = write_zones(tmp_path / "zones.gpkg", quarters, crs=4326)
    ground = shapely.box(-200_000, -200_000, 200_000, 200_000)
    zones = read_zones(file, 3413, ground)
    frame = layer([shapely.box(-1000, -1000, 1000, 1000)], crs=3413, area_m2=[4e6])
    rows = table_of(zones, frame).rows()
    assert rows["count"].tolist() == [1, 1, 1, 1]
    assert rows["area_m2"].tolist() == pytest.approx([1e6] * 4, rel=1e-3)


def test_zones_off_the_ground_are_left_out_and_those_half_on_it_are_told(tmp_path):
    file = write_zones(
        tmp_path / "zones.gpkg", [square(0, 0, 100), square(-100, 0, 200), square(9000, 0, 100)]
    )
    zones = read_zones(file, UTM, GROUND)
    assert zones.names == ("z0", "z1")
    assert zones.facts["zones"] == 3
    assert (zones.facts["outside"], zones.facts["partly"]) == (1, 1)
    assert sum("off the ground" in remark for remark in zones.remarks) == 1
    assert sum("only in part" in remark for remark in zones.remarks) == 1


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "wanted", "names"),
    [
        ({"Name": ["a", "b"], "id": [1, 2]}, "", ("a", "b")),
        ({"name": ["a", "a"], "id": [1, 2]}, "", ("1", "2")),
        ({"name": ["a", None], "ID": [1.0, 2.0]}, "", ("1", "2")),
        ({"parcel": ["x", "y"]}, "", ("1", "2")),
        ({"parcel": ["x", "y"]}, "parcel", ("x", "y")),
        ({"parcel": ["x", "y"]}, "PARCEL", ("x", "y")),
    ],
)
def test_the_names_of_zones(tmp_path, columns, wanted, names):
    pair = [square(0, 0, 100), square(100, 0, 100)]
    file = write_zones(tmp_path / "zones.gpkg", pair, **columns)
    zones = read_zones(file, UTM, GROUND, wanted)
    assert zones.names == names


def test_names_that_do_not_tell_zones_apart_are_passed_over_and_told(tmp_path):
    pair = [square(0, 0, 100), square(100, 0, 100)]
    file = write_zones(tmp_path / "zones.gpkg", pair, name=["a", "a"])
    zones = read_zones(file, UTM, GROUND)
    assert zones.names == ("1", "2")
    assert "'name' does not tell the zones apart" in zones.remarks[0]


def test_numbers_are_those_of_the_file_where_a_shape_is_left_out(tmp_path):
    shapes = [shapely.LineString([(500_000, 5_000_000), (500_100, 5_000_000)]), square(0, 0, 9)]
    file = write_zones(tmp_path / "zones.geojson", shapes, to=4326, x=[1, 2])
    zones = read_zones(file, UTM, GROUND)
    assert zones.names == ("2",)
    assert "1 line is left out" in " ".join(zones.remarks)


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "wanted", "message"),
    [
        ({"name": ["a", "a"]}, "name", "2 zones of .* are called 'a' in column 'name'"),
        ({"name": ["a", ""]}, "name", "a zone of .* has no name in column 'name'"),
        ({"name": [None, None]}, "name", "2 zones of .* have no name in column"),
        ({"name": ["a", "b"]}, "parcel", "no column 'parcel'"),
    ],
)
def test_names_that_tell_no_zone_are_refused(tmp_path, columns, wanted, message):
    pair = [square(0, 0, 100), square(100, 0, 100)]
    file = write_zones(tmp_path / "zones.gpkg", pair, **columns)
    with pytest.raises(InputError, match=message):
        read_zones(file, UTM, GROUND, wanted)


def test_a_file_of_lines_without_crs_of_another_place_or_none_is_refused(tmp_path):
    line = shapely.LineString([(500_000, 5_000_000), (500_100, 5_000_000)])
    with pytest.raises(InputError, match="no polygon"):
        read_zones(write_zones(tmp_path / "lines.gpkg", [line]), UTM, GROUND)
    with pytest.raises(InputError, match="no coordinate reference system"):
        read_zones(write_zones(tmp_path / "no.gpkg", [square(0, 0, 9)], crs=None), UTM, GROUND)
    with pytest.raises(InputError, match="none of the 1 zones"):
        read_zones(write_zones(tmp_path / "far.gpkg", [square(90_000, 0, 9)]), UTM, GROUND)
    with pytest.raises(InputError, match="no file that is there"):
        read_zones(str(tmp_path / "gone.gpkg"), UTM, GROUND)
    with pytest.raises(InputError, match="beyond longitude and latitude"):
        read_zones(write_zones(tmp_path / "m.gpkg", [square(0, 0, 9)], crs=4326), UTM, GROUND)


def test_a_zone_that_crosses_itself_is_mended(tmp_path):
    bow = shapely.Polygon([(0, 0), (100, 100), (100, 0), (0, 100)])
    moved = shapely.transform(bow, lambda xy: xy + CORNER)
    zones = read_zones(write_zones(tmp_path / "bow.gpkg", [moved]), UTM, GROUND)
    assert shapely.is_valid(zones.polygons[0])
    assert shapely.area(zones.polygons[0]) == pytest.approx(5000)


def test_the_checksum_is_of_what_is_in_the_file(tmp_path):
    first = read_zones(write_zones(tmp_path / "a.geojson", [square(0, 0, 9)]), UTM, GROUND)
    second = read_zones(write_zones(tmp_path / "b.geojson", [square(0, 0, 8)]), UTM, GROUND)
    assert len(first.facts["sha256"]) == 64
    assert first.facts["sha256"] != second.facts["sha256"]
    assert first.facts["column"] == "name"


def test_many_zones_and_changes_are_summed_as_one_by_one():
    rng = np.random.default_rng(5)
    boxes = [square(100 * i, 100 * j, 100) for i in range(20) for j in range(20)]
    zones = Zones(tuple(map(str, range(400))), np.array(boxes, dtype=object), CRS(UTM))
    places = rng.uniform(0, 2000, (1500, 2)) + CORNER
    changes = shapely.buffer(shapely.points(places), rng.uniform(2, 40, 1500))
    frame = layer(changes, area_m2=shapely.area(changes).round(1))
    rows = table_of(zones, frame).rows().set_index("zone")
    scale = shapely.area(changes)
    for number in rng.choice(400, 25, replace=False).tolist():
        cut = shapely.area(shapely.intersection(changes, boxes[number]))
        part_m2 = (cut / scale * frame["area_m2"].to_numpy())[cut > 0]
        assert rows.loc[str(number), "count"] == np.count_nonzero(cut > 1e-6 * scale)
        assert rows.loc[str(number), "area_m2"] == pytest.approx(part_m2.sum(), abs=0.2, rel=1e-4)
