"""What one shift and a field of shifts leave of known displacements, and how long measuring takes.

    python benchmarks/alignment.py

The after image of each example pair is displaced: by one shift, by the seam of a mosaic, by a ramp,
by a hill. *Left* is how far content lies off after correction, over the ground: the median and what
a tenth of the ground exceeds; the pair's own shift, measured before, counts as known. *False
changes* is the share of ground that the built-in model calls changed where the after image is the
before image itself, displaced, a little brighter, and with noise.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import machine
import numpy as np
import rasterio
from numpy.typing import NDArray
from scenes import write_pair
from scipy import ndimage

from geochg import AnalyzeOptions, analyze, load_configured_model, open_pair
from geochg.models.base import ChangeModel
from geochg.options import AlignMode
from geochg.tiling.preparation import Preparation, prepare

Values = NDArray[np.float64]
Displacement = Callable[[Values, Values], Values]
"""How far content lies to the right at places 0-1 across and 0-1 down, in pixels."""

DISPLACEMENTS: dict[str, Displacement] = {
    "none": lambda x, y: 0 * x,
    "one shift of 2.3 px": lambda x, y: 0 * x + 2.3,
    "seam, 3 px and -2 px": lambda x, y: np.where(x < 0.5, 3.0, -2.0),
    "ramp, 0 to 6 px": lambda x, y: 6 * x,
    "hill, up to 5 px": lambda x, y: 5 * np.exp(-12 * ((x - 0.45) ** 2 + (y - 0.5) ** 2)),
}
MODES = (AlignMode.OFF, AlignMode.SHIFT, AlignMode.FIELD, AlignMode.AUTO)
EXAMPLES = Path(__file__).parents[1] / "examples"
NOISE, GAIN = 2.0, 1.05
"""Standard deviation of the noise, in 255ths of the range of values, and how much brighter."""

SIDE_PX = 6144
RUNS = 5


class Images(NamedTuple):
    """Two rasters of a place."""

    name: str
    before: Path
    after: Path


PAIRS = (
    Images("ponds", EXAMPLES / "ponds_2012.tif", EXAMPLES / "ponds_2014.tif"),
    Images("Dubai", EXAMPLES / "dubai_2015.tif", EXAMPLES / "dubai_2018.tif"),
)


def offsets(shape: tuple[int, int], displacement: Displacement) -> Values:
    """How far the content of each pixel lies to the right, `(height, width)`."""
    rows, cols = np.indices(shape, float)
    return displacement(cols / shape[1], rows / shape[0])


def write_displaced(
    source: Path, folder: Path, displacement: Displacement, noise: float = 0.0, gain: float = 1.0
) -> Path:
    """Writes a raster with its content displaced, by cubic splines."""
    with rasterio.open(source) as dataset:
        profile, descriptions, values = dataset.profile, dataset.descriptions, dataset.read()
    # What comes to lie at a pixel lay as far to the left as it is displaced from there.
    rows, cols = np.indices(values.shape[1:], float)
    left = cols
    for _ in range(4):
        left = cols - displacement(left / values.shape[2], rows / values.shape[1])
    moved = np.stack(
        [ndimage.map_coordinates(b.astype(float), [rows, left], mode="nearest") for b in values]
    )
    high = np.iinfo(values.dtype).max if values.dtype.kind == "u" else np.inf
    spread = noise * (np.percentile(values, 99) - np.percentile(values, 1)) / 255
    moved = gain * moved + np.random.default_rng(0).normal(0, spread, moved.shape)
    path = folder / "displaced.tif"
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(moved.clip(0, high).round().astype(values.dtype))
        dataset.descriptions = descriptions
    return path


def corrected_by(preparation: Preparation, shape: tuple[int, int]) -> Values:
    """How far each pixel is corrected, `(height, width, 2)`."""
    plain = np.zeros((*shape, 2))
    if not preparation.corrected or preparation.shift is None:
        return plain
    if preparation.field is None:
        return plain + np.array([preparation.shift.dx_px, preparation.shift.dy_px])
    rows, cols = np.indices(shape)
    return preparation.field.shifts_at(cols.ravel(), rows.ravel()).reshape(*shape, 2)


def left_of(images: Images, displacement: Displacement, folder: Path) -> list[str]:
    """What each mode leaves of a displacement, in words."""
    own = prepare(open_pair(images.before, images.after), AlignMode.REPORT).shift
    if own is None:
        raise SystemExit(f"{images.name}: nothing to match")
    pair = open_pair(images.before, write_displaced(images.after, folder, displacement))
    truth = np.zeros((*pair.grid.shape, 2)) + np.array([own.dx_px, own.dy_px])
    truth[..., 0] += offsets(pair.grid.shape, displacement)
    texts = []
    for mode in MODES:
        preparation = prepare(pair, mode)
        left_px = np.linalg.norm(truth - corrected_by(preparation, pair.grid.shape), axis=2)
        text = f"{np.median(left_px):.2f} ({np.quantile(left_px, 0.9):.2f})"
        took = "field" if preparation.field is not None else "shift"
        texts.append(f"{text}, {took}" if mode is AlignMode.AUTO else text)
    return texts


def false_changes(
    images: Images, displacement: Displacement, folder: Path, model: ChangeModel
) -> list[str]:
    """The share of ground that each mode has called changed where nothing did, in words."""
    after = write_displaced(images.before, folder, displacement, NOISE, GAIN)
    pair = open_pair(images.before, after)
    ground_m2 = pair.facts.pixel_area_m2 * pair.grid.shape[0] * pair.grid.shape[1]
    texts = []
    for mode in MODES:
        options = AnalyzeOptions(align=mode, dates_as_given=True)
        features = analyze(images.before, after, options, model=model).features
        texts.append(f"{features['area_m2'].sum() / ground_m2:.2%}")
    return texts


def measuring_s() -> tuple[float, float]:
    """The least time that measuring a large pair takes, for one shift and for a field."""
    with tempfile.TemporaryDirectory() as folder:
        pair = open_pair(*write_pair(Path(folder), SIDE_PX), AnalyzeOptions())
        times: dict[AlignMode, list[float]] = {AlignMode.AUTO: [], AlignMode.FIELD: []}
        for mode, seconds in times.items():
            for _ in range(RUNS):
                start = time.perf_counter()
                prepare(pair, mode)
                seconds.append(time.perf_counter() - start)
    shift_s, field_s = map(min, times.values())
    return shift_s, field_s


def main() -> None:
    """Prints the tables."""
    print(machine.describe())
    model = load_configured_model(AnalyzeOptions())
    head = " | ".join(f"`{mode}`" for mode in MODES)
    with tempfile.TemporaryDirectory() as name:
        for title in ("Left, px", "False changes"):
            print(f"\n| {title} | Displacement | {head} |\n|---|---|{'---|' * len(MODES)}")
            for images in PAIRS:
                for displacement_name, displacement in DISPLACEMENTS.items():
                    if title == "Left, px":
                        texts = left_of(images, displacement, Path(name))
                    else:
                        texts = false_changes(images, displacement, Path(name), model)
                    print(f"| {images.name} | {displacement_name} | {' | '.join(texts)} |")
    shift_s, field_s = measuring_s()
    print(f"\n{SIDE_PX} px a side: a shift takes {shift_s:.2f} s, a field {field_s:.2f} s")


if __name__ == "__main__":
    main()
