"""Quality bands of known collections, margins around clouds, and shares."""

import numpy as np
import pytest

from geochg.errors import InputError, OptionError
from geochg.stac.cloud_masks import (
    CLEAR,
    CLOUD,
    NO_DATA,
    QUALITY_BANDS,
    SHADOW,
    SNOW,
    cloud_classes,
    margin_of,
    quality_band,
    shares,
    with_margin,
)
from geochg.stac.collection import MaskTable, collection_of_entry
from geochg.stac.known import read_known_catalogs

SCL, QA_PIXEL, HLS, DEA = QUALITY_BANDS


@pytest.mark.parametrize(
    ("collection", "assets", "asset", "band"),
    [
        ("sentinel-2-l2a", ["red", "nir", "scl", "scl-jp2"], "scl", SCL),
        ("sentinel-2-c1-l2a", ["scl"], "scl", SCL),
        ("sentinel-2-l2a", ["B02", "SCL"], "SCL", SCL),
        ("sentinel-2-l2a", ["B02_10m", "SCL_20m", "SCL_60m"], "SCL_20m", SCL),
        ("landsat-c2-l2", ["red", "qa_pixel", "qa"], "qa_pixel", QA_PIXEL),
        ("landsat-c2l2-sr", ["qa_pixel"], "qa_pixel", QA_PIXEL),
        ("ls8_sr", ["SR_B2", "pixel_quality"], "pixel_quality", QA_PIXEL),
        ("hls2-s30", ["B02", "Fmask"], "Fmask", HLS),
        ("HLSL30.v2.0", ["B02", "Fmask"], "Fmask", HLS),
        ("ga_s2am_ard_3", ["nbart_red", "oa_fmask"], "oa_fmask", DEA),
        ("ga_ls8c_ard_3", ["fmask", "oa_fmask"], "oa_fmask", DEA),
        # A catalogue of one's own: the name alone means one band.
        ("farm", ["red", "SCL"], "SCL", SCL),
        ("farm", ["red", "QA_PIXEL"], "QA_PIXEL", QA_PIXEL),
    ],
)
def test_a_quality_band_is_told_by_collection_and_asset(collection, assets, asset, band):
    assert quality_band(collection, assets) == (asset, band)


@pytest.mark.parametrize(
    ("collection", "assets"),
    [
        ("sentinel-2-l1c", ["red", "nir", "preview"]),
        ("naip", ["image"]),
        # Fmask means bits to some and classes to others.
        ("farm", ["red", "fmask"]),
        ("sentinel-2-l2a", []),
    ],
)
def test_where_nothing_tells_there_is_none(collection, assets):
    assert quality_band(collection, assets) is None


def test_classes_of_sentinel_2():
    expected = [NO_DATA, NO_DATA, CLEAR, SHADOW, *[CLEAR] * 4, CLOUD, CLOUD, CLOUD, SNOW]
    assert SCL.classes(np.arange(12, dtype=np.uint8)[None]).tolist() == [expected]
    as_loaded = np.array([[np.nan, 4, 9]], np.float32)
    assert SCL.classes(as_loaded).tolist() == [[NO_DATA, CLEAR, CLOUD]]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        # From the table of values in the Landsat Collection 2 data format book.
        (0, NO_DATA),
        (1, NO_DATA),
        (21824, CLEAR),
        (21952, CLEAR),  # water
        (21826, CLOUD),  # dilated
        (22280, CLOUD),
        (54596, CLOUD),  # cirrus
        (23888, SHADOW),
        (30048, SNOW),
    ],
)
def test_bits_of_landsat(value, kind):
    assert QA_PIXEL.classes(np.array([[value]], np.uint16)).tolist() == [[kind]]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (255, NO_DATA),
        (0, CLEAR),
        (0b11100000, CLEAR),
        (0b01000010, CLOUD),
        (0b01000100, CLOUD),  # near to one
        (0b01001000, SHADOW),
        (0b01001100, SHADOW),
        (0b01010000, SNOW),
    ],
)
def test_bits_of_hls(value, kind):
    assert HLS.classes(np.array([[value]], np.uint8)).tolist() == [[kind]]


@pytest.mark.parametrize(
    ("band", "values", "reason"),
    [
        (SCL, np.array([[4, 200]], np.uint8), "it holds 200"),
        (SCL, np.array([[-9999, 4]], np.int16), "it holds -9999"),
        (SCL, np.array([[4.5]], np.float32), "fractions"),
        (QA_PIXEL, np.array([[21824, 70000]], np.int32), "it holds 70000"),
        # SCL in place of QA_PIXEL.
        (QA_PIXEL, np.array([[4, 9, 3]], np.uint16), "lack bits"),
        (HLS, np.array([[21824]], np.uint16), "it holds 21824"),
        (DEA, np.array([[6]], np.uint8), "it holds 6"),
        (SCL, np.array([[4j]]), "complex"),
    ],
)
def test_a_band_that_is_another_is_refused(band, values, reason):
    with pytest.raises(InputError, match=reason) as refusal:
        band.classes(values)
    assert "catalogue names the wrong asset" in refusal.value.hint


