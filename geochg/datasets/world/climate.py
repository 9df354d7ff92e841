"""Palettes of the world's climates, and what a season makes of them.

Colours are display values 0-255 in red, green, blue order, measured on open aerial imagery or set
beside it by eye.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]

ROOFS: dict[str, tuple[Colour, ...]] = {
    "tile": ((168, 92, 68), (196, 108, 70), (150, 84, 66), (178, 112, 88), (206, 120, 82)),
    "shingle": ((122, 118, 116), (98, 94, 94), (142, 134, 124), (110, 96, 86), (78, 76, 80)),
    "brown": ((112, 92, 78), (98, 80, 70), (130, 110, 94), (118, 88, 76)),
    "dark": ((66, 64, 68), (84, 82, 84), (54, 56, 62)),
    "metal": ((196, 204, 210), (176, 184, 190), (214, 220, 224), (158, 168, 176)),
    "white": ((232, 232, 228), (244, 244, 242), (218, 214, 206)),
    "rust": ((140, 88, 66), (158, 104, 80), (122, 84, 70), (172, 132, 110)),
    "blue": ((74, 116, 172), (92, 140, 190), (62, 92, 140)),
    "green": ((84, 124, 104), (70, 100, 84)),
    "red": ((176, 62, 66), (150, 52, 58), (192, 84, 84)),
    "gravel": ((170, 164, 154), (150, 146, 140), (188, 182, 172), (130, 128, 126)),
    "beige": ((198, 182, 156), (182, 164, 138), (210, 198, 176)),
    "thatch": ((138, 118, 92), (120, 104, 84)),
}
"""Roof colours by material."""

CITY: tuple[Colour, ...] = ((150, 144, 140), (164, 150, 144), (138, 138, 140), (172, 164, 152))
"""What roofs, yards and streets of a town make together where a pixel holds many of them."""

SURFACES: dict[str, tuple[Colour, ...]] = {
    "asphalt": ((96, 96, 100), (78, 78, 82), (118, 116, 116), (140, 138, 136), (108, 104, 100)),
    "concrete": ((186, 180, 172), (168, 164, 158), (202, 196, 186)),
    "gravel": ((176, 166, 150), (158, 150, 140)),
}
"""Paved colours by material; tracks take the colour of the soil."""


@dataclass(frozen=True, slots=True)
class Climate:
    """What one part of the world looks like from above.

    Attributes:
        lush: Low plants when they are green.
        dry: Low plants when they are not.
        crowns: Tree crowns in leaf.
        soils: Bare ground.
        waters: Open water.
        roofs: Weight of each roof material.
        green: Range of how green low plants are over the year, 0-1.
        leafless: Chance that broad-leaved trees stand without leaves at a date.
        snow: Chance of snow at a date.
        tree_cover: How many trees stand in gardens and along roads, relative to the temperate.
    """

    lush: tuple[Colour, ...]
    dry: tuple[Colour, ...]
    crowns: tuple[Colour, ...]
    soils: tuple[Colour, ...]
    waters: tuple[Colour, ...]
    roofs: dict[str, float]
    green: tuple[float, float]
    leafless: float
    snow: float
    tree_cover: float


CLIMATES: dict[str, Climate] = {
    "temperate": Climate(
        lush=((92, 120, 66), (108, 134, 78), (76, 106, 58), (120, 140, 90)),
        dry=((160, 148, 106), (144, 132, 98), (178, 164, 122)),
        crowns=((52, 78, 44), (64, 90, 50), (44, 68, 42), (80, 102, 60)),
        soils=((150, 126, 100), (124, 100, 80), (172, 150, 122), (108, 90, 76)),
        waters=((44, 58, 60), (62, 78, 66), (34, 44, 50), (88, 92, 74)),
        roofs={
            "tile": 3,
            "shingle": 3,
            "dark": 1.5,
            "gravel": 1.5,
            "metal": 1,
            "white": 0.7,
            "beige": 0.5,
            "red": 0.4,
            "blue": 0.15,
        },
        green=(0.15, 1.0),
        leafless=0.3,
        snow=0.04,
        tree_cover=1.0,
    ),
    "american": Climate(
        lush=((98, 122, 76), (84, 112, 62), (118, 132, 90)),
        dry=((176, 164, 124), (158, 146, 112), (140, 132, 100)),
        crowns=((54, 74, 46), (70, 88, 56), (46, 66, 42)),
        soils=((186, 170, 144), (204, 190, 166), (164, 140, 112), (150, 124, 98)),
        waters=((50, 66, 68), (70, 92, 88), (38, 48, 52)),
        roofs={
            "shingle": 6,
            "dark": 1.5,
            "beige": 2,
            "white": 1.2,
            "gravel": 1.2,
            "tile": 1,
            "metal": 0.6,
        },
        green=(0.1, 1.0),
        leafless=0.25,
        snow=0.02,
        tree_cover=1.1,
    ),
    "mediterranean": Climate(
        lush=((110, 124, 74), (96, 112, 66), (126, 132, 88)),
        dry=((184, 166, 122), (196, 178, 138), (168, 150, 110)),
        crowns=((74, 84, 54), (62, 76, 48), (92, 98, 70)),
        soils=((188, 160, 126), (170, 132, 98), (204, 184, 154), (156, 114, 84)),
        waters=((46, 70, 82), (60, 92, 96), (40, 54, 60)),
        roofs={"tile": 6, "gravel": 1.2, "white": 1.5, "beige": 1.5, "metal": 0.7},
        green=(0.0, 0.8),
        leafless=0.12,
        snow=0.0,
        tree_cover=0.7,
    ),
    "desert": Climate(
        lush=((108, 118, 78), (90, 104, 66)),
        dry=((186, 166, 132), (170, 150, 116), (198, 178, 146)),
        crowns=((76, 86, 58), (64, 76, 52)),
        soils=((206, 180, 142), (192, 160, 122), (216, 196, 162), (180, 142, 106), (222, 206, 180)),
        waters=((60, 96, 104), (50, 76, 84), (78, 120, 124)),
        roofs={"beige": 4, "white": 2.5, "gravel": 2, "tile": 1.5, "metal": 0.6, "shingle": 0.6},
        green=(0.0, 0.35),
        leafless=0.05,
        snow=0.0,
        tree_cover=0.3,
    ),
    "tropical": Climate(
        lush=((104, 128, 70), (88, 118, 58), (122, 140, 84), (134, 142, 98)),
        dry=((160, 148, 104), (150, 136, 96), (172, 158, 120)),
        crowns=((62, 92, 44), (76, 108, 52), (52, 80, 40), (96, 122, 62)),
        soils=((170, 142, 108), (186, 160, 126), (148, 118, 88), (198, 178, 148)),
        waters=((72, 84, 66), (104, 98, 72), (54, 70, 64), (128, 114, 84)),
        roofs={
            "metal": 5,
            "rust": 3,
            "white": 1,
            "red": 1,
            "blue": 0.8,
            "green": 0.5,
            "tile": 1,
            "thatch": 0.6,
            "gravel": 0.6,
        },
        green=(0.4, 1.0),
        leafless=0.03,
        snow=0.0,
        tree_cover=1.5,
    ),
    "red_soil": Climate(
        lush=((100, 120, 66), (86, 108, 56), (124, 130, 80)),
        dry=((164, 138, 96), (178, 146, 106)),
        crowns=((58, 84, 44), (72, 98, 52), (50, 72, 42)),
        soils=((184, 112, 76), (168, 98, 66), (196, 130, 94), (150, 88, 62), (206, 152, 118)),
        waters=((112, 92, 70), (70, 72, 60), (134, 100, 74)),
        roofs={"rust": 3, "tile": 3, "metal": 2.5, "red": 2, "white": 0.8, "blue": 0.5},
        green=(0.1, 1.0),
        leafless=0.06,
        snow=0.0,
        tree_cover=1.1,
    ),
    "east_asia": Climate(
        lush=((96, 118, 72), (82, 106, 62), (112, 128, 84)),
        dry=((158, 142, 110), (172, 156, 124), (138, 124, 98)),
        crowns=((58, 78, 50), (48, 68, 44), (74, 92, 60)),
        soils=((166, 142, 114), (186, 164, 136), (142, 118, 94), (202, 186, 162)),
        waters=((62, 76, 70), (84, 92, 78), (50, 62, 62)),
        roofs={
            "gravel": 3,
            "blue": 2,
            "tile": 2,
            "dark": 1.2,
            "metal": 1.6,
            "red": 0.7,
            "white": 1,
            "shingle": 0.8,
        },
        green=(0.1, 1.0),
        leafless=0.22,
        snow=0.02,
        tree_cover=0.8,
    ),
    "boreal": Climate(
        lush=((96, 114, 70), (82, 100, 62), (112, 122, 82)),
        dry=((148, 134, 100), (132, 120, 92)),
        crowns=((38, 58, 42), (48, 68, 46), (64, 82, 52)),
        soils=((132, 116, 98), (150, 136, 118), (112, 98, 86)),
        waters=((24, 32, 38), (34, 44, 48), (18, 22, 26)),
        roofs={"dark": 3, "red": 1, "metal": 2, "shingle": 2, "gravel": 1, "green": 0.3},
        green=(0.0, 0.9),
        leafless=0.35,
        snow=0.15,
        tree_cover=1.4,
    ),
}
"""The climates by name."""


@dataclass(frozen=True, slots=True)
class Season:
    """The state of plants and ground at one date.

    Attributes:
        green: How green low plants are, 0-1.
        leaf: How much of their leaves broad-leaved trees carry, 0-1.
        autumn: How far leaves have turned, 0-1.
        snow: Share of the open ground under snow, 0-1.
        wet: How wet, and so how dark, bare ground is, 0-1.
    """

    green: float
    leaf: float
    autumn: float
    snow: float
    wet: float


def season(rng: np.random.Generator, climate: Climate) -> Season:
    """Draws the season of one date."""
    low, high = climate.green
    green = float(low + (high - low) * rng.beta(1.1, 0.9))
    leafless = rng.random() < climate.leafless
    leaf = float(rng.uniform(0.1, 0.5)) if leafless else float(rng.uniform(0.85, 1.0))
    autumn = float(rng.uniform(0.2, 0.9)) if rng.random() < climate.leafless * 0.6 else 0.0
    snow = float(rng.uniform(0.5, 1.0)) if rng.random() < climate.snow else 0.0
    return Season(
        green=green * (0.4 if leafless else 1.0),
        leaf=leaf,
        autumn=autumn,
        snow=snow,
        wet=float(rng.random() ** 2),
    )


SUMMER = Season(green=0.7, leaf=1.0, autumn=0.0, snow=0.0, wet=0.1)
"""A season that both dates share where nuisances are off."""


def colour(rng: np.random.Generator, choices: tuple[Colour, ...]) -> tuple[float, float, float]:
    """One of the colours with a little of another and a little noise, as shares 0-1."""
    pick, mix = rng.random(3), rng.standard_normal(4)
    first, second = (choices[int(value * len(choices))] for value in pick[:2])
    share, bright = 0.5 * pick[2], 1 + 0.07 * mix[0]
    red, green, blue = (
        min(max(((a + (b - a) * share) * bright + 5 * noise) / 255, 0.01), 1.0)
        for a, b, noise in zip(first, second, mix[1:].tolist(), strict=True)
    )
    return float(red), float(green), float(blue)
