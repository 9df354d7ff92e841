"""Scores of maps against the same figures computed another way, from files as a user has them."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from masked_pairs import (
    damaged_pair,
    pair_with_unknown,
    plain_pair,
    some_kind,
    unchanged_pair,
)
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from geochg import AnalyzeOptions, Outputs, analyze
from geochg.datasets.kinds import kinds_of
from geochg.errors import InputError, ModelError, OptionError
from geochg.evaluation.kind_scores import kinds_report
from geochg.events import Notice, Progress

pytestmark = pytest.mark.usefixtures("marker_plugin")

MARKER = AnalyzeOptions(model="marker", tile_size_px=128)
MARKER_PLUGIN = Path(__file__).parent.parent / "models" / "marker_plugin"
ROUNDS = 1000


@pytest.fixture(scope="module")
def kind(tmp_path_factory):
    return some_kind(tmp_path_factory.mktemp("kinds") / "planted")


@pytest.fixture(scope="module")
def report(kind):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(MARKER_PLUGIN)
        return kinds_report(kinds_of(kind), MARKER)


# --- the same figures, another way ---------------------------------------------------------------


def cells_of(values, known):
    """Means of thirds of 256 px over known pixels, with edges written out for 200 x 300 px."""
    rows, cols = [(0, 85), (85, 171)], [(0, 85), (85, 171), (171, 256), (256, 300)]
    result = []
    for top, bottom in rows:
        for left, right in cols:
            inside = known[top:bottom, left:right]
            if inside.sum() >= 0.01 * inside.size:
                result.append(float(values[top:bottom, left:right][inside].mean(dtype=float)))
    return result


def median_of_5(image):
    padded = np.pad(image, 2, mode="symmetric")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, (5, 5)), axis=(2, 3))


def standard(bands, valid):
    result = []
    for band in bands:
        low, high = np.percentile(band[valid], [2, 98])
        band = np.clip((band - low) / (high - low), 0, 1)
        result.append((band - band[valid].mean()) / band[valid].std())
    return np.array(result)


def read(folder, work):
    """Truth, heat, features and differencing of a pair on the grid of its mask."""
    with rasterio.open(folder / "mask.tif") as mask:
        label = mask.read(1)
        cols, rows = np.meshgrid(np.arange(300) + 0.5, np.arange(200) + 0.5)
        x, y = mask.transform * (cols, rows)
    outputs = Outputs(features=work / "c.gpkg", heatmap=work / "h.tif")
    analyze(folder / "before.tif", folder / "after.tif", MARKER, outputs=outputs)
    union = gpd.read_file(work / "c.gpkg").union_all()
    with rasterio.open(work / "h.tif") as source:
        # It covers what both dates cover.
        col, row = (np.floor(n).astype(int) for n in ~source.transform * (x, y))
        inside = (col >= 0) & (row >= 0) & (col < source.width) & (row < source.height)
        values = np.where(source.read_masks(1) > 0, source.read(1), 0)
        heat = np.zeros(label.shape)
        heat[inside] = values[row[inside], col[inside]]
    with rasterio.open(folder / "before.tif") as one, rasterio.open(folder / "after.tif") as two:
        before = one.read().astype(float)
        grid = {"crs": one.crs, "transform": one.transform, "width": 300, "height": 200}
        same = two.transform == one.transform
        with WarpedVRT(
            two, resampling=Resampling.bilinear, src_nodata=None, dtype="float64", **grid
        ) as placed:
            after = (two if same else placed).read().astype(float)
    valid = before.any(axis=0) & after.any(axis=0)
    change = np.sqrt(((standard(before, valid) - standard(after, valid)) ** 2).sum(axis=0))
    return {
        "known": label != 255,
        "changed": label == 1,
        "covered": shapely.contains_xy(union, x, y),
        "heat": heat,
        "difference": np.where(valid, change, 0),
    }


def f1(truth, result):
    return 2 * (truth & result).sum() / max(truth.sum() + result.sum(), 1)


def area(truth, score):
    wins = [(a > b) + (a == b) / 2 for a in score[truth] for b in score[~truth]]
    return np.mean(wins)


def joined(pairs, of):
    return np.concatenate([np.array(of(pair)) for pair in pairs])


def expected(pairs):
    """Figures of the three ways, all pairs of a kind together."""
    known = joined(pairs, lambda p: p["changed"][p["known"]])
    truth = joined(pairs, lambda p: cells_of(p["changed"], p["known"])) > 0.05

    def figures(score, covers, cut_cells=None):
        covered = joined(pairs, lambda p: covers(p)[p["known"]])
        cell = joined(pairs, lambda p: cells_of(covers(p), p["known"])) > 0.05
        return {
            "cell_auroc": area(truth, joined(pairs, lambda p: cells_of(p[score], p["known"]))),
            "cell_f1": f1(truth, cell),
            "pixel_f1": f1(known, covered),
            "false_area": covered[~known].mean(),
        }

    for pair in pairs:
        pair["smooth"] = median_of_5(pair["difference"])
    sample = joined(pairs, lambda p: p["smooth"][p["known"]][::97])
    tried = [
        figures("difference", lambda p, cut=cut: p["smooth"] > cut)
        for cut in np.quantile(sample, np.linspace(0, 0.995, 60))
    ]
    best = max(tried, key=lambda each: each["pixel_f1"])
    best = best | {"cell_f1": max(each["cell_f1"] for each in tried)}
    everything = figures("heat", lambda p: np.ones_like(p["known"])) | {"cell_auroc": 0.5}
    return {
        "the model": figures("heat", lambda p: p["covered"]),
        "differencing": best,
        "all changed": everything,
    }


def test_every_score_is_that_of_another_computation(kind, report, tmp_path):
    pairs = [read(folder, tmp_path) for folder in sorted(kind.iterdir())]
    table = report.kinds[0].tables[0]
    assert (table.group, table.items) == ("all pairs", 5)
    wanted = expected(pairs)
    assert [line.name for line in table.lines] == list(wanted)
    for line in table.lines:
        assert line.values == pytest.approx(wanted[line.name], abs=2e-4), line.name
    # The figures are such that a mistake in one of them could be seen.
    assert 0.5 < wanted["the model"]["cell_f1"] < 1
    assert 0.5 < wanted["the model"]["pixel_f1"] < 1
    assert 0 < wanted["the model"]["false_area"] < 0.1


def test_intervals_are_of_a_bootstrap_over_pairs(report):
    scores = report.kinds[0]
    counts = np.array([[getattr(p.pixels, n) for n in NAMES] for p in scores.pairs])
    random, pixel, false = np.random.default_rng(0), [], []
    for _ in range(ROUNDS):
        changed, unchanged, hits, alarms = counts[random.integers(0, 5, 5)].sum(axis=0)
        pixel.append(2 * hits / max(hits + alarms + changed, 1))
        false.append(alarms / unchanged)
    result = scores.tables[0].lines[0].intervals
    assert result["pixel_f1"] == pytest.approx(np.percentile(pixel, [2.5, 97.5]))
    assert result["false_area"] == pytest.approx(np.percentile(false, [2.5, 97.5]))
    for line in scores.tables[0].lines:
        for name, interval in line.intervals.items():
            assert interval.low <= line.values[name] <= interval.high


NAMES = ("changed", "unchanged", "hits", "alarms")


def test_pixels_are_counted_where_they_are_known(kind, report):
    for pair in report.kinds[0].pairs:
        with rasterio.open(kind / pair.pair.name / "mask.tif") as mask:
            label = mask.read(1)
        assert pair.pixels.changed == (label == 1).sum()
        assert pair.pixels.unchanged == (label == 0).sum()
    by_name = {pair.pair.name: pair for pair in report.kinds[0].pairs}
    # The marker is right where it sees the ground.
    assert by_name["plain"].pixels.hits == by_name["plain"].pixels.changed
    assert by_name["plain"].pixels.alarms == 0
    assert by_name["nodata"].pixels.hits < by_name["nodata"].pixels.changed
    assert by_name["unchanged"].pixels.alarms == 40 * 20
    assert len(by_name["unknown"].truth) == len(by_name["plain"].truth) - 1


# --- groups, failures, models --------------------------------------------------------------------


def test_changed_and_unchanged_pairs_are_told_apart(report):
    groups = {table.group: table for table in report.kinds[0].tables}
    assert {name: table.items for name, table in groups.items()} == {
        "all pairs": 5,
        "changed pairs": 4,
        "unchanged pairs": 1,
    }
    assert groups["unchanged pairs"].columns == ("false_area",)
    model = groups["unchanged pairs"].lines[0]
    assert model.values["false_area"] == pytest.approx(800 / 60_000)
    assert not model.intervals


@pytest.mark.parametrize("make", [plain_pair, unchanged_pair, pair_with_unknown])
def test_a_single_pair_is_scored_without_intervals(tmp_path, make):
    make(tmp_path / "kind" / "only")
    (scores,) = kinds_report(kinds_of(tmp_path / "kind"), MARKER).kinds
    (table,) = scores.tables
    assert table.items == 1
    assert not any(line.intervals for line in table.lines)
    assert not any("in brackets" in note for note in scores.notes)


def no_mask(folder: Path) -> None:
    plain_pair(folder)
    (folder / "mask.tif").unlink()


def no_before(folder: Path) -> None:
    plain_pair(folder)
    (folder / "before.tif").unlink()


def damaged_mask(folder: Path) -> None:
    plain_pair(folder)
    (folder / "mask.tif").write_bytes(b"II*\0none")


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (damaged_pair, "after.tif"),
        (no_mask, "mask.tif"),
        (no_before, "before.tif"),
        (damaged_mask, "mask.tif"),
    ],
)
def test_a_pair_that_cannot_be_read_is_named_and_the_others_are_scored(tmp_path, make, names):
    for name in "ace":
        plain_pair(tmp_path / "kind" / name, ord(name))
    clean = kinds_report(kinds_of(tmp_path / "kind"), MARKER).kinds[0]
    make(tmp_path / "kind" / "b")
    events = []
    (scores,) = kinds_report(kinds_of(tmp_path / "kind"), MARKER, events.append).kinds
    assert [pair.pair.name for pair in scores.pairs] == ["a", "c", "e"]
    assert scores.tables == clean.tables
    ((failure,),) = [scores.failed]
    assert failure.pair == "b"
    assert names in failure.error.message
    assert any(note.startswith("b is not scored: ") for note in scores.notes)
    warned = [e.message for e in events if isinstance(e, Notice) and e.warning]
    assert any(message.startswith("kind/b is not scored: ") for message in warned)
    assert [e.done for e in events if isinstance(e, Progress)] == [1, 2, 3, 4]


def test_nothing_to_score_is_an_error(tmp_path):
    for name in "ab":
        damaged_pair(tmp_path / "kind" / name)
    with pytest.raises(InputError, match=r"none of the pairs could be scored; the first: .*a/"):
        kinds_report(kinds_of(tmp_path / "kind"), MARKER)
    for options, kind_of_error in (
        (AnalyzeOptions(model="nosuch"), ModelError),
        (AnalyzeOptions(model="irmad", classes=("building",)), OptionError),
        (AnalyzeOptions(model="marker", model_options={"none": 1}), OptionError),
    ):
        with pytest.raises(kind_of_error):
            kinds_report(kinds_of(tmp_path / "kind"), options)


def test_a_kind_that_a_model_cannot_score_does_not_stop_the_others(tmp_path):
    for name in ("first", "second", "third"):
        plain_pair(tmp_path / name / "p")
    (tmp_path / "second" / "kind.json").write_text('{"classes": "building"}')
    scores = kinds_report(kinds_of(tmp_path), AnalyzeOptions(model="irmad")).kinds
    assert [len(each.pairs) for each in scores] == [1, 0, 1]
    assert scores[1].summary == "no pair scored"
    assert "building" in scores[1].notes[0]


def test_the_classes_of_a_kind_are_asked_for_unless_others_are(tmp_path):
    plain_pair(tmp_path / "kind" / "p")
    note = tmp_path / "kind" / "kind.json"
    result = {}
    for classes in ("building", "road", "building, road"):
        note.write_text(f'{{"classes": "{classes}"}}')
        (scores,) = kinds_report(kinds_of(tmp_path), MARKER).kinds
        result[classes] = scores.pairs[0].features
    assert result["building"] == result["building, road"] > 0
    assert result["road"] == 0
    own = AnalyzeOptions(model="marker", tile_size_px=128, classes=("road",))
    (scores,) = kinds_report(kinds_of(tmp_path), own).kinds
    assert (scores.classes, scores.pairs[0].features) == (("road",), 0)


def test_a_model_is_loaded_once_a_kind_and_sees_each_pair_anew(tmp_path, monkeypatch):
    from geochg.evaluation import kind_scores

    for seed, name in enumerate("abc"):
        plain_pair(tmp_path / "kind" / name, seed)
    loaded = []
    load = kind_scores.load_configured_model
    monkeypatch.setattr(kind_scores, "load_configured_model", lambda o: loaded.append(o) or load(o))
    options = AnalyzeOptions(model="irmad")
    (together,) = kinds_report(kinds_of(tmp_path), options).kinds
    assert len(loaded) == 1
    for pair in together.pairs:
        alone = analyze(pair.pair.before, pair.pair.after, options)
        assert len(alone.features) == pair.features
