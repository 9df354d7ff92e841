"""How well clouds and shadows are told, by the models that `geochg[clouds]` brings.

    python benchmarks/cloud_masks.py ../shared/data

Scores are of three labelled scenes under broken clouds (`cloud_shadow_masks`, 30 m, thousandths of
reflectance at the top of the atmosphere) by precision and recall, and of five dates of a place that
are wholly clear or wholly under cloud (`s2_two_seasons`, 10 m) by the share of pixels told right.
*Same* is the share of pixels for which `ukis_csmask` itself, whose windows lie elsewhere, gives the
same class. *Grown* is what lies within the labels' clouds and shadows of what is hidden when both
are grown by the usual margin, and how much of these is hidden.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NamedTuple

import machine
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling

from geochg.stac.cloud_masks import CLEAR, CLOUD, CLOUD_MARGIN_M, SHADOW, with_margin
from geochg.stac.cloud_model import CloudModel, Level

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
LABELS = {CLOUD: 4, SHADOW: 0}
"""Classes of the labels of `cloud_shadow_masks`; of the rest, ground and water, all is clear."""

CODES = ("B02", "B03", "B04", "B08", "B11", "B12")
SEASON_BANDS = (2, 3, 4, 8, 12, 13)
WAYS: tuple[tuple[int, Level], ...] = ((4, "l1c"), (6, "l1c"), (4, "l2a"), (6, "l2a"))


class Scene(NamedTuple):
    """A scene and its truth.

    Attributes:
        name: Its name.
        bands: `(6, height, width)` float32, reflectance.
        truth: `(height, width)` uint8 of the classes of a cloud mask.
        pixel_m: Side of a pixel in metres.
    """

    name: str
    bands: NDArray[np.float32]
    truth: NDArray[np.uint8]
    pixel_m: float

    def predicted(self, model: CloudModel) -> NDArray[np.uint8]:
        """What a model makes of the scene."""
        reflectance = dict(zip(BANDS, self.bands, strict=True))
        return model.classes(reflectance, np.ones(self.truth.shape, bool), self.pixel_m)


def labelled_scenes(folder: Path) -> list[Scene]:
    """The scenes of `cloud_shadow_masks`."""
    scenes = []
    for path in sorted((folder / "images").glob("*.tif")):
        with rasterio.open(path) as image, rasterio.open(folder / "masks" / path.name) as mask:
            labels, truth = mask.read(1), np.full(mask.shape, CLEAR, np.uint8)
            bands = image.read().astype(np.float32) / 1000
        for kind, label in LABELS.items():
            truth[labels == label] = kind
        scenes.append(Scene(path.stem, bands, truth, 30))
    return scenes


def whole_dates(folder: Path) -> list[Scene]:
    """The dates of `s2_two_seasons`."""
    scenes = []
    for path in sorted((folder / "images").glob("*.tif")):
        with rasterio.open(path) as image, rasterio.open(folder / "masks" / path.name) as mask:
            truth = np.where(mask.read(1) == 1, CLOUD, CLEAR).astype(np.uint8)
            bands = image.read(SEASON_BANDS).astype(np.float32) / 10_000
        scenes.append(Scene(path.stem, bands, truth, 10))
    return scenes


def clear_scenes(folder: Path) -> list[Scene]:
    """Both dates of `s2_pairs`, which are free of clouds but for single ones."""
    scenes = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        for number in (1, 2):
            files = [next((place / f"imgs_{number}").glob(f"*{code}.tif")) for code in CODES]
            with rasterio.open(files[2]) as red:
                shape = red.shape
            bands = [_read_on(file, shape) for file in files]
            truth = np.full(shape, CLEAR, np.uint8)
            scenes.append(Scene(f"{place.name} {number}", np.stack(bands), truth, 10))
    return scenes


def _read_on(file: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    with rasterio.open(file) as band:
        values = band.read(1, out_shape=shape, resampling=Resampling.bilinear)
    return np.asarray(values, np.float32) / 10_000


def of_the_package(scene: Scene, count: int, level: Level) -> NDArray[np.uint8]:
    """What `ukis_csmask` makes of a scene by itself."""
    from ukis_csmask.mask import CSmask

    pixels = np.ascontiguousarray(np.moveaxis(scene.bands[:count], 0, -1))
    mask = CSmask(pixels, list(BANDS[:count]), level, providers=["CPUExecutionProvider"])
    return np.array([CLEAR, CLOUD, SHADOW], np.uint8)[mask.csm[..., 0]]


def overlap(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> str:
    """Precision and recall."""
    right = (predicted & truth).sum()
    return f"{right / max(predicted.sum(), 1):.2f} {right / max(truth.sum(), 1):.2f}"


def print_labelled(scene: Scene, count: int, level: Level) -> None:
    """Prints a row of a labelled scene."""
    model = CloudModel.open(BANDS[:count], level)
    start = time.perf_counter()
    mask = scene.predicted(model)
    seconds = time.perf_counter() - start
    kinds = " | ".join(overlap(mask == kind, scene.truth == kind) for kind in (CLOUD, SHADOW))
    hidden = np.isin(with_margin(mask, scene.pixel_m, CLOUD_MARGIN_M), (CLOUD, SHADOW))
    same = (mask == of_the_package(scene, count, level)).mean()
    rate = mask.size / 1e6 / seconds
    grown = overlap(hidden, scene.truth != CLEAR)
    print(
        f"| {scene.name} | {count} | {level} | {kinds} | {grown} | {same:.1%} | {rate:.2f} |",
        flush=True,
    )


def main() -> None:
    """Prints the tables."""
    data = Path(sys.argv[1])
    print(machine.describe())
    print("| scene | bands | level | cloud P R | shadow P R | grown P R | same | Mpx/s |")
    print("|---|---|---|---|---|---|---|---|")
    for scene in labelled_scenes(data / "cloud_shadow_masks"):
        for count, level in WAYS:
            print_labelled(scene, count, level)
    print("\n| date | bands | level | right |\n|---|---|---|---|")
    for scene in whole_dates(data / "s2_two_seasons"):
        for count, level in WAYS:
            right = (scene.predicted(CloudModel.open(BANDS[:count], level)) == scene.truth).mean()
            print(f"| {scene.name} | {count} | {level} | {right:.1%} |")
    print("\n| scene | 4 bands, 10 m | 30 m | 6 bands, 10 m | 30 m |\n|---|---|---|---|---|")
    models = {count: CloudModel.open(BANDS[:count], "l1c") for count in (4, 6)}
    for scene in clear_scenes(data / "s2_pairs"):
        masks = [
            scene._replace(pixel_m=pixel_m).predicted(models[count])
            for count in models
            # Pixels that are told to have 30 m are taken as they are.
            for pixel_m in (30, 10)
        ]
        shares = " | ".join(f"{(mask != CLEAR).mean():.1%}" for mask in masks)
        print(f"| {scene.name} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
