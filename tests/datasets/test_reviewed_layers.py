"""What a review says of the ground, in rows and masks; nothing that it does not say."""

import json
import os
import shutil

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from reviewed_layers import SIDE_PX, analysed, change, mask_of, rewritten

from geochg.datasets.builder.build import build_dataset
from geochg.datasets.builder.options import BuildOptions, class_coding
from geochg.datasets.builder.pictures import picture_scenes
from geochg.datasets.builder.rasters import raster_scene
from geochg.datasets.builder.reviewed_layers import reviewed_scenes
from geochg.datasets.builder.splits import tiles_by_split
from geochg.datasets.captions.truth import UNKNOWN_LABEL
from geochg.datasets.examples import read_examples
from geochg.datasets.ground.covers import ANY, NOTHING, UNKNOWN_CHANGE, Cover
from geochg.datasets.ground.reviewed import reviewed_tiles
from geochg.datasets.pairs import pair_files, read_pair
from geochg.errors import InputError
from geochg.options import AlignMode
from geochg.records import Task
from geochg.writers.layers import write_features

CODING = class_coding(BuildOptions().coding)
ALL_TRAIN = BuildOptions(tile_size_px=96, shares=(1.0, 0.0, 0.0), align=AlignMode.OFF)

ACCEPTED = change(1, (10, 30), (10, 40), "accepted")
REJECTED = change(2, (20, 50), (110, 140), "rejected")
UNDECIDED = change(3, (120, 150), (20, 40), None)
DRAWN = change(4, (150, 170), (150, 180), None, source="hand", change="disappeared")
RELABELLED = change(5, (40, 60), (50, 60), "accepted", review_class="road")


@pytest.fixture(scope="module")
def analysed_layer(tmp_path_factory):
    return analysed(tmp_path_factory.mktemp("analysed"))


@pytest.fixture
def layer(analysed_layer, tmp_path):
    shutil.copytree(analysed_layer.parent, tmp_path / "run")
    return tmp_path / "run" / analysed_layer.name


def whole(scenes):
    """The masks of a scene as one tile."""
    (scene,) = scenes
    (tile,) = scene.tiles(scene.windows(SIDE_PX, 0))
    return tile


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def test_verdicts_say_what_changed_what_did_not_and_what_is_unknown(layer):
    features = (ACCEPTED, REJECTED, UNDECIDED, DRAWN, RELABELLED)
    tile = whole(reviewed_scenes([str(rewritten(layer, features))], CODING))
    classes, directions = np.zeros((2, SIDE_PX, SIDE_PX), np.uint8)
    for box, class_index, direction in (
        (((10, 30), (10, 40)), 1, 1),
        (((150, 170), (150, 180)), 1, 2),
        (((40, 60), (50, 60)), 2, 1),
    ):
        classes[mask_of(*box)], directions[mask_of(*box)] = class_index, direction
    assert np.array_equal(tile.classes, classes)
    assert np.array_equal(tile.directions, directions)
    # Ground of which nobody said anything, and changes that nobody decided on, are unknown.
    assert np.array_equal(tile.known, (classes > 0) | mask_of((20, 50), (110, 140)))
    assert not tile.is_settled
    with rasterio.open(layer.parent / "before.tif") as source:
        assert np.array_equal(tile.tile.before, source.read())


def test_a_layer_reviewed_to_the_end_tells_the_rest(layer):
    rewritten(layer, (ACCEPTED, REJECTED, DRAWN))
    (scene,) = reviewed_scenes([str(layer)], CODING)
    tile = whole([scene])
    assert tile.known.all()
    assert np.array_equal(tile.classes > 0, tile.directions > 0)
    assert any("count" in note and "unchanged" in note for note in scene.notes)
    assert scene.verdicts == {"accepted": 2, "rejected": 1, "undecided": 0}


