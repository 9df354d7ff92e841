"""What GDAL does not open is named for what it is, with the way in; nothing is fetched for it."""

import gzip
import json
import re
import socket
import tarfile
import zipfile

import pytest
from rasters import texture

from geochg.errors import InputError
from geochg.tiling.gdal import drivers_for
from geochg.tiling.source import read_source

HDF4 = b"\x0e\x03\x13\x01" + bytes(60)
ITEM = {"stac_version": "1.0.0", "assets": {"visual": {"href": "https://host/a.tif"}}}


def zipped(path, raster):
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(raster, "scene/a.tif")
        archive.writestr("readme.txt", "words")


def tarred(path, raster):
    with tarfile.open(path, "w:gz") as archive:
        archive.add(raster, "scene/a.tif")


def without_raster(path, raster):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "words")


KINDS = {
    "zip": ("a.zip", zipped, "is a ZIP archive", "/vsizip/"),
    "zip named as a raster": ("b.tif", zipped, "is a ZIP archive", "/vsizip/"),
    "tar": ("a.tar.gz", tarred, "is a TAR archive", "/vsitar/"),
    "tar named .tgz": ("a.tgz", tarred, "is a TAR archive", "/vsitar/"),
    "tar named as a raster": ("b.tif", tarred, "is a TAR archive", "ends in .tgz"),
    "zip of words": ("a.zip", without_raster, "without a raster", "unpack"),
    "gzip": ("a.tif.gz", lambda p, r: p.write_bytes(gzip.compress(r.read_bytes())), "gzip", "/vsi"),
    "7z": (
        "a.7z",
        lambda p, r: p.write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(30)),
        "archive",
        "unpack",
    ),
    "empty": ("b.tif", lambda p, r: p.write_bytes(b""), "is empty", "again"),
    "ECW": ("a.ecw", lambda p, r: p.write_bytes(b"e" * 99), "ECW", "convert"),
    "MrSID": ("b.sid", lambda p, r: p.write_bytes(b"msid" + bytes(99)), "MrSID", "convert"),
    "HDF4": ("a.hdf", lambda p, r: p.write_bytes(HDF4), "HDF4", "convert"),
    "item": (
        "a.json",
        lambda p, r: p.write_text(json.dumps(ITEM)),
        "STAC item",
        "https://host/a.tif",
    ),
    "folder": ("scene", lambda p, r: p.mkdir(), "is a folder", "name the raster"),
    "half of it": (
        "b.tif",
        lambda p, r: p.write_bytes(r.read_bytes()[:40]),
        "not a raster",
        "damaged",
    ),
    "words": ("b.tif", lambda p, r: p.write_text("no raster"), "not a raster", "rio info"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_named_for_what_it_is(make_raster, tmp_path, kind):
    name, make, message, hint = KINDS[kind]
    make(tmp_path / name, make_raster("a.tif", texture(20, 30)))
    with pytest.raises(InputError) as caught:
        read_source(tmp_path / name)
    assert message in caught.value.message
    assert str(tmp_path / name) in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("kind", ["zip", "zip named as a raster", "tar", "tar named .tgz", "gzip"])
def test_the_way_in_leads_in(make_raster, tmp_path, kind):
    name, make, *_ = KINDS[kind]
    data = texture(20, 30)
    make(tmp_path / name, make_raster("a.tif", data))
    with pytest.raises(InputError) as caught:
        read_source(tmp_path / name)
    way = re.search(r"/vsi\S+", caught.value.hint)[0]
    found = read_source(way)
    assert found.geobox.shape == data.shape[-2:]
    # A run goes on only with the same archive.
    assert str(tmp_path / name) in found.files


# --- drivers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.tif", "/data/a.vrt", "/vsizip/a.zip/a.tif"])
def test_no_driver_that_asks_a_server_opens_what_lies_here(name):
    allowed = set(drivers_for(name))
    assert {"GTiff", "PNG", "JP2OpenJPEG"} & allowed
    assert (
        not {"WMS", "WMTS", "WCS", "STACIT", "STACTA", "HTTP", "EEDAI", "PLMOSAIC", "GTI"} & allowed
    )
    # In an archive nobody looks through what a virtual raster names.
    assert ("VRT" in allowed) is not name.startswith("/vsi")


FAR = "/vsicurl/http://127.0.0.1:{port}/a.tif"
DOCUMENTS = {
    "mrf": f"<MRF_META><CachedSource><Source>{FAR}</Source></CachedSource><Raster>"
    f'<Size x="9" y="9" c="1"/><DataFile>{FAR}</DataFile></Raster></MRF_META>',
    "kml": '<kml xmlns="http://www.opengis.net/kml/2.2"><Document><GroundOverlay><Icon>'
    "<href>http://127.0.0.1:{port}/a.png</href></Icon><LatLonBox><north>1</north><south>0</south>"
    "<east>1</east><west>0</west></LatLonBox></GroundOverlay></Document></kml>",
    "xml": '<Dimap_Document><Metadata_Id><METADATA_FORMAT version="1.1">DIMAP</METADATA_FORMAT>'
    "</Metadata_Id><Raster_Dimensions><NCOLS>9</NCOLS><NROWS>9</NROWS><NBANDS>1</NBANDS>"
    f'</Raster_Dimensions><Data_Access><Data_File><DATA_FILE_PATH href="{FAR}"/></Data_File>'
    "</Data_Access></Dimap_Document>",
    "lbl": f"PDS_VERSION_ID = PDS3\nRECORD_BYTES = 9\n^IMAGE = \"{FAR}\"\nOBJECT = IMAGE\n"
    "LINES = 9\nLINE_SAMPLES = 9\nSAMPLE_BITS = 8\nEND_OBJECT = IMAGE\nEND\n",
    "json": '{{"tilejson": "2.0", "tiles": ["http://127.0.0.1:{port}/z/x/y.png"]}}',
}  # fmt: skip


@pytest.mark.parametrize("kind", DOCUMENTS)
@pytest.mark.parametrize("suffix", ["tif", ""])
def test_documents_of_other_formats_fetch_nothing(tmp_path, kind, suffix):
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = DOCUMENTS[kind].format(port=server.getsockname()[1])
        path = tmp_path / f"a.{suffix or kind}"
        path.write_text(text)
        with pytest.raises(InputError):
            read_source(path)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
