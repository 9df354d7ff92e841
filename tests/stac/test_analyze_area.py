"""An area and two times: both scenes are fetched onto one grid, kept, and compared."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from scene_catalog import CLOUD, SIDE_PX, box_text

from geochg import AnalyzeOptions, FetchOptions, Outputs, analyze_area
from geochg.errors import CancelledRunError, InputError, OptionError
from geochg.events import Notice
from geochg.stac.analyze_area import windows_of
from geochg.stac.area_scenes import band_names
from geochg_cli.main import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def changed(catalog):
    """A catalogue of a place where a square of ground became bright."""
    draw = np.random.default_rng(3)
    ground = draw.integers(800, 1200, (SIDE_PX, SIDE_PX))
    later = ground + draw.integers(-20, 20, ground.shape)
    later[20:40, 20:40] += 3000
    catalog.add_scene("before-a", "2020-06-13", ground)
    catalog.add_scene("before-b", "2020-06-23", ground, CLOUD)
    catalog.add_scene("after-a", "2024-06-12", later)
    catalog.save()
    return catalog


def run(catalog, folder, before="2020-06", after="2024-06", *, listener=None, cancel=None, **facts):
    options = AnalyzeOptions(model="cva", align="off", **facts)
    return analyze_area(
        box_text(),
        before,
        after,
        options,
        FetchOptions(catalog=catalog.url),
        outputs=Outputs(folder / "changes.geojson"),
        listener=listener or (lambda event: None),
        cancel=cancel,
    )


def command(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["analyze", *arguments])
    return ended.value.code


def asked(catalog):
    """Assets that the server was asked for."""
    log = (catalog.path / "requests.log").read_text().splitlines()
    return [line for line in log if ".tif" in line]


def test_what_changed_between_two_months_is_found_and_says_of_which_scenes(changed, tmp_path):
    changes = run(changed, tmp_path)
    layer = json.loads((tmp_path / "changes.geojson").read_text())
    assert [feature["properties"]["change"] for feature in layer["features"]] == ["altered"]
    assert layer["features"][0]["properties"]["area_m2"] == pytest.approx(40_000, rel=0.1)
    sources = layer["geochg"]["sources"]
    assert [scene["id"] for scene in sources["before"]["scene"]["scenes"]] == ["before-a"]
    (scene,) = sources["after"]["scene"]["scenes"]
    assert (scene["id"], scene["licence"]) == ("after-a", "CC-BY-SA-3.0-IGO")
    assert scene["datetime"].startswith("2024-06-12T10:00:00")
    assert sources["before"]["date"] == "2020-06-13"
    assert sources["before"]["scene"]["window"] == ["2020-06-01", "2020-06-30"]
    assert sources["before"]["scene"]["collection"] == "sentinel-2-l2a"
    assert sources["before"]["scene"]["licence"] == "CC-BY-SA-3.0-IGO"
    # Kept beside the output, on one grid.
    folder = tmp_path / "changes_scenes"
    assert changes.before.path.parent == changes.after.path.parent == folder
    with rasterio.open(changes.before.path) as early, rasterio.open(changes.after.path) as late:
        assert early.profile["transform"] == late.profile["transform"]
        assert (early.shape, early.crs) == (late.shape, late.crs)


def test_scenes_that_are_there_are_used_again(changed, tmp_path):
    first = run(changed, tmp_path)
    count = len(asked(changed))
    notices = []
    again = run(changed, tmp_path, listener=notices.append)
    assert len(asked(changed)) == count
    texts = [event.message for event in notices if isinstance(event, Notice)]
    assert sum("it is used again" in text for text in texts) == 2
    assert (again.before, again.after) == (first.before, first.after)
    # Another window, area or grid is another search.
    later = run(changed, tmp_path, after="2024")
    assert later.before.path == first.before.path
    assert later.after.path != first.after.path
    assert run(changed, tmp_path, resolution=20).before.path != first.before.path
    # What is no scene is fetched anew.
    first.before.path.write_bytes(b"")
    assert run(changed, tmp_path).before.items == ("before-a",)


def test_a_run_that_was_cut_off_goes_on_with_what_was_fetched(changed, tmp_path):
    changed.faults = [{"path": "after-a", "status": 404}]
    changed.save()
    with pytest.raises(InputError, match="none of the 1 scene"):
        run(changed, tmp_path)
    assert not (tmp_path / "changes.geojson").exists()
    count = len([line for line in asked(changed) if "before-a" in line])
    changed.faults = []
    changed.save()
    run(changed, tmp_path)
    assert len([line for line in asked(changed) if "before-a" in line]) == count


def test_a_cancelled_run_stops_between_the_scenes(changed, tmp_path):
    from threading import Event

    cancel = Event()

    def listener(event):
        if isinstance(event, Notice) and "before-a" not in event.message:
            cancel.set()

    with pytest.raises(CancelledRunError):
        run(changed, tmp_path, listener=listener, cancel=cancel)
    assert len(list((tmp_path / "changes_scenes").iterdir())) == 1
    assert not any("after-a" in line for line in asked(changed))


def test_what_is_wrong_is_said_before_anything_is_fetched(changed, tmp_path):
    options, fetching = AnalyzeOptions(model="cva"), FetchOptions(catalog=changed.url)
    with pytest.raises(OptionError, match="no folder for the scenes"):
        analyze_area(box_text(), "2020-06", "2024-06", options, fetching)
    (tmp_path / "full").write_text("")
    with pytest.raises(InputError, match="it is no folder"):
        analyze_area(box_text(), "2020-06", "2024-06", options, fetching, scenes=tmp_path / "full")
    with pytest.raises(OptionError, match=r"covers nothing|has no area"):
        analyze_area("1,1,1,1", "2020-06", "2024-06", options, fetching, scenes=tmp_path)
    (tmp_path / "changes.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(InputError, match="geochg did not write it"):
        run(changed, tmp_path)
    assert not (changed.path / "requests.log").exists()


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("2024-06", "2020-06", "2024-06 lies after 2020-06"),
        ("2020", "2020-06", "have days in common"),
        ("2020-06", "2020-06", "have days in common"),
        ("2020-06/2020-08", "2020-08/2020-10", "have days in common"),
        ("", "2020-06", "no earlier time"),
        ("2020-06", " ", "no later time"),
        ("June", "2024-06", "'June' is no date"),
    ],
)
def test_times_that_cannot_be_compared_are_refused(before, after, reason):
    with pytest.raises(OptionError, match=reason):
        windows_of(before, after)


def test_bands_that_are_asked_for_by_name_are_fetched():
    assert band_names(("swir", "nir", "red")) == ("swir", "nir", "red")
    assert band_names(("red=swir/nir", "green=nir")) == ("swir", "nir")
    assert band_names(("red=1", "nir=4")) == band_names(()) == band_names(("1", "2")) == ()
    assert band_names(("red", "gray")) == ("red",)


def test_the_command_does_both_steps(changed, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["--before", "2020-06", "--after", "2024-06", "--collection", "sentinel-2-l2a"]
    arguments += ["--catalog", changed.url, "--model", "cva", "--aoi", box_text()]
    arguments += ["-o", "changes.geojson", "--scenes", "kept", "--json"]
    assert command(*arguments) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["features"]["count"] == 1
    assert facts["geochg"]["sources"]["after"]["scene"]["scenes"][0]["id"] == "after-a"
    assert len(list(Path("kept").glob("sentinel-2-l2a_20*.tif"))) == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["a.tif", "b.tif", "--before", "2020"], "there are images, and --before"),
        (["a.tif", "b.tif", "--max-cloud", "20"], "there are images, and --max-cloud"),
        (["a.tif", "b.tif", "--scenes", "s"], "there are images, and --scenes"),
        (["--before", "2020", "--aoi", "1,1,2,2"], "there is no --after"),
        (["--after", "2020", "--aoi", "1,1,2,2"], "there is no --before"),
        (["--before", "2020", "--after", "2021"], "there is no area"),
        (["--collection", "naip"], "there is no --before"),
        ([], "no images are given, and no times"),
        (["--before", "2021", "--after", "2020", "--aoi", "1,1,2,2"], "2021 lies after 2020"),
        (["a.tif", "--before", "2020"], "there are images, and --before"),
    ],
)
def test_mixtures_of_images_and_times_are_refused_in_a_line(arguments, reason, tmp_path, capsys):
    assert command(*arguments, "-o", str(tmp_path / "c.geojson")) == 2
    told = capsys.readouterr().err
    assert reason in told
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []
