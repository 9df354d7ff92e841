"""A layer against an image, by a model that sees bright ground as buildings."""

import json
import shutil
from threading import Event

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import shapely

from geochg.errors import CancelledRunError, InputError, OptionError
from geochg.layer_check.check import check_layer
from geochg.layer_check.options import CheckOptions
from tests.support.layer_checks import CRS, HOUSES, BrightGround, Town, box, town_layer

GONE = [(62, 62), (318, 190), (446, 510)]
"""Where polygons lie on empty ground."""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return Town(HOUSES).write(tmp_path_factory.mktemp("town") / "image.tif")


def checked(layer, image, *, options=None, **settings):
    return check_layer(layer, image, options, model=BrightGround(), **settings)


def verdicts_of(result):
    return result.features["verdict"].tolist()


def spoilt(move=(0, 0), unmapped=4):
    """All houses but some, and polygons where nothing is."""
    kept = [box(*house, move=move) for house in HOUSES[unmapped:]]
    return kept + [box(*place, move=move) for place in GONE]


def test_tells_what_is_there_gone_and_missing(image, tmp_path):
    layer = town_layer(tmp_path / "layer.gpkg", spoilt())
    frame = checked(layer, image).features
    right = len(HOUSES) - 4
    assert frame["verdict"].tolist()[:right] == ["present"] * right
    assert frame["verdict"].tolist()[right : right + 3] == ["gone"] * 3
    missing = frame[frame["verdict"] == "missing"]
    assert frame.index[frame["verdict"] == "missing"].tolist() == list(range(right + 3, len(frame)))
    for house in HOUSES[:4]:
        overlaps = missing.geometry.intersection(box(*house)).area
        assert overlaps.max() > 0.8 * box(*house).area
    assert len(missing) == 4
    assert missing.geometry.is_valid.all()
    assert frame["probability"].between(0, 1).all()
    assert (frame["probability"][frame["verdict"] == "gone"] <= 0.5).all()


def test_keeps_columns_their_types_and_the_order(image, tmp_path):
    shapes = spoilt()
    count = len(shapes)
    numbers = pd.array([None, *range(count - 1, 0, -1)], "Int32")
    layer = tmp_path / "layer.gpkg"
    frame = gpd.GeoDataFrame(
        {
            "zone": [f"z{number % 3}" for number in range(count)],
            "number": numbers,
            "flat": [number % 2 == 0 for number in range(count)],
            "height": np.linspace(1, 2, count),
            "built": pd.to_datetime(["2001-02-03"] * count),
            "id": [7] * count,
        },
        geometry=shapes,
        crs=CRS,
    )
    frame.to_file(layer)
    output = tmp_path / "verdict.gpkg"
    checked(layer, image, output=output)
    given, found = pyogrio.read_info(layer), pyogrio.read_info(output)
    names = list(given["fields"])
    assert list(found["fields"]) == [*names, "verdict", "probability"]
    assert list(found["dtypes"])[: len(names)] == list(given["dtypes"])
    written = gpd.read_file(output)
    pd.testing.assert_frame_equal(
        written[names].iloc[:count], gpd.read_file(layer)[names], check_dtype=False
    )
    assert written.geometry[:count].geom_equals(frame.geometry).all()
    assert written[names].iloc[count:].isna().all(axis=None)


@pytest.mark.parametrize("move", [(6, -8), (0, 8)])
def test_measures_and_takes_out_a_shift(image, tmp_path, move):
    layer = town_layer(tmp_path / "layer.gpkg", spoilt(move))
    result = checked(layer, image)
    shift = result.metadata["check"]["shift"]
    assert shift["east_m"] == pytest.approx(-move[1] * 0.5, abs=0.7)
    assert shift["north_m"] == pytest.approx(move[0] * 0.5, abs=0.7)
    assert result.metadata["shift_m"] == pytest.approx(np.hypot(*move) * 0.5, abs=0.7)
    right = len(HOUSES) - 4
    assert verdicts_of(result)[: right + 3] == ["present"] * right + ["gone"] * 3
    assert verdicts_of(result).count("missing") == 4


def test_trusts_no_shift_of_few_polygons(image, tmp_path):
    layer = town_layer(tmp_path / "layer.gpkg", [box(*house, move=(4, 4)) for house in HOUSES[:5]])
    result = checked(layer, image)
    assert result.metadata["shift_m"] is None
    assert verdicts_of(result)[:5] == ["present"] * 5


