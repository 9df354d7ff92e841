"""Files on this machine that would make GDAL ask another are refused; typed addresses are read."""

import json

import pytest

from geochg.errors import InputError
from geochg.files import remote_files
from geochg.files.remote_files import is_remote, refuse_remote

HEAD = '<VRTDataset rasterXSize="1" rasterYSize="1"><SRS>EPSG:32633</SRS>'
FAR = "http://example.invalid/a.tif"

LINK = {"type": "Link", "properties": {"href": FAR}}


def band(source):
    return (
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename relativeToVRT="1">'
        f"{source}</SourceFilename></SimpleSource></VRTRasterBand>"
    )


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


INNER = f"{HEAD}{band('/vsicurl/' + FAR)}</VRTDataset>"
DOCUMENTS = {
    "vsicurl": INNER,
    "plain address": f"{HEAD}{band(FAR)}</VRTDataset>",
    "bucket": f"{HEAD}{band('/vsis3/bucket/a.tif')}</VRTDataset>",
    "archive behind an address": f"{HEAD}{band('/vsizip//vsicurl/' + FAR)}</VRTDataset>",
    "streamed": f"{HEAD}{band('/vsicurl_streaming/' + FAR)}</VRTDataset>",
    "service": f"{HEAD}{band('WMS:' + FAR)}</VRTDataset>",
    "text within": f"{HEAD}{band(escaped(INNER))}</VRTDataset>",
    "text within text": f"{HEAD}{band(escaped(HEAD + band(escaped(INNER)) + '</VRTDataset>'))}"
    "</VRTDataset>",
    "mask": f"{HEAD}<MaskBand>{band('/vsicurl/' + FAR)}</MaskBand></VRTDataset>",
    "overview": f'{HEAD}<Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">/vsicurl/{FAR}</MDI>'
    "</Metadata></VRTDataset>",
    "warped": f"{HEAD}<GDALWarpOptions><SourceDataset>/vsicurl/{FAR}</SourceDataset>"
    "</GDALWarpOptions></VRTDataset>",
    "heights": f"{HEAD}<RPCTransformer><DEMPath>/vsicurl/{FAR}</DEMPath></RPCTransformer>"
    "</VRTDataset>",
    "tiles": f"<GDAL_WMS><Service name='TMS'><ServerUrl>{FAR}</ServerUrl></Service></GDAL_WMS>",
    "known service": "<GDAL_WMS><Service name='VirtualEarth'/></GDAL_WMS>",
    "coverage": f"<WCS_GDAL><ServiceURL>{FAR}</ServiceURL></WCS_GDAL>",
    "features": f"<OGRWFSDataSource><URL>{FAR}</URL></OGRWFSDataSource>",
    "layers": f"<OGRVRTDataSource><OGRVRTLayer><SrcDataSource>/vsicurl/{FAR}</SrcDataSource>"
    "</OGRVRTLayer></OGRVRTDataSource>",
    "tile index": "<GDALTileIndexDataset/>",
    "item": json.dumps({"stac_version": "1.0.0", "assets": {"a": {"href": FAR}}}),
    "pieces": json.dumps({"version": 1, "refs": {"a": [FAR, 0, 1]}}),
    "steps": json.dumps({"type": "gdal_streamed_alg", "command_line": f"gdal vector info {FAR}"}),
    "steps with a comment": '{/* x */ "type": "gdal_streamed_alg", "command_line": "gdal"}',
    "linked system": json.dumps({"type": "FeatureCollection", "crs": LINK, "features": []}),
    "linked system of a shape": json.dumps(
        {"type": "FeatureCollection", "features": [{"geometry": {"type": "Polygon", "crs": LINK}}]}
    ),
    "linked system with a comment": '{"crs": /* x */ ' + json.dumps(LINK) + "}",
    "linked system for a script": f"loadGeoJSON({json.dumps({'crs': LINK})});",
    "broken": f"{HEAD}<a>&nbsp;{band('/vsicurl/' + FAR)}",
    "declared": f'<?xml version="1.0" encoding="UTF-8"?>\n{INNER}',
    "marked": f"\ufeff{INNER}",
}


@pytest.mark.parametrize("kind", DOCUMENTS)
@pytest.mark.parametrize("name", ["a.tif", "a.vrt", "a.geojson"])
def test_files_that_fetch_are_refused_whatever_their_name(tmp_path, kind, name):
    path = tmp_path / name
    path.write_text(DOCUMENTS[kind], encoding="utf-8")
    with pytest.raises(InputError) as told:
        refuse_remote(str(path))
    assert str(path) in told.value.message
    refuse_remote(str(path), allow=True)


def test_what_a_file_names_is_looked_through_as_well(tmp_path):
    (tmp_path / "far.tif").write_text(DOCUMENTS["tiles"])
    (tmp_path / "near.vrt").write_text(f"{HEAD}{band('far.tif')}</VRTDataset>")
    (tmp_path / "outer.vrt").write_text(f"{HEAD}{band('near.vrt')}</VRTDataset>")
    with pytest.raises(InputError, match="outer"):
        refuse_remote(str(tmp_path / "outer.vrt"))


