"""Attempts to lead calls out of the folders: each is refused, and what lies outside is not opened.

The secret is a raster outside of the folders that GDAL would open at once.
"""

import os
import shutil
import sys

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.shutil
import shapely
from rasters import ORIGIN, UTM

from geochg.errors import GeochgError, InputError
from geochg.mcp_server.arguments import map_options, options_of
from geochg.mcp_server.grants import Grants
from geochg.options import AnalyzeOptions

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")


def write(path, value=7):
    profile = {"count": 1, "height": 64, "width": 64, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", crs=UTM, transform=ORIGIN, **profile) as dataset:
        dataset.write(np.full((1, 64, 64), value, np.uint8))
    return path


@pytest.fixture
def outside(tmp_path):
    (tmp_path / "outside").mkdir()
    return write(tmp_path / "outside" / "secret.tif")


@pytest.fixture
def folder(tmp_path, outside):
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    write(folder / "a.tif")
    write(folder / "sub" / "b.tif")
    return folder


@pytest.fixture
def grants(folder):
    return Grants.of([folder], AnalyzeOptions(), rasters=["/vsicurl/https://host/cog.tif"])


def mosaic(folder, name, source, *, relative="0", inner="", attribute=""):
    """A virtual raster of one source, written by hand."""
    path = folder / name
    path.write_text(
        f'<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>{UTM}</SRS>'
        f"<GeoTransform>{', '.join(map(str, ORIGIN.to_gdal()))}</GeoTransform>{inner}"
        f'<VRTRasterBand dataType="Byte" band="1"><SimpleSource {attribute}>'
        f'<SourceFilename relativeToVRT="{relative}">{source}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    return name


def test_files_in_the_folders_are_taken(grants, folder):
    for name in ("a.tif", "sub/b.tif", "./a.tif", str(folder / "sub" / "b.tif")):
        assert os.path.samefile(grants.raster(name), folder / name)
    assert grants.raster("/vsicurl/https://host/cog.tif") == "/vsicurl/https://host/cog.tif"


def test_plain_mosaics_of_files_in_the_folders_are_taken(grants, folder):
    rasterio.shutil.copy(folder / "a.tif", folder / "copy.vrt", driver="VRT")
    mosaic(folder / "sub", "up.vrt", "../a.tif", relative="1")
    mosaic(folder, "of.vrt", "sub/up.vrt", relative="1")
    mosaic(folder, "absolute.vrt", folder / "a.tif")
    for name in ("copy.vrt", "sub/up.vrt", "of.vrt", "absolute.vrt"):
        assert grants.raster(name).endswith(".vrt")


NAMES = [
    *("../outside/secret.tif", "sub/../../outside/secret.tif", "sub/../a.tif", ".."),
    *("/etc/passwd", "/", "~/a.tif", "", " ", "nowhere.tif", "sub"),
    *("/vsicurl/http://127.0.0.1:9/a.tif", "/vsicurl/https://host/other.tif", "/vsistdin/"),
    *("/vsizip/a.zip/a.tif", "/vsimem/a.tif", "/vsisubfile/0_9,/etc/passwd", "\\vsicurl\\a.tif"),
    *("/VSICURL/http://127.0.0.1:9/a.tif", "/vsigzip//etc/x.gz", "/vsisparse/x.xml"),
    *("http://127.0.0.1:9/a.tif", "https://host/a.tif", "s3://bucket/a.tif", "file:///etc/passwd"),
    *('NETCDF:"a.nc":band', "GTIFF_DIR:1:a.tif", "vrt://a.tif?bands=1", "HDF5:a.h5://x"),
    *(
        "<VRTDataset/>",
        "PG:host=127.0.0.1",
        "WMS:http://127.0.0.1",
        "STACIT:a.json",
        "GPKG:a.gpkg:x",
    ),
    *("\\\\server\\share\\a.tif", "//server/share/a.tif", "C:\\Windows\\a.tif", "GPKG:a.gpkg:x"),
    *("..\\outside\\secret.tif", "a.tif|layername=x", "a.tif?x=1", "a*.tif"),
    *("a.tif\0.png", "a.tif\n", "a\x1b[2J.tif", "\ud800.tif"),
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_that_lead_elsewhere_are_refused(grants, name):
    with pytest.raises(InputError) as refused:
        grants.raster(name)
    assert refused.value.hint
    with pytest.raises(GeochgError):
        grants.shapes(name)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("nowhere.tif", "sub")], ids=ascii)
def test_outputs_that_lead_elsewhere_are_refused(grants, name):
    with pytest.raises(InputError):
        grants.folders.new_file(name)


@needs_links
def test_links_out_of_the_folders_are_refused(grants, folder, outside):
    (folder / "link.tif").symlink_to(outside)
    (folder / "linked").symlink_to(outside.parent)
    (folder / "new.gpkg").symlink_to(outside.parent / "new.gpkg")
    (folder / "inner.tif").symlink_to(folder / "a.tif")
    for name in ("link.tif", "linked/secret.tif"):
        with pytest.raises(InputError, match="outside the folders"):
            grants.raster(name)
    for name in ("new.gpkg", "linked/x.gpkg", "link.tif"):
        with pytest.raises(InputError, match="outside the folders"):
            grants.folders.new_file(name)
    assert grants.raster("inner.tif") == str((folder / "a.tif").resolve())
    listed = [path.name for path in grants.folders.files((".tif",), 10)]
    assert listed == ["a.tif", "b.tif"]


@needs_links
@pytest.mark.parametrize("ending", [".journal", "-wal", ".journal-journal"])
def test_links_where_a_run_writes_beside_its_output_are_refused(grants, folder, outside, ending):
    (folder / f"c.gpkg{ending}").symlink_to(outside.parent / "made")
    with pytest.raises(InputError, match="leads out of the folders"):
        grants.folders.new_file("c.gpkg")


@needs_links
def test_a_folder_that_is_a_link_may_be_named_either_way(tmp_path, folder):
    alias = tmp_path / "alias"
    alias.symlink_to(folder)
    grants = Grants.of([alias], AnalyzeOptions())
    for name in ("a.tif", alias / "a.tif", folder / "a.tif"):
        assert grants.raster(str(name)) == str((folder / "a.tif").resolve())


@needs_links
def test_what_is_no_regular_file_is_not_opened(grants, folder):
    os.mkfifo(folder / "pipe.tif")
    with pytest.raises(InputError, match="there is no file"):
        grants.raster("pipe.tif")


@needs_links
@pytest.mark.parametrize("suffix", [".tif.ovr", ".tif.msk", ".tif.aux.xml", ".tfw", ".TFW", ".aux"])
def test_links_beside_a_raster_are_refused(grants, folder, outside, suffix):
    (folder / f"a{suffix}").symlink_to(outside)
    with pytest.raises(InputError, match="outside the folders"):
        grants.raster("a.tif")


def sources(outside):
    yield "absolute", {"source": outside}
    yield "upwards", {"source": "../outside/secret.tif", "relative": "1"}
    yield "from-the-process", {"source": "../outside/secret.tif"}
    yield "a-word-for-relative", {"source": "a.tif", "relative": "true"}
    yield "vsi", {"source": f"/vsisubfile/0_9999,{outside}"}
    yield "address", {"source": "/vsicurl/http://127.0.0.1:9/a.tif"}
    yield "vrt-name", {"source": f"vrt://{outside}"}
    yield "driver", {"source": f"GTIFF_DIR:1:{outside}"}
    yield "child", {"source": f"a.tif<x>{outside}</x>", "relative": "1"}
    yield "comment", {"source": "<!-- -->a.tif", "relative": "1"}
    yield "cdata", {"source": f"<![CDATA[{outside}]]>"}
    good = {"source": "a.tif", "relative": "1"}
    yield "attribute", {**good, "attribute": f'SourceFilename="{outside}"'}
    yield "lower-case", {**good, "inner": f"<sourcefilename>{outside}</sourcefilename>"}
    names = '<MDI key="OVERVIEW_FILE">'
    yield "overviews", {**good, "inner": f"<Metadata>{names}{outside}</MDI></Metadata>"}
    yield "domain", {**good, "inner": '<Metadata domain="GEOLOCATION"/>'}
    yield "options", {**good, "inner": '<OpenOptions><OOI key="x">y</OOI></OpenOptions>'}
    warp = f"<GDALWarpOptions><SourceDataset>{outside}</SourceDataset></GDALWarpOptions>"
    yield "warped", {**good, "inner": warp}
    raw = f'<VRTRasterBand subClass="VRTRawRasterBand"><SourceFilename>{outside}</SourceFilename>'
    yield "raw", {**good, "inner": f"{raw}</VRTRasterBand>"}
    code = '<VRTRasterBand subClass="VRTDerivedRasterBand"><PixelFunctionCode/></VRTRasterBand>'
    yield "derived", {**good, "inner": code}
    yield "processed", {**good, "inner": "<ProcessingSteps/>"}
    yield "broken", {**good, "inner": "<SRS>"}


CASES = [name for name, _ in sources("x")]


@pytest.mark.parametrize("case", CASES)
def test_virtual_rasters_that_lead_out_are_refused(grants, folder, outside, case):
    mosaic(folder, "v.vrt", **dict(sources(outside))[case])
    mosaic(folder, "of.vrt", "v.vrt", relative="1")
    for name in ("v.vrt", "of.vrt"):
        with pytest.raises(InputError):
            grants.raster(name)


def test_entities_and_endless_chains_of_virtual_rasters_are_refused(grants, folder, outside):
    mosaic(folder, "v.vrt", "&x;")
    text = f'<!DOCTYPE a [<!ENTITY x "{outside}">]>{(folder / "v.vrt").read_text()}'
    (folder / "v.vrt").write_text(text)
    with pytest.raises(InputError, match="no plain virtual raster"):
        grants.raster("v.vrt")
    mosaic(folder, "round.vrt", "round.vrt", relative="1")
    assert grants.raster("round.vrt")  # what it holds is said when it is read
    (folder / "wide.vrt").write_bytes("<VRTDataset/>".encode("utf-16"))
    with pytest.raises(InputError):
        grants.raster("wide.vrt")


@pytest.mark.parametrize("as_file", [True, False], ids=["beside", "within"])
def test_metadata_that_name_overviews_outside_are_refused(grants, folder, outside, as_file):
    if as_file:
        text = f'<Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{outside}</MDI></Metadata>'
        (folder / "a.tif.aux.xml").write_text(f"<PAMDataset>{text}</PAMDataset>")
    else:
        with rasterio.open(folder / "a.tif", "r+") as dataset:
            dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(outside))
    with pytest.raises(InputError, match="names"):
        grants.raster("a.tif")


