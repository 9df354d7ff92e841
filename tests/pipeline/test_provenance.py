"""When a run is the same as an unfinished one."""

import numpy as np
import pytest
import rasterio

from geochg.pipeline.provenance import _input_facts
from geochg.tiling.source import read_source

STATISTICS = """<PAMDataset>
  <PAMRasterBand band="1">
    <Description>red</Description>
    <Histograms><HistItem><HistCounts>1|2</HistCounts></HistItem></Histograms>
    <Metadata><MDI key="STATISTICS_MAXIMUM">7</MDI></Metadata>
  </PAMRasterBand>
</PAMDataset>"""


@pytest.fixture
def image(make_raster):
    path = make_raster("image.tif", np.ones((3, 40, 40), dtype="uint8"))
    with rasterio.open(path, "r+") as dataset:
        dataset.set_band_description(1, "red")
    return path


def test_statistics_that_a_viewer_writes_leave_an_image_the_same(image):
    before = _input_facts(read_source(image))
    sidecar = image.with_name("image.tif.aux.xml")
    sidecar.write_text(STATISTICS)
    assert any(name.endswith(".aux.xml") for name in read_source(image).files)
    assert _input_facts(read_source(image)) == before


@pytest.mark.parametrize(
    ("first", "second"),
    [("<Description>red", "<Description>blue"), ("<Hist", "<NoDataValue>1</NoDataValue><Hist")],
)
def test_what_a_sidecar_says_of_the_raster_counts(image, first, second):
    image.with_name("image.tif.aux.xml").write_text(STATISTICS)
    # As of a format that keeps nothing of it in the file itself.
    png = image.with_suffix(".png")
    with rasterio.open(image) as dataset, rasterio.open(
        png, "w", driver="PNG", width=40, height=40, count=3, dtype="uint8",
        crs=dataset.crs, transform=dataset.transform,
    ) as copy:  # fmt: skip
        copy.write(dataset.read())
    sidecar = image.with_name("image.png.aux.xml")
    text = sidecar.read_text()
    sidecar.write_text(text.replace("</PAMDataset>", STATISTICS[12:]))
    facts = _input_facts(read_source(png))
    sidecar.write_text(sidecar.read_text().replace(first, second, 1))
    assert _input_facts(read_source(png)) != facts


def test_another_file_is_another_image(image):
    facts = _input_facts(read_source(image))
    with rasterio.open(image, "r+") as dataset:
        dataset.write(np.zeros((3, 40, 40), dtype="uint8"))
    assert _input_facts(read_source(image)) != facts
