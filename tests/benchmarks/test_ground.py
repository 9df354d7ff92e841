"""Ground where little changed, floods in other words, and scenes for the clock."""

import builtin_speed
import numpy as np
import pytest
import rasterio
import tuning
import unchanged
from pairs import planted_mask, planted_pair

from geochg.models.registry import load_model


@pytest.fixture
def model(marker_plugin):
    return load_model("marker", {}, "cpu")


@pytest.mark.parametrize(
    "rows", [(0, 200), (0, 60), (100, 200)], ids=["all", "the north", "the south"]
)
def test_the_changed_share_is_that_of_the_ground_that_counts(make_raster, model, rows):
    before, after = (make_raster(f"{n}.tif", image) for n, image in enumerate(planted_pair()))
    counts = np.zeros((200, 300), bool)
    counts[slice(*rows)] = True
    pair = unchanged.QuietPair("pair", before, after, asked=lambda: counts)
    ground = unchanged.ground_of(pair)
    share = unchanged.changed_share(pair, "marker", model, ground)
    assert share == pytest.approx(planted_mask()[slice(*rows)].mean(), abs=0.003)
    classes = unchanged.analyze(before, after, unchanged.AnalyzeOptions(model="marker")).features
    (name,) = set(classes["class"])
    without = unchanged.QuietPair("pair", before, after, asked=lambda: counts, left_out=name)
    assert unchanged.changed_share(without, "marker", model, ground) == 0


def test_ground_without_data_at_either_date_does_not_count(make_raster):
    before, after = planted_pair()
    before[:, :50], after[:, :, :30] = 0, 0
    pair = unchanged.QuietPair("pair", make_raster("b.tif", before), make_raster("a.tif", after))
    known = unchanged.ground_of(pair).known
    assert not known[:50].any()
    assert not known[:, :30].any()
    assert known[50:, 30:].all()


def test_only_neighbouring_years_and_clear_weeks_are_pairs(tmp_path, make_raster):
    series = tmp_path / "naip_series_nd"
    series.mkdir()
    for day in ("20100629", "20090818", "20120731", "20130101"):
        (series / f"m_1_{day}.tif").touch()
    assert [pair.name for pair in unchanged.crop_years(tmp_path).pairs] == [
        "2009 to 2010",
        "2012 to 2013",
    ]
    for place in ("images", "masks"):
        (tmp_path / "s2_two_seasons" / place).mkdir(parents=True)
    for day, cloud in (("07-11", 0), ("07-31", 1), ("08-30", 0), ("09-09", 0)):
        (tmp_path / "s2_two_seasons" / "images" / f"2015-{day}.tif").touch()
        mask = np.zeros((1, 8, 8), np.uint8)
        mask[0, 0, 0] = cloud
        make_raster("mask.tif", mask).rename(
            tmp_path / "s2_two_seasons" / "masks" / f"2015-{day}.tif"
        )
    assert [pair.name for pair in unchanged.seasons(tmp_path).pairs] == [
        "2015-07-11 to 2015-08-30",
        "2015-08-30 to 2015-09-09",
    ]
    assert [group.name for group in unchanged.groups(tmp_path)] == [
        unchanged.crop_years(tmp_path).name,
        unchanged.seasons(tmp_path).name,
    ]


def test_a_table_has_the_mean_and_the_worst_of_each_model():
    shares = {"one": {"a": 0.1, "b": 0.3}, "two": {"a": 0.0, "b": 0.02}}
    group = unchanged.GroupShares("fields", "no", shares)
    assert list(unchanged.rows([group])) == [
        ("fields", "no", "2", "20.0% (worst 30.0%)", "1.0% (worst 2.0%)")
    ]
    assert next(unchanged.each_pair([group])) == "fields, one: 10.0%, 30.0%"


@pytest.mark.parametrize(
    ("rows", "cols", "said"),
    [
        ((0, 0), (0, 0), "all clear"),
        ((0, 10), (0, 10), "flood watch, worst in the northwest"),
        ((60, 128), (70, 128), "flood emergency, worst in the southeast"),
        ((100, 128), (0, 64), "flood warning, worst in the southwest"),
        ((0, 128), (0, 128), "flood emergency, worst in the northwest"),
    ],
)
def test_a_warning_tells_how_bad_it_is_and_where(rows, cols, said):
    flooded = np.zeros((128, 128), bool)
    flooded[slice(*rows), slice(*cols)] = True
    assert tuning.warning(flooded) == said


def test_rows_keep_one_caption_a_pair_in_the_words_of_the_service():
    def row(name, prompt, answer):
        talk = [{"from": "human", "value": f"<image> {prompt}"}, {"from": "gpt", "value": answer}]
        return {"image": [f"A/{name}.png", f"B/{name}.png"], "conversations": talk}

    caption, presence = (tuning.SPECS[task].prompts[0] for task in tuning.TASKS)
    given = [
        row("1", caption, "ponds"),
        row("1", caption, "more ponds"),
        row("1", presence, "Yes"),
        row("2", caption, "lakes"),
        row("2", "What has changed?", "lakes"),
    ]
    kept = tuning.reworded(given, {"1": "flood watch", "2": "all clear"})
    assert [each["conversations"][1]["value"] for each in kept] == [
        "flood watch",
        "Yes",
        "all clear",
    ]


@pytest.mark.parametrize("scene", builtin_speed.SCENES.values(), ids=list(builtin_speed.SCENES))
def test_a_scene_shows_the_later_date_where_it_changes(tmp_path, scene):
    dates = []
    for path in builtin_speed.write_scene(tmp_path, scene, 4):
        with rasterio.open(path) as raster:
            assert raster.descriptions == ("red", "green", "blue", "nir")
            dates.append(raster.read().astype(float))
    side = builtin_speed.TILE_PX
    for number in range(16):
        row, col = (place * side for place in divmod(number, 4))
        one, two = (date[:, row : row + side, col : col + side] for date in dates)
        differ = np.abs(two - one).mean() > 3 * builtin_speed.NOISE * one.mean()
        every = scene.changed_every
        assert differ == bool(every and not number // 4 % every and not number % 4 % every), number
    # The mosaic goes on without a seam where the example ends.
    with rasterio.open(builtin_speed.EXAMPLES / scene.dates[0]) as raster:
        width = raster.width
    assert (dates[0][:, :, width] == dates[0][:, :, width - 1]).all()