@pytest.mark.parametrize(
    "content",
    [
        b"<GDAL_WMS><Service/></GDAL_WMS>",
        b"<MRF_META/>",
        b'{"type": "Feature", "stac_version": "1.0.0"}',
        b'{"type": "gdal_streamed_alg", "command_line": "gdal raster info /etc/passwd"}',
        b"\x89HDF\r\n\x1a\n",
        b"CDF\x01",
        b"EHFA_HEADER_TAG",
        b"SQLite format 3\0",
        b"root:x:0:0:root:/root:/bin/sh",
        b"",
    ],
    ids=range(10),
)
@pytest.mark.parametrize("suffix", [".tif", ".vrt", ".gti.gpkg"])
def test_rasters_of_formats_that_may_name_files_are_refused(grants, folder, content, suffix):
    (folder / f"x{suffix}").write_bytes(content)
    with pytest.raises(InputError):
        grants.raster(f"x{suffix}")


@pytest.fixture
def areas(folder, outside):
    frame = geopandas.GeoDataFrame(geometry=[shapely.box(15, 44, 16, 46)], crs=4326)
    for name in ("area.gpkg", "area.geojson", "area.shp", "area.fgb"):
        frame.to_file(folder / name)
        shutil.copy(folder / name, outside.parent)
    return folder