def test_cannot_tell_without_data_under_clouds_too_small_or_off_the_image(tmp_path):
    image = Town(HOUSES).write(tmp_path / "image.tif", nodata=slice(0, 128), cloud=slice(512, 640))
    shapes = [
        *(box(*house) for house in HOUSES if 140 < house[0] < 480),
        box(30, 30),
        box(542, 94),
        box(300, 620, side=60),
        box(350, 350, side=1.5),
        None,
    ]
    layer = town_layer(tmp_path / "layer.gpkg", shapes)
    notices = []
    result = checked(layer, image, listener=notices.append)
    frame = result.features
    assert frame["verdict"].tolist()[len(shapes) - 5 : len(shapes)] == ["cannot tell"] * 5
    assert frame["probability"][len(shapes) - 5 : len(shapes)].isna().all()
    assert frame.geometry[len(shapes) - 1] is None
    assert result.metadata["check"]["untold"] == {
        "without a shape, or far off the image": 1,
        "off the image, in whole or in part": 1,
        "too small for the pixels": 1,
        "under cloud, shadow or snow": 1,
        "without data": 1,
    }
    assert any("cannot be told" in getattr(notice, "message", "") for notice in notices)
    assert not (frame.geometry[frame["verdict"] == "missing"].bounds["miny"] > 4_999_936).any()


def test_judges_multipolygons_heights_and_invalid_polygons_and_keeps_them(image, tmp_path):
    twins = shapely.MultiPolygon([box(*HOUSES[0]), box(*HOUSES[1])])
    x, y = box(*HOUSES[2]).bounds[:2]
    bow = shapely.Polygon([(x, y), (x + 12, y + 12), (x + 12, y), (x, y + 12)])
    high = shapely.force_3d(box(*HOUSES[3]), 5.0)
    others = [box(*house) for house in HOUSES[4:]]
    layer = tmp_path / "layer.geojson"
    gpd.GeoDataFrame(geometry=[twins, bow, high, *others], crs=CRS).to_file(layer)
    frame = checked(layer, image).features
    assert frame["verdict"].tolist()[:4] == ["present"] * 4
    assert frame.geometry.iloc[0].geom_type == "MultiPolygon"
    assert not frame.geometry.iloc[1].is_valid


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".fgb", ".parquet", ".shp"])
def test_reads_and_writes_each_format_in_the_crs_of_the_layer(image, tmp_path, suffix):
    frame = gpd.GeoDataFrame(
        {"name": [f"h{n}" for n in range(len(HOUSES) - 4)]},
        geometry=[box(*house) for house in HOUSES[4:]],
        crs=CRS,
    ).to_crs(4326 if suffix == ".geojson" else 3857)
    layer = tmp_path / f"layer{suffix}"
    frame.to_parquet(layer) if suffix == ".parquet" else frame.to_file(layer)
    # FlatGeobuf sorts what it is given.
    frame = gpd.read_parquet(layer) if suffix == ".parquet" else gpd.read_file(layer)
    output = tmp_path / f"verdict{'.gpkg' if suffix == '.shp' else suffix}"
    result = checked(layer, image, output=output)
    written = gpd.read_parquet(output) if suffix == ".parquet" else gpd.read_file(output)
    assert written.crs == frame.crs
    own = written.geometry[: len(frame)]
    apart = own.symmetric_difference(frame.geometry.set_crs(written.crs)).area
    assert (apart < 0.01 * own.area).all()
    assert written["name"].tolist()[: len(frame)] == frame["name"].tolist()
    assert verdicts_of(result) == ["present"] * len(frame) + ["missing"] * 4
    houses = gpd.GeoSeries([box(*house) for house in HOUSES[:4]], crs=CRS).to_crs(frame.crs)
    found = written.geometry[len(frame) :]
    assert all(found.intersection(house).area.max() > 0.7 * house.area for house in houses)


def test_calls_nothing_gone_that_was_not_seen_before_either(image, tmp_path):
    before = Town((*HOUSES, GONE[0])).write(tmp_path / "before.tif")
    layer = town_layer(tmp_path / "layer.gpkg", spoilt())
    result = checked(layer, image, before=before)
    right = len(HOUSES) - 4
    told = verdicts_of(result)[right : right + 3]
    assert told == ["gone", "cannot tell", "cannot tell"]
    likely = result.features["before_probability"]
    assert likely[right] > 0.5 > likely[right + 1]
    assert likely[right + 3 :].isna().all()


