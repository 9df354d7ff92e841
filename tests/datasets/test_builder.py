"""Pairs with masks become rows that say what the masks say, split so that nothing leaks."""

from dataclasses import replace
from itertools import product

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from levir_masks import ALL_TRAIN, CODING, levir_mask, write_pair
from PIL import Image
from rasters import ORIGIN, UTM, texture
from scipy import ndimage

from geochg.datasets.builder.build import build_dataset
from geochg.datasets.builder.options import BuildOptions, class_coding
from geochg.datasets.builder.pictures import picture_scenes
from geochg.datasets.builder.rasters import raster_scene
from geochg.datasets.builder.scene import MaskedScene
from geochg.datasets.builder.splits import tiles_by_split
from geochg.datasets.captions.truth import count_contours
from geochg.datasets.check import check_examples
from geochg.datasets.examples import load_pair, read_examples
from geochg.errors import InputError, OptionError
from geochg.options import AlignMode
from geochg.records import GridCell, PairFacts, Task
from geochg.tasks import SPECS, TURN_BREAK

HEIGHT, WIDTH = 300, 420


def parsed_answer(example):
    return SPECS[example.task].parse(TURN_BREAK.join(turn.answer for turn in example.turns))


def by_task(folder, split="train"):
    return {
        example.task: parsed_answer(example) for example in read_examples(folder / f"{split}.json")
    }


def test_contours_are_external_and_join_at_corners():
    mask = levir_mask() == 255
    assert count_contours(mask) == 2
    assert ndimage.label(mask)[1] == 3
    corner = np.zeros((6, 6), bool)
    corner[1, 1] = corner[2, 2] = True
    assert count_contours(corner) == 1
    assert count_contours(np.zeros((4, 4), bool)) == 0


def test_rows_say_what_the_mask_says(tmp_path):
    write_pair(tmp_path / "in", "one", levir_mask())
    build_dataset(tmp_path / "out", picture_scenes(tmp_path / "in", CODING), ALL_TRAIN)
    result = by_task(tmp_path / "out")
    assert set(result) == set(Task)
    assert result[Task.PRESENCE].changed
    assert result[Task.COUNT].counts == {"road": 1, "building": 2}
    assert result[Task.COUNT].changes == {}
    assert set(result[Task.LOCATE].cells["building"]) == {GridCell(0, 0)}
    assert set(result[Task.LOCATE].cells["road"]) == {GridCell(1, c) for c in range(3)}
    assert result[Task.CAPTION].changed
    assert result[Task.DIALOGUE].counts == result[Task.COUNT]
    (captions,) = read_examples(tmp_path / "out" / "train_captions.json")
    assert len(captions.references) == 5
    before, _ = load_pair(captions)
    source = np.asarray(Image.open(tmp_path / "in" / "A" / "one.png"))
    assert np.array_equal(np.moveaxis(before, 0, -1), source)


def test_five_percent_of_a_cell_is_not_yet_a_change(tmp_path):
    for name, pixels in (("at", 45), ("above", 46)):
        mask = np.zeros((90, 90), np.uint8)
        mask.ravel()[[row * 90 + col for row, col in product(range(2), range(23))][:pixels]] = 255
        write_pair(tmp_path / name, "one", mask)
        build_dataset(tmp_path / f"{name}-out", picture_scenes(tmp_path / name, CODING), ALL_TRAIN)
        cells = by_task(tmp_path / f"{name}-out")[Task.LOCATE].cells["building"]
        assert bool(cells) is (name == "above")


def test_classes_that_a_mask_cannot_show_are_not_spoken_of(tmp_path):
    write_pair(tmp_path / "in", "one", np.zeros((60, 60), np.uint8))
    scenes = picture_scenes(tmp_path / "in", class_coding(["255=building"]))
    build_dataset(tmp_path / "buildings", scenes, ALL_TRAIN)
    assert by_task(tmp_path / "buildings")[Task.LOCATE].cells == {"building": {}}
    scenes = picture_scenes(tmp_path / "in", class_coding(["9=water"]))
    build_dataset(tmp_path / "water", scenes, ALL_TRAIN)
    assert set(by_task(tmp_path / "water")) == {Task.CAPTION, Task.PRESENCE, Task.QUESTION}


def test_the_same_pairs_and_options_give_the_same_bytes(tmp_path):
    for number in range(8):
        write_pair(tmp_path / "in", f"p{number}", levir_mask(), number)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        scenes = picture_scenes(tmp_path / "in", CODING)
        build_dataset(tmp_path / name, scenes, BuildOptions(seed=seed))
    files = {
        name: {
            p.relative_to(tmp_path / name): p.read_bytes()
            for p in (tmp_path / name).rglob("*.*")
            if p.name != "build.json"
        }
        for name in "abc"
    }
    assert files["a"] == files["b"]
    assert files["a"] != files["c"]
    assert len(files["a"]) == 4 * 8 + 6