def test_what_lies_beside_a_file_is_looked_through_as_well(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0")
    (tmp_path / "a.tif.aux.xml").write_text(
        '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">/vsicurl/'
        f"{FAR}</MDI></Metadata></PAMDataset>"
    )
    with pytest.raises(InputError, match="elsewhere"):
        refuse_remote(str(tmp_path / "a.tif"))


def test_a_text_in_two_bytes_a_character_is_looked_through(tmp_path):
    (tmp_path / "a.tif").write_text(INNER, encoding="utf-16")
    with pytest.raises(InputError, match="elsewhere"):
        refuse_remote(str(tmp_path / "a.tif"))


def test_files_that_name_each_other_come_to_an_end(tmp_path):
    (tmp_path / "a.vrt").write_text(f"{HEAD}{band('b.vrt')}</VRTDataset>")
    (tmp_path / "b.vrt").write_text(f"{HEAD}{band('a.vrt')}</VRTDataset>")
    refuse_remote(str(tmp_path / "a.vrt"))


@pytest.mark.parametrize(
    "content",
    [
        f"{HEAD}{band('a.tif')}</VRTDataset>",
        f'{HEAD}<Metadata><MDI key="TIFFTAG_COPYRIGHT">http://example.org</MDI></Metadata>'
        f"{band('a.tif')}</VRTDataset>",
        '<kml xmlns="http://www.opengis.net/kml/2.2"><Placemark/></kml>',
        '{"type": "FeatureCollection", "features": []}',
        '{"type": "FeatureCollection", "crs": {"type": "name", "properties": {"name": "EPSG:1"}}}',
        '{"type": "Feature", "properties": {"url": "http://a"}}\n{"type": "Feature"}',
        "<n1:Level-1C_User_Product xmlns:n1='https://psd-14.sentinel2.eo.esa.int/'/>",
        "plain text",
        "",
    ],
)
def test_files_that_stay_on_this_machine_are_taken(tmp_path, content):
    path = tmp_path / "a.xml"
    path.write_text(content)
    refuse_remote(str(path))


@pytest.mark.parametrize(
    "name",
    [
        "https://host/a.tif",
        "/vsicurl/https://host/a.tif",
        "/vsis3/b/a.tif",
        "WMS:http://host/wms",
        "/vsizip//vsicurl/https://host/a.zip/a.tif",
        "s3://bucket/a.tif",
    ],
)
def test_addresses_that_were_typed_are_taken(name):
    assert is_remote(name)
    refuse_remote(name)


@pytest.mark.parametrize("name", ["a.tif", "C:\\data\\a.tif", 'NETCDF:"a.nc":b', "/vsizip/a.zip/b"])
def test_names_of_this_machine_are_no_addresses(name):
    assert not is_remote(name)
    refuse_remote(name)


@pytest.mark.parametrize("kind", ["<", "{"])
def test_documents_beyond_all_measure_are_not_taken_on_trust(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(remote_files, "_LARGEST", 20_000)
    text = INNER if kind == "<" else DOCUMENTS["linked system"]
    (tmp_path / "a.tif").write_text(text + " " * 30_000)
    with pytest.raises(InputError):
        refuse_remote(str(tmp_path / "a.tif"))


SHAPE = {"type": "Feature", "properties": {"url": FAR, "href": FAR, "crs": "type: link"}}
NAMED = {"type": "name", "properties": {"type": "link", "name": "EPSG:4326", "url": FAR}}
MANY = [SHAPE] * 200


@pytest.mark.parametrize(
    ("collection", "is_refused"),
    [
        ({"crs": NAMED, "features": MANY}, False),
        ({"features": MANY, "crs": NAMED}, False),
        ({"crs": None, "type": "link", "features": MANY}, False),
        ({"crs": LINK, "features": MANY}, True),
        ({"features": MANY, "crs": LINK}, True),
        ({"features": [*MANY, SHAPE | {"geometry": {"crs": LINK}}, *MANY]}, True),
        ({"crs": {"properties": {"a": [{}, "}"], "href": FAR}, "type": "URL"}, "f": MANY}, True),
        ({"CRS": {"properties": {"href": FAR}, "Type": "link"}, "features": MANY}, True),
        ({"crs": {"properties": {"a": "-" * 2**16}, "type": "link"}, "features": MANY}, True),
    ],
)
@pytest.mark.parametrize("form", ["large", "one line a shape", "comment", "whole"])
def test_only_a_crs_that_is_a_link_is_refused(tmp_path, monkeypatch, collection, is_refused, form):
    text = json.dumps(collection)
    if form == "large":
        monkeypatch.setattr(remote_files, "_LARGEST", 10_000)
        monkeypatch.setattr(remote_files, "_PIECE_BYTES", 1000)
    if form == "one line a shape":
        text = f"{text}\n{json.dumps(SHAPE)}\n"
    if form == "comment":
        text = text.replace('":', '"/* "{" */ : // }\n')
    path = tmp_path / "a.geojson"
    path.write_text(text)
    if not is_refused:
        refuse_remote(str(path))
        return
    with pytest.raises(InputError, match="by an address") as told:
        refuse_remote(str(path))
    assert str(path) in told.value.message


@pytest.mark.parametrize(
    "text",
    [
        "{'crs': {'type': 'link', 'properties': {}}}",
        r'{"\u0063rs": {"type": "l\u0069nk"}} {}',
        '{"a": "\'crs\': {", "crs": {"type": "link"}} {}',
    ],
)
def test_what_gdal_takes_for_json_is_taken_for_it_too(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match="by an address"):
        refuse_remote(str(tmp_path / "a.json"))
