"""From the cells of all tiles to the features of a layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import shapely

from geochg.features.candidates import separate_candidates
from geochg.features.captions import ChangeTotal, feature_caption, pair_caption
from geochg.features.collecting import (
    Collected,
    FeatureSummary,
    closed_batches,
    feature_summaries,
)
from geochg.features.facts import Facts, adjoining_cover, is_long
from geochg.features.judging import ChangeFacts, Judge, judged_changes
from geochg.features.layer import FeatureLayer, FeatureRow
from geochg.features.merging import Contacts
from geochg.features.naming import grounds_together, named_kinds
from geochg.features.patches import Kind, kind_numbers, settled_kinds
from geochg.features.places import places
from geochg.features.smoothing import smoothed_polygons
from geochg.features.tile_results import Ground, TileResult
from geochg.features.tile_totals import TileTotals
from geochg.geometry.geodesy import geodesic_areas
from geochg.geometry.hysteresis import least_size_px
from geochg.geometry.lattice import Steps, first_pixels, outline_polygons, united_steps
from geochg.geometry.objects import objects_within, points_within
from geochg.geometry.placement import crs_of, ground_axes, on_ground
from geochg.geometry.regularization import REACH_PX, USUAL_SHARE, regularized_outlines
from geochg.land_cover import OTHER, covers_of
from geochg.options import AnalyzeOptions, Geometry
from geochg.tasks.quantities import rounded_value

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox


BUILDING = "building"
"""The class whose outlines are squared."""

FILTERS = ("min_area_m2", "max_area_m2", "min_confidence", "classes")
"""Options that drop features; a run names them where they leave none."""


@dataclass(frozen=True, slots=True)
class FeatureSettings:
    """Settings for what becomes of the cells.

    Attributes:
        geometry: `outline` smooths the staircases of pixel outlines, `cells` leaves boxes alone.
        min_confidence: Features below this (0-1) are dropped; those whose confidence was not
            measured are kept.
        min_area_m2: Features below this geodesic area are dropped. None drops those below
            `least_px` where the model tells land cover, and else nothing.
        max_area_m2: Features above this geodesic area are dropped; None for no limit.
        least_px: Least size of a change; see `geometry.hysteresis.least_size_px`. Where the model
            tells land cover, smaller features join one that they touch.
        classes: Classes that were asked for; empty for all.
        pixel_area_m2: Ground area of a pixel; not a number where it is not known.
        keeps_names: Whether the model's classes stand, whatever its land cover bears out.
        judge: A head that says which changes become features; None where none was learned.
        regularize: Whether outlines of buildings are squared; not so where `geometry` is `cells`.
        regularize_share: Share of a building's area that squaring may add, and take.
    """

    geometry: Geometry = Geometry.OUTLINE
    min_confidence: float = 0.0
    min_area_m2: float | None = None
    max_area_m2: float | None = None
    least_px: int = 0
    classes: tuple[str, ...] = ()
    pixel_area_m2: float = math.nan
    keeps_names: bool = False
    judge: Judge | None = None
    regularize: bool = False
    regularize_share: float = USUAL_SHARE

    @property
    def is_outline(self) -> bool:
        """Whether features are drawn as they were outlined."""
        return self.geometry is Geometry.OUTLINE

    @property
    def leaves_doubt(self) -> bool:
        """Whether changes whose class is in doubt are kept under that of `land_cover.OTHER`."""
        if self.keeps_names:
            return False
        return not self.classes or OTHER.class_name in self.classes

    @classmethod
    def of(
        cls,
        options: AnalyzeOptions,
        pixel_area_m2: float,
        *,
        keeps_names: bool = False,
        judge: Judge | None = None,
    ) -> Self:
        """What a run's options say of its features, at the ground area of a pixel."""
        return cls(
            geometry=options.geometry,
            min_confidence=options.min_confidence,
            min_area_m2=options.min_area_m2,
            max_area_m2=options.max_area_m2,
            least_px=least_size_px(pixel_area_m2),
            classes=options.wanted_classes,
            pixel_area_m2=pixel_area_m2,
            keeps_names=keeps_names,
            judge=judge,
            regularize=options.regularize,
            regularize_share=options.regularize_share,
        )


@dataclass
class SquaredBuildings:
    """How many buildings of a layer were squared.

    Attributes:
        buildings: All features of that class.
        squared: Those whose outlines were squared.
    """

    buildings: int = 0
    squared: int = 0

    @property
    def left(self) -> int:
        """Those that were left as they were."""
        return self.buildings - self.squared

    def facts(self) -> dict[str, int]:
        """The numbers, as plain JSON values."""
        return {"buildings": self.buildings, "squared": self.squared, "left": self.left}


