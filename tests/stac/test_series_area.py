"""An area and a time: a scene of each month is fetched onto one grid, kept, and watched."""

import json
import shutil
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import rasterio
from fetched_scenes import fetch
from scene_catalog import CLOUD, CatalogFolder, box_text

from geochg import FetchOptions, SeriesOptions, SeriesOutputs, SeriesSearch, series_area
from geochg.errors import CancelledRunError, InputError, OptionError
from geochg.events import Notice
from geochg.stac.date_window import DateWindow
from geochg.stac.scene_windows import windows_with_scenes
from geochg.stac.search import search_scenes
from geochg.stac.search_area import SearchArea
from geochg_cli.main import main

SIDE = 32
AREA = box_text(width_m=10 * SIDE, height_m=10 * SIDE)
MONTHS = [f"{year}-{month:02}" for year in (2019, 2020) for month in range(1, 13)][:18]
BROKEN, HIDDEN = "2020-03", "2019-08"
"""The month from which on a square is bare, and one that shows nothing but clouds."""

OPTIONS = {"block": "8", "land_cover": False}
FEW = ("--block", "8", "--no-land-cover")


def draw_field(catalog, months=MONTHS):
    """A field with a season; in the middle of each month it is clear, but for one month."""
    rng = np.random.default_rng(5)
    for month in months:
        season = np.sin(2 * np.pi * int(month[-2:]) / 12)
        means = {"red": 900, "green": 800, "blue": 600, "nir": 2600 + 600 * season}
        values = {name: mean + rng.normal(0, 30, (SIDE, SIDE)) for name, mean in means.items()}
        if month >= BROKEN:
            for ground in values.values():
                ground[8:16, 8:16] = 1500
        classes = {"classes": CLOUD} if month == HIDDEN else {}
        catalog.add_scene(f"clear-{month}", f"{month}-14", values, side_px=SIDE, **classes)
        if month == "2019-06":
            catalog.add_scene("second", "2019-06-20", values, side_px=SIDE)
    catalog.add_scene("cloudy", "2019-05-16", 6000, CLOUD, side_px=SIDE)
    catalog.save(page=100)
    return catalog


@pytest.fixture(scope="module")
def field(stac_root):
    """A catalogue that the tests leave as it is, but for its log and faults."""
    root, port = stac_root
    return draw_field(CatalogFolder(root, "field", port))


@pytest.fixture(scope="module")
def whole(field, tmp_path_factory):
    """A run of all of it, what it told and the folder that it wrote into."""
    folder, notices = tmp_path_factory.mktemp("whole"), []
    asked(field)
    watched = run(field, folder, listener=notices.append)
    return watched, [event for event in notices if isinstance(event, Notice)], folder