def test_a_margin_grows_clouds_and_shadows_over_clear_ground_alone():
    mask = np.full((21, 31), CLEAR, np.uint8)
    mask[10, 10], mask[10, 13] = CLOUD, SHADOW
    mask[:, 20:], mask[10, 8] = SNOW, NO_DATA
    grown = with_margin(mask, 30, 90)
    assert grown[10, 7] == CLOUD
    assert grown[10, 6] == CLEAR
    assert grown[10, 8] == NO_DATA
    assert grown[10, 13] == CLOUD  # a cloud goes before a shadow
    assert grown[10, 16] == SHADOW
    assert (grown[:, 20:] == SNOW).all()
    rows, cols = np.nonzero(grown == CLOUD)
    far = np.hypot(rows - 10, cols - 10)
    assert 3 <= far.max() <= 3 * 1.08


def test_a_margin_is_rounded_up_to_pixels_and_may_be_none():
    mask = np.full((9, 9), CLEAR, np.uint8)
    mask[4, 4] = CLOUD
    assert (with_margin(mask, 20, 0) == mask).all()
    assert (with_margin(mask, 20, 1) == CLOUD).sum() == 5
    assert (with_margin(mask, 20, 20) == CLOUD).sum() == 5
    assert (with_margin(mask, 0.1, 90) == CLOUD).all()
    assert with_margin(mask[:0], 20).shape == (0, 9)


@pytest.mark.parametrize("margin_m", [-1, float("nan"), float("inf"), 20_000])
def test_a_margin_that_makes_no_sense_is_refused(margin_m):
    with pytest.raises(OptionError, match="makes no sense"):
        with_margin(np.full((2, 2), CLEAR, np.uint8), 30, margin_m)


def test_bands_that_bring_a_margin_get_none_added():
    assert (SCL.margin_m, QA_PIXEL.margin_m, HLS.margin_m) == (90, 0, 0)


def test_shares_are_of_what_was_measured():
    mask = np.array([[NO_DATA] * 6, [CLEAR, CLEAR, CLEAR, CLOUD, SHADOW, SNOW]], np.uint8)
    assert shares(mask) == {"clear": 1 / 2, "cloud": 1 / 6, "shadow": 1 / 6, "snow": 1 / 6}
    assert set(shares(mask[:1]).values()) == {0.0}


def test_every_mask_of_a_known_collection_is_of_a_kind():
    collections = read_known_catalogs().collections
    kinds = {(collection.id, collection.mask.kind) for collection in collections if collection.mask}
    assert {
        ("sentinel-2-l2a", "scl"),
        ("landsat-c2-l2", "qa_pixel"),
        ("hls2-s30", "fmask_hls"),
    } <= kinds
    for collection in collections:
        if collection.mask:
            asset, band = quality_band(collection.id, [collection.mask.asset])
            assert (asset, band.kind) == (collection.mask.asset, collection.mask.kind)


def test_a_mask_of_ones_own_is_read_by_its_classes_or_bits():
    values = np.array([[0, 1, 2, 255]], np.uint8)
    table = MaskTable("mask", clear=(1,), nodata=255)
    assert cloud_classes(values, table).tolist() == [[CLOUD, CLEAR, CLOUD, NO_DATA]]
    table = MaskTable("mask", hidden_bits=(0, 2))
    loaded = np.array([[2, 1, 6, np.nan]], np.float32)
    assert cloud_classes(loaded, table).tolist() == [[CLEAR, CLOUD, CLOUD, NO_DATA]]
    assert margin_of(table) == 90
    assert margin_of(MaskTable("qa_pixel", "qa_pixel")) == 0


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        ({"asset": "scl"}, "one of kind, clear and hidden_bits"),
        ({"asset": "scl", "kind": "scl", "clear": [4]}, "one of kind"),
        ({"asset": "scl", "kind": "sl"}, "no kind 'sl'; there are scl,"),
    ],
)
def test_a_mask_in_the_file_of_catalogues_is_of_a_kind_that_is_known(mask, reason):
    entry = {"id": "a", "catalog": "b", "bands": {"red": "red"}, "resolution_m": 10, "mask": mask}
    with pytest.raises(InputError, match=reason):
        collection_of_entry(entry, "catalogs.toml")
