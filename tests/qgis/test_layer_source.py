"""Layers as the worker opens them, and exports of those it cannot open."""

import gc
from pathlib import Path
from threading import Thread

import pytest
from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtGui import QImage

from geochg_qgis.layers import layer_source as layer_source_module
from geochg_qgis.layers import raster_export
from geochg_qgis.layers.extents import shared_extent
from geochg_qgis.layers.layer_source import RasterAccess, gdal_name, layer_source
from geochg_qgis.layers.raster_export import ExportFolder
from geochg_qgis.link.absolute_paths import absolute_gdal_name
from geochg_qgis.link.errors import Cancelled, LinkError
from geochg_qgis.link.protocol import error_of


class FakeOpener:
    """A worker that opens names with some endings."""

    def __init__(self, *endings):
        self.endings, self.asked = endings, []

    def opens(self, name, is_cancelled=bool, *, allow_remote=False):
        self.asked.append(name)
        return name.endswith(self.endings)

    def is_known_not_to_open(self, name):
        return name in self.asked and not name.endswith(self.endings)


class User:
    """An object for which an export is kept."""


@pytest.fixture
def folder(monkeypatch):
    """The exports of this test."""

    folder = ExportFolder()
    monkeypatch.setattr(layer_source_module, "EXPORTS", folder)
    yield folder
    folder.clear()


@pytest.fixture
def web(tmp_path, qgis_app):
    """A layer of map tiles of the whole world, from files."""
    tiles = tmp_path / "tiles" / "0" / "0"
    tiles.mkdir(parents=True)
    image = QImage(256, 256, QImage.Format.Format_RGB32)
    image.fill(0x336699)
    image.save(str(tiles / "0.png"))
    url = (tmp_path / "tiles").as_uri()
    layer = QgsRasterLayer(
        f"type=xyz&url={url}/{{z}}/{{x}}/{{y}}.png&zmax=0&zmin=0", "streets", "wms"
    )
    assert layer.isValid()
    return layer


def whole(layer):
    return layer_source(layer, layer.extent(), layer.crs())


def access(*endings, user=None, **more):
    return RasterAccess(FakeOpener(*endings), user or User(), **more)


def test_a_file_goes_by_its_name_and_its_own_crs(pair):
    assert whole(pair[0]).worker_parameter(access(".tif")) == pair[0].source()


def test_an_overridden_crs_goes_along(pair):
    pair[0].setCrs(QgsCoordinateReferenceSystem("EPSG:32641"))
    parameter = whole(pair[0]).worker_parameter(access(".tif"))
    assert parameter == {"path": pair[0].source(), "crs": "EPSG:32641"}


def test_a_name_that_takes_no_other_crs_is_exported(pair, tmp_path, folder):
    path = tmp_path / "what?.tif"
    path.write_bytes(Path(pair[0].source()).read_bytes())
    layer = QgsRasterLayer(str(path), "what?")
    assert whole(layer).worker_parameter(access(".tif")) == str(path)
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32641"))
    exported = QgsRasterLayer(whole(layer).worker_parameter(access(".tif")), "export")
    assert exported.crs().authid() == "EPSG:32641"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("a.tif|option:NUM_THREADS=2", str(Path.cwd() / "a.tif")),
        ("/x/GPKG.gpkg", "/x/GPKG.gpkg"),
        ("GPKG:/x/a.gpkg:inner", "GPKG:/x/a.gpkg:inner"),
        ('NETCDF:"a.nc":band', 'NETCDF:"a.nc":band'),
        ("/vsizip//x/a.zip/b.tif", "/vsizip//x/a.zip/b.tif"),
        ("/x/a|b.tif", "/x/a|b.tif"),
    ],
)
def test_gdals_name_is_without_the_options_of_qgis(qgis_app, source, name):
    assert gdal_name(QgsRasterLayer(source, "a", "gdal")) == name


def test_what_the_worker_cannot_open_is_exported_with_a_notice(pair, folder):
    notices = []
    opener = FakeOpener(".tif.other")
    raster = whole(pair[0])
    path = raster.worker_parameter(RasterAccess(opener, User(), warn=notices.append))
    assert opener.asked == [pair[0].source()]
    exported = QgsRasterLayer(path, "export")
    # Its values, not its colours.
    assert (exported.bandCount(), exported.width()) == (pair[0].bandCount(), pair[0].width())
    assert exported.dataProvider().dataType(1) == pair[0].dataProvider().dataType(1)
    assert "dubai_2015" in notices[0]
    assert raster.identity(opener) != whole(pair[1]).identity(opener)
    assert folder.session in raster.identity(opener)
    assert raster.identity(FakeOpener(".tif")) == [pair[0].source(), ""]


def test_layers_without_a_file_are_exported_for_the_area(web, pair, folder):
    notices = []
    raster = layer_source(web, pair[0].extent(), pair[0].crs())
    exported = QgsRasterLayer(
        raster.worker_parameter(access(".tif", warn=notices.append)), "export"
    )
    assert exported.isValid()
    assert exported.bandCount() >= 3
    assert "streets" in notices[0]
    wide = QgsRectangle(-170, -80, 170, 80)
    export = layer_source(web, wide, QgsCoordinateReferenceSystem("EPSG:4326")).export()
    assert max(export.width_px, export.height_px) <= raster_export.MAX_SIDE_PX