def test_parts_of_a_set_are_kept(tmp_path):
    for split in ("train", "test"):
        write_pair(tmp_path / "in" / split, "one", levir_mask(), len(split))
    done = build_dataset(tmp_path / "out", picture_scenes(tmp_path / "in", CODING), BuildOptions())
    assert {name: facts["tiles"] for name, facts in done["splits"].items()} == {
        "train": 1,
        "test": 1,
    }
    assert len(list((tmp_path / "out" / "A").iterdir())) == 2


def test_tiles_of_one_picture_stay_together(tmp_path):
    for number in range(6):
        write_pair(tmp_path / "in", f"p{number}", np.zeros((120, 120)), number)
    scenes = picture_scenes(tmp_path / "in", CODING)
    parts = tiles_by_split(scenes, BuildOptions(tile_size_px=40))
    homes = {}
    for split, places in parts.items():
        for place in places:
            assert homes.setdefault(place.scene, split) == split
    assert len(homes) == 6
    assert set(homes.values()) == {"train", "val", "test"}
    assert sum(map(len, parts.values())) == 6 * 9


@pytest.mark.parametrize(
    ("write", "names"),
    [
        (lambda p: Image.fromarray(np.full((90, 90), 64, np.uint8)).save(p), "value 64"),
        (lambda p: Image.new("RGB", (90, 90), (255, 0, 0)).save(p), "in colour"),
        (lambda p: Image.new("L", (80, 90)).save(p), "80 x 90"),
        (lambda p: Image.new("L", (90, 90)).save(p, format="JPEG"), "JPEG"),
        (lambda p: p.unlink(), "no picture 'one'"),
    ],
)
def test_masks_that_cannot_be_used(tmp_path, write, names):
    write_pair(tmp_path / "in", "one", levir_mask())
    write(tmp_path / "in" / "label" / "one.png")
    with pytest.raises(InputError, match=names):
        build_dataset(tmp_path / "out", picture_scenes(tmp_path / "in", CODING), ALL_TRAIN)
    assert not (tmp_path / "out").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in"]


def test_too_few_pictures_to_split_are_refused(tmp_path):
    write_pair(tmp_path / "in", "one", levir_mask())
    with pytest.raises(InputError, match="cannot be split"):
        build_dataset(tmp_path / "out", picture_scenes(tmp_path / "in", CODING), BuildOptions())


@pytest.mark.parametrize(
    "values",
    [
        {"coding": ("x",)},
        {"coding": ("1=castle",)},
        {"coding": ("0=road",)},
        {"coding": ("1=road", "1=water")},
        {"shares": (0.5, 0.5, 0.5)},
        {"overlap_px": 256},
        {"min_valid": 2.0},
    ],
)
def test_options_that_make_no_sense(values):
    with pytest.raises(OptionError):
        BuildOptions(**values)


# --- rasters -------------------------------------------------------------------------------------


@pytest.fixture
def town(make_raster):
    """Two rasters of 300 x 420 px and the mask of what changed between them."""
    before = texture(HEIGHT, WIDTH, 3)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    rng = np.random.default_rng(1)
    for _ in range(40):
        row, col = rng.integers(0, HEIGHT - 9), rng.integers(0, WIDTH - 9)
        mask[row : row + 8, col : col + 8] = 255
    after = np.where(mask > 0, 255 - before, before)
    return (
        str(make_raster("before.tif", before)),
        str(make_raster("after.tif", after)),
        str(make_raster("mask.tif", mask, nodata=0)),
        mask,
    )


OPTIONS = BuildOptions(tile_size_px=32, gap_px=20, block_tiles=3, align=AlignMode.OFF)


def raster_parts(town, options=OPTIONS):
    scene = raster_scene(*town[:3], CODING, AlignMode.OFF)
    return scene, tiles_by_split([scene], options)


def test_neighbours_never_straddle_the_parts(town):
    _, parts = raster_parts(town)
    assert set(parts) == {"train", "val", "test"}
    for one, other in (("train", "test"), ("train", "val"), ("val", "test")):
        for a, b in product(parts[one], parts[other]):
            rows = max(a.window.read.row_start, b.window.read.row_start) - min(
                a.window.read.row_stop, b.window.read.row_stop
            )
            cols = max(a.window.read.col_start, b.window.read.col_start) - min(
                a.window.read.col_stop, b.window.read.col_stop
            )
            assert max(rows, cols) >= OPTIONS.gap_px - 1, (a, b)


