"""Series from files to layers: what broke and when, and what is refused."""

import csv
import json

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from drawn_dates import FLOODED, draw_dates, name_bands
from odc.geo.geobox import GeoBox
from rasters import ORIGIN, UTM, put

import geochg
from geochg.errors import GeochgError, InputError, OptionError
from geochg.records import LAND_COVER
from geochg.timeseries.options import SeriesOptions
from geochg.timeseries.outputs import SeriesOutputs
from geochg.timeseries.series import series

PLAIN = {"land_cover": False}


@pytest.fixture(scope="module")
def flood(tmp_path_factory):
    return draw_dates(tmp_path_factory.mktemp("flood"), hidden=(5, 24))


@pytest.fixture(scope="module")
def by_blocks(flood):
    notices = []
    result = series(
        flood.paths,
        SeriesOptions(block="4", **PLAIN),
        listener=lambda event: notices.append(event) if event.kind == "notice" else None,
    )
    return result, notices


def flooded_shape():
    rows, cols = FLOODED
    west, north = ORIGIN * (cols.start, rows.start)
    east, south = ORIGIN * (cols.stop, rows.stop)
    return shapely.box(west, south, east, north)


def test_neighbouring_blocks_that_broke_together_are_one_feature(flood, by_blocks):
    features = by_blocks[0].features
    (row,) = features.to_dict("records")
    assert shapely.equals(row["geometry"], flooded_shape())
    # The date before the flood shows nothing, so the interval is wider.
    assert (row["break_from"], row["break_to"]) == (flood.days[25], flood.days[26])
    assert row["break_date"] == flood.days[26]
    assert row["blocks"] == 4
    assert row["area_m2"] == pytest.approx(6400, rel=1e-3)
    assert row["watched"] in ("ndvi", "ndwi")
    assert (row["difference"] > 0) == (row["watched"] == "ndwi")
    assert row["strength"] > 5
    assert row["persistence"] == 1
    assert row["dates"] == 38
    assert by_blocks[0].watched == ("ndvi", "ndwi")


def test_a_gap_before_the_change_widens_the_interval(tmp_path):
    drawn = draw_dates(tmp_path, flood=26, hidden=(24, 25))
    (row,) = series(drawn.paths, SeriesOptions(block="4", **PLAIN)).features.to_dict("records")
    assert (row["break_from"], row["break_to"]) == (drawn.days[23], drawn.days[26])


def test_empty_dates_are_told(flood, by_blocks):
    result, notices = by_blocks
    quality = result.quality
    assert [date.date for date in quality if date.is_empty] == [flood.days[5], flood.days[24]]
    assert quality[0].valid_share == 1
    assert any(flood.days[24] in notice.message and notice.warning for notice in notices)
    told = result.metadata["series"]["dates"]
    assert [date["empty"] for date in told] == [date.is_empty for date in quality]


def test_the_order_of_the_images_does_not_matter(flood, by_blocks):
    result = series(flood.paths[::-1], SeriesOptions(block="4", **PLAIN))
    assert result.features.equals(by_blocks[0].features)


def test_zones_that_kept_their_course_have_null(flood, tmp_path):
    apart = shapely.box(500_150, 4_999_770, 500_230, 4_999_850)
    tiny = shapely.box(500_151, 4_999_991, 500_153, 4_999_993)
    zones = tmp_path / "parcels.gpkg"
    names = ["pond", "field", "tiny"]
    gpd.GeoDataFrame({"parcel": names}, geometry=[flooded_shape(), apart, tiny], crs=UTM).to_crs(
        4326
    ).to_file(zones)
    output = tmp_path / "breaks.gpkg"
    options = SeriesOptions(zones=str(zones), zone_name="parcel", **PLAIN)
    result = series(flood.paths, options, outputs=SeriesOutputs(output))
    frame = pyogrio.read_dataframe(output, layer="breaks").set_index("zone")
    assert list(frame.index) == names
    assert frame.loc["pond", "break_date"] == flood.days[26]
    for column in ("break_date", "break_from", "break_to", "strength", "class", "caption"):
        assert not pd_missing(frame.loc["pond", column])
        assert pd_missing(frame.loc["field", column])
    assert list(frame["status"]) == ["break", "stable", "unseen"]
    assert frame.loc["field", "rmse"] > 0
    assert result.metadata["series"]["watching"]["places"] == "zones"


def pd_missing(value):
    return value is None or value != value


def test_a_layer_carries_its_facts_and_is_replaced_without_a_word(flood, tmp_path):
    output, table = tmp_path / "breaks.geojson", tmp_path / "seen.csv"
    for _ in range(2):
        series(
            flood.paths,
            SeriesOptions(block="4", **PLAIN),
            outputs=SeriesOutputs(output, table),
        )
    collection = json.loads(output.read_text())
    facts = collection["geochg"]
    assert [source["date"] for source in facts["series"]["dates"]] == flood.days
    assert facts["sources"]["after"]["date"] == flood.days[-1]
    assert facts["series"]["status"] == {"break": 4, "stable": 32}
    assert 0.85 <= facts["series"]["scores"]["coverage"] <= 1
    assert "overwrite" not in facts["options"]
    (feature,) = collection["features"]
    assert feature["geometry"]["coordinates"][0][0][0] == pytest.approx(15, abs=0.01)