def test_who_says_that_all_was_reviewed_is_believed_and_told(layer):
    rewritten(layer, (ACCEPTED, UNDECIDED))
    (scene,) = reviewed_scenes([str(layer)], CODING, all_reviewed=True)
    tile = whole([scene])
    assert tile.known.all()
    assert np.array_equal(tile.classes > 0, mask_of((10, 30), (10, 40)))
    assert any("1 of 2 changes, undecided, count as unchanged" in note for note in scene.notes)


def test_where_tiles_failed_the_rest_is_not_known(layer):
    rewritten(layer, (ACCEPTED, REJECTED))
    content = json.loads(layer.read_text())
    content["geochg"]["tiles"]["failed"] = 1
    layer.write_text(json.dumps(content))
    tile = whole(reviewed_scenes([str(layer)], CODING))
    assert tile.known.sum() == 20 * 30 + 30 * 30


def test_what_overlaps_counts_as_the_better_known(layer):
    drawn = change(3, (20, 40), (10, 30), "accepted", source="hand")
    rewritten(
        layer,
        (
            drawn,
            change(1, (10, 50), (10, 50), "rejected"),
            change(2, (30, 60), (10, 60), None),
        ),
    )
    tile = whole(reviewed_scenes([str(layer)], CODING))
    accepted, undecided = mask_of((20, 40), (10, 30)), mask_of((30, 60), (10, 60))
    assert np.array_equal(tile.classes > 0, accepted)
    known = accepted | (mask_of((10, 50), (10, 50)) & ~undecided)
    assert np.array_equal(tile.known, known)


def test_of_tiles_known_in_parts_rows_only_say_whether_something_changed(layer, tmp_path):
    rewritten(layer, (ACCEPTED, REJECTED, UNDECIDED))
    out = tmp_path / "out"
    done = build_dataset(out, reviewed_scenes([str(layer)], CODING), ALL_TRAIN)
    examples = {example.before.stem: example for example in read_examples(out / "train.json")}
    assert {name: example.changed for name, example in examples.items()} == {
        "changes_r0c0": True,
        "changes_r0c1": False,
    }
    assert {example.task for example in examples.values()} == {Task.PRESENCE}
    assert json.loads((out / "train_captions.json").read_text()) == []
    assert done["splits"]["train"]["known_in_parts"] == 2
    # Of the others one holds what nobody decided on, one nothing at all.
    assert done["left_out"]["nothing decided"] == 2
    label = read(out / "label" / "changes_r0c0.tif")
    inside = mask_of((10, 30), (10, 40), (96, 96))
    assert np.array_equal(label, np.where(inside, 1, UNKNOWN_LABEL))
    label = read(out / "label" / "changes_r0c1.tif")
    inside = mask_of((20, 50), (14, 44), (96, 96))
    assert np.array_equal(label, np.where(inside, 0, UNKNOWN_LABEL))


def test_all_kinds_of_rows_are_made_where_all_is_known(layer, tmp_path):
    rewritten(layer, (ACCEPTED, REJECTED, RELABELLED))
    build_dataset(tmp_path / "out", reviewed_scenes([str(layer)], CODING), ALL_TRAIN)
    rows = [e for e in read_examples(tmp_path / "out" / "train.json") if "r0c0" in e.before.name]
    assert {example.task for example in rows} == set(Task)
    (count,) = (e.turns[0].answer for e in rows if e.task is Task.COUNT)
    assert "1" in count
    for file in (tmp_path / "out" / "label").iterdir():
        assert not (read(file) == UNKNOWN_LABEL).any()


def test_others_read_what_is_unknown_as_such(layer, tmp_path):
    rewritten(layer, (ACCEPTED, REJECTED, UNDECIDED))
    build_dataset(tmp_path / "out", reviewed_scenes([str(layer)], CODING), ALL_TRAIN)
    masks = [read_pair(files).mask for files in pair_files(tmp_path / "out")]
    assert [int(mask.sum()) for mask in masks] == [20 * 30, 0]
    coding = class_coding(["1=building"])
    known = []
    for scene in picture_scenes(tmp_path / "out", coding):
        (tile,) = scene.tiles(scene.windows(96, 0))
        known.append(int(tile.known.sum()))
    assert known == [20 * 30, 30 * 30]


