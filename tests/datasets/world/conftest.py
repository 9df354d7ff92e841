"""Real imagery in miniature: a city at two dates, drawn here in the layout of the shared folder."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

SIDE = 200
TOWN_COLUMNS, LAND_COLUMNS = slice(0, 90), slice(90, 150)
"""What lies beyond is water in the upper half, and rough woods in the lower one."""


@pytest.fixture
def city_dates(tmp_path):
    """Folders `<tmp_path>/s2_pairs/madeup/imgs_{1,2}`: town, open land, water and woods."""
    rng = np.random.default_rng(0)
    folders = [tmp_path / "s2_pairs" / "madeup" / f"imgs_{number}" for number in (1, 2)]
    for folder in folders:
        folder.mkdir(parents=True)
        for name in ("B02", "B03", "B04", "B08"):
            _write(folder / f"S2_{name}.tif", _band(rng, name))
    return folders


def _band(rng, name):
    values = np.full((SIDE, SIDE), 2000.0)
    infrared = name == "B08"
    values[:, LAND_COLUMNS] = 3000 if infrared else 1500
    values[:100, 150:] = 300
    values[100:, 150:] = 6000 if infrared else 800
    deviation = np.full((SIDE, SIDE), 0.01)
    deviation[:, TOWN_COLUMNS] = deviation[100:, 150:] = 0.5
    return values * np.exp(rng.normal(0, deviation))


def _write(path, values):
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=SIDE,
        height=SIDE,
        count=1,
        dtype="uint16",
        crs="EPSG:32633",
        transform=from_origin(500_000, 4_000_000, 10, 10),
    ) as opened:
        opened.write(np.clip(values, 1, 20_000).astype(np.uint16), 1)