def test_files_of_others_are_left_alone(flood, tmp_path):
    table = tmp_path / "seen.csv"
    table.write_text("mine\n")
    with pytest.raises(InputError, match="did not write"):
        series(flood.paths, SeriesOptions(**PLAIN), outputs=SeriesOutputs(None, table))
    assert table.read_text() == "mine\n"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_observations_are_means_of_what_is_seen(flood, tmp_path, suffix):
    table = tmp_path / f"seen{suffix}"
    series(flood.paths, SeriesOptions(block="4", **PLAIN), outputs=SeriesOutputs(None, table))
    if suffix == ".csv":
        with table.open(newline="") as file:
            rows = list(csv.DictReader(file))
    else:
        import pandas as pd

        rows = pd.read_parquet(table).astype(object).to_dict("records")
    assert len(rows) == 36 * 40
    row = rows[3]
    with rasterio.open(flood.paths[3]) as dataset:
        means = dataset.read(window=((0, 4), (0, 4))).mean(axis=(1, 2))
    assert (int(row["place"]), row["date"]) == (1, flood.days[3])
    assert (float(row["x"]), float(row["y"])) == (500_020, 4_999_980)
    assert [float(row[name]) for name in ("red", "green", "blue", "nir")] == pytest.approx(
        means, rel=1e-5
    )
    assert float(row["ndvi"]) == pytest.approx(
        (means[3] - means[0]) / (means[3] + means[0]), rel=1e-4
    )
    hidden = rows[5]
    assert float(hidden["valid_share"]) == 0
    assert hidden["ndvi"] == "" or np.isnan(hidden["ndvi"])


def test_a_large_series_lies_in_temporary_files(flood, by_blocks, monkeypatch):
    from geochg.timeseries import place_observations

    monkeypatch.setattr(place_observations, "_MOST_IN_MEMORY", 0)
    result = series(flood.paths, SeriesOptions(block="4", **PLAIN))
    assert isinstance(result.observations.values, np.memmap)
    assert result.features.equals(by_blocks[0].features)


def test_an_area_of_interest_cuts_blocks(flood):
    west = 500_060
    options = SeriesOptions(block="4", aoi=f"{UTM};{west},4999760,500240,5000000", **PLAIN)
    (row,) = series(flood.paths, options).features.to_dict("records")
    assert row["geometry"].bounds[0] == pytest.approx(west)


def test_columns_to_watch_can_be_named(flood):
    options = SeriesOptions(block="4", watch=("nir", "red"), **PLAIN)
    assert series(flood.paths, options).watched == ("nir", "red")
    with pytest.raises(OptionError, match="'swir'"):
        series(flood.paths, SeriesOptions(watch=("swir",), **PLAIN))


def test_packed_values_are_unpacked_where_one_date_is(tmp_path):
    drawn = draw_dates(tmp_path)
    for path in drawn.paths[30:]:
        with rasterio.open(path, "r+") as dataset:
            values = dataset.read()
            dataset.write((values + 1000).astype(np.uint16))
            dataset.offsets = [-1000.0] * 4
    result = series(drawn.paths, SeriesOptions(block="4", **PLAIN))
    (row,) = result.features.to_dict("records")
    assert row["break_to"] == drawn.days[26]


# --- what is refused ---------------------------------------------------------------------------


def refused(paths, error=InputError, **options):
    with pytest.raises(error) as caught:
        series(paths, SeriesOptions(**{**PLAIN, **options}))
    assert "\n" not in caught.value.message
    return f"{caught.value.message}; {caught.value.hint}"


def test_too_few_dates_are_refused_with_the_number_needed(flood):
    text = refused(flood.paths[:7])
    assert "7 dates" in text
    assert "are needed" in text


def test_one_image_is_too_few(flood):
    assert "one image makes no series" in refused(flood.paths[:1])


def test_a_constant_series_is_refused(tmp_path):
    paths = [
        put(
            tmp_path / f"c_{2018 + n // 12}-{n % 12 + 1:02}-03.tif", np.full((1, 8, 8), 7, np.uint8)
        )
        for n in range(24)
    ]
    assert "constant" in refused(paths)


def test_dates_that_are_not_known_are_refused(tmp_path, flood):
    other = tmp_path / "unknown.tif"
    other.write_bytes(flood.paths[0].read_bytes())
    text = refused([*flood.paths[1:], other])
    assert "nothing tells when" in text
    assert "unknown.tif" in text
    assert "--dates" in text


def test_two_images_of_one_date_are_refused_by_name(tmp_path, flood):
    other = tmp_path / f"again_{flood.days[3]}.tif"
    other.write_bytes(flood.paths[3].read_bytes())
    text = refused([*flood.paths, other])
    assert flood.days[3] in text
    assert "again_" in text