def test_a_coarse_export_has_a_notice(pair, folder, monkeypatch):
    monkeypatch.setattr(raster_export, "MAX_SIDE_PX", 100)
    export = whole(pair[0]).export()
    assert (export.width_px, export.height_px) == (82, 100)
    assert "82 x 100" in export.notice


def test_a_layer_that_does_not_reach_there_is_said(web, pair, folder):
    raster = layer_source(
        web, QgsRectangle(0, 89, 1, 90), QgsCoordinateReferenceSystem("EPSG:4326")
    )
    with pytest.raises(LinkError, match="streets") as caught:
        raster.worker_parameter(access())
    assert caught.value.hint


@pytest.fixture
def exported(monkeypatch):
    """The paths of the exports that were written."""
    paths, write_export = [], raster_export._write_export

    def write_and_note(export, path, is_cancelled):
        write_export(export, path, is_cancelled)
        paths.append(path)

    monkeypatch.setattr(raster_export, "_write_export", write_and_note)
    return paths


def test_an_export_is_written_once_for_a_layer_an_area_and_a_resolution(pair, folder, exported):
    user = User()
    first = whole(pair[0]).worker_parameter(access(user=user))
    again = whole(QgsRasterLayer(pair[0].source(), "another name"))
    assert again.worker_parameter(access(user=user)) == first
    threads = [
        Thread(target=whole(pair[1]).worker_parameter, args=(access(user=user),)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(exported) == 2
    box = pair[0].extent()
    part = layer_source(pair[0], box.buffered(-box.width() / 4), pair[0].crs())
    assert part.worker_parameter(access(user=user)) != first
    assert len(exported) == 3


def test_exports_in_use_stay_and_old_ones_go(pair, folder, monkeypatch):
    monkeypatch.setattr(raster_export, "MAX_EXPORTS", 2)
    box, user = pair[0].extent(), User()

    def part(number, user):
        area = box.buffered(-box.width() * 0.05 * number)
        return Path(layer_source(pair[0], area, pair[0].crs()).worker_parameter(access(user=user)))

    used = part(0, user)
    others = [part(number, User()) for number in range(1, 5)]
    gc.collect()
    last = part(5, User())
    assert used.exists()
    assert last.exists()
    assert not any(path.exists() for path in others)
    assert len(folder) == 2


def test_a_cancelled_export_leaves_nothing(pair, folder):
    with pytest.raises(Cancelled):
        whole(pair[0]).worker_parameter(access(is_cancelled=lambda: True))
    assert list(folder._folder.iterdir()) == []


def test_exports_go_with_the_session(pair, folder):
    place = Path(whole(pair[0]).worker_parameter(access())).parent
    assert place.is_dir()
    folder.clear()
    assert not place.exists()
    other = ExportFolder()
    other.path(whole(pair[0]).export(), User())
    place = other._folder
    # As when QGIS ends without a word to the plugin.
    other._removal()
    assert not place.exists()
    assert other.session != folder.session


def test_names_relative_to_the_folder_of_qgis_become_absolute(pair, monkeypatch):
    path = Path(pair[0].source())
    monkeypatch.chdir(path.parent)
    assert gdal_name(QgsRasterLayer(path.name, "a")) == str(path)
    translated = path.with_name("b.gpkg")
    made = {"outputType": gdal.GDT_Byte, "creationOptions": ["RASTER_TABLE=t"]}
    gdal.Translate(str(translated), str(path), format="GPKG", bandList=[1], **made)
    assert gdal_name(QgsRasterLayer("GPKG:b.gpkg:t", "b")) == f"GPKG:{translated}:t"
    assert absolute_gdal_name('NETCDF:"b.gpkg":x') == f'NETCDF:"{translated}":x'
    assert absolute_gdal_name("WMS:http://example.org") == "WMS:http://example.org"


def test_a_layer_without_crs_is_named_and_where_to_set_it(pair):
    pair[1].setCrs(QgsCoordinateReferenceSystem())
    with pytest.raises(LinkError, match="has no CRS: set it in Layer, Properties"):
        shared_extent(*pair)


def test_the_worker_is_asked_what_it_opens(pair, connection, tmp_path):
    odd = tmp_path / "odd.sid"
    odd.write_bytes(b"MrSID, which no wheel of rasterio knows")
    assert connection.opens(pair[0].source())
    assert not connection.opens(str(odd))
    assert connection.is_known_not_to_open(str(odd))
    assert not connection.is_known_not_to_open(pair[0].source())


@pytest.mark.parametrize("allow_remote", [False, True])
@pytest.mark.parametrize(
    ("code", "is_tolerated"), [(-32601, True), (-32602, True), (-32603, False), (-32002, False)]
)
def test_a_worker_too_old_to_say_what_it_opens_is_taken_to_open_it(
    monkeypatch, code, is_tolerated, allow_remote
):
    from geochg_qgis.connection import Connection

    class OlderClient:
        def ask(self, method, asked, is_cancelled):
            raise error_of({"code": code, "message": "unknown"})

    connection = Connection()
    monkeypatch.setattr(connection, "client", lambda is_cancelled: OlderClient())
    if is_tolerated:
        assert connection.opens("a.tif", allow_remote=allow_remote)
        return
    with pytest.raises(LinkError):
        connection.opens("a.tif", allow_remote=allow_remote)
