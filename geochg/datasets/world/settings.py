"""Layouts of the fine family: what an unchanged place looks like at 0.1-2.5 m a pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from geochg.datasets.world import houses, parcels, roads, woods
from geochg.datasets.world.climate import CLIMATES, Climate, colour
from geochg.datasets.world.kinds import FloatArray
from geochg.datasets.world.noise import blobs
from geochg.datasets.world.plan import Area, Building, Frame, Parcels, Plan, Road, Trees
from geochg.datasets.world.shapes import curve, filled, region, soft

FIELDS = {"crop": 6.0, "grass": 2.0, "scrub": 0.4, "forest": 0.4, "soil": 0.2, "paddy": 0.3}
GARDENS = {"lawn": 4.0, "grass": 2.0, "scrub": 1.0, "soil": 1.0, "concrete": 0.25}
WILD = {"grass": 3.0, "scrub": 2.0, "forest": 1.0, "soil": 1.0}

CONIFERS = {
    "boreal": 0.8,
    "temperate": 0.3,
    "american": 0.35,
    "mediterranean": 0.6,
    "desert": 0.7,
    "tropical": 1.0,
    "red_soil": 0.9,
    "east_asia": 0.4,
}
"""Share of trees that keep their leaves."""


class Draft:
    """A plan in the making: what all layouts draw first.

    Attributes:
        rng: Draws everything.
        frame: The canvas.
        climate: Palette.
        soil: Albedo of bare ground.
        angle: Main direction.
    """

    def __init__(self, rng: np.random.Generator, frame: Frame) -> None:
        names = list(CLIMATES)
        self.climate_name = names[int(rng.integers(len(names)))]
        self.rng, self.frame = rng, frame
        self.climate: Climate = CLIMATES[self.climate_name]
        self.soil = colour(rng, self.climate.soils)
        self.angle = float(rng.uniform(0, np.pi))
        self.evergreen = CONIFERS[self.climate_name]

    def ground(self, weights: dict[str, float], size_m: tuple[float, float]) -> Parcels:
        """Parcels of a drawn pattern; `size_m` is the range of their mean size."""
        if self.climate_name == "desert":
            weights = weights | {"desert": 8.0}
        mean_m = float(np.exp(self.rng.uniform(*np.log(size_m))))
        mean = max(self.frame.px(mean_m), 7)
        warp = self.frame.px(float(self.rng.choice((0, 1.5, 8)))) if mean < 400 else 0
        warp = min(warp, mean * 0.2)
        if self.rng.random() < 0.65:
            thin = float(self.rng.uniform(0.25, 1.0))
            return parcels.bricks(
                self.rng, self.frame, weights, self.angle, (mean, max(mean * thin, 5)), warp
            )
        return parcels.cells(self.rng, self.frame, weights, mean, mean * 0.1)

    def loose_trees(self, per_hectare: float) -> Trees:
        """Trees strewn about, as many as the climate has."""
        radius_m = (0.8, float(self.rng.uniform(2, 6)))
        count = per_hectare * self.climate.tree_cover * float(self.rng.exponential(1))
        return woods.loose(self.rng, self.frame, count, radius_m, self.evergreen)

    def track(self, through: tuple[float, float] | None = None, paved: float = 0.5) -> Road:
        """A single road across the canvas."""
        place = self.rng.uniform(0.2, 0.8, 2) * self.frame.size_px
        x, y = through or (float(place[0]), float(place[1]))
        bend = self.frame.px(float(self.rng.choice((0, 4, 25))))
        angle = float(self.rng.normal(self.angle, 0.1)) + np.pi / 2 * int(self.rng.integers(2))
        line = curve(self.rng, self.frame, (x, y), angle, bend)
        return roads.road(self.rng, self.frame, self.climate, self.soil, line, (3, 9), paved)

    def spot(
        self, radius_m: tuple[float, float], ragged: float = 0.4, boxy: float = 0.0
    ) -> FloatArray:
        """A region about a random place, between a tenth and half of the canvas wide."""
        place = self.rng.uniform(0.12, 0.88, 2) * self.frame.size_px
        radius = self.frame.px(float(self.rng.uniform(*radius_m)))
        radius = min(max(radius, 0.06 * self.frame.size_px), 0.5 * self.frame.size_px)
        return region(
            self.rng, self.frame, (float(place[0]), float(place[1])), radius, ragged, boxy
        )

    def plan(self, setting: str, ground: Parcels) -> Plan:
        """A plan with this ground and nothing on it."""
        return Plan(self.frame, self.climate, setting, self.angle, self.soil, ground)


def yards(draft: Draft, built: list[Building], kind: str | None = None) -> Area:
    """The trodden or tended ground about buildings."""
    frame, rng = draft.frame, draft.rng
    grow = frame.px(float(rng.uniform(3, 9)))
    cover = filled([part.corners() for one in built for part in one.parts], frame.size_px, 1)
    near = ndimage.gaussian_filter(cover, max(grow, 0.5), truncate=2.5)
    ragged = near * (1 + 0.35 * blobs(rng, frame.size_px, max(4 * grow, 8)))
    kind = kind or str(rng.choice(("lawn", "soil", "concrete", "grass"), p=(0.4, 0.3, 0.1, 0.2)))
    return Area(soft((ragged - np.float32(0.14)) * np.float32(12)), kind, kind)


def suburb(draft: Draft) -> Plan:
    """Houses in rows along curved or straight streets."""
    rng, frame = draft.rng, draft.frame
    ground = draft.ground(GARDENS if rng.random() < 0.75 else FIELDS, (25, 200))
    bend = float(rng.choice((0.0, 0.06, 0.25, 0.5)))
    lot = float(rng.uniform(15, 30))
    streets = roads.winding(
        rng, frame, draft.climate, draft.soil, float(rng.uniform(45, 95)), bend, 0.85
    )
    style = houses.Style(rng, frame, draft.climate)
    room = houses.Room(frame.size_px, roads.cover(streets, frame.size_px, frame.px(1)))
    built = houses.along_roads(rng, style, streets, room, lot, float(rng.uniform(0.35, 1.0)))
    trees = draft.loose_trees(6).joined(
        woods.garden(
            rng, frame, built, float(rng.uniform(0, 4)) * draft.climate.tree_cover, draft.evergreen
        )
    )
    if streets and rng.random() < 0.3:
        trees = trees.joined(woods.avenue(rng, frame, streets[len(streets) // 2]))
    areas = (yards(draft, built),) if built else ()
    return replace(
        draft.plan("town", ground),
        roads=tuple(streets),
        buildings=tuple(built),
        trees=trees,
        areas=areas,
    )


def village(draft: Draft) -> Plan:
    """Houses strewn about a track or two, loose or packed."""
    rng, frame = draft.rng, draft.frame
    ground = draft.ground(WILD | FIELDS, (25, 120))
    tracks = [draft.track(paved=0.4) for _ in range(int(rng.integers(1, 4)))]
    room = houses.Room(frame.size_px, roads.cover(tracks, frame.size_px, frame.px(1)))
    hectares = (frame.size_px * frame.gsd_m / 100) ** 2
    per_hectare = float(np.exp(rng.uniform(np.log(4), np.log(60))))
    count = int(min(max(per_hectare * hectares, 2), 150))
    within = draft.spot((40, 200)) if rng.random() < 0.5 else None
    built = houses.scattered(
        rng,
        houses.Style(rng, frame, draft.climate),
        room,
        count,
        draft.angle,
        float(rng.choice((0.05, 0.3, 1.5))),
        within,
    )
    trees = draft.loose_trees(25).joined(woods.garden(rng, frame, built, 1.5, draft.evergreen))
    areas = (yards(draft, built),) if built else ()
    return replace(
        draft.plan("village", ground),
        roads=tuple(tracks),
        buildings=tuple(built),
        trees=trees,
        areas=areas,
    )


def estate(draft: Draft) -> Plan:
    """Halls, stores, tanks or blocks of flats on paved or green ground."""
    rng, frame = draft.rng, draft.frame
    weights = {"concrete": 2.0, "paved": 2.5, "lawn": 2.0, "soil": 1.5, "grass": 1.5}
    ground = draft.ground(weights, (60, 250))
    streets = roads.winding(
        rng,
        frame,
        draft.climate,
        draft.soil,
        float(rng.uniform(110, 260)),
        float(rng.choice((0, 0, 0.1))),
        1.0,
    )
    room = houses.Room(frame.size_px, roads.cover(streets, frame.size_px, frame.px(2)))
    step = (float(rng.uniform(35, 120)), float(rng.uniform(28, 80)))
    built = houses.grid(
        rng,
        frame,
        room,
        draft.angle,
        step,
        ("block", "block", "hall", "hall", "hall", "hall", "tank"),
        float(rng.uniform(0.4, 0.95)),
    )
    trees = draft.loose_trees(5)
    if rng.random() < 0.5:
        trees = trees.joined(woods.avenue(rng, frame, streets[0]))
    return replace(
        draft.plan("estate", ground), roads=tuple(streets), buildings=tuple(built), trees=trees
    )


def farmland(draft: Draft) -> Plan:
    """Fields, tracks, hedges and a farm now and then."""
    rng, frame = draft.rng, draft.frame
    ground = draft.ground(FIELDS, (35, 320))
    lanes = [draft.track() for _ in range(int(rng.integers(0, 3)))]
    trees = draft.loose_trees(1.5)
    for _ in range(int(rng.integers(0, 4))):
        turn = np.pi / 2 * int(rng.integers(2))
        trees = trees.joined(woods.hedge(rng, frame, draft.angle + turn))
    built = list[Building]()
    if rng.random() < 0.6:
        room = houses.Room(frame.size_px, roads.cover(lanes, frame.size_px, frame.px(2)))
        count = int(rng.integers(1, 12))
        built = houses.scattered(
            rng,
            houses.Style(rng, frame, draft.climate),
            room,
            count,
            draft.angle,
            0.2,
            draft.spot((30, 90)),
        )
    areas = [yards(draft, built)] if built else []
    if rng.random() < 0.25:
        water = draft.spot((15, 80))
        areas.append(Area(water, "water", "water"))
    return replace(
        draft.plan("field", ground),
        roads=tuple(lanes),
        buildings=tuple(built),
        trees=trees,
        areas=tuple(areas),
    )


def woodland(draft: Draft) -> Plan:
    """Woods with glades, tracks, and some open land about them."""
    rng = draft.rng
    ground = draft.ground(WILD, (80, 400))
    kind = "conifer" if rng.random() < 0.35 else "forest"
    areas = [Area(draft.spot((40, 400), 0.8), kind, kind) for _ in range(int(rng.integers(1, 4)))]
    if rng.random() < 0.35:
        areas.append(Area(draft.spot((20, 100)), "grass", "grass"))
    lanes = [draft.track(paved=0.3) for _ in range(int(rng.integers(0, 2)))]
    return replace(
        draft.plan("wood", ground),
        areas=tuple(areas),
        roads=tuple(lanes),
        trees=draft.loose_trees(12),
    )


def waterside(draft: Draft) -> Plan:
    """A lake, a river or ponds in fields, woods or by a village."""
    rng, frame = draft.rng, draft.frame
    base = (farmland, woodland, village, suburb)[int(rng.integers(4))](draft)
    if rng.random() < 0.45:
        river = draft.track()
        river = replace(river, width=frame.px(float(rng.uniform(6, 60))))
        cover = roads.cover((river,), frame.size_px)
    else:
        cover = draft.spot((30, 250), 0.7)
    dry = tuple(b for b in base.buildings if not houses.stands_on(cover, b))
    return replace(
        base, setting="water", buildings=dry, areas=(*base.areas, Area(cover, "water", "water"))
    )


def open_land(draft: Draft) -> Plan:
    """Steppe, desert or rough ground with scattered bushes and a track."""
    rng = draft.rng
    kind = "desert" if draft.climate_name == "desert" or rng.random() < 0.3 else "scrub"
    ground = parcels.whole(draft.frame, kind)
    areas = [
        Area(draft.spot((20, 200), 0.9), other, other)
        for other in ("soil", "grass", "rock")
        if rng.random() < 0.5
    ]
    lanes = [draft.track(paved=0.3) for _ in range(int(rng.integers(0, 3)))]
    return replace(
        draft.plan("open", ground),
        areas=tuple(areas),
        roads=tuple(lanes),
        trees=draft.loose_trees(15),
    )
