"""GDAL's names of rasters: one table for the plugin's rule and the worker's."""

import os
from pathlib import Path
from zipfile import ZipFile

RELATIVE_RASTERS = [
    ("a.tif", "{}/a.tif"),
    ("missing.tif", "{}/missing.tif"),
    ("./a.tif", "{}/a.tif"),
    ("sub/b.tif", "{}/sub/b.tif"),
    ("GPKG:a.gpkg:table", "GPKG:{}/a.gpkg:table"),
    ('NETCDF:"a.nc":Band1', 'NETCDF:"{}/a.nc":Band1'),
    ("HDF5:a.nc://Band1", "HDF5:{}/a.nc://Band1"),
    ('HDF5:"a.nc"://Band1', 'HDF5:"{}/a.nc"://Band1'),
    ("/vsizip/a.zip/a.tif", "/vsizip/{}/a.zip/a.tif"),
    ("/vsizip/{a.zip}/a.tif", "/vsizip/{{{}/a.zip}}/a.tif"),
    ("/vsisubfile/0_10,a.tif", "/vsisubfile/0_10,{}/a.tif"),
    ("vrt://a.tif?bands=1", "vrt://{}/a.tif?bands=1"),
    ("GTIFF_DIR:2:a.tif", "GTIFF_DIR:2:{}/a.tif"),
]
"""Names that start from a folder of `make_files`, and what they become; `{}` is the folder."""

OTHER_RASTERS = [
    os.path.abspath("a.tif"),
    "/vsicurl/https://example.org/a.tif",
    "/vsimem/a.tif",
    f"/vsizip/{os.path.abspath('a.zip')}/a.tif",
    "https://example.org/a.tif",
    "<VRTDataset></VRTDataset>",
    "WMS:https://example.org/wms",
    f"GPKG:{os.path.abspath('a.gpkg')}:table",
    f"vrt://{os.path.abspath('a.tif')}?bands=1",
]
"""Names that stay as they are."""


def make_files(folder: Path) -> Path:
    """Makes what the names mean, and gives the folder back."""
    for name in ("a.tif", "a.gpkg", "a.nc", "area.geojson"):
        (folder / name).touch()
    for name in ("model", "sub"):
        (folder / name).mkdir()
    (folder / "sub" / "b.tif").touch()
    with ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("a.tif", b"")
    return folder
