"""`geochg dataset`: folders of pairs from the command line."""

import json
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
from PIL import Image

from geochg.datasets.world import WorldOptions

SMALL = ("--size", 64)


def files(folder):
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in paths}


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_workers(geochg, tmp_path):
    given = ("--count", 5, "--seed", 7, *SMALL)
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    code, out, errors = geochg("dataset", "world", one, *given)
    assert (code, errors) == (0, "")
    assert out.splitlines()[0] == str(one)
    assert geochg("dataset", "world", two, *given, "--workers", 2)[0] == 0
    assert geochg("dataset", "world", other, *given, "--seed", 8)[0] == 0
    assert len(files(one)) == 4 * 5 + 4
    assert files(one) == files(two)
    assert files(one) != files(other)


def test_options_reach_the_pairs(geochg, tmp_path):
    folder = tmp_path / "w"
    given = ("--gsd", 0.3, 0.6, "--coarse-share", 0, "--unchanged-share", 0, *SMALL)
    more = ("--reversed-share", 1, "--count", 4, "--seed", 3)
    code, out, _ = geochg("dataset", "world", folder, *given, *more, "--json")
    assert code == 0
    facts = json.loads((folder / "world_facts.json").read_text())
    changed = sum(pair["changeflag"] for pair in facts)
    assert changed > 0
    told = {"folder": str(folder), "sheet": None, "pairs": 4, "changed": changed, "real": 0}
    assert json.loads(out) == told
    assert [pair["seed"] for pair in facts] == [3, 4, 5, 6]
    assert all(0.3 <= pair["gsd_m"] <= 0.6 for pair in facts)
    kept = WorldOptions.from_dict(json.loads((folder / "options.json").read_text())["options"])
    assert (kept.size_px, kept.reversed_share, kept.unchanged_share) == (64, 1.0, 0.0)
    assert Image.open(folder / "A" / "world_000003.png").size == (64, 64)


def test_defaults_are_those_of_the_library(geochg, tmp_path):
    assert geochg("dataset", "world", tmp_path / "w", "--count", 1)[0] == 0
    kept = json.loads((tmp_path / "w" / "options.json").read_text())
    assert kept["options"] == WorldOptions().to_dict()
    assert kept["seed"] == 0


def test_real_imagery_is_drawn_on(geochg, make_raster, tmp_path):
    (tmp_path / "naip_single").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (3, 128, 128), dtype=np.uint8)
    for number in range(8):
        make_raster(f"naip_single/m_{number}.tif", pixels)
    counts = []
    for part in ((), ("--validation",)):
        folder = tmp_path / f"w{len(counts)}"
        given = ("--real-dir", tmp_path, "--count", 8, "--json", *SMALL)
        code, out, _ = geochg("dataset", "world", folder, *given, *part)
        assert code == 0
        counts.append(json.loads(out)["real"])
    assert min(counts) > 0
    assert files(tmp_path / "w0") != files(tmp_path / "w1")


@pytest.mark.parametrize(("count", "strips"), [(1, (1, 1)), (3, (1, 3)), (4, (2, 2)), (13, (2, 6))])
def test_the_sheet_shows_the_first_pairs(geochg, tmp_path, count, strips):
    sheet = tmp_path / "sheet.png"
    given = ("--count", count, "--size", 32, "--sheet", sheet)
    code, out, _ = geochg("dataset", "world", tmp_path / "w", *given)
    assert code == 0
    assert out.splitlines()[:2] == [str(tmp_path / "w"), str(sheet)]
    image = Image.open(sheet)
    assert image.size == (strips[0] * 3 * 32, strips[1] * 32)
    first = np.asarray(Image.open(tmp_path / "w" / "B" / "world_000000.png"))
    # The caption lies over the top rows.
    np.testing.assert_array_equal(np.asarray(image)[16:32, 32:64], first[16:])


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--count", 0], "count 0"),
        (["--seed", -1], "seed -1"),
        (["--workers", 0], "workers 0"),
        (["--size", 8], "size 8 px"),
        (["--gsd", 2, 1], "2.0 to 1.0 m"),
        (["--gsd", "nan", 1], "nan"),
        (["--gsd", 0, 1], "0.0 to 1.0 m"),
        (["--coarse-share", 1.5], "1.5"),
        (["--unchanged-share", "nan"], "unchanged share nan"),
        (["--reversed-share", -0.1], "-0.1"),
        (["--real-dir", "nowhere"], "nowhere"),
        (["--validation"], "--validation without --real-dir"),
        (["--sheet", "sheet.jpg"], "'.jpg'"),
        (["--sheet", "nowhere/sheet.png"], "nowhere"),
    ],
)
def test_values_that_make_no_sense(refused, tmp_path, arguments, names):
    refused("dataset", "world", tmp_path / "w", *arguments, names=names)


def test_folders_that_cannot_be_made(refused, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    (tmp_path / "file").write_text("keep")
    refused("dataset", "world", tmp_path / "full", names="full exists already")
    refused("dataset", "world", tmp_path / "file", names="file exists already")
    refused("dataset", "world", tmp_path / "nowhere" / "w", names="nowhere does not exist")


@pytest.mark.parametrize(
    ("failure", "code", "names"),
    [
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (BrokenProcessPool(), 1, "fewer --workers"),
        (KeyboardInterrupt(), 130, "cancelled"),
    ],
)
def test_a_failure_on_the_way_is_named(monkeypatch, geochg, tmp_path, failure, code, names):
    def fail(*_):
        raise failure

    monkeypatch.setattr("geochg.datasets.world.write.write_dataset", fail)
    given, out, errors = geochg("dataset", "world", tmp_path / "w")
    assert (given, out) == (code, "")
    assert names in errors
    assert "Traceback" not in errors


def test_the_group_names_its_commands(geochg):
    code, out, _ = geochg("dataset", "--help")
    assert code == 0
    assert "world" in out
    assert geochg("dataset", "nosuch")[0] == 2
    assert "--gsd MIN MAX" in geochg("dataset", "world", "--help")[1]


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        (["dataset"], "numpy"),
        (["dataset", "world"], "rasterio"),
        (["models"], "numpy"),
        (["models", "convert", "deltavlm"], "torch"),
    ],
)
def test_help_loads_nothing_heavy(command, unwanted):
    code = f"import sys, geochg_cli.main as m; m._run({[*command, '--help']})"
    check = f"{code}; sys.exit({unwanted!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage: geochg" in done.stdout