def area_of(grants, text):
    return options_of({"aoi": text}, "analyze", grants).aoi


def test_areas_in_the_folders_and_in_numbers_are_taken(grants, areas):
    for name in ("area.gpkg", "area.geojson", "area.shp", "area.fgb", "area.gpkg|layername=area"):
        assert area_of(grants, name) == f"{areas.resolve() / name}"
    for text in ("1,2,3,4", "EPSG:4326;1,2,3,4", "POLYGON((0 0,1 0,1 1,0 0))"):
        assert area_of(grants, text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("../outside/area.gpkg", "{outside}/area.gpkg", "{outside}/area.gpkg|layername=area"),
        *("PG:dbname=x", "/vsicurl/http://127.0.0.1:9/a.geojson", "https://host/a.geojson"),
        *("area.gpkg|subset=1=1", "area.gpkg|layername=area|subset=load_extension('x')"),
        *("+init=/etc/passwd:1;1,2,3,4", "PROJCS[];1,2,3,4", "http://host/crs;1,2,3,4"),
        *('{"type": "FeatureCollection"}', "<OGRVRTDataSource/>", "ESRIJSON:http://host", "a.tif"),
    ],
)
def test_areas_that_lead_elsewhere_are_refused(grants, areas, outside, text):
    with pytest.raises(GeochgError):
        area_of(grants, text.replace("{outside}", str(outside.parent)))


