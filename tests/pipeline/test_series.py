"""Three dates or more, drawn with exact truth."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
from drawn_steps import DAYS, HEIGHT, LASTING, TRUTH, WIDTH, area_m2, drawn_series
from rasters import ORIGIN

import geochg
from geochg.errors import InputError, OptionError, TilesFailedError
from geochg.events import Notice, Progress

pytestmark = pytest.mark.usefixtures("marker_plugin")
MARKER_PLUGIN = Path(__file__).parents[1] / "models" / "marker_plugin"


def options(**changes):
    settings = {"model": "marker", "tile_size_px": 64, "overlap_px": 16, "align": "off"}
    return geochg.AnalyzeOptions.from_dict(settings | changes)


@pytest.fixture
def images(make_raster):
    return [
        make_raster(f"scene_{day}.tif", date)
        for day, date in zip(DAYS, drawn_series(), strict=True)
    ]


def found_changes(features):
    """By step the rounded area and direction of each feature."""
    steps = [None if pd.isna(step) else int(step) for step in features["step"]]
    found = {step: set() for step in steps}
    for step, change, area in zip(steps, features["change"], features["area_m2"], strict=True):
        found[step].add((round(area), change))
    return found


def wanted_changes():
    return {
        step: {(round(area_m2(place)), change) for place, change in truth}
        for step, truth in TRUTH.items()
    }


def test_each_step_and_the_whole_are_answered(images):
    result = geochg.analyze_series(images, options())
    features = result.features
    assert list(found_changes(features)) == [1, 2, None]
    wanted = wanted_changes()
    for step, found in found_changes(features).items():
        for (area, change), (true_area, true_change) in zip(
            sorted(found), sorted(wanted[step]), strict=True
        ):
            assert change == true_change
            assert area == pytest.approx(true_area, rel=0.02)
    assert features["id"].tolist() == list(range(1, len(features) + 1))
    periods = {
        (row.from_date, row.to_date, None if pd.isna(row.step) else row.step)
        for row in features.itertuples()
    }
    assert periods == {
        (DAYS[0], DAYS[1], 1), (DAYS[1], DAYS[2], 2), (DAYS[0], DAYS[2], None),
    }  # fmt: skip


def test_the_outputs_say_which_step_they_are_of(images, tmp_path):
    outputs = geochg.Outputs(tmp_path / "x.gpkg", tmp_path / "x.gpkg", tmp_path / "heat.tif")
    result = geochg.analyze_series(images, options(), outputs=outputs)
    layer = gpd.read_file(tmp_path / "x.gpkg", layer="changes")
    assert set(layer["from_date"]) == set(DAYS[:2])
    tiles = gpd.read_file(tmp_path / "x.gpkg", layer="tiles")
    total = result.metadata["tiles"]["total"]
    assert len(tiles) == 3 * total
    assert tiles["step"].fillna(0).value_counts().to_dict() == {0: total, 1: total, 2: total}
    with rasterio.open(tmp_path / "heat.tif") as heat:
        likely = heat.read(1) > 127
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[LASTING] = True
    assert (likely == mask).all()


def test_the_metadata_tell_dates_and_steps(images):
    facts = geochg.analyze_series(images, options()).metadata
    assert [date["date"] for date in facts["series"]["dates"]] == list(DAYS)
    assert [step["step"] for step in facts["series"]["steps"]] == [1, 2]
    assert all(step["tiles"]["changed"] for step in facts["series"]["steps"])
    assert facts["series"]["shown"] == "in pairs"
    assert facts["sources"]["before"]["date"] == DAYS[0]
    assert facts["sources"]["after"]["date"] == DAYS[2]
    json.dumps(facts, allow_nan=False)


def test_a_pair_has_dates_and_no_steps(images):
    features = geochg.analyze_series(images[:2], options()).features
    assert "step" not in features
    assert set(features["from_date"]) == {DAYS[0]}
    assert set(features["to_date"]) == {DAYS[1]}


def test_dates_of_a_pair_that_nothing_tells_are_missing(make_raster):
    dates = drawn_series()
    pair = make_raster("a.tif", dates[0]), make_raster("b.tif", dates[1])
    features = geochg.analyze(*pair, options()).features
    assert features["from_date"].isna().all()
    assert features["to_date"].isna().all()


def test_arrays_are_dated_by_hand():
    from odc.geo.geobox import GeoBox

    geobox = GeoBox((HEIGHT, WIDTH), ORIGIN, "EPSG:32633")
    result = geochg.analyze_series(drawn_series(), options(dates=list(DAYS)), geobox=geobox)
    assert set(result.features["to_date"]) == set(DAYS[1:])
    with pytest.raises(InputError, match="nothing tells when array, array, array were taken"):
        geochg.analyze_series(drawn_series(), options(), geobox=geobox)


def test_the_grid_is_cut_to_where_all_dates_lie(make_raster):
    dates = drawn_series()
    # The second begins 16 columns later, the third ends 32 rows sooner.
    images = [
        make_raster("a_2019.tif", dates[0]),
        make_raster(
            "b_2020.tif", dates[1][:, :, 16:], transform=ORIGIN * ORIGIN.translation(16, 0)
        ),
        make_raster("c_2021.tif", dates[2][:, :-8]),
    ]
    grid = geochg.analyze_series(images, options()).metadata["grid"]
    assert (grid["height_px"], grid["width_px"]) == (HEIGHT - 8, WIDTH - 16)


def test_dates_without_ground_in_common_are_refused(make_raster):
    far = ORIGIN * ORIGIN.translation(4000, 0)
    images = [
        make_raster(f"{name}_{year}.tif", date, transform=transform)
        for name, year, date, transform in zip(
            "abc", (2019, 2020, 2021), drawn_series(), (ORIGIN, ORIGIN, far), strict=True
        )
    ]
    with pytest.raises(InputError, match=r"a_2019\.tif and .*c_2021\.tif do not overlap"):
        geochg.analyze_series(images, options())


def test_dates_out_of_order_are_refused_with_their_order(images):
    mixed = [images[1], images[0], images[2]]
    with pytest.raises(InputError, match="order of their dates") as caught:
        geochg.analyze_series(mixed, options())
    told = str(caught.value)
    places = [told.index(f"scene_{day}.tif ({day})") for day in DAYS]
    assert places == sorted(places)
    result = geochg.analyze_series(mixed, options(dates_as_given=True))
    assert set(result.features["from_date"]) <= set(DAYS)


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        (DAYS[:2], "--dates names 2 dates, and there are 3 images"),
        (("2019", "soon", "2021"), "'soon' is no date"),
        (("2019", "2022", "2021"), "order of their dates"),
    ],
)
def test_wrong_dates_are_refused(images, dates, message):
    with pytest.raises((InputError, OptionError), match=message):
        geochg.analyze_series(images, options(dates=list(dates)))


@pytest.mark.parametrize("number", [0, 1, 101])
def test_too_few_and_too_many_images_are_refused(images, number):
    with pytest.raises(OptionError, match="image"):
        geochg.analyze_series([images[0]] * number, options())


def test_progress_runs_through_once_and_notices_name_their_step(images):
    events = []
    result = geochg.analyze_series(images, options(min_area_m2=1e9), listener=events.append)
    tiles = [(e.done, e.total) for e in events if isinstance(e, Progress) and e.stage == "tiles"]
    total = 3 * result.metadata["tiles"]["total"]
    assert tiles[-1] == (total, total)
    assert [done for done, _ in tiles] == sorted(done for done, _ in tiles)
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert sum("is shown the dates in pairs" in text for text in notices) == 1
    assert {text.split(":")[0] for text in notices if "no feature is left" in text} == {
        "step 1", "step 2", "the whole",
    }  # fmt: skip


def test_a_step_that_fails_is_told_and_resumed(images, tmp_path):
    outputs = geochg.Outputs(tmp_path / "x.geojson")
    failing = options(model_options={"fail_tiles": [2]})
    with pytest.raises(TilesFailedError, match="1 of"):
        geochg.analyze_series(images, failing, outputs=outputs)
    assert not (tmp_path / "x.geojson").exists()
    allowed = geochg.AnalyzeOptions.from_dict(
        failing.to_dict() | {"allow_failed_tiles": True, "resume": True}
    )
    facts = geochg.analyze_series(images, allowed, outputs=outputs).metadata
    assert facts["tiles"]["failed"] == 1
    assert [step["tiles"]["failed"] for step in facts["series"]["steps"]] == [1, 1]


def test_a_journal_of_other_dates_is_refused(images, tmp_path):
    outputs = geochg.Outputs(tmp_path / "x.geojson")
    with pytest.raises(TilesFailedError):
        geochg.analyze_series(images, options(model_options={"fail_tiles": [2]}), outputs=outputs)
    resumed = options(model_options={"fail_tiles": [2]}, resume=True)
    with pytest.raises(OptionError, match="image 2"):
        geochg.analyze_series([images[0], images[0], images[2]], resumed, outputs=outputs)


def start(images, output, *extra):
    command = [
        sys.executable, "-m", "geochg_cli", "analyze", *map(str, images), "--model", "marker",
        "--model-option", "delay_s=0.05", "--batch-size", "1", "--tile-size", "64", "--overlap",
        "16", "--align", "off", "-o", str(output), "--tiles", str(output.with_suffix(".fgb")),
        "--heatmap", str(output.with_suffix(".tif")), *extra,
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(MARKER_PLUGIN)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished(process, output):
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return [output.with_suffix(suffix).read_bytes() for suffix in (".geojson", ".fgb", ".tif")]


def wait_for_tiles(output, log_bytes):
    log = output.with_name(f"{output.name}.journal-wal")
    deadline = time.monotonic() + 60
    while not (log.exists() and log.stat().st_size > log_bytes):
        assert time.monotonic() < deadline, "the run never came so far"
        time.sleep(0.01)


def test_kills_and_a_resume_give_the_bytes_of_an_unbroken_run(images, tmp_path):
    whole = finished(start(images, tmp_path / "whole.geojson"), tmp_path / "whole.geojson")
    output = tmp_path / "killed.geojson"
    for log_bytes in (60_000, 110_000):  # within the first step, and in a later one
        process = start(images, output, "--resume")
        wait_for_tiles(output, log_bytes)
        process.kill()
        process.communicate()
        assert not output.exists()
    with closing(sqlite3.connect(output.with_name(f"{output.name}.journal"))) as database:
        ((number,),) = database.execute("SELECT max(number) FROM tile")
    assert number >= 12
    assert finished(start(images, output, "--resume"), output) == whole
    assert not list(tmp_path.glob("*.journal*"))


def test_layers_of_series_are_read_back_from_every_format(images, tmp_path):
    for suffix in (".geojson", ".gpkg", ".fgb"):
        path = tmp_path / f"x{suffix}"
        geochg.analyze_series(images, options(), outputs=geochg.Outputs(path))
        assert {"from_date", "to_date", "step"} <= set(pyogrio.read_info(path)["fields"])


# --- all dates at once ---------------------------------------------------------------------------


def together(**changes):
    return options(model_options={"most_dates": 4} | changes.pop("model_options", {}), **changes)


def plain(features):
    return features.drop(columns="geometry").to_dict("records"), features.geometry.to_wkb().tolist()


def test_a_model_of_many_dates_is_shown_them_at_once(images):
    in_turn = geochg.analyze_series(images, options())
    at_once = geochg.analyze_series(images, together())
    assert at_once.metadata["series"]["shown"] == "together"
    assert str(plain(at_once.features)) == str(plain(in_turn.features))
    shown = geochg.analyze_series(images, together(in_turn=True)).metadata["series"]["shown"]
    assert shown == "in pairs"


def test_a_model_of_many_dates_reads_each_date_of_a_tile_once(images, monkeypatch):
    from geochg.tiling.date_reader import DateReader

    windows = []
    read = DateReader.read_finished
    monkeypatch.setattr(
        DateReader,
        "read_finished",
        lambda self, window: windows.append(window) or read(self, window),
    )
    total = geochg.analyze_series(images, together()).metadata["tiles"]["total"]
    assert len(windows) == 3 * total


def test_more_dates_than_a_model_takes_are_refused_with_the_way_out(images):
    few = options(model_options={"most_dates": 3})
    many = [*images, images[-1]]
    with pytest.raises(OptionError, match="4 dates, and the model takes at most 3") as caught:
        geochg.analyze_series(many, few)
    assert "--in-turn" in str(caught.value.hint)
    turned = geochg.AnalyzeOptions.from_dict(few.to_dict() | {"in_turn": True})
    assert len(geochg.analyze_series(many, turned).metadata["series"]["steps"]) == 3


def test_shown_together_each_date_is_aligned_to_the_first(make_raster):
    images = [
        make_raster(f"a_{2019 + number}.tif", np.roll(drawn_series()[0], 3 * number, axis=2))
        for number in range(3)
    ]
    result = geochg.analyze_series(images, together(align="shift"))
    shifts = [step["alignment"]["dx_px"] for step in result.metadata["series"]["steps"]]
    assert shifts == pytest.approx([3, 6], abs=0.2)
    assert result.features.empty


def test_failures_and_outputs_are_as_where_pairs_are_shown(images, tmp_path):
    failing = {"allow_failed_tiles": True, "model_options": {"fail_tiles": [2]}}
    layers = []
    for number, chosen in enumerate((options(**failing), together(**failing))):
        path = tmp_path / f"{number}.gpkg"
        outputs = geochg.Outputs(path, path, tmp_path / f"{number}.tif")
        geochg.analyze_series(images, chosen, outputs=outputs)
        with rasterio.open(tmp_path / f"{number}.tif") as heat:
            heat_values = heat.read(1).tobytes()
        names = ("changes", "tiles")
        layers.append([heat_values, *(str(plain(gpd.read_file(path, layer=n))) for n in names)])
    assert layers[0] == layers[1]