class Changes(NamedTuple):
    """What comes of the cells of a run.

    Attributes:
        layer: The features.
        in_tiles: What changed in each tile by its index, areas in pixels; None for models that
            tell no land cover.
        squared: How many buildings were squared; None where none were to be.
    """

    layer: FeatureLayer
    in_tiles: dict[int, list[ChangeTotal]] | None
    squared: SquaredBuildings | None = None


def changes_of(
    results: Iterable[TileResult],
    grid: GeoBox,
    settings: FeatureSettings,
    layer: FeatureLayer | None = None,
    period: int = 0,
) -> Changes:
    """The features of a run and what of them lies in each tile.

    Cells of one class and direction that share an edge become one feature, also across tiles.
    Where the model tells land cover, specks join what they touch, no class appeared beside where
    it disappeared, and features whose class is in doubt are of class "other" (see `naming`).

    Args:
        results: Results of the tiles in raster order; each is let go before the next is taken, and
            cells as soon as their features are made.
        grid: The common grid, which gives the place of pixels and the CRS.
        settings: Shape and filters.
        layer: The layer that takes the features; a new one when None.
        period: Number of their period in that layer.

    Raises:
        RunError: If the temporary file of the features cannot be written.
    """
    layer = FeatureLayer(grid) if layer is None else layer
    totals, tells_land_cover = TileTotals(), False
    squared = SquaredBuildings() if settings.regularize else None
    reach_px = REACH_PX if settings.regularize and settings.is_outline else 0.0
    for collection in closed_batches(results, reach_px):
        for part in separate_candidates(collection):
            batch = _Batch.of(part, settings)
            layer.add(_rows(batch, grid, settings, totals, squared), period)
        tells_land_cover |= collection.tells_land_cover
    return Changes(layer, totals.by_tile() if tells_land_cover else None, squared)


def layer_caption(layer: FeatureLayer, not_seen_m2: float | None = None, period: int = -1) -> str:
    """What changed in the whole area, in a sentence or two.

    Args:
        layer: The features of `changes_of`.
        not_seen_m2: Ground that the model did not see; None for models that cannot tell.
        period: Number of the period; the last is the pair, or the whole series.
    """
    kinds = [
        ChangeTotal(total.class_name, total.change, total.area_m2, None)
        for total in layer.totals(period)
    ]
    return pair_caption(kinds, not_seen_m2 or 0.0)


class _Batch(NamedTuple):
    """The features of some cells before they are placed, in grid pixels.

    Attributes:
        collection: The cells.
        of_cell: `(cells,)` the feature of each.
        pixels: `(features,)` polygons.
        kinds: Class and direction of each.
        entries: What each takes over from its cells.
        outline: Unit steps around them.
    """

    collection: Collected
    of_cell: NDArray[np.int64]
    pixels: NDArray[np.object_]
    kinds: list[Kind]
    entries: list[FeatureSummary]
    outline: Steps

    @classmethod
    def of(cls, collection: Collected, settings: FeatureSettings) -> _Batch:
        """Merges the cells."""
        polygons, kinds, grounds = collection.polygons, collection.kinds, collection.grounds()
        area_px, contacts = shapely.area(polygons), Contacts.of(polygons)
        if collection.tells_land_cover and settings.is_outline:
            kinds = settled_kinds(contacts, area_px, kinds, settings.least_px)
        if collection.tells_land_cover and settings.leaves_doubt:
            kinds = named_kinds(contacts, kinds, grounds, settings.pixel_area_m2)
        feature = contacts.feature_numbers(kind_numbers(kinds))
        _, first = np.unique(feature, return_index=True)
        outline = united_steps(contacts.steps, feature)
        return cls(
            collection,
            feature,
            outline_polygons(outline),
            [kinds[i] for i in first.tolist()],
            feature_summaries(
                collection, area_px.tolist(), grounds_together(grounds, feature), feature
            ),
            outline,
        )


