import numpy as np
import pytest
import rasterio
from affine import Affine
from masked_pairs import plain_pair, write_raster
from rasters import ORIGIN

from geochg.datasets.georeferenced_mask import bands_on, covered_by, heat_on, read_mask
from geochg.datasets.kinds import holds_kinds, kinds_of
from geochg.errors import InputError


@pytest.fixture
def folder(tmp_path):
    for kind, pairs in (("houses", "ab"), ("floods", "c")):
        for pair in pairs:
            plain_pair(tmp_path / "kinds" / kind / pair)
    return tmp_path / "kinds"


# --- folders -------------------------------------------------------------------------------------


def test_kinds_and_pairs_by_name(folder):
    result = kinds_of(folder)
    assert [(kind.name, [pair.name for pair in kind.pairs]) for kind in result] == [
        ("floods", ["c"]),
        ("houses", ["a", "b"]),
    ]
    (alone,) = kinds_of(folder / "houses")
    assert alone == result[1]
    assert holds_kinds(folder)
    assert holds_kinds(folder / "houses")


def test_other_folders_hold_no_kinds(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "none", folder / "houses" / "a" / "mask.tif"):
        assert not holds_kinds(place)
    with pytest.raises(InputError, match="holds no kind of pairs"):
        kinds_of(tmp_path / "empty")


@pytest.mark.parametrize(
    ("note", "classes"),
    [
        ('{"classes": "building"}', ("building",)),
        ('{"classes": " building , road,"}', ("building", "road")),
        ('{"classes": ["water", "building"]}', ("water", "building")),
        ('{"place": "here"}', ()),
    ],
)
def test_the_classes_that_masks_cover(folder, note, classes):
    (folder / "houses" / "kind.json").write_text(note)
    assert [kind.classes for kind in kinds_of(folder)] == [(), classes]


@pytest.mark.parametrize("note", ["", "[1]", '{"classes": 3}', '{"classes": [1]}', "\xff"])
def test_a_note_that_makes_no_sense_is_refused(folder, note):
    (folder / "houses" / "kind.json").write_text(note, encoding="latin-1")
    with pytest.raises(InputError, match=r"kind\.json"):
        kinds_of(folder)


# --- labels --------------------------------------------------------------------------------------


def test_a_mask_is_read(folder, tmp_path):
    values = np.array([[0, 1, 255], [1, 1, 0]], np.uint8)
    mask = read_mask(write_raster(tmp_path / "m.tif", values))
    assert mask.changed.tolist() == [[False, True, False], [True, True, False]]
    assert mask.known.tolist() == [[True, True, False], [True, True, True]]


@pytest.mark.parametrize(
    ("values", "profile", "names"),
    [
        ([[0, 2]], {}, "other values than 0, 1 and 255"),
        ([[255, 255]], {}, "is unknown everywhere"),
        ([[0, 1]], {"crs": None}, "has no coordinate reference system"),
    ],
)
def test_masks_that_are_refused(tmp_path, values, profile, names):
    path = write_raster(tmp_path / "m.tif", np.array(values, np.uint8), **profile)
    with pytest.raises(InputError, match=names):
        read_mask(path)


@pytest.mark.parametrize("text", ["", "none", "II*\0"])
def test_damaged_masks_are_named(tmp_path, text):
    (tmp_path / "m.tif").write_text(text)
    with pytest.raises(InputError, match=r"m\.tif"):
        read_mask(tmp_path / "m.tif")
    with pytest.raises(InputError, match="there is no mask"):
        read_mask(tmp_path / "other.tif")


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", "EPSG:3857"])
def test_features_cover_pixels_in_any_crs(tmp_path, crs):
    import geopandas as gpd
    from shapely import box

    mask = read_mask(write_raster(tmp_path / "m.tif", np.zeros((40, 60), np.uint8)))
    square = gpd.GeoDataFrame(geometry=[box(500_100, 4_999_800, 500_300, 4_999_900)], crs=32633)
    covered = covered_by(square.to_crs(crs), mask)
    assert covered[10:20, 10:30].all()
    assert covered.sum() == 200
    assert not covered_by(square.iloc[:0].to_crs(crs), mask).any()


@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_heat_and_bands_of_another_grid(tmp_path, scale):
    mask = read_mask(write_raster(tmp_path / "m.tif", np.zeros((40, 60), np.uint8)))
    shape = (int(40 / scale), int(60 / scale))
    values = np.full((1, *shape), 100, np.uint8)
    values[:, :, : shape[1] // 2] = 255
    path = write_raster(tmp_path / "h.tif", values, ORIGIN * Affine.scale(scale), nodata=255)
    heat = heat_on(path, mask)
    assert (heat[:, :29] == 0).all()
    assert heat[:, 31:] == pytest.approx(100)
    bands = bands_on(path, mask)
    assert (bands[:, :, :28] == 0).all()
    assert bands[:, :, 32:] == pytest.approx(100)


def test_values_that_are_no_numbers_are_no_data(tmp_path):
    mask = read_mask(write_raster(tmp_path / "m.tif", np.zeros((4, 4), np.uint8)))
    values = np.array([1, np.nan, np.inf, -np.inf] * 4, np.float32).reshape(1, 4, 4)
    path = write_raster(tmp_path / "f.tif", values)
    assert bands_on(path, mask)[0, 0].tolist() == [1, 0, 0, 0]
    with rasterio.open(path) as dataset:
        assert dataset.count == 1
