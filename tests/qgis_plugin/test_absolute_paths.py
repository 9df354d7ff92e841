"""Names of rasters made absolute: the plugin and the worker agree on each."""

import pytest
from raster_names import OTHER_RASTERS, RELATIVE_RASTERS, make_files

from geochg.worker.paths import RequestFolder
from geochg_qgis.link.absolute_paths import absolute_gdal_name


@pytest.mark.parametrize(("name", "absolute"), RELATIVE_RASTERS)
def test_relative_names_start_from_the_folder(tmp_path, monkeypatch, name, absolute):
    folder = make_files(tmp_path)
    wanted = absolute.format(folder)
    assert absolute_gdal_name(name, folder) == wanted
    assert RequestFolder(folder).raster(name) == wanted
    monkeypatch.chdir(folder)
    assert absolute_gdal_name(name) == wanted


@pytest.mark.parametrize("name", OTHER_RASTERS)
def test_other_names_stay_as_they_are(tmp_path, name):
    folder = make_files(tmp_path)
    assert absolute_gdal_name(name, folder) == name
    assert RequestFolder(folder).raster(name) == name
