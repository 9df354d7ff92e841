"""A tiny folder of labelled imagery, laid out as docs/training.md says."""

import json
from pathlib import Path

import cv2
import numpy as np
import rasterio
from affine import Affine

SIDE_PX = 160


def write(path: Path, bands: np.ndarray, resolution: float = 1.0) -> Path:
    """A GeoTIFF of `(bands, height, width)` or `(height, width)`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = bands if bands.ndim == 3 else bands[None]
    count, height, width = layers.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=count,
        height=height,
        width=width,
        dtype=layers.dtype,
        crs="EPSG:32615",
        transform=Affine(resolution, 0, 5e5, 0, -resolution, 5e6),
    ) as target:
        target.write(layers)
    return path


def picture(
    seed: int, bands: int = 3, side_px: int = SIDE_PX, dtype: type = np.uint8
) -> np.ndarray:
    """Smooth ground with some noise, `(bands, side, side)`, 40 to 220 and up."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(40, 220, (bands, 8, 8)).astype(np.float32)
    smooth = [
        cv2.resize(band, (side_px, side_px), interpolation=cv2.INTER_LINEAR) for band in coarse
    ]
    return (np.stack(smooth) + rng.uniform(0, 20, (bands, side_px, side_px))).astype(dtype)


def squares(seed: int, side_px: int = SIDE_PX) -> np.ndarray:
    """A mask of a few squares, `(side, side)` uint8, 0 or 1."""
    mask = np.zeros((side_px, side_px), np.uint8)
    rng = np.random.default_rng(seed)
    for row, col in rng.integers(0, side_px - 24, (6, 2)):
        mask[row : row + 20, col : col + 20] = 1
    return mask


def masked_folder(root: Path, name: str, values: int = 1, images: int = 2) -> None:
    """Images with masks of squares in which the squares have a value."""
    for number in range(images):
        mask = squares(number) * np.uint8(values)
        image = picture(number)
        image[:, mask > 0] = 230
        write(root / name / "images" / f"{number}.tif", image)
        write(root / name / "masks" / f"{number}.tif", mask)


def map_tiles(root: Path) -> None:
    """Two neighbouring map tiles with a building across both, and a tile elsewhere."""
    place = root / "oam_tiles" / "1"
    place.mkdir(parents=True)
    column, row = 500_000, 400_000
    for x, y in ((0, 0), (1, 0), (9, 9)):
        image = np.moveaxis(picture(x, side_px=256), 0, -1)
        cv2.imwrite(str(place / f"a-{column + x}-{row + y}-20.png"), np.ascontiguousarray(image))
    ring = [
        _degrees(column + x, row + y) for x, y in ((0.9, 0.4), (1.2, 0.4), (1.2, 0.6), (0.9, 0.6))
    ]
    outline = {"geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}}
    (place / "labels.geojson").write_text(json.dumps({"features": [outline]}), encoding="utf-8")


def _degrees(column: float, row: float) -> list[float]:
    """Longitude and latitude of a place in map tiles of zoom 20."""
    whole = 2**20
    latitude = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * row / whole))))
    return [column / whole * 360 - 180, float(latitude)]


def farmland_years(root: Path) -> None:
    """Two years with a lake that grew: dark in the infrared, which is the fourth band."""
    for year, width in ((2012, 20), (2014, 60)):
        bands = picture(1, bands=4)
        bands[3] = 200
        bands[1, 40:100, 40 : 40 + width], bands[3, 40:100, 40 : 40 + width] = 120, 20
        write(root / "naip_series_nd" / f"{year}.tif", bands, 5.0)


def floods(root: Path, names: tuple[str, ...] = ("a", "b")) -> None:
    """Pairs whose lower right was flooded."""
    for number, name in enumerate(names):
        mask = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
        mask[80:, 80:] = 1
        before = picture(number)
        after = before.copy()
        after[:, mask > 0] = 45
        for date, image in (("before", before), ("after", after)):
            write(root / "floods_s2" / date / f"{name}.tif", image, 10.0)
        write(root / "floods_s2" / "mask" / f"{name}.tif", mask, 10.0)


def cities(root: Path) -> None:
    """A pair of Sentinel-2 in files by band, in which a block changed."""
    for number in (1, 2):
        bands = picture(7, bands=4, dtype=np.uint16) * 10
        if number == 2:
            bands[:, 20:60, 20:60] = 100
        names = ("B04", "B03", "B02", "B08")
        for name, band in zip(names, bands, strict=True):
            write(root / "s2_pairs" / "town" / f"imgs_{number}" / f"S2_{name}.tif", band, 10.0)


def seasons(root: Path) -> None:
    """Two dates of 13 bands, one under a cloud."""
    for date in (0, 1):
        bands = picture(3, bands=13, dtype=np.uint16) * 12
        cloud = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
        cloud[:30, :30] = date
        write(root / "s2_two_seasons" / "images" / f"{date}.tif", bands, 10.0)
        write(root / "s2_two_seasons" / "masks" / f"{date}.tif", cloud, 10.0)


def savanna(root: Path, plots: int = 2) -> None:
    """Plots of which the second year is greener; the last plot's second year is missing."""
    for number in range(plots + 1):
        image = picture(number)
        write(root / "neon_pairs_sjer" / "2017" / f"plot_{number:02}.tif", image, 0.1)
        if number < plots:
            image[1] += 5
            write(root / "neon_pairs_sjer" / "2018" / f"plot_{number:02}.tif", image, 0.1)


def clouded(root: Path) -> None:
    """A scene in which white clouds stand over darker ground."""
    bands = picture(5, bands=4, dtype=np.uint16)
    mask = np.full((SIDE_PX, SIDE_PX), 3, np.uint8)
    mask[20:90, 30:120] = 4
    mask[100:120] = 1
    bands[:, mask == 4] = 600
    write(root / "cloud_shadow_masks" / "images" / "a.tif", bands, 30.0)
    write(root / "cloud_shadow_masks" / "masks" / "a.tif", mask, 30.0)


def infrared_chips(root: Path) -> None:
    """A chip with a near infrared, half of it green."""
    bands = picture(6, bands=4)
    bands[0, :80], bands[3, :80] = 30, 220
    bands[0, 80:], bands[3, 80:] = 120, 120
    write(root / "naip_single" / "m_1.tif", bands, 1.0)


WRITERS = (map_tiles, farmland_years, floods, cities, seasons, savanna, clouded, infrared_chips)


def ground_folder(root: Path) -> Path:
    """All of the above, and two folders of masks."""
    for writer in WRITERS:
        writer(root)
    masked_folder(root, "rio_buildings")
    masked_folder(root, "dubai_landcover", values=3)
    return root
