"""Synthetic pairs whose change is known, and tiles cut from them."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy import ndimage

from geochg.models.base import ChangeModel
from geochg.records import (
    Outlines,
    PairFacts,
    PixelWindow,
    Question,
    Task,
    Tile,
    TileAnswers,
    TileWindow,
)

QUESTIONS = [Question(task, "") for task in (Task.PRESENCE, Task.CAPTION, Task.LOCATE)]
RGBN = ("red", "green", "blue", "nir")


@dataclass(frozen=True)
class Scene:
    """A pair: `(bands, height, width)` float32 twice, and what truly changed `(height, width)`."""

    before: np.ndarray
    after: np.ndarray
    truth: np.ndarray
    valid: np.ndarray

    def where(self, **changes: np.ndarray) -> "Scene":
        return replace(self, **changes)


@cache
def ground(bands: int, size_px: int, seed: int) -> np.ndarray:
    """Smooth correlated bands of mean 0 and standard deviation 1, `(bands, size, size)` float64."""
    noise = np.random.default_rng(seed).normal(size=(bands + 1, size_px, size_px))
    layers = ndimage.gaussian_filter(noise, (0, 8, 8))
    layers /= layers.std(axis=(1, 2), keepdims=True)
    mixed = layers[1:] + layers[0]
    return mixed / mixed.std(axis=(1, 2), keepdims=True)


def scene(
    *,
    share: float = 0.05,
    change: float | tuple[float, ...] = 3.0,
    noise: float = 0.1,
    bands: int = 4,
    size_px: int = 256,
    gain: float = 0.8,
    offset: float = 200.0,
    seed: int = 0,
) -> Scene:
    """Ground seen twice by different sensors, with a square that changed.

    Args:
        share: Share of the scene that the square covers.
        change: How far it moved in each band, in standard deviations of the ground.
        noise: Standard deviation of each date's noise, likewise.
        bands: Number of bands.
        size_px: Side of the scene.
        gain: Gain of the after date.
        offset: Offset of the after date.
        seed: Of all that is random.
    """
    rng = np.random.default_rng(seed + 1)
    base = ground(bands, size_px, seed)
    before, after = (base + noise * rng.normal(size=base.shape) for _ in range(2))
    side = round(size_px * share**0.5)
    start = min(size_px // 4, size_px - side)
    truth = np.zeros((size_px, size_px), bool)
    truth[start : start + side, start : start + side] = True
    after[:, truth] += np.broadcast_to(change, bands)[:, np.newaxis]
    return Scene(
        (500 + 100 * before).astype(np.float32),
        (gain * (500 + 100 * after) + offset).astype(np.float32),
        truth,
        np.ones(truth.shape, bool),
    )


def tiles(pair: Scene, size_px: int = 128, overlap_px: int = 32) -> list[Tile]:
    """The layout's tiles: padded reads, cores that cover each pixel once."""
    height, width = pair.valid.shape
    step, margin = size_px - overlap_px, overlap_px // 2
    padding = ((margin, size_px), (margin, size_px))
    before, after = (np.pad(date, ((0, 0), *padding)) for date in (pair.before, pair.after))
    valid = np.pad(pair.valid, padding)
    found = []
    for row, top in enumerate(range(0, height, step)):
        for col, left in enumerate(range(0, width, step)):
            read = PixelWindow(
                top - margin, top - margin + size_px, left - margin, left - margin + size_px
            )
            core = PixelWindow(top, min(top + step, height), left, min(left + step, width))
            cut = slice(top, top + size_px), slice(left, left + size_px)
            window = TileWindow(len(found), row, col, read, core)
            seen = valid[cut]
            found.append(
                Tile(
                    window,
                    (
                        np.where(seen, before[:, *cut], np.float32(0)),
                        np.where(seen, after[:, *cut], np.float32(0)),
                    ),
                    seen,
                )
            )
    return found


def surveyed(
    model: ChangeModel, pair: Scene, bands: tuple[str, ...] | None = None, **layout: int
) -> ChangeModel:
    """The model after its survey of the pair."""
    names = bands or tuple(f"band{number + 1}" for number in range(len(pair.before)))
    model.survey(PairFacts(names, 100.0, "float32"), tiles(pair, **layout))
    return model


def probability(model: ChangeModel, pair: Scene, **layout: int) -> np.ndarray:
    """Probability of change put together from the cores, `(channels, height, width)`."""
    cut = tiles(pair, **layout)
    answers = model.answer(cut, [QUESTIONS[2]])
    channels = len(outlines(answers[0]).channels)
    whole = np.full((channels, *pair.valid.shape), np.nan, np.float32)
    for tile, answer in zip(cut, answers, strict=True):
        core = tile.window.core
        rows, cols = core.slices_within(tile.window.read)
        whole[:, core.row_start : core.row_stop, core.col_start : core.col_stop] = outlines(
            answer
        ).probability[:, rows, cols]
    return whole


def outlines(answers: TileAnswers) -> Outlines:
    """The one `Outlines` among a tile's answers."""
    assert not hasattr(answers, "reason"), answers
    (found,) = [answer for answer in answers if isinstance(answer, Outlines)]
    return found


def scores(changed: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Precision and recall; a pixel of widening is granted, as the average over neighbours does."""
    near = ndimage.binary_dilation(truth, np.ones((3, 3), bool))
    precision = np.count_nonzero(changed & near) / max(np.count_nonzero(changed), 1)
    return precision, np.count_nonzero(changed & truth) / max(np.count_nonzero(truth), 1)
