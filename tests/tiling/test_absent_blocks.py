"""Rasters of which little was written are read as fast as what was written of them."""

import json
import subprocess
import sys
import time
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window

from geochg.options import AnalyzeOptions
from geochg.pipeline.dialogue import open_dialogue
from geochg.tiling import virtual_raster
from geochg.tiling.absent_blocks import without_absent_blocks
from geochg.tiling.validity import validity_of

VAST_PX = 100_000
MOST_CPU_S = 25
"""Reading every block took minutes."""

PLACE = Affine(1, 0, 400_000, 0, -1, 6_000_000)


def sparse(path, side_px, blocks, *, block_px=512, count=3, dtype="uint8", change=False, **profile):
    """Writes blocks of ground, by row and column, and nothing else."""
    rng = np.random.default_rng(7)
    ground = np.clip(np.kron(rng.integers(60, 140, (count, 8, 8)), np.ones((64, 64))), 1, 255)
    if change:
        ground[:, 100:400, 100:400] = 250
    size = {"blockxsize": block_px, "blockysize": block_px, "tiled": True}
    given = {"nodata": None, "compress": "deflate", "sparse_ok": True, "bigtiff": "yes"} | size
    with rasterio.open(
        path, "w", driver="GTiff", width=side_px, height=side_px, count=count, dtype=dtype,
        crs="EPSG:32633", transform=PLACE, **(given | profile),
    ) as file:  # fmt: skip
        for row, col in blocks:
            window = Window(col * 512, row * 512, 512, 512)
            file.write(ground.astype(dtype), window=window)
    return str(path)


def virtual_over(path, source, side_px, at_px, nodata=None, scale=1):
    """A document of which a raster of 2048 px covers a part."""
    marks = "" if nodata is None else f"<NoDataValue>{nodata}</NoDataValue>"
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}">{marks}<ComplexSource>'
        f'<SourceFilename relativeToVRT="1">{source}</SourceFilename>'
        f"<SourceBand>{band}</SourceBand>"
        '<SrcRect xOff="0" yOff="0" xSize="2048" ySize="2048"/>'
        f'<DstRect xOff="{at_px}" yOff="{at_px}" xSize="{2048 * scale}" ySize="{2048 * scale}"/>'
        "<LUT>0:0,255:250</LUT></ComplexSource></VRTRasterBand>"
        for band in (1, 2, 3)
    )
    path.write_text(
        f'<VRTDataset rasterXSize="{side_px}" rasterYSize="{side_px}"><SRS>EPSG:32633</SRS>'
        f"<GeoTransform>400000,1,0,6000000,0,-1</GeoTransform>{bands}</VRTDataset>"
    )
    return str(path)


def thinned(path, monkeypatch=None):
    """What is read of every third pixel; without the shortcut where a patch is given."""
    if monkeypatch is not None:
        monkeypatch.setattr(virtual_raster, "without_absent_blocks", lambda document: False)
    with rasterio.open(path) as dataset:
        bands = [band for band in (1, 2, 3) if band <= dataset.count]
        validity = validity_of(dataset, bands, None)
        with virtual_raster.open_view(dataset, validity, dataset.dtypes[0], bands, 3) as view:
            return np.stack([view.read(band).astype(float) for band in view.indexes])


KINDS = {
    "pixels": {},
    "planes": {"interleave": "band"},
    "nodata": {"nodata": 0},
    "never measured": {"nodata": -9999, "dtype": "float32"},
    "small blocks": {"block_px": 64},
    "strips": {"tiled": False, "blockysize": 16},
    "big-endian": {"endianness": "big", "bigtiff": "no"},
    "one band": {"count": 1, "dtype": "uint16"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_is_the_same_with_and_without_the_shortcut(kind, tmp_path, monkeypatch):
    blocks = [(0, 0), (2, 7), (5, 5), (7, 0)]
    path = sparse(tmp_path / "a.tif", 4096, blocks, **KINDS[kind])
    with rasterio.open(path) as dataset:
        assert without_absent_blocks(virtual_raster.virtual_copy(dataset)) is True
    fast = thinned(path)
    assert fast.any()
    np.testing.assert_array_equal(fast, thinned(path, monkeypatch))


@pytest.mark.parametrize(("nodata", "scale"), [(None, 1), (0, 1), (7, 2)])
def test_virtual_rasters_of_such_files_too(nodata, scale, tmp_path, monkeypatch):
    sparse(tmp_path / "a.tif", 2048, [(0, 0), (3, 1)])
    path = virtual_over(tmp_path / "a.vrt", "a.tif", 6000, 700, nodata, scale)
    with rasterio.open(path) as dataset:
        assert without_absent_blocks(virtual_raster.virtual_copy(dataset)) is True
    fast = thinned(path)
    assert fast.any()
    np.testing.assert_array_equal(fast, thinned(path, monkeypatch))


@pytest.mark.parametrize(
    "profile", [{"sparse_ok": False}, {"blockxsize": 2048, "blockysize": 2048}]
)
def test_files_that_are_written_whole_are_left_alone(profile, tmp_path):
    path = sparse(tmp_path / "a.tif", 2048, np.ndindex(4, 4), **profile)
    with rasterio.open(path) as dataset:
        document = virtual_raster.virtual_copy(dataset)
        before = ElementTree.tostring(document)
        assert without_absent_blocks(document) is False
        assert ElementTree.tostring(document) == before


def sparse_tiff(folder, name, *, change, nodata=None):
    blocks = [(0, 0), (40, 150), (97, 98), (190, 20)]
    path = folder / f"{name}.tif"
    return sparse(path, VAST_PX, blocks, nodata=nodata, change=change)


def sparse_vrt(folder, name, *, change, nodata=None):
    sparse(folder / f"{name}-part.tif", 2048, [(0, 0), (2, 1)], change=change)
    return virtual_over(folder / f"{name}.vrt", f"{name}-part.tif", VAST_PX, 30_000, nodata)


@pytest.mark.parametrize("nodata", [None, 0])
@pytest.mark.parametrize("make", [sparse_tiff, sparse_vrt])
def test_a_vast_pair_is_asked_about_in_seconds_and_its_change_is_told(make, nodata, tmp_path):
    pair = [make(tmp_path, n, change=n == "b", nodata=nodata) for n in ("a", "b")]
    start = time.process_time()
    dialogue = open_dialogue(*pair, AnalyzeOptions(model="cva"))
    told = "".join(dialogue.ask("How much has changed?"))
    assert time.process_time() - start < MOST_CPU_S
    assert "changed on" in told


@pytest.mark.skipif(sys.platform == "win32", reason="no such measure of memory")
def test_memory_depends_on_what_the_model_is_shown(tmp_path):
    code = (
        "import json, resource, sys\n"
        "from geochg.pipeline.dialogue import open_dialogue\n"
        "from geochg.options import AnalyzeOptions\n"
        "list(open_dialogue(*sys.argv[1:], AnalyzeOptions(model='cva')).ask('What?'))\n"
        "print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))\n"
    )
    held = []
    for side_px in (5_000, VAST_PX):
        names = (tmp_path / f"{name}{side_px}.tif" for name in ("a", "b"))
        pair = [sparse(name, side_px, [(0, 0), (4, 6)]) for name in names]
        held.append(json.loads(subprocess.check_output([sys.executable, "-c", code, *pair])))
    unit = 1 if sys.platform == "darwin" else 1024
    assert (held[1] - held[0]) * unit < 300 * 2**20
