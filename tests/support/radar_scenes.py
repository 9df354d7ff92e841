"""Drawn radar pairs: ground in decibels, floods, and gamma speckle of known looks."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from geochg.records import PairFacts, Tile

LAND_DB, WATER_DB, CROSS_DB = -10.0, -20.0, -7.0


@dataclass(frozen=True)
class RadarScene:
    """A pair in decibels, `(polarisations, size, size)` float32 each, and where it was flooded."""

    before: np.ndarray
    after: np.ndarray
    flooded: np.ndarray

    def reversed(self) -> "RadarScene":
        return replace(self, before=self.after, after=self.before)

    def tile(self) -> Tile:
        return Tile.of_pair(self.before, self.after)


def _smooth(rng, size_px, sigma_px):
    layer = ndimage.gaussian_filter(rng.normal(size=(size_px, size_px)), sigma_px, mode="wrap")
    return (layer - layer.mean()) / layer.std()


def radar_scene(
    *,
    share: float = 0.1,
    looks: tuple[float, float] = (30.0, 4.4),
    polarisations: int = 1,
    fall_db: float | None = None,
    size_px: int = 160,
    seed: int = 0,
) -> RadarScene:
    """Fields with a river at two dates, a share of them under water at the later.

    Args:
        share: Share of the scene that is flooded.
        looks: Looks of the earlier and the later date.
        polarisations: One, or two of which the second is 7 dB darker.
        fall_db: By how much flooded ground falls; None for down to still water.
        size_px: Side of the scene.
        seed: Of all that is random.
    """
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:size_px, :size_px]
    places = rng.uniform(0, size_px, (30, 2))
    field_of = np.argmin(
        (rows[..., None] - places[:, 0]) ** 2 + (cols[..., None] - places[:, 1]) ** 2, -1
    )
    level = LAND_DB + rng.normal(0, 1.2, 30)[field_of] + 0.3 * _smooth(rng, size_px, 2)
    river = np.abs(rows - size_px * 0.3 - 0.2 * cols) < size_px * 0.02
    height = _smooth(rng, size_px, size_px / 12)
    flooded = (
        (height <= np.quantile(height[~river], share)) & ~river if share else np.zeros_like(river)
    )
    dates = ([], [])
    for number in range(polarisations):
        land, water = level + number * CROSS_DB, WATER_DB + number * CROSS_DB / 2
        before = np.where(river, water, land)
        below = water if fall_db is None else land - fall_db
        for date, ground, count in zip(
            dates, (before, np.where(flooded, below, before)), looks, strict=True
        ):
            speckle = rng.gamma(count, 1 / count, ground.shape)
            date.append(ground + 10 * np.log10(speckle))
    before, after = (np.array(date, np.float32) for date in dates)
    return RadarScene(before, after, flooded)


def in_scale(scene: RadarScene, scale: str) -> RadarScene:
    """The scene in intensity, amplitude, decibels, or bytes with each date stretched by itself."""
    to = {
        "db": lambda date: date,
        "intensity": lambda date: 10 ** (date / 10),
        "amplitude": lambda date: 10 ** (date / 20),
        "stretched": lambda date: np.rint((date - date.min()) / (date.max() - date.min()) * 255),
    }[scale]
    return replace(
        scene, before=to(scene.before).astype(np.float32), after=to(scene.after).astype(np.float32)
    )


def facts(polarisations: int = 1, **more) -> PairFacts:
    names = tuple(f"band{number + 1}" for number in range(polarisations))
    return PairFacts(names, 100.0, "float32", **more)


def f1(found: np.ndarray, truth: np.ndarray) -> float:
    return 2 * np.count_nonzero(found & truth) / max(found.sum() + truth.sum(), 1)