def test_says_that_it_is_the_earlier_image_that_lies_elsewhere(image, tmp_path):
    layer = town_layer(tmp_path / "layer.gpkg", spoilt())
    before = tmp_path / "before.tif"
    shutil.copy(image, before)
    with rasterio.open(before, "r+") as file:
        file.transform = rasterio.Affine.translation(90_000, 0) @ file.transform
    with pytest.raises(InputError, match=r"no polygon of .* lies on the earlier image"):
        checked(layer, image, before=before)


def test_leaves_out_what_is_missing_where_that_is_not_wanted(image, tmp_path):
    layer = town_layer(tmp_path / "layer.gpkg", spoilt())
    options = CheckOptions(missing=False)
    assert verdicts_of(checked(layer, image, options=options)).count("missing") == 0
    options = CheckOptions(min_area_m2=200.0)
    assert verdicts_of(checked(layer, image, options=options)).count("missing") == 0


def _layer_of(shapes, **settings):
    return gpd.GeoDataFrame(geometry=shapes, **{"crs": CRS, **settings})


HOUSE = box(*HOUSES[0])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (_layer_of([shapely.affinity.translate(HOUSE, 90_000)]), "no polygon of .* on the image"),
        (_layer_of([HOUSE.exterior]), "other shapes than polygons, such as a Line"),
        (_layer_of([HOUSE, HOUSE.centroid]), "1 of other shapes than polygons, such as a Point"),
        (_layer_of([HOUSE], crs=None), "no coordinate reference system"),
        (_layer_of([HOUSE]).iloc[:0], "has no features"),
        (_layer_of([None]), "no feature of .* has a shape"),
        (_layer_of([HOUSE]).assign(Verdict="x"), "has a column 'Verdict' already"),
        (_layer_of([HOUSE]).assign(probability=1.0), "has a column 'probability' already"),
    ],
)
def test_refuses_layers_that_make_no_sense_in_one_line(image, tmp_path, frame, message):
    layer = tmp_path / "layer.gpkg"
    pyogrio.write_dataframe(frame, layer, geometry_type="Unknown")
    with pytest.raises(InputError, match=message) as error:
        checked(layer, image)
    assert error.value.hint
    assert "\n" not in str(error.value.message)


@pytest.mark.parametrize(
    ("columns", "suffix", "message"),
    [
        ({"geom": ["a", "b"]}, ".gpkg", "'geom' .* shapes of a GeoPackage"),
        ({"a": [1, 2], "A": [1, 2]}, ".gpkg", "'a' .* upper and lower case"),
        ({"age": pd.to_timedelta([1, 2], "D")}, ".geojson", "'age' .* durations"),
        ({"big": np.array([1, 2**64 - 1], "uint64")}, ".fgb", "'big' .* numbers above"),
        ({"centre": gpd.GeoSeries([HOUSE.centroid] * 2, crs=CRS)}, ".gpkg", "further shapes"),
    ],
)
def test_refuses_columns_that_the_output_has_no_place_for_before_it_judges(
    image, tmp_path, columns, suffix, message
):
    layer = tmp_path / "layer.parquet"
    gpd.GeoDataFrame(columns, geometry=[HOUSE, HOUSE], crs=CRS).to_parquet(layer)
    output = tmp_path / f"verdict{suffix}"
    with pytest.raises(InputError, match=message) as error:
        check_layer(layer, image, model=None, output=output)
    assert error.value.hint
    assert not output.exists()
    checked(layer, image, output=tmp_path / "verdict.parquet")


@pytest.mark.parametrize("suffix", [".geojson", ".parquet"])
def test_refuses_a_column_that_would_give_way_to_the_shapes(image, tmp_path, suffix):
    layer = tmp_path / f"layer{suffix}"
    frame = _layer_of([HOUSE]).rename_geometry("shape").assign(geometry="a text")
    if suffix == ".parquet":
        frame.to_parquet(layer)
    else:
        facts = json.loads(frame.drop(columns="geometry").to_crs(4326).to_json())
        facts["features"][0]["properties"]["geometry"] = "a text"
        layer.write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(InputError, match="column 'geometry' beside its shapes"):
        checked(layer, image)


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".fgb", ".parquet"])
def test_writes_columns_of_lists(image, tmp_path, suffix):
    shapes = spoilt()
    layer = tmp_path / "layer.parquet"
    columns = {
        "numbers": [[1, 2]] * len(shapes),
        "names": [["a", "b"]] * len(shapes),
        "halves": [[0.5, np.nan]] * len(shapes),
        "nested": [[[1, 2], [3]]] * len(shapes),
    }
    gpd.GeoDataFrame(columns, geometry=shapes, crs=CRS).to_parquet(layer)
    output = tmp_path / f"verdict{suffix}"
    checked(layer, image, output=output)
    written = gpd.read_parquet(output) if suffix == ".parquet" else gpd.read_file(output)

    def items(name):
        value = written[name].iloc[0]
        return json.loads(value) if isinstance(value, str) else list(value)

    assert [int(number) for number in items("numbers")] == [1, 2]
    assert items("names") == ["a", "b"]
    assert float(items("halves")[0]) == 0.5
    assert items("nested") == [[1, 2], [3]]
    assert (written["verdict"] == "missing").sum() == 4


