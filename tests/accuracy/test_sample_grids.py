"""Samples on all kinds of grids and in all formats: filled, read back, assessed."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from geochg import AnalyzeOptions, Outputs, analyze
from geochg.accuracy.assess import assess_sample
from geochg.accuracy.options import SampleOptions
from geochg.accuracy.sample import draw_sample
from geochg.writers.layer_metadata import read_metadata
from geochg.writers.layers import write_features

SUFFIXES = (".gpkg", ".geojson", ".fgb", ".parquet")
GRIDS = {
    "projected": ("EPSG:32633", (500_000, 5_200_000, 10, 10), 96),
    "tiny": ("EPSG:32633", (500_000, 5_200_000, 10, 10), 9),
    "degrees": ("EPSG:4326", (15.0, 47.0, 1e-4, 1e-4), 96),
    "degrees over the antimeridian": ("EPSG:4326", (179.9952, -16.0, 1e-4, 1e-4), 96),
    "UTM over the antimeridian": ("EPSG:32701", (179_400, 8_200_000, 10, 10), 96),
    "beyond UTM": ("EPSG:3413", (0, -200_000, 10, 10), 96),
}


@pytest.fixture(scope="module", params=GRIDS)
def run(request, tmp_path_factory):
    """A run whose change is a square in the middle."""
    crs, corner, side = GRIDS[request.param]
    folder = tmp_path_factory.mktemp("grid")
    before = np.random.default_rng(4).normal(100, 4, (3, side, side))
    after = before.copy()
    after[:, side // 3 : 2 * side // 3, side // 3 : 2 * side // 3] += 70
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8"}
    transform = rasterio.transform.from_origin(*corner)
    names = [str(folder / name) for name in ("before.tif", "after.tif")]
    for name, values in zip(names, (before, after), strict=True):
        with rasterio.open(name, "w", **profile, crs=crs, transform=transform) as file:
            file.write(values.astype("uint8"))
    for suffix in SUFFIXES:
        options = AnalyzeOptions(model="cva", align="off", min_area_m2=0)
        analyze(*names, options, outputs=Outputs(folder / f"changes{suffix}"))
    return folder


def fill(path):
    """Judges each unit as the map has it, in the file itself."""
    frame = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)
    is_change = frame["map"] != "unchanged"
    kinds = frame["map"].str.rsplit(" ", n=1)
    frame["reference_change"] = kinds.str[-1].astype("string")
    frame["reference_class"] = kinds.str[0].where(is_change).astype("string")
    _, facts = read_metadata(str(path))
    write_features(frame, path, facts, layer="sample")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_filled_sample_of_any_grid_and_format_is_assessed(run, tmp_path, suffix):
    layer, path = str(run / f"changes{suffix}"), tmp_path / f"sample{suffix}"
    drawn = draw_sample(layer, path, SampleOptions(60, with_map=True))
    mapped = gpd.read_file(path)["map"] if suffix != ".parquet" else gpd.read_parquet(path)["map"]
    assert len(set(mapped)) == 2
    fill(path)
    result = assess_sample(str(path), layer)
    assert result.estimates.overall.value == pytest.approx(1)
    # Layer and sample need not be of one format.
    other = str(run / "changes.gpkg")
    assert assess_sample(str(path), other).to_dict()["strata"] == result.to_dict()["strata"]
    again = draw_sample(other, tmp_path / "other.gpkg", SampleOptions(60))
    units = [
        [stratum["units"] for stratum in facts["strata"]] for facts in (drawn.facts, again.facts)
    ]
    assert units[0] == units[1]