def test_two_times_of_one_day_are_taken(tmp_path):
    drawn = draw_dates(tmp_path)
    for path, time in zip(drawn.paths[3:5], ("T10:02:00", "T10:12:00"), strict=True):
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(ACQUISITIONDATETIME=drawn.days[3] + time)
    result = series(drawn.paths, SeriesOptions(block="4", **PLAIN))
    assert [date.text for date in result.observations.dates[3:5]] == [
        f"{drawn.days[3]}T10:02:00",
        f"{drawn.days[3]}T10:12:00",
    ]
    assert len(result.features) == 1


def test_a_month_and_a_day_of_it_cannot_be_put_in_order(flood):
    dates = [*flood.days[:-1], "2021-03"]
    dates[-2] = "2021-03-05"
    assert "earlier" in refused(flood.paths, dates=tuple(dates))


def test_other_bands_are_refused(tmp_path, flood):
    other = tmp_path / f"other_{np.datetime64(flood.days[-1]) + 9}.tif"
    put(other, np.ones((2, 24, 24), np.uint16), nodata=0)
    name_bands(other, ("red", "nir"))
    text = refused([*flood.paths, other])
    assert "--bands red,nir" in text
    assert refused([*flood.paths, flood.paths[0]]) != ""


def test_a_band_of_cloud_codes_is_told_not_to_be_a_mask(tmp_path):
    drawn = draw_dates(tmp_path)
    for path in drawn.paths:
        name_bands(path, ("red", "green", "nir", "SCL"))

    def warned(**options):
        notices = []
        series(drawn.paths, SeriesOptions(block="4", **PLAIN, **options), listener=notices.append)
        return [
            event.message
            for event in notices
            if event.kind == "notice" and event.warning and "band scl" in event.message
        ]

    (line,) = warned()
    assert "masks no clouds" in line
    assert "--bands red,green,nir" in line
    assert not warned(bands=("red", "green", "nir"))


def test_a_grid_for_arrays_needs_an_array(flood):
    with pytest.raises(OptionError, match="geobox is for numpy arrays"):
        series(flood.paths, SeriesOptions(**PLAIN), geobox=GeoBox((24, 24), ORIGIN, UTM))


def test_wrong_options_are_refused(flood, tmp_path):
    with pytest.raises(OptionError, match="block"):
        SeriesOptions(block="2.5px")
    with pytest.raises(OptionError, match="--zone-name"):
        SeriesOptions(zone_name="a")
    with pytest.raises(OptionError, match="--block and --zones"):
        SeriesOptions(block="2", zones="x.gpkg")
    with pytest.raises(OptionError, match="no method"):
        SeriesOptions(method="magic")
    with pytest.raises(OptionError, match="no date"):
        SeriesOptions(monitor_from="soon")
    with pytest.raises(OptionError, match="land cover"):
        series(flood.paths, SeriesOptions(model="irmad"))
    assert "is not" not in refused(flood.paths, zones=str(tmp_path / "none.gpkg"))


def test_a_damaged_image_is_named(tmp_path):
    drawn = draw_dates(tmp_path, side=300)
    path = drawn.paths[4]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(GeochgError) as caught:
        series(drawn.paths, SeriesOptions(**PLAIN))
    assert path.name in caught.value.message


# --- with a model ------------------------------------------------------------------------------


def test_land_cover_names_what_a_place_was_and_is(tmp_path):
    drawn = draw_dates(tmp_path, count=24, flood=16, side=64)
    result = series(drawn.paths, SeriesOptions(block="4"))
    assert result.metadata["model"]["id"] == "builtin"
    (row,) = result.features.to_dict("records")
    assert row["after_class"] == "water"
    assert row["before_class"] not in (None, "water")
    assert (row["class"], row["change"]) == ("water", "appeared")
    assert "to water" in row["caption"]
    covers = result.observations.covers
    assert covers.shape == (24, 256, 6)
    assert covers.sum(axis=2).max() <= 1 + 1e-6
    assert all(date.cloud_share is not None for date in result.quality)


def test_a_clip_tells_the_shares_of_land_covers(tmp_path, monkeypatch):
    pytest.importorskip("transformers")
    import clip_factory

    from geochg.models.clip.backend import ClipModel

    told = []
    date_covers = ClipModel.date_covers

    def kept_covers(model, facts, sample, tiles):
        for date_cover in date_covers(model, facts, sample, tiles):
            told.append(date_cover.cover)
            yield date_cover

    monkeypatch.setattr(ClipModel, "date_covers", kept_covers)
    drawn = draw_dates(tmp_path, count=20, flood=12, side=64)
    folder = clip_factory.save(clip_factory.tiny_clip(), tmp_path / "clip")
    result = series(drawn.paths, SeriesOptions(block="8", model=f"clip:{folder}"))
    assert result.metadata["model"]["id"].startswith("clip:")
    # One tile a date, cut into eight by eight blocks.
    blocks = np.stack(told).reshape(20, 8, 8, 8, 8)
    for number in range(len(LAND_COVER)):
        shares = (blocks == number).mean(axis=(2, 4)).reshape(20, 64)
        assert result.observations.covers[:, :, number] == pytest.approx(shares)
    assert (result.observations.covers.max(axis=(0, 1)) > 0).sum() > 1


def test_series_is_part_of_the_public_surface():
    assert geochg.series is series