def _rows(
    batch: _Batch,
    grid: GeoBox,
    settings: FeatureSettings,
    totals: TileTotals,
    squared: SquaredBuildings | None,
) -> Iterator[FeatureRow]:
    """The features of a batch that are kept."""
    is_outline = settings.is_outline
    shapes_px, is_squared = _shapes(batch, grid, settings)
    located_polygons = on_ground(shapes_px, grid)
    area_m2 = geodesic_areas(located_polygons, crs_of(grid).proj)
    own_confidence = np.array([entry.confidence for entry in batch.entries], np.float64).round(4)
    keep, confidence = _of_wanted_size(batch, area_m2, settings), own_confidence
    if settings.judge is not None:
        facts = ChangeFacts(located_polygons, area_m2, batch.kinds, own_confidence)
        keep, confidence, kinds = judged_changes(
            settings.judge, facts, keep, batch.collection.cells, batch.of_cell
        )
        batch = batch._replace(kinds=kinds)
    is_doubtful = confidence < settings.min_confidence  # not so where it is NaN: not measured
    order = np.flatnonzero(keep & ~is_doubtful).tolist()
    if squared is not None:
        squared.buildings += sum(batch.kinds[i][0] == BUILDING for i in order)
        squared.squared += int(np.count_nonzero(is_squared[order]))
    objects = _objects(batch, order) if is_outline else dict.fromkeys(order)
    if batch.collection.tells_land_cover:
        totals.add(batch.collection, batch.of_cell, batch.kinds, objects, is_outline=is_outline)
    # A box is larger than what changed in it.
    known_m2 = area_m2 if is_outline else None
    first_px = first_pixels(batch.pixels).tolist()
    kept_polygons = located_polygons[order]
    feature_facts = _facts(batch, kept_polygons, known_m2, objects, places(kept_polygons, grid))
    shapes = shapely.to_wkb(kept_polygons).tolist()
    areas, own_confidences = area_m2[order].tolist(), own_confidence[order].tolist()
    rows = zip(order, feature_facts, areas, shapes, own_confidences, strict=True)
    for i, fact, area, shape, model_confidence in rows:
        entry = batch.entries[i]
        yield FeatureRow(
            first_px[i][0],
            first_px[i][1],
            fact.class_name,
            str(fact.change),
            fact.before,
            fact.after,
            None if np.isnan(confidence[i]) else float(confidence[i]),
            None if entry.change_confidence is None else round(entry.change_confidence, 4),
            _caption(entry, fact),
            fact.count,
            rounded_value(area, 1),
            " ".join(entry.tiles),
            " ".join(entry.cells),
            shape,
            None if settings.judge is None or np.isnan(model_confidence) else model_confidence,
        )


# --- facts ---------------------------------------------------------------------------------------


def _facts(
    batch: _Batch,
    kept_polygons: NDArray[np.object_],
    area_m2: NDArray[np.float64] | None,
    objects: Mapping[int, NDArray[np.float64] | None],
    places: Sequence[str],
) -> list[Facts]:
    """What is known of each feature that is kept."""
    facts = []
    for (i, points), polygon, place_name in zip(
        objects.items(), kept_polygons, places, strict=True
    ):
        name, change = batch.kinds[i]
        ground = batch.entries[i].ground
        under = ground or Ground()
        before, after = covers_of(name, change, under.before, under.after)
        facts.append(
            Facts(
                name,
                change,
                before,
                after,
                adjoining_cover(name, before, under.beside),
                None if area_m2 is None else float(area_m2[i]),
                batch.entries[i].objects if points is None else len(points),
                place_name,
                is_long(polygon),
            )
        )
    return facts


def _objects(batch: _Batch, order: Sequence[int]) -> dict[int, NDArray[np.float64] | None]:
    """`(objects, 2)` points in grid pixels: one in each building or stretch of road; else None."""
    objects: dict[int, NDArray[np.float64] | None] = dict.fromkeys(order)
    for class_name, find_objects in (("building", objects_within), ("road", points_within)):
        numbers = [
            i
            for i in order
            if batch.kinds[i][0] == class_name and batch.entries[i].ground is not None
        ]
        objects.update(zip(numbers, find_objects(batch.pixels[numbers]), strict=True))
    return objects


def _caption(entry: FeatureSummary, facts: Facts) -> str:
    """The model's sentence, or where it has none for this feature, ours."""
    if entry.caption or (entry.caption is not None and entry.ground is None):
        return entry.caption
    return feature_caption(facts)


# --- geometry ------------------------------------------------------------------------------------


def _shapes(
    batch: _Batch, grid: GeoBox, settings: FeatureSettings
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """The polygons as they are drawn, in grid pixels, and which of them were squared."""
    none_squared = np.zeros(len(batch.pixels), bool)
    if not settings.is_outline:
        return batch.pixels, none_squared
    smooth = smoothed_polygons(batch.outline)
    buildings = np.array(
        [
            name == BUILDING and entry.ground is not None
            for (name, _), entry in zip(batch.kinds, batch.entries, strict=True)
        ],
        bool,
    )
    if not settings.regularize or not buildings.any():
        return smooth, none_squared
    axes = ground_axes(batch.pixels, grid)
    return regularized_outlines(batch.pixels, smooth, buildings, axes, settings.regularize_share)


def _of_wanted_size(
    batch: _Batch, area_m2: NDArray[np.float64], settings: FeatureSettings
) -> NDArray[np.bool_]:
    """`(n,)` bool: which features are neither too small nor too large."""
    most_m2 = math.inf if settings.max_area_m2 is None else settings.max_area_m2
    if settings.min_area_m2 is not None:
        return (area_m2 >= settings.min_area_m2) & (area_m2 <= most_m2)
    least_px = settings.least_px if batch.collection.tells_land_cover else 0
    large: NDArray[np.bool_] = shapely.area(batch.pixels) >= least_px
    return large & (area_m2 <= most_m2)
