"""A plan at one date as a picture, in albedo times light; the sensor comes after."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from geochg.datasets.world import ground
from geochg.datasets.world.canopy import Canopy, Grower
from geochg.datasets.world.climate import CITY, ROOFS, SUMMER, Climate, Season, colour, season
from geochg.datasets.world.kinds import GROUPS, ByteArray, FloatArray
from geochg.datasets.world.light import NOON, Sun, shadow, sun
from geochg.datasets.world.noise import GRAIN, ROUGH, fractal, streaks
from geochg.datasets.world.plan import Plan, Road
from geochg.datasets.world.roads import cover
from geochg.datasets.world.roofs import Sheet
from geochg.datasets.world.shapes import stroke
from geochg.datasets.world.towns import turned_town
from geochg.datasets.world.traffic import cars

LEFT_TO_BACKDROP = frozenset({"grass"})
"""Kinds of ground that a real backdrop stands for."""

TOWNS = frozenset({"town", "dense", "sparse"})
FAR_M = 4.5
"""Pixels from which on open land has streaks, and houses are texture."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of the world at one date, apart from what the plan says.

    Attributes:
        season: Plants and weather.
        light: Sun and view.
        seed: Fixes what comes and goes: field stages, cars, the unsteady part of textures.
        growth: Factor on the radius of crowns.
    """

    season: Season
    light: Sun
    seed: int
    growth: float


def moment(rng: np.random.Generator, climate: Climate) -> Moment:
    """Draws a date."""
    return Moment(
        season(rng, climate), sun(rng), int(rng.integers(2**31)), float(rng.uniform(0.88, 1.12))
    )


def calm(seed: int) -> Moment:
    """The date that shows nothing but what the plan says."""
    return Moment(SUMMER, NOON, seed, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What a perfect sensor would see.

    Attributes:
        rgb: `(size, size, 3)` float32 albedo times light, about 0-1.
        plants: `(size, size)` float32 share of green plants, for the near infrared.
    """

    rgb: FloatArray
    plants: FloatArray