def test_layers_of_one_pair_add_up_and_contradictions_are_told(layer):
    disputed = change(2, (20, 50), (110, 140), "accepted")
    other = rewritten(
        layer,
        (
            change(1, (10, 30), (10, 40), None),
            disputed,
            change(3, (120, 150), (20, 40), "rejected"),
        ),
        layer.with_name("other.geojson"),
    )
    rewritten(layer, (ACCEPTED, REJECTED, UNDECIDED))
    (scene,) = reviewed_scenes([str(layer), str(other)], CODING)
    tile = whole([scene])
    assert np.array_equal(tile.classes > 0, mask_of((10, 30), (10, 40)))
    assert np.array_equal(tile.known, (tile.classes > 0) | mask_of((120, 150), (20, 40)))
    (note,) = (note for note in scene.notes if "contradict" in note)
    assert "changes.geojson, feature 2, and other.geojson, feature 2" in note


def test_places_of_several_runs_never_straddle_the_splits(layer, tmp_path):
    features = [
        change(n, (24 * n, 24 * n + 8), (24 * n, 24 * n + 8), ("accepted", "rejected")[n % 2])
        for n in range(8)
    ]
    rewritten(layer, features)
    shutil.copytree(layer.parent, tmp_path / "later")
    later = tmp_path / "later"
    # Another date of the same place.
    os.replace(later / "after.tif", later / "after_2.tif")
    text = (later / layer.name).read_text().replace("after.tif", "after_2.tif")
    (later / layer.name).write_text(text)
    scenes = reviewed_scenes([str(layer), str(later / layer.name)], CODING)
    assert len(scenes) == 2
    options = BuildOptions(tile_size_px=24, block_tiles=2, gap_px=0, shares=(0.6, 0.4, 0.0))
    splits = tiles_by_split(scenes, options)
    places = {
        split: {tile.window.index for tile in tiles if tile.scene == scene}
        for split, tiles in splits.items()
        for scene in range(2)
    }
    assert not places["train"] & places["val"]
    # Both splits have changes, although few tiles do.
    for tiles in splits.values():
        assert any(scenes[tile.scene].shows_change(tile.window) for tile in tiles)
    # On one grid none costs the other a tile.
    count = sum(len(scene.windows(24, 0)) for scene in scenes)
    assert sum(map(len, splits.values())) == count


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".parquet"])
def test_every_format_says_the_same(layer, suffix):
    features = (ACCEPTED, REJECTED, DRAWN)
    expected = whole(reviewed_scenes([str(rewritten(layer, features))], CODING))
    frame = gpd.read_file(layer)
    metadata = json.loads(layer.read_text())["geochg"]
    texts = ["class", "change", "review", "source"]
    frame = frame.assign(**{name: frame[name].astype("string") for name in texts})
    path = layer.with_suffix(suffix)
    write_features(frame, path, metadata)
    tile = whole(reviewed_scenes([str(path)], CODING))
    for name in ("classes", "directions", "known"):
        assert np.array_equal(getattr(tile, name), getattr(expected, name)), name


def test_a_layer_that_lost_what_it_said_goes_with_its_images_by_hand(layer):
    rewritten(layer, (ACCEPTED, REJECTED, UNDECIDED))
    frame = gpd.read_file(layer)
    lost = layer.with_name("lost.gpkg")
    frame.to_file(lost)
    with pytest.raises(InputError, match="does not tell its images") as error:
        reviewed_scenes([str(lost)], CODING)
    assert "--rasters BEFORE AFTER LAYER" in error.value.hint
    images = [str(layer.parent / name) for name in ("before.tif", "after.tif")]
    tile = whole([raster_scene(*images, str(lost), CODING, AlignMode.OFF)])
    assert np.array_equal(tile.classes > 0, mask_of((10, 30), (10, 40)))
    assert tile.known.sum() == 20 * 30 + 30 * 30


