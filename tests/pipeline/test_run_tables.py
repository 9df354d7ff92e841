"""Tables of a run: they agree with the layer, by zone and by land cover, and are written whole."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from drawn_steps import DAYS, drawn_series
from pairs import planted_pair
from pyproj import Geod
from rasters import ORIGIN

import geochg
from geochg.errors import InputError, OptionError
from geochg.events import Notice
from geochg.pipeline.outputs import Outputs

pytestmark = pytest.mark.usefixtures("marker_plugin")


def options(**changes):
    settings = {"model": "marker", "tile_size_px": 64, "overlap_px": 16, "align": "off"}
    return geochg.AnalyzeOptions.from_dict(settings | changes)


@pytest.fixture
def pair(make_raster):
    before, after = planted_pair()
    return make_raster("before.tif", before), make_raster("after.tif", after)


def window(rows, cols):
    """A range of rows and columns on the ground."""
    (left, top), (right, bottom) = ORIGIN * (cols[0], rows[0]), ORIGIN * (cols[1], rows[1])
    return shapely.box(left, bottom, right, top)


@pytest.fixture
def zones(tmp_path):
    """West, east and south of the planted pair, whose east is left to no zone."""
    shapes = [window((0, 100), (0, 150)), window((0, 100), (150, 220)), window((100, 200), (0, 90))]
    frame = gpd.GeoDataFrame({"name": ["west", "east", "south"]}, geometry=shapes, crs=32633)
    frame.set_geometry(frame.geometry.segmentize(100)).to_crs(4326).to_file(tmp_path / "z.gpkg")
    return frame


def geod_m2(shape):
    degrees = gpd.GeoSeries([shape], crs=32633).segmentize(10).to_crs(4326)[0]
    return abs(Geod(ellps="WGS84").geometry_area_perimeter(shapely.orient_polygons(degrees))[0])


def run(pair, tmp_path, listener=lambda event: None, **changes):
    outputs = Outputs(
        tmp_path / "c.gpkg", table=tmp_path / "t.csv", zones_table=tmp_path / "zones.csv"
    )
    settings = options(zones=str(tmp_path / "z.gpkg"), **changes)
    return geochg.analyze(*pair, settings, outputs=outputs, listener=listener)


def test_the_tables_of_a_run_agree_with_its_layer_and_with_areas_computed_apart(
    pair, zones, tmp_path
):
    result = run(pair, tmp_path)
    layer = gpd.read_file(tmp_path / "c.gpkg")
    by_zone = pd.read_csv(tmp_path / "zones.csv", keep_default_na=False)
    from_to = pd.read_csv(tmp_path / "t.csv", keep_default_na=False)
    assert list(by_zone) == ["zone", "class", "change", "count", "area_m2"]
    assert list(from_to) == [
        *("class", "change", "before_class", "after_class", "zone", "features", "area_m2"),
    ]  # fmt: skip
    kinds = ["class", "change"]
    layer_m2 = layer.groupby(kinds)["area_m2"].sum().to_dict()
    for table in (by_zone[by_zone["class"] != ""], from_to):
        assert table.groupby(kinds)["area_m2"].sum().to_dict() == pytest.approx(layer_m2, abs=0.3)
    for name, shape in zip(zones["name"], zones.geometry, strict=True):
        pieces = layer.geometry.intersection(shape)
        expected = sum(geod_m2(piece) for piece in pieces if piece.area > 0)
        # A change across a border counts in both; ten metres of border moved by a millimetre.
        assert by_zone[by_zone["zone"] == name]["area_m2"].sum() == pytest.approx(expected, abs=1)
        assert by_zone[by_zone["zone"] == name]["count"].sum() == int((pieces.area > 1).sum())
    facts = json.loads(json.dumps(result.metadata))["zones"]
    assert facts["file"].endswith("z.gpkg")
    assert len(facts["sha256"]) == 64
    assert (facts["column"], facts["zones"], facts["outside"]) == ("name", 3, 0)
    pd.testing.assert_frame_equal(
        result.sums.rows().astype(object).fillna("").astype(str), by_zone.astype(str)
    )


def test_without_zones_the_table_sums_to_the_digit_what_the_layer_says(pair, tmp_path):
    outputs = Outputs(tmp_path / "c.gpkg", table=tmp_path / "t.csv")
    result = geochg.analyze(*pair, options(), outputs=outputs)
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["features"].sum() == len(result.features)
    assert round(table["area_m2"].sum(), 1) == round(result.features["area_m2"].sum(), 1)
    assert table["zone"].isna().all()
    assert "zones" not in result.metadata


def test_the_tables_of_a_series_tell_steps_apart(make_raster, zones, tmp_path):
    images = [
        make_raster(f"scene_{day}.tif", date)
        for day, date in zip(DAYS, drawn_series(), strict=True)
    ]
    outputs = Outputs(table=tmp_path / "t.csv", zones_table=tmp_path / "zones.csv")
    settings = options(zones=str(tmp_path / "z.gpkg"))
    result = geochg.analyze_series(images, settings, outputs=outputs)
    for name in ("t.csv", "zones.csv"):
        table = pd.read_csv(tmp_path / name)
        assert list(table)[:3] == ["step", "from_date", "to_date"]
        for step, rows in table.groupby(table["step"].fillna(0)):
            features = result.features
            area_m2 = features[features["step"].fillna(0) == step]["area_m2"].sum()
            assert rows["area_m2"].sum() == pytest.approx(area_m2, abs=0.5)
    # Also where nothing changed: three zones at two steps and over the whole.
    assert len(table[["step", "zone"]].dropna(subset="zone").drop_duplicates()) == 9


def test_the_report_has_the_zones(pair, zones, tmp_path):
    outputs = Outputs(tmp_path / "c.gpkg", report=tmp_path / "r.html")
    settings = options(zones=str(tmp_path / "z.gpkg"))
    result = geochg.analyze(*pair, settings, outputs=outputs)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert set(result.sums.rows()["zone"]) == {"west", "east", "south", ""}
    for name in ("west", "east", "south"):
        assert f'<th scope="row">{name}</th>' in page


def test_the_same_run_writes_its_tables_again_and_over_nothing_else(pair, zones, tmp_path):
    run(pair, tmp_path)
    first = (tmp_path / "t.csv").read_bytes(), (tmp_path / "zones.csv").read_bytes()
    run(pair, tmp_path)
    assert ((tmp_path / "t.csv").read_bytes(), (tmp_path / "zones.csv").read_bytes()) == first
    (tmp_path / "t.csv").write_text("class,change\nmine,1\n")
    with pytest.raises(InputError, match="geochg did not write it"):
        run(pair, tmp_path)
    run(pair, tmp_path, overwrite=True)
    assert (tmp_path / "t.csv").read_bytes() == first[0]


def test_zones_without_data_are_left_out_and_told(make_raster, zones, tmp_path):
    before, after = planted_pair()
    valid = np.ones(before.shape[1:], bool)
    valid[:, :140] = False  # the south, and most of the west
    pair = [
        make_raster(name, date, mask=valid)
        for name, date in (("before.tif", before), ("after.tif", after))
    ]
    notices = []
    result = run(pair, tmp_path, listener=notices.append)
    assert set(result.sums.rows()["zone"]) == {"west", "east", ""}
    assert result.metadata["zones"]["outside"] == 1
    told = [event.message for event in notices if isinstance(event, Notice) and event.warning]
    assert any(text.startswith("1 zone lies where there are no data") for text in told)
    assert any(text.startswith("1 zone lies in part where") for text in told)


def test_zones_are_held_against_the_area_of_interest(pair, zones, tmp_path):
    area = window((0, 100), (0, 120))
    area = gpd.GeoSeries([area], crs=32633).segmentize(100).to_crs(4326)
    area.to_file(tmp_path / "area.gpkg")
    result = run(pair, tmp_path, aoi=str(tmp_path / "area.gpkg"))
    assert result.zones.names == ("west",)
    assert (result.metadata["zones"]["outside"], result.metadata["zones"]["partly"]) == (2, 1)


def test_zones_are_refused_before_a_model_is_asked(pair, zones, tmp_path):
    (tmp_path / "z.gpkg").unlink()
    with pytest.raises(InputError, match="no file that is there"):
        run(pair, tmp_path, model="no-such-model")
    with pytest.raises(OptionError, match="needs zones"):
        geochg.analyze(*pair, options(), outputs=Outputs(zones_table=tmp_path / "zones.csv"))
    with pytest.raises(OptionError, match="needs zones"):
        geochg.analyze(*pair, options(zone_name="x"), outputs=Outputs(table=tmp_path / "t.csv"))
    with pytest.raises(OptionError, match=r"known suffixes: \.csv"):
        geochg.analyze(*pair, options(), outputs=Outputs(table=tmp_path / "t.xlsx"))
    zones.to_file(tmp_path / "z.csv.gpkg")
    with pytest.raises(OptionError, match="two dates"):
        geochg.describe(pair[0], options(zones=str(tmp_path / "z.csv.gpkg")))