class Painter:
    """Paints a plan at one of its dates.

    Args:
        plan: What stands where.
        after: Whether it is the second date.
        when: Season, light and what passes.
        seed: Fixes what lasts; the same for both dates.
        backdrop: `(size, size, 3)` float32 real ground to paint on instead of the parcels.
    """

    def __init__(
        self, plan: Plan, after: bool, when: Moment, seed: int, backdrop: FloatArray | None = None
    ) -> None:
        self.plan, self.after, self.when, self.seed = plan, after, when, seed
        self.backdrop = backdrop
        self._texture = ground.Texture(plan.frame, self._lasting(0), self._passing(0))
        self._paints = ground.Paints(plan, when.season)

    def _lasting(self, *what: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, *what))

    def _passing(self, *what: int) -> np.random.Generator:
        return np.random.default_rng((self.when.seed, 1, *what))

    def picture(self) -> Picture:
        """The picture."""
        rgb, plants = self._ground()
        self._areas(rgb, plants)
        self._snow(rgb)
        self._roads(rgb, plants)
        height = self._things(rgb, plants)
        canopy = self._canopy()
        self._crowns(rgb, plants, height, canopy)
        np.maximum(height, canopy.height * canopy.cover, out=height)
        dark = shadow(height, self.when.light) * np.float32(self.when.light.shade)
        rgb *= 1 - dark[..., None] * np.array((1.0, 0.96, 0.86), np.float32)
        return Picture(rgb, plants)

    def _ground(self) -> tuple[FloatArray, FloatArray]:
        plan = self.plan
        labels, kinds = plan.parcels.seen(self.after)
        shown = [
            self.backdrop is None or (old != new and kind not in LEFT_TO_BACKDROP)
            for old, new, kind in zip(plan.parcels.before, plan.parcels.after, kinds, strict=True)
        ]
        if self.backdrop is not None and not any(shown):
            return self.backdrop.copy(), np.full(self.backdrop.shape[:2], 0.3, np.float32)
        swatches = [self._swatch(kind, 1, number) for number, kind in enumerate(kinds)]
        rgb, plants = ground.parcel_colours(plan.parcels, labels, kinds, swatches, self._texture)
        self._sand(rgb, labels, kinds)
        if any(kind in TOWNS for kind in kinds):
            self._town(rgb, labels, kinds)
        if self.backdrop is not None:
            hidden = ~np.array(shown)[labels]
            rgb[hidden], plants[hidden] = self.backdrop[hidden], np.float32(0.3)
        return rgb, plants

    def _swatch(self, kind: str, layer: int, number: int) -> ground.Swatch:
        return self._paints.swatch(
            kind, self._lasting(layer, number, len(kind)), self._passing(layer, number)
        )

    def _town(self, rgb: FloatArray, labels: ByteArray, kinds: tuple[str, ...]) -> None:
        """Roofs too small to be drawn one by one, as a texture over the parcels of a town."""
        rng = self._lasting(2)
        size = labels.shape[0]
        roofs = self.plan.climate.roofs
        names, weights = list(roofs), np.array(list(roofs.values()))
        main = rng.choice(len(names), 3, p=weights / weights.sum())
        haze, murk = colour(rng, CITY), float(rng.choice((1.0, 0.85, 0.7, 0.6)))
        looks = np.zeros((len(kinds), 7), np.float32)
        for number, kind in enumerate(kinds):
            # Drawn for all pieces, so that a new block leaves the look of the others alone.
            roof = colour(rng, ROOFS[names[int(main[number % 3])]])
            dark, rough = murk * float(rng.uniform(0.8, 1.15)), float(rng.uniform(0.7, 1.6))
            if kind in TOWNS:
                grey = 0.8 if kind == "dense" else 0.4
                looks[number, :3] = np.array(ground.mixed(roof, haze, grey)) * dark
                looks[number, 3:] = (kind != "sparse", kind == "sparse", rough, dark)
        cover, tone, tree = turned_town(rng, size, self.plan.angle)
        look = np.take(looks, labels, axis=0)
        full, few = look[..., 3], look[..., 4]
        yards = np.clip(fractal(rng, size, GRAIN) * np.float32(2.5) - np.float32(1.2), 0, 1)
        roofed = cover * (full + few * yards)
        leafy = tree * (full + few) * np.float32(0.3 + 0.7 * self.when.season.leaf)
        leaves = np.array(colour(rng, self.plan.climate.crowns), np.float32)
        rgb += leafy[..., None] * (leaves - rgb)
        rgb += roofed[..., None] * (look[..., :3] - rgb)
        shade = full * (1 - look[..., 6]) * (1 - roofed)
        uneven = (tone - 1) * look[..., 5] * (full + np.float32(0.5) * few)
        rgb *= ((1 + uneven) * (1 - shade) * (1 - full * np.float32(self._dusk())))[..., None]

    def _dusk(self) -> float:
        """How much darker a town is for the shadows that its houses throw on one another."""
        light = self.when.light
        return float(np.clip(0.16 * light.shade * (1.2 / light.slope - 1), -0.05, 0.3))

    def _sand(self, rgb: FloatArray, labels: ByteArray, kinds: tuple[str, ...]) -> None:
        """Streaks and patches of open dry land, some of which wind and rain move about."""
        dry = np.array([GROUPS[kind] == "dry" for kind in kinds], np.float32)
        if self.plan.frame.gsd_m < FAR_M or not dry.any():
            return
        size, rng, now = labels.shape[0], self._lasting(10), self._passing(10)
        stay, drift = float(rng.uniform(0.02, 0.08)), float(now.uniform(0.0, 0.06))
        field = np.float32(stay) * streaks(rng, size) + np.float32(drift) * streaks(now, size)
        rgb *= (1 + dry[labels] * field)[..., None]

    def _areas(self, rgb: FloatArray, plants: FloatArray) -> None:
        for number, area in enumerate(self.plan.areas):
            kind = area.after if self.after else area.before
            if kind is not None:
                swatch = self._swatch(kind, 3, number)
                ground.lay(rgb, plants, area, kind, swatch, self._texture)

    def _snow(self, rgb: FloatArray) -> None:
        if self.when.season.snow and self.backdrop is None:
            lying = np.clip(self._texture.patches + np.float32(self.when.season.snow - 0.3), 0, 1)
            deep = 0.95 if self.plan.frame.gsd_m < 5 else 0.5
            rgb += np.float32(deep) * lying[..., None] * (np.float32(0.88) - rgb)

    def _roads(self, rgb: FloatArray, plants: FloatArray) -> None:
        present = [r for r in self.plan.roads if (r.after if self.after else r.before)]
        if not present:
            return
        size = self.plan.frame.size_px
        paint = Image.new("RGB", (size * 2, size * 2))
        cover = Image.new("L", (size * 2, size * 2))
        draw, draw_cover = ImageDraw.Draw(paint), ImageDraw.Draw(cover)
        for one in present:
            width = one.width if self.after or one.old_width is None else one.old_width
            share_of = 0.8 if one.surface == "track" else 1.0
            stroke(draw, one.points, width, _dots(one.rgb, share_of))
            stroke(draw_cover, one.points, width, round(255 * share_of))
        for one in present:
            self._lines(draw, one)
        share = np.asarray(cover.reduce(2), np.float32) / np.float32(255)
        inked = np.asarray(paint.reduce(2), np.float32) / np.float32(255)
        worn = self._texture.worn(share)
        tone = self._texture.tone * (worn / np.maximum(share, np.float32(0.01)))
        rgb *= (1 - worn)[..., None]
        rgb += inked * tone[..., None]
        plants *= 1 - worn

    def _lines(self, draw: ImageDraw.ImageDraw, one: Road) -> None:
        """Lane markings where pixels are fine enough."""
        if not one.lined or self.plan.frame.gsd_m > 0.8:
            return
        white = (225, 225, 215)
        width = max(self.plan.frame.px(0.2), 0.5)
        step = max(int(self.plan.frame.px(3)), 2)
        dense = _dense(one, step)
        for start in range(0, len(dense) - 1, 2):
            stroke(draw, dense[start : start + 2], width, white)

    def _things(self, rgb: FloatArray, plants: FloatArray) -> FloatArray:
        """Buildings and cars, in place; gives their heights."""
        plan = self.plan
        sheet = Sheet(plan.frame.size_px, self.when.light)
        present = [b for b in plan.buildings if (b.after if self.after else b.before)]
        cars(self._passing(9), plan, self.after, sheet)
        for one in present:
            sheet.building(one)
        if not present and not plan.roads:
            return np.zeros(rgb.shape[:2], np.float32)
        ink, cover, height = sheet.arrays()
        worn = 1 + np.float32(0.04) * fractal(self._lasting(4), cover.shape[0], ROUGH)
        white = np.float32(0.7 * self.when.season.snow)
        ink = ink * (worn * (1 - white))[..., None] + (white * cover * np.float32(0.9))[..., None]
        rgb *= (1 - cover)[..., None]
        rgb += ink
        plants *= 1 - cover
        return height

    def _canopy(self) -> Canopy:
        grower = Grower(self.plan, self.when.season)
        free = self._road_free()
        for number, area in reversed(list(enumerate(self.plan.areas))):
            kind = area.after if self.after else area.before
            if kind in ("forest", "conifer"):
                grower.wood(area.cover * free, kind == "conifer", self._lasting(6, number))
            if kind is not None:
                free = free * (1 - area.cover)
        if self.backdrop is None:
            self._parcel_woods(grower, free)
        trees = self.plan.trees
        standing = trees.after if self.after else trees.before
        grower.trees(trees, standing, self.when.growth, self._lasting(7))
        return grower.grown()

    def _road_free(self) -> FloatArray:
        """Share of each pixel that no road takes from a wood."""
        present = [r for r in self.plan.roads if (r.after if self.after else r.before)]
        if not present:
            return np.ones(self.plan.parcels.labels.shape, np.float32)
        wide = [
            r if self.after or r.old_width is None else replace(r, width=r.old_width)
            for r in present
        ]
        free: FloatArray = 1 - cover(wide, self.plan.frame.size_px)
        return free

    def _parcel_woods(self, grower: Grower, free: FloatArray) -> None:
        parcels = self.plan.parcels
        kinds = parcels.after if self.after else parcels.before
        for kind in ("forest", "conifer"):
            if kind in kinds:
                wooded = np.array([k == kind for k in kinds], np.float32)[parcels.labels]
                grower.wood(wooded * free, kind == "conifer", self._lasting(8, len(kind)))

    def _crowns(
        self, rgb: FloatArray, plants: FloatArray, height: FloatArray, canopy: Canopy
    ) -> None:
        visible = canopy.cover * (canopy.height > height)
        rough = 1 + np.float32(0.1) * self._texture.grain
        bright = canopy.lit(self.when.light) * rough
        rgb += visible[..., None] * (canopy.rgb * bright[..., None] - rgb)
        plants += visible * (canopy.plants - plants)


def _dots(rgb: tuple[float, float, float], share: float) -> tuple[int, int, int]:
    red, green, blue = (round(255 * value * share) for value in rgb)
    return red, green, blue


def _dense(one: Road, step_px: float) -> np.ndarray:
    steps = np.hypot(*np.diff(one.points, axis=0).T)
    place = np.concatenate(([0.0], np.cumsum(steps)))
    wanted = np.arange(0, place[-1], step_px)
    return np.stack([np.interp(wanted, place, one.points[:, k]) for k in (0, 1)], -1)
