"""The sun: where it stands, and what shade heights throw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geochg.datasets.world.kinds import FloatArray

MOST_STEPS = 16
LONGEST_PX = 96


@dataclass(frozen=True, slots=True)
class Sun:
    """The light of one date.

    Attributes:
        x: Column part of the unit vector towards the sun, along the ground.
        y: Row part of it.
        slope: Tangent of its elevation.
        shade: How much light shadows lose, 0-1.
        lean_x: Columns by which a top is displaced for each pixel of height.
        lean_y: Rows likewise.
    """

    x: float
    y: float
    slope: float
    shade: float
    lean_x: float = 0.0
    lean_y: float = 0.0

    def on_slope(self, out_x: float, out_y: float, steep: float) -> float:
        """Brightness of a roof face against a flat roof's.

        Args:
            out_x: Column part of the direction in which the face falls.
            out_y: Row part of it.
            steep: Its fall for each pixel along the ground.
        """
        facing = steep * (out_x * self.x + out_y * self.y) / self.slope
        lit = (1 + facing) / float(np.sqrt(1 + steep**2))
        return float(np.clip(0.4 + 0.6 * max(lit, 0.0), 0.45, 1.4))


def sun(rng: np.random.Generator) -> Sun:
    """Draws the light of one date: mostly late morning, on either half of the globe."""
    azimuth = float(rng.normal(np.pi / 2 * float(rng.choice((-1, -1, 1))), 0.7))
    elevation = float(np.radians(rng.triangular(18, 50, 78)))
    shade = float(rng.uniform(0.35, 0.8)) if rng.random() < 0.9 else float(rng.uniform(0, 0.2))
    lean = float(rng.exponential(0.1))
    turn = float(rng.uniform(0, 2 * np.pi))
    return Sun(
        float(np.cos(azimuth)),
        float(np.sin(azimuth)),
        float(np.tan(elevation)),
        shade,
        min(lean, 0.4) * float(np.cos(turn)),
        min(lean, 0.4) * float(np.sin(turn)),
    )


NOON = Sun(-0.6, -0.8, 1.2, 0.55)
"""The light that both dates share where nuisances are off."""


def shadow(height: FloatArray, light: Sun) -> FloatArray:
    """Share of direct light lost, 0-1, by marching over a height field.

    Args:
        height: `(size, size)` float32 in pixels.
        light: The sun.
    """
    top = float(height.max())
    reach = min(top / light.slope, LONGEST_PX)
    if reach < 0.7:
        return np.zeros_like(height)
    stride = max(1.0, reach / MOST_STEPS)
    blocked = np.zeros_like(height)
    for number in range(1, int(reach / stride) + 1):
        away = number * stride
        _raise_to(
            blocked,
            height,
            round(-light.x * away),
            round(-light.y * away),
            np.float32(away * light.slope),
        )
    edge = np.float32(max(1.2 * light.slope, 0.6))
    lost: FloatArray = np.clip((blocked - height) / edge, 0, 1)
    return lost


def _raise_to(
    blocked: FloatArray, height: FloatArray, cols: int, rows: int, drop: np.float32
) -> None:
    """Raises `blocked` to the heights moved by some columns and rows and lowered by `drop`."""
    into = blocked[
        max(rows, 0) : rows or None if rows < 0 else None,
        max(cols, 0) : cols or None if cols < 0 else None,
    ]
    out = height[
        max(-rows, 0) : -rows if rows > 0 else None, max(-cols, 0) : -cols if cols > 0 else None
    ]
    np.maximum(into, out - drop, out=into)
