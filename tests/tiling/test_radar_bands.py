"""What files say of radar: polarisations, quantities, units, sensors."""

import numpy as np
import pytest
import rasterio

from geochg.options import AnalyzeOptions
from geochg.records import RadarBand
from geochg.tiling.pair import open_pair
from geochg.tiling.radar_bands import polarisation_of, radar_scale_of, says_radar
from geochg.tiling.source import read_source


@pytest.fixture
def write(make_raster):
    def write(name="radar.tif", bands=1, names=(), units=(), **tags):
        values = np.random.default_rng(0).uniform(0.1, 1, (bands, 40, 40)).astype("float32")
        path = make_raster(name, values)
        with rasterio.open(path, "r+") as file:
            if names:
                file.descriptions = names
            if units:
                file.units = units
            file.update_tags(**tags)
        return path

    return write


def radar_of(path):
    return [band.radar for band in read_source(path).bands]


@pytest.mark.parametrize(
    ("name", "polarisation"),
    [("VV", "vv"), ("Sigma0_VH_db", "vh"), ("gamma0 HH", "hh"), ("Amplitude_HV", "hv"),
     ("VV/VH", ""), ("savvy", ""), ("band 1", "")],
)  # fmt: skip
def test_polarisations_stand_in_names(name, polarisation):
    assert polarisation_of(name, {}) == polarisation


def test_polarisations_stand_in_tags():
    assert polarisation_of("band 1", {"POLARISATION": "VH"}) == "vh"
    assert polarisation_of("band 1", {"polarimetric_interp": "HH"}) == "hh"
    assert polarisation_of("band 1", {"comment": "VH"}) == ""


@pytest.mark.parametrize(
    ("name", "unit", "scale"),
    [("VV", "dB", "db"), ("Sigma0_VV_db", "", "db"), ("Amplitude_VV", "", "amplitude"),
     ("Intensity_VV", "", "intensity"), ("VV", "power", "intensity"), ("Sigma0_VV", "", ""),
     ("Intensity_VV", "dB", "db"), ("VV", "", "")],
)  # fmt: skip
def test_units_and_names_say_what_values_measure(name, unit, scale):
    assert radar_scale_of(name, unit, {}) == scale


@pytest.mark.parametrize(
    ("text", "told"),
    [("Sentinel-1A IW GRD HR L1", True), ("S1A_IW_GRDH_1SDV_20200101", True), ("sigma0", True),
     ("Gamma0_VV", True), ("radar backscatter", True), ("RADARSAT-2", True),
     ("Sentinel-2A MSI", False), ("sentinel-10", False), ("gamma correction", False),
     ("S1 of the series", False), ("sarajevo", False)],
)  # fmt: skip
def test_texts_that_name_radar(text, told):
    assert says_radar([text]) is told


def test_names_of_bands_say_that_a_file_is_radar(write):
    path = write(bands=3, names=("VV", "VH", "angle"), units=("dB", "dB", "degree"))
    told = radar_of(path)
    assert told[:2] == [("vv", "db"), ("vh", "db")]
    assert told[2] is None


def test_tags_and_the_name_of_a_file_say_that_it_is_radar(write):
    tagged = write("a.tif", TIFFTAG_IMAGEDESCRIPTION="Sentinel-1A IW GRD HR L1")
    named = write("s1a-iw-grd-vv-20200101t000000.tif")
    assert radar_of(tagged) == [("", "")]
    assert radar_of(named) == [("vv", "")]


def test_optical_bands_beside_radar_stay_optical(write):
    path = write(bands=4, names=("red", "green", "blue", "VV"), SENSOR="Sentinel-1 and MSI")
    assert [told is not None for told in radar_of(path)] == [False, False, False, True]
    pair = open_pair(path, path, AnalyzeOptions(), "rgb", refusing=False)
    assert not any(pair.facts.radar)


def test_ordinary_files_say_nothing_of_radar(write):
    assert radar_of(write("plain.tif", bands=3)) == [None, None, None]
    assert radar_of(write("dem.tif", names=("elevation",))) == [None]


def test_facts_of_a_pair_hold_both_dates(write):
    before = write("before.tif", names=("VV",), units=("dB",))
    after = write("after.tif", names=("VV",))
    facts = open_pair(before, after, purpose="all").facts
    assert facts.radar == (RadarBand("vv", ("db", "")),)