def test_zones_are_files_in_the_folders(grants, areas, outside):
    taken = options_of({"zones": "area.gpkg|layername=area"}, "analyze", grants).zones
    assert taken == f"{areas.resolve() / 'area.gpkg'}|layername=area"
    for text in (str(outside.parent / "area.gpkg"), "../outside/area.gpkg", "PG:x", "a.tif"):
        with pytest.raises(GeochgError):
            options_of({"zones": text}, "analyze", grants)


def test_options_that_name_files_are_offered_with_a_check_only(grants):
    offered = set(map_options("analyze").schemas(grants))
    paths = {spec.name for spec in AnalyzeOptions.specs() if spec.facts.is_path}
    assert offered & paths == set()
    files = {s.name for s in AnalyzeOptions.specs() if s.facts.metavar.startswith("FILE")}
    assert offered & files == {"zones"}


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg", ".shp", ".fgb", ".parquet"])
def test_vector_files_that_are_others_are_refused(grants, areas, outside, suffix):
    source = f"<SrcDataSource>{outside.parent / 'area.gpkg'}</SrcDataSource>"
    text = f'<OGRVRTDataSource><OGRVRTLayer name="area">{source}</OGRVRTLayer></OGRVRTDataSource>'
    (areas / f"x{suffix}").write_text(text)
    with pytest.raises(InputError, match="none of the vector files"):
        area_of(grants, f"x{suffix}")


@needs_links
def test_links_beside_a_shapefile_are_refused(grants, areas, outside):
    (areas / "area.dbf").unlink()
    (areas / "area.dbf").symlink_to(outside.parent / "secret.tif")
    with pytest.raises(InputError, match="outside the folders"):
        area_of(grants, "area.shp")


def test_a_name_that_two_folders_have_is_refused(tmp_path, folder):
    other = tmp_path / "other"
    other.mkdir()
    write(other / "a.tif")
    grants = Grants.of([folder, other], AnalyzeOptions())
    with pytest.raises(InputError, match="more than one folder"):
        grants.raster("a.tif")
    assert grants.raster("sub/b.tif")
    assert grants.raster(str(other / "a.tif")) == str((other / "a.tif").resolve())
    assert grants.folders.new_file("new.gpkg") == folder.resolve() / "new.gpkg"


def test_options_of_a_file_cannot_make_calls_replace_files_of_others(folder):
    grants = Grants.of([folder], AnalyzeOptions(overwrite=True, resume=True))
    options = options_of({}, "analyze", grants)
    assert (options.overwrite, options.resume) == (False, False)


def test_models_that_ask_others_are_used_only_when_they_are_named_at_start(folder):
    with_key = "openai:http://user:password@host/v1#m"
    grants = Grants.of([folder], AnalyzeOptions(model="cva"), [with_key])
    assert grants.model("irmad") == "irmad"
    assert next(iter(grants.models)) == "cva"
    assert "password" not in str(list(grants.models))
    (name,) = [name for name in grants.models if name.startswith("openai")]
    assert grants.model(name) == with_key
    for other in ("openai:http://other/v1#m", "vlm:someone/model", "builtin:/etc", "Builtin", ""):
        with pytest.raises(GeochgError):
            options_of({"model": other}, "analyze", grants)


def test_options_of_one_model_are_not_given_to_another(folder):
    own = AnalyzeOptions(model="cva", model_options={"threshold": 3}, device="cpu")
    grants = Grants.of([folder], own)
    assert options_of({}, "analyze", grants).model_options == {"threshold": 3}
    other = options_of({"model": "irmad"}, "analyze", grants)
    assert (other.model_options, other.device) == ({}, "cpu")
