"""Names, wavelengths and tags decide what a band shows, before colours do."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasters import texture

from geochg.errors import InputError
from geochg.options import AnalyzeOptions
from geochg.tiling.band_names import BandFacts, roles_of
from geochg.tiling.pair import open_pair

RGB = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]


def roles(*labels, origin="", colors=None, tags=None):
    facts = [
        BandFacts(n, label, (colors or {}).get(n, "undefined"), (tags or {}).get(n, {}))
        for n, label in enumerate(labels, start=1)
    ]
    return roles_of(facts, origin)


BGRN = ["blue", "green", "red", "nir"]


@pytest.mark.parametrize(
    "labels",
    [
        ("B2", "B3", "B4", "B8"),
        ("B02", "B03", "B04", "B08"),
        ("blue", "green", "red", "nir"),
        ("Blue", "Green", "Red", "NIR08"),
        ("Band 1 (blue)", "Band 2 (green)", "Band 3 (red)", "Band 4 (near-infrared)"),
        ("S2_B2", "S2_B3", "S2_B4", "S2_B8"),
        ("B2_median", "B3_median", "B4_median", "B8_median"),
        ("B02_10m", "B03_10m", "B04_10m", "B08_10m"),
        ("blue_2019", "green_2019", "red_2019", "near infrared_2019"),
        ("B", "G", "R", "N"),
        ("SR_B2", "SR_B3", "SR_B4", "SR_B5"),
        ("490 nm", "560 nm", "665 nm", "842 nm"),
        ("0.49 um", "0.56 um", "0.665 um", "0.842 um"),
        ("band 1 (0.49 Micrometers)", "0.56 micrometers", "0.665 micrometers", "0.84 micrometers"),
    ],
)
def test_names_tell_what_a_band_shows(labels):
    assert roles(*labels) == BGRN
    assert roles(*labels[::-1]) == BGRN[::-1]


@pytest.mark.parametrize(
    "tags",
    [
        [{"common_name": name} for name in BGRN],
        [{"eo:common_name": name} for name in BGRN],
        [{"center_wavelength": value} for value in ("0.49", "0.56", "0.665", "0.842")],
        [{"central_wavelength_um": value} for value in ("0.49", "0.56", "0.665", "0.842")],
        [{"central_wavelength": value} for value in ("490", "560", "665", "842")],
        [
            {"wavelength": value, "wavelength_units": "Nanometers"}
            for value in ("490.0", "560", "665", "842")
        ],
        [{"name": name} for name in ("B02", "B03", "B04", "B08")],
    ],
)
def test_tags_tell_what_a_band_shows(tags):
    assert roles("", "", "", "", tags=dict(enumerate(tags, start=1))) == BGRN


@pytest.mark.parametrize(
    ("labels", "origin", "expected"),
    [
        (("B4", "B3", "B2"), "LANDSAT_5", ["nir", "red", "green"]),
        (("B4", "B3", "B2"), "LANDSAT_8", ["red", "green", "blue"]),
        (("B5", "B4", "B3"), "LC08_L2SP_045030.tif", ["nir", "red", "green"]),
        (("B5", "B4", "B3"), "", ["nir", "red", "green"]),
        (("SR_B4", "SR_B3", "SR_B2"), "LE07_L2SP.tif", ["nir", "red", "green"]),
        (("B8", "B4", "B3"), "Sentinel-2A", ["nir", "red", "green"]),
        (("B02", "B03", "B04", "B05"), "HLS.L30.T14TLP.tif", ["blue", "green", "red", "nir"]),
        (("sur_refl_b01", "sur_refl_b02"), "MODIS Terra", ["red", "nir"]),
        (("B11", "B8", "B3"), "", ["swir", "nir", "green"]),
        (("B12", "B8A", "B4"), "", ["swir2", "nir narrow", "red"]),
        (("B3", "B2", "B1"), "", ["red", "green", "blue"]),
    ],
)
def test_numbers_mean_what_the_sensor_means(labels, origin, expected):
    assert roles(*labels, origin=origin) == expected


@pytest.mark.parametrize(
    "labels",
    [
        ("B1", "B2", "B3", "B4"),
        ("Band 1", "Band 2", "Band 3"),
        ("Band 4", "Band 3", "Band 2"),
        ("", "", ""),
        ("layer_1", "layer_2", "layer_3"),
        ("red/nir", "blue minus red", "greenhouse"),
    ],
)
def test_names_that_tell_nothing_are_not_guessed(labels):
    assert roles(*labels) == [""] * len(labels)


def test_names_come_before_colours():
    shown = {1: "red", 2: "green", 3: "blue"}
    assert roles("B11", "B8", "B3", colors=shown) == ["swir", "nir", "green"]
    assert roles("VV", "VH", "ratio", colors=shown) == ["", "", "blue"]
    assert roles("mosaic", "", "Band 3", colors=shown) == ["red", "green", "blue"]
    near = {1: {"central_wavelength_um": "0.84"}, 2: {}, 3: {}}
    assert roles("", "", "", colors=shown, tags=near) == ["nir", "green", "blue"]


def test_of_many_narrow_bands_one_stands_for_a_role():
    values = range(400, 1000, 10)
    tags = {n: {"wavelength": str(value)} for n, value in enumerate(values, start=1)}
    found = roles(*[""] * len(values), tags=tags)
    assert [values[found.index(role)] for role in ("blue", "green", "red", "nir")] == [
        480,
        560,
        660,
        840,
    ]
    assert found.count("red") == 1


def test_all_bands_of_sentinel_2_are_told_apart():
    labels = ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B11", "B12"]
    found = roles(*labels)
    assert len(set(found)) == 12
    assert found[1:4] == ["blue", "green", "red"]
    assert (found[7], found[8]) == ("nir", "nir narrow")


# --- pairs ---------------------------------------------------------------------------------------


def remarks(pair):
    return " ".join(remark.text for remark in pair.remarks)


def opened(make_raster, before, after, purpose="all", colors=None, **options):
    paths = [
        make_raster(
            name,
            texture(40, 40, len(labels), seed=seed),
            names=list(labels),
            colors=colors,
            photometric="MINISBLACK",
        )
        for name, labels, seed in (("b.tif", before, 0), ("a.tif", after, 1))
    ]
    return open_pair(*paths, AnalyzeOptions(**options), purpose)


@pytest.mark.parametrize(
    ("before", "after", "numbers"),
    [
        (("B2", "B3", "B4", "B8"), ("B4", "B3", "B2", "B8"), (3, 2, 1, 4)),
        (("B02", "B03", "B04", "B08"), ("nir", "red", "green", "blue"), (4, 3, 2, 1)),
        (("SR_B5", "SR_B4", "SR_B3"), ("B3", "B4", "B8"), (3, 2, 1)),
        (("one", "two", "three"), ("three", "one", "two"), (2, 3, 1)),
    ],
)
def test_bands_in_another_order_are_paired_by_name(make_raster, before, after, numbers):
    pair = opened(make_raster, before, after)
    assert pair.bands.after == numbers
    assert "not named" not in remarks(pair)
    assert "paired by their names" in remarks(pair)


def test_a_picture_takes_its_bands_by_name_at_each_date(make_raster):
    pair = opened(make_raster, ("B2", "B3", "B4", "B8"), ("B8", "B4", "B3", "B2"), "rgb")
    assert pair.bands.before == (3, 2, 1)
    assert pair.bands.after == (2, 3, 4)
    assert "not named" not in remarks(pair)


@pytest.mark.parametrize(
    "labels", [("B11", "B8", "B3"), ("nir", "red", "green"), ("VV", "VH", "coherence")]
)
def test_named_false_colour_is_no_picture_in_red_green_and_blue(make_raster, labels):
    with pytest.raises(InputError, match="no file says which bands are red") as told:
        opened(make_raster, labels, labels, "rgb", colors=RGB)
    assert labels[0] in told.value.message
    assert "--bands 1,2,3" in told.value.hint
    pair = opened(make_raster, labels, labels, "rgb", colors=RGB, bands=("1", "2", "3"))
    assert pair.bands.before == (1, 2, 3)


def test_named_bands_are_never_called_unnamed(make_raster):
    for labels in (("b1", "b2", "b3"), ("first", "second", "third"), ("x", "", "z")):
        for purpose in ("rgb", "all"):
            pair = opened(make_raster, labels, labels, purpose)
            assert "not named" not in remarks(pair)
    assert "not named" in remarks(opened(make_raster, ("", "", ""), ("", "", ""), "rgb"))


def test_a_single_band_needs_no_name(make_raster):
    for purpose in ("rgb", "all"):
        assert "not named" not in remarks(opened(make_raster, ("",), ("",), purpose))


def test_names_that_differ_between_the_dates_are_told(make_raster):
    pair = opened(make_raster, ("img19 x", "img19 y"), ("img21 x", "img21 y"))
    assert pair.bands.after == (1, 2)
    assert "img19 x, img19 y; img21 x, img21 y" in remarks(pair)


def test_bands_that_only_one_date_has_are_told(make_raster):
    pair = opened(make_raster, ("B2", "B3", "B4", "B8"), ("B2", "B3", "B4"))
    assert pair.bands.names == ("blue", "green", "red")
    assert "left out: nir" in remarks(pair)


@pytest.mark.parametrize("purpose", ["rgb", "all"])
@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (1, 4)])
def test_grey_against_colour_is_refused_with_what_works(make_raster, purpose, before, after):
    paths = [
        make_raster(
            f"{n}{count}.tif",
            texture(40, 40, count),
            colors=[*RGB, ColorInterp.nir][:count] if count > 1 else None,
        )
        for n, count in enumerate((before, after))
    ]
    with pytest.raises(InputError, match="one date is grey") as told:
        open_pair(*paths, AnalyzeOptions(), purpose)
    assert "--bands 1" in told.value.hint
    pair = open_pair(*paths, AnalyzeOptions(bands=("1",)), purpose)
    assert pair.bands.before == pair.bands.after == (1,)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int16"])
def test_one_band_is_told(make_raster, dtype):
    values = texture(40, 40).astype(dtype)
    paths = [make_raster(name, values + np.dtype(dtype).type(n)) for n, name in enumerate("ab")]
    told = remarks(open_pair(*paths, AnalyzeOptions(), "rgb"))
    assert f"one band ({dtype})" in told
    assert "shown in grey" in told
    assert ("stretched" in told) == (dtype != "uint8")
    assert "grey" not in remarks(open_pair(*paths, AnalyzeOptions(), "all"))


def test_wavelengths_of_gdal_are_read(make_raster):
    path = make_raster("a.tif", texture(40, 40, 3), photometric="RGB")
    with rasterio.open(path, "r+") as file:
        for number, value in enumerate(("0.84", "0.66", "0.56"), start=1):
            file.update_tags(number, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=value)
    pair = open_pair(path, path, AnalyzeOptions(), "all")
    assert pair.bands.names == ("nir", "red", "green")


@pytest.mark.parametrize(
    "labels",
    [
        [f"T33TXM_20200101T100319_B{n}_10m.jp2" for n in ("02", "03", "04", "08")],
        [f"LC08_L2SP_190028_20200101_SR_B{n}.TIF" for n in (2, 3, 4, 5)],
        [f"scene_{name}.tif" for name in BGRN],
        ["Blau", "Grün", "Rot", "NIR"],
        ["Bleu", "Vert", "Rouge", "NIR"],
        ["azul", "verde", "rojo", "nir"],
    ],
)
def test_names_of_files_and_of_other_languages_tell_it_too(labels):
    assert roles(*labels) == BGRN
    assert roles(*labels[::-1]) == BGRN[::-1]


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_greens_the_one_of_that_name_is_it(turned):
    superdove = "coastal_blue blue green_i green yellow red rededge nir".split()
    labels = superdove[::-1] if turned else superdove
    found = dict(zip(labels, roles(*labels), strict=True))
    assert found["green"] == "green"
    assert found["green_i"] == ""
    assert found["blue"] == "blue"


@pytest.mark.parametrize("name", ["eo:common_name", "common_name", "EO:COMMON_NAME"])
def test_common_names_that_gdal_divides_are_read(make_raster, name):
    paths = []
    for file, order in (("a.tif", ["nir", "red", "green"]), ("b.tif", ["green", "red", "nir08"])):
        paths.append(make_raster(file, texture(40, 40, 3), photometric="MINISBLACK"))
        with rasterio.open(paths[-1], "r+") as dataset:
            for number, value in enumerate(order, start=1):
                dataset.update_tags(number, **{name: value})
    pair = open_pair(*paths, AnalyzeOptions(), "all")
    assert pair.bands.names == ("nir", "red", "green")
    assert pair.bands.after == (3, 2, 1)
    false_color = open_pair(*paths, AnalyzeOptions(), "rgb+nir")
    assert false_color.bands.names == ("nir", "red", "green")
    assert false_color.bands.after == (3, 2, 1)
    assert "paired by their names" in remarks(false_color)
    with pytest.raises(InputError) as told:
        open_pair(*paths, AnalyzeOptions(), "rgb")
    assert "--bands nir,red,green" in told.value.hint


@pytest.mark.parametrize("purpose", ["rgb", "rgb+nir", "all"])
@pytest.mark.parametrize(
    ("before", "after", "numbers"),
    [
        (("p1", "p2", "p3"), ("p3", "p2", "p1"), ((1, 2, 3), (3, 2, 1))),
        (("p1", "p2", "p3"), ("p3", "p1", "p2"), ((1, 2, 3), (2, 3, 1))),
        (("x", "x", "x"), ("x", "x", "x"), ((1, 2, 3), (1, 2, 3))),
        (("x", "x", "y"), ("y", "x", "x"), ((1, 2, 3), (1, 2, 3))),
    ],
)
def test_names_nobody_knows_pair_bands_where_each_is_there_once(
    make_raster, purpose, before, after, numbers
):
    pair = opened(make_raster, before, after, purpose)
    assert (pair.bands.before, pair.bands.after) == numbers