def test_two_rasters_of_one_place_are_split_alike(town):
    scene, _ = raster_parts(town)
    parts = tiles_by_split([scene, scene], OPTIONS)
    windows = {split: {place.window.index for place in places} for split, places in parts.items()}
    assert not windows["train"] & windows["test"]
    assert {place.scene for place in parts["test"]} == {0, 1}


def test_tiles_stay_where_they_were(town, tmp_path):
    scene = raster_scene(*town[:3], CODING, AlignMode.OFF)
    done = build_dataset(tmp_path / "out", [scene], OPTIONS)
    assert done["left_out"]["too near to another split"] > 0
    examples = read_examples(tmp_path / "out")
    assert {example.split for example in examples} == {"train", "val", "test"}
    example = next(e for e in examples if e.task is Task.COUNT and e.changed)
    window = example.scene_window.window
    with rasterio.open(example.before) as dataset:
        assert dataset.crs == UTM
        assert dataset.transform * (0, 0) == ORIGIN * (window.col_start, window.row_start)
        pixels = dataset.read()
    with rasterio.open(town[0]) as source:
        cut = source.read()[
            :, window.row_start : window.row_stop, window.col_start : window.col_stop
        ]
    assert np.array_equal(pixels, cut)
    assert np.array_equal(load_pair(example)[0], cut)
    piece = town[3][window.row_start : window.row_stop, window.col_start : window.col_stop]
    assert parsed_answer(example).counts["building"] == count_contours(piece > 0) > 0
    splits = {s: [e for e in examples if e.split == s] for s in ("train", "val", "test")}
    assert check_examples(splits, pixels=False).problems == ()


def test_polygons_tell_class_and_direction(town, tmp_path):
    boxes = [(32, 32, 40, 44), (50, 50, 58, 60)]
    ground = [
        shapely.transform(shapely.box(*box), lambda xy: np.stack(ORIGIN * xy.T, -1))
        for box in boxes
    ]
    frame = gpd.GeoDataFrame(
        {"class": ["building", "water"], "change": ["disappeared", "appeared"]},
        geometry=ground,
        crs=UTM,
    ).to_crs("EPSG:4326")
    frame.to_file(tmp_path / "change.gpkg")
    scene = raster_scene(*town[:2], str(tmp_path / "change.gpkg"), CODING, AlignMode.OFF)
    windows = scene.windows(64, 0)[:1]
    (tile,) = scene.tiles(windows)
    expected = np.zeros((64, 64), np.uint8)
    expected[32:44, 32:40] = 1
    # The water is not among the classes asked for.
    assert np.array_equal(tile.classes, expected)
    assert np.array_equal(tile.directions, expected * 2)


def test_where_the_mask_ends_nothing_is_known(town, make_raster, tmp_path):
    half = make_raster("half.tif", town[3][:, : WIDTH // 2])
    scene = raster_scene(*town[:2], str(half), CODING, AlignMode.OFF)
    options = replace(OPTIONS, shares=(0.5, 0.0, 0.5))
    done = build_dataset(tmp_path / "out", [scene], options)
    assert done["left_out"]["too few valid pixels"] > 0
    assert all(
        example.scene_window.window.col_stop <= WIDTH // 2 + 4
        for example in read_examples(tmp_path / "out")
    )


def test_masks_without_a_place_are_refused(town, make_raster):
    flat = make_raster("flat.tif", town[3], crs=None, transform=None)
    with pytest.raises(InputError, match="no CRS"):
        raster_scene(*town[:2], str(flat), CODING, AlignMode.OFF)


def test_scenes_share_the_layout_of_analyze():
    class Plain(MaskedScene):
        def tiles(self, windows):
            raise NotImplementedError

    scene = Plain("x", (100, 70), ("road",), PairFacts(("red",), 1.0, "uint8"))
    windows = scene.windows(64, 0)
    assert [tile.name for tile in windows] == ["r0c0", "r0c1", "r1c0", "r1c1"]
    assert windows[3].read.row_stop == 100
    assert scene.windows(128, 0)[0].read.height_px == 100


@pytest.mark.parametrize("density", [0.02, 0.3, 0.6, 0.9])
def test_contours_fill_holes_as_scipy_does(density):
    rng = np.random.default_rng(int(100 * density))
    for _ in range(20):
        mask = rng.random((24, 31)) < density
        filled = ndimage.binary_fill_holes(mask)
        assert count_contours(mask) == ndimage.label(filled, np.ones((3, 3)))[1]