def _without_images(layer):
    (layer.parent / "after.tif").unlink()
    return layer


def _with_another_image(layer):
    image = layer.parent / "after.tif"
    with rasterio.open(image) as source:
        profile, values = source.profile, source.read()
    image.unlink()
    with rasterio.open(image, "w", **{**profile, "compress": "deflate"}) as target:
        target.write(values)
    return layer


def _with_features(*features):
    return lambda layer: rewritten(layer, features)


def _without_image_facts(layer):
    content = json.loads(layer.read_text())
    del content["geochg"]["sources"]
    layer.write_text(json.dumps(content))
    return layer


@pytest.mark.parametrize(
    ("spoil", "names"),
    [
        (_with_features(UNDECIDED), "has no verdicts"),
        (_with_features(), "has no verdicts"),
        (_with_features(change(7, (1, 9), (1, 9), "maybe")), "feature 7, has the verdict 'maybe'"),
        (
            _with_features(change(7, (1, 9), (1, 9), "accepted", **{"class": "silo"})),
            "feature 7, was accepted and has the class 'silo'",
        ),
        (
            _with_features(change(7, (1, 9), (1, 9), "accepted", **{"class": None})),
            "was accepted and has no class",
        ),
        (_without_images, "after.tif was not found"),
        (_with_another_image, "after.tif is not the file that the run read"),
        (_without_image_facts, "does not tell its images"),
    ],
)
def test_what_no_rows_can_be_made_of_is_told_in_a_line(layer, spoil, names):
    layer = rewritten(layer, (ACCEPTED, REJECTED))
    with pytest.raises(InputError) as error:
        reviewed_scenes([str(spoil(layer))], CODING)
    assert names in error.value.message
    assert error.value.hint


def test_rejections_alone_and_parts_of_a_layer_are_refused(layer, tmp_path):
    rewritten(layer, (REJECTED,))
    with pytest.raises(InputError, match=r"all verdicts are rejections \(1\)"):
        build_dataset(tmp_path / "out", reviewed_scenes([str(layer)], CODING), ALL_TRAIN)
    with pytest.raises(InputError, match="named with a subset"):
        reviewed_scenes([f"{layer}|subset=id = 1"], CODING)


def test_the_recipe_of_the_built_in_model_reads_training_tiles(layer, tmp_path):
    rewritten(layer, (ACCEPTED, REJECTED, UNDECIDED))
    folder = tmp_path / "imagery" / "reviewed" / "mine"
    folder.parent.mkdir(parents=True)
    build_dataset(folder, reviewed_scenes([str(layer)], CODING), ALL_TRAIN)
    changed, unchanged = reviewed_tiles(tmp_path / "imagery")
    assert (changed.name, changed.resolution_m) == (
        "mine/changes_r0c0",
        pytest.approx(10, rel=0.01),
    )
    mask = changed.change(0, 1)
    inside = mask_of((10, 30), (10, 40), (96, 96))
    assert (mask[14:26, 14:36] == 1).all()
    assert (mask[~inside] == UNKNOWN_CHANGE).all()
    before, after = changed.covers
    assert set(np.unique(before)) == {NOTHING, ANY & ~Cover.BUILDING}
    assert set(np.unique(after)) == {NOTHING, Cover.BUILDING}
    mask = unchanged.change(0, 1)
    assert (mask == 0).sum() == 30 * 30
    assert (mask == UNKNOWN_CHANGE).sum() == 96 * 96 - 30 * 30
    # Held-out tiles are never learned from.
    (folder / "train.json").rename(folder / "test.json")
    assert list(reviewed_tiles(tmp_path / "imagery")) == []