def test_asks_for_the_layer_where_there_are_several(image, tmp_path):
    layer = town_layer(tmp_path / "layer.gpkg", spoilt())
    _layer_of([HOUSE]).to_file(layer, layer="second")
    with pytest.raises(InputError, match="2 layers and none is named"):
        checked(layer, image)
    assert len(checked(f"{layer}|layername=second", image).features) >= 1


def test_names_the_models_that_take_any_words(image, tmp_path):
    layer = town_layer(tmp_path / "layer.gpkg", spoilt())
    with pytest.raises(OptionError, match="knows no class 'solar panel'") as error:
        checked(layer, image, options=CheckOptions(class_name="solar panel"))
    assert "vlm" in error.value.hint


def test_writes_whole_or_not_at_all_and_over_nothing_of_others(image, tmp_path):
    layer = town_layer(tmp_path / "layer.gpkg", spoilt())
    output = tmp_path / "verdict.gpkg"
    cancel = Event()
    cancel.set()
    with pytest.raises(CancelledRunError):
        checked(layer, image, output=output, cancel=cancel)
    assert [path.name for path in tmp_path.iterdir()] == ["layer.gpkg"]
    with pytest.raises(InputError, match="one of the inputs"):
        checked(layer, image, output=layer)
    output.write_bytes(b"mine")
    with pytest.raises(InputError):
        checked(layer, image, output=output)
    assert output.read_bytes() == b"mine"


def test_metadata_tell_of_the_run(image, tmp_path):
    layer = town_layer(tmp_path / "layer.gpkg", spoilt())
    output = tmp_path / "verdict.geojson"
    result = checked(layer, image, output=output)
    facts = json.loads(output.read_text("utf-8"))["geochg"]
    assert facts == result.metadata
    assert facts["check"]["counts"] == {
        "present": len(HOUSES) - 4,
        "gone": 3,
        "cannot tell": 0,
        "missing": 4,
    }
    assert facts["check"]["class"] == "building"
    assert facts["model"]["id"] == "bright"
    assert facts["sources"]["image"]["path"].endswith("image.tif")
    assert facts["shift_m"] is not None
    again = checked(layer, image, output=tmp_path / "again.geojson")
    assert (tmp_path / "again.geojson").read_bytes() == output.read_bytes()
    assert again.metadata == facts


def test_judges_a_layer_in_degrees_over_the_antimeridian(tmp_path):
    import rasterio

    flat = Town(HOUSES).write(tmp_path / "flat.tif")
    image = tmp_path / "image.tif"
    # Where the 180th meridian crosses zone 1, in the middle of the town.
    west = 166_021.44 - 160.0
    with rasterio.open(flat) as source:
        profile, pixels = source.profile, source.read()
    transform = rasterio.Affine(0.5, 0, west, 0, -0.5, 0.0 + 160.0)
    with rasterio.open(image, "w", **{**profile, "crs": "EPSG:32601", "transform": transform}) as t:
        t.write(pixels)
    move = (west - 500_000.0, 160.0 - 5_000_000.0)
    shapes = [shapely.affinity.translate(shape, *move) for shape in spoilt()]
    frame = gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32601").to_crs(4326)
    layer = tmp_path / "layer.gpkg"
    frame.to_file(layer)
    result = checked(layer, image)
    right = len(HOUSES) - 4
    sides = frame.geometry.bounds
    assert (sides["minx"] < -179).any()
    assert (sides["maxx"] > 179).any()
    whole = (sides["maxx"] - sides["minx"] < 1).to_numpy()
    told = np.array(verdicts_of(result)[: len(frame)])
    assert (told[:right][whole[:right]] == "present").all()
    assert (told[right:][whole[right:]] == "gone").all()