@pytest.fixture
def kept(whole, tmp_path):
    """A folder that holds the scenes of a run, as if they had been fetched into it."""
    return Path(shutil.copytree(whole[2] / "breaks_scenes", tmp_path / "breaks_scenes"))


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch, tmp_path):
    for name in ("XDG_CONFIG_HOME", "APPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))


def run(field, folder, start="2019", end="2020", *, search=None, options=None, **facts):
    fetching = {"catalog": field.url, **facts.pop("fetching", {})}
    return series_area(
        facts.pop("area", AREA),
        start,
        end,
        SeriesOptions(**OPTIONS, **(options or {})),
        FetchOptions(**fetching),
        SeriesSearch(**(search or {})),
        outputs=SeriesOutputs(folder / "breaks.geojson"),
        **facts,
    )


def command(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["series", *map(str, arguments)])
    return ended.value.code


def asked(field):
    """Ids of the scenes whose files the server was asked for since this was called last."""
    ids = {line.split("/")[2] for line in field.requests if ".tif" in line}
    (field.path / "requests.log").unlink(missing_ok=True)
    return ids


def test_a_square_that_left_its_course_is_found_in_the_best_scene_of_each_month(field, whole):
    watched, notices, folder = whole
    # The catalogue was searched once.
    assert sum("/search" in line for line in field.requests) == 1
    layer = json.loads((folder / "breaks.geojson").read_text())
    (feature,) = layer["features"]
    facts = feature["properties"]
    assert (facts["break_from"], facts["break_to"]) == ("2020-02-14", "2020-03-14")
    assert facts["area_m2"] == pytest.approx(6400, rel=0.01)
    dates = layer["geochg"]["series"]["dates"]
    assert [date["date"] for date in dates] == [f"{m}-14" for m in MONTHS if m != HIDDEN]
    assert dates[0]["scene"]["scenes"][0]["id"] == "clear-2019-01"
    assert dates[0]["scene"]["licence"] == "CC-BY-SA-3.0-IGO"
    # The month of clouds is told once, and of a month of two dates the clear one is taken.
    (left_out,) = watched.left_out
    assert "clouds hide all of the area in all scenes from 2019-08-01 to 2019-08-31" in left_out
    assert sum("2019-08" in notice.message for notice in notices if notice.warning) == 1
    assert watched.scenes[4].items == ("clear-2019-05",)
    grids = set()
    for scene in watched.scenes:
        assert scene.path.parent == folder / "breaks_scenes"
        with rasterio.open(scene.path) as image:
            grids.add((image.crs, image.transform, image.shape))
    assert len(grids) == 1


def test_a_cancelled_run_keeps_what_was_fetched(field, tmp_path):
    cancel = Event()

    def listener(event):
        if isinstance(event, Notice) and event.message.startswith("2 of 18"):
            cancel.set()

    with pytest.raises(CancelledRunError, match="cancelled"):
        run(field, tmp_path, listener=listener, cancel=cancel)
    assert len(list((tmp_path / "breaks_scenes").iterdir())) == 2
    assert not (tmp_path / "breaks.geojson").exists()


def test_a_run_goes_on_with_the_scenes_that_are_there(field, whole, kept, tmp_path):
    first, second, *_, last = sorted(kept.iterdir())
    # One that is damaged is fetched anew, as are those that are missing.
    first.write_bytes(b"")
    second.unlink()
    last.unlink()
    asked(field)
    notices = []
    again = run(field, tmp_path, listener=notices.append)
    assert asked(field) == {f"clear-{month}" for month in (*MONTHS[:2], HIDDEN, MONTHS[-1])}
    assert [scene.items for scene in again.scenes] == [scene.items for scene in whole[0].scenes]
    (text,) = [
        event.message for event in notices if event.kind == "notice" and "used" in event.message
    ]
    assert text.startswith("14 of 18 scenes are in")
    # A longer time uses the same scenes.
    longer = run(field, tmp_path, end="2020-11")
    assert asked(field) == {f"clear-{HIDDEN}"}
    assert [scene.path for scene in longer.scenes] == [scene.path for scene in again.scenes]


def test_a_month_that_cannot_be_fetched_is_left_out_and_tried_again(field, kept, tmp_path):
    next(kept.glob("*_2019-11-01_*")).unlink()
    # An address that was read before and is gone since is no other case.
    fetch(field, tmp_path / "before.tif", "2019-11", area=AREA)
    field.faults = [{"path": "clear-2019-11", "status": 404}]
    field.save()
    try:
        watched = run(field, tmp_path)
    finally:
        field.faults = []
        field.save()
    assert ["2019-08" in watched.left_out[0], "2019-11" in watched.left_out[1]] == [True, True]
    assert len(watched.scenes) == 16
    asked(field)
    assert len(run(field, tmp_path).scenes) == 17
    assert asked(field) == {f"clear-{HIDDEN}", "clear-2019-11"}


@pytest.mark.parametrize(
    ("every", "start", "end", "spans"),
    [
        ("month", "2019-04-15", "2019-06", ["2019-05-01/2019-05-31", "2019-06-01/2019-06-20"]),
        ("month", "2019-05-10", "2019-05-20", ["2019-05-10/2019-05-16"]),
        ("day", "2019-05", "2019-06", ["2019-05-14", "2019-05-16", "2019-06-14", "2019-06-20"]),
        ("2", "2019-05-13", "2019-06", ["2019-05-13/2019-05-14", "2019-05-15/2019-05-16",
                                        "2019-06-14/2019-06-15", "2019-06-20"]),
        ("40", "2019-05-01", "2019-07-10", ["2019-05-01/2019-06-09", "2019-06-10/2019-06-20"]),
    ],
)  # fmt: skip
def test_windows_are_those_in_which_there_are_scenes(field, every, start, end, spans):
    window = DateWindow.of(start, end)
    found = search_scenes(SearchArea.of(AREA), window, FetchOptions(catalog=field.url))
    windows = windows_with_scenes(found, window, SeriesSearch(every=every))
    assert windows == [DateWindow.of(span) for span in spans]
    assert all(found.within(part).items for part in windows)


def test_a_median_has_the_middle_of_its_days_for_a_date(field, tmp_path):
    # Tags of a median of several days may tell the month alone, which others of it tell, too.
    medians = run(field, tmp_path, fetching={"composite": "median"})
    assert medians.scenes[5].dates == ("2019-06-14", "2019-06-20")
    named = [date["date"] for date in medians.result.metadata["series"]["dates"]]
    assert named[4:7] == ["2019-05-14", "2019-06-17", "2019-07-14"]


@pytest.mark.parametrize(
    ("given", "reason", "advice"),
    [
        ({"start": "2019", "end": "2019-04"}, "scenes for 4 dates", "nothing was fetched"),
        ({"search": {"max_scenes": 17}}, "for 18 dates", "--max-scenes 18"),
        ({"start": "2023", "end": "2024"}, "has no scene", "longer window"),
        ({"area": box_text(left=600_000)}, "has no scene", "longer window"),
    ],
)
def test_too_few_and_too_many_scenes_are_refused_before_any_is_fetched(
    field, tmp_path, given, reason, advice
):
    asked(field)
    with pytest.raises(InputError, match=reason) as error:
        run(field, tmp_path, **given)
    assert advice in error.value.hint
    assert asked(field) == set()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"start": "2020", "end": "2019"}, "begins on 2020-01-01 and ends on 2019-12-31"),
        ({"end": ""}, "--to is missing"),
        ({"start": ""}, "--from is missing"),
        ({"search": {"every": "0"}}, "--every cannot be '0'"),
        ({"search": {"every": "week"}}, "--every cannot be 'week'"),
        ({"options": {"dates": ("2019",)}}, "--dates are for images"),
        ({"fetching": {"like": "a.tif"}}, "take their grid from the area"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anybody_is_asked(field, tmp_path, given, reason):
    asked(field)
    with pytest.raises(OptionError, match=reason):
        run(field, tmp_path, **given)
    assert field.requests == []


def test_an_error_that_all_scenes_share_ends_the_run(field, tmp_path):
    asked(field)
    with pytest.raises((InputError, OptionError), match="thermal"):
        run(field, tmp_path, fetching={"bands": ("thermal",)})
    assert asked(field) == set()


def test_the_command_does_both_steps(field, kept, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = ("--aoi", AREA, "--catalog", field.url, "--scenes", kept)
    span = ("--from", "2019", "--to", "2020")
    asked(field)
    assert command(*where, *span, "-o", "breaks.gpkg", *FEW, "--json") == 0
    told = capsys.readouterr()
    facts = json.loads(told.out)
    assert len(facts["geochg"]["series"]["dates"]) == 17
    assert "2019-08-01" in facts["left_out"][0]
    assert "warning: left out: clouds hide all" in told.err
    assert asked(field) == {f"clear-{HIDDEN}"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["a.tif", "--from", "2019"], "there are images, and --from"),
        (["a.tif", "--to", "2019"], "there are images, and --to"),
        (["a.tif", "--every", "10"], "there are images, and --every"),
        (["a.tif", "--max-scenes", "10"], "there are images, and --max-scenes"),
        (["a.tif", "--max-cloud", "10"], "there are images, and --max-cloud"),
        (["a.tif", "--scenes", "kept"], "there are images, and --scenes"),
        (["--from", "2019", "--aoi", "1,1,2,2"], "there is no --to"),
        (["--to", "2019", "--aoi", "1,1,2,2"], "there is no --from"),
        (["--collection", "naip"], "there is no --from"),
        (["--from", "2019", "--to", "2020"], "there is no area"),
        (["--aoi", "1,1,2,2"], "no images are given, and no time"),
        (["--from", "May", "--to", "2020", "--aoi", "1,1,2,2"], "'May' is no date"),
        ([], "no images are given, and no time"),
    ],
)
def test_mixtures_of_images_and_a_time_are_refused_in_a_line(arguments, reason, tmp_path, capsys):
    assert command(*arguments, "-o", tmp_path / "b.geojson") == 2
    told = capsys.readouterr().err
    assert reason in told
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []
