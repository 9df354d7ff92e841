"""What a review tells of the ground: where something changed, where nothing did, where who knows.

An accepted change, and one that was drawn by hand, is a change of its class and direction; a
rejected one is unchanged ground; one that nobody decided on is unknown. Ground that no change
covers is unknown too, unless every change was decided on or the user says that the whole area was
gone through. Where changes overlap, an accepted one counts before one that nobody decided on, and
that before a rejected one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geochg.classes import CHANGE_CLASSES
from geochg.datasets.captions.truth import CLASS_NAMES, DIRECTIONS
from geochg.errors import InputError
from geochg.features.review import (
    DRAWN,
    REVIEW,
    REVIEW_CLASS,
    SOURCE,
    ReviewVerdict,
    feature_names,
    field_texts,
    review_verdicts,
    same_places,
)
from geochg.geometry.vector_file import LayerName
from geochg.records import Change, PixelWindow
from geochg.safety.untrusted_text import cleaned, without_secrets

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox
    from shapely import STRtree
    from shapely.geometry.base import BaseGeometry

_SEGMENTS = 8
"""Parts of a shape's edges on their way to another CRS."""

_LONGEST_WORD = 60
_MOST_NAMED = 3


class JudgedChange(NamedTuple):
    """A change of a reviewed layer.

    Attributes:
        layer: Name of the layer, for messages.
        name: What the change is called in it, such as `feature 7`.
        shape: Polygon in pixels of the grid.
        verdict: What was decided.
        class_index: Index into `CLASS_NAMES`; 0 unless it was accepted.
        direction: Index into `DIRECTIONS`; 0 where it is not known.
    """

    layer: str
    name: str
    shape: BaseGeometry
    verdict: ReviewVerdict
    class_index: int
    direction: int

    def undecided(self) -> JudgedChange:
        """The change without its verdict."""
        return self._replace(verdict=ReviewVerdict.UNDECIDED, class_index=0, direction=0)


class KnownGround(NamedTuple):
    """What is known of a window; each array `(height, width)`.

    Attributes:
        classes: uint8 index into `CLASS_NAMES`.
        directions: uint8 index into `DIRECTIONS`.
        known: bool, where it is known whether something changed.
        is_settled: Whether there is no change in it that nobody decided on.
    """

    classes: NDArray[np.uint8]
    directions: NDArray[np.uint8]
    known: NDArray[np.bool_]
    is_settled: bool


@dataclass(frozen=True, eq=False)
class VerdictMap:
    """The verdicts on the changes between two images, on their grid.

    Attributes:
        changes: The changes.
        knows_rest: Whether ground that no change covers is known not to have changed.
        counts: Number of changes by what was decided on them.
        notes: Sentences that the user should know.
    """

    changes: Sequence[JudgedChange]
    knows_rest: bool
    counts: Mapping[str, int]
    notes: tuple[str, ...] = ()

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The classes of accepted changes, in the order of `CLASS_NAMES`."""
        indexes = {change.class_index for change in self.changes}
        return tuple(name for i, name in enumerate(CLASS_NAMES) if i and i in indexes)

    @cached_property
    def _tree(self) -> STRtree:
        import shapely

        return shapely.STRtree([change.shape for change in self.changes])

    def tells_of(self, window: PixelWindow) -> bool:
        """Whether rows can be made of a window: it holds an accepted change, or none is open."""
        if self.knows_rest:
            return True
        verdicts = {change.verdict for change in self._within(window)}
        return ReviewVerdict.ACCEPTED in verdicts or verdicts == {ReviewVerdict.REJECTED}

    def shows_change(self, window: PixelWindow) -> bool:
        """Whether a window holds an accepted change."""
        return any(change.verdict is ReviewVerdict.ACCEPTED for change in self._within(window))

    def ground(self, window: PixelWindow) -> KnownGround:
        """What is known of a window."""
        shape = (window.height_px, window.width_px)
        classes, directions = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
        is_known = np.full(shape, self.knows_rest)
        window_changes = self._within(window)
        for verdict in (ReviewVerdict.REJECTED, ReviewVerdict.UNDECIDED, ReviewVerdict.ACCEPTED):
            for change in window_changes:
                if change.verdict is not verdict:
                    continue
                inside = _pixels_of(change.shape, window)
                is_known[inside] = verdict is not ReviewVerdict.UNDECIDED
                classes[inside], directions[inside] = change.class_index, change.direction
        is_settled = all(change.verdict is not ReviewVerdict.UNDECIDED for change in window_changes)
        return KnownGround(classes, directions, is_known, is_settled)

    def _within(self, window: PixelWindow) -> list[JudgedChange]:
        import shapely

        box = shapely.box(window.col_start, window.row_start, window.col_stop, window.row_stop)
        # One that only shares an edge with the window has no pixel in it.
        inner = box.buffer(-1e-6, join_style="mitre")
        numbers = sorted(self._tree.query(inner, predicate="intersects").tolist())
        return [self.changes[number] for number in numbers]


def layer_label(text: str) -> str:
    """What messages call a layer: the name of its file.

    Raises:
        InputError: If only some of its changes are named, so that others would count as none.
    """
    name = LayerName(text) if Path(text).is_file() else LayerName.of(text)
    shown_name = without_secrets(Path(name.file).name)
    if name.subset:
        raise InputError(
            f"{shown_name} is named with a subset, and the other changes count too",
            "name the whole layer",
        )
    return shown_name


def has_verdicts(frame: gpd.GeoDataFrame) -> bool:
    """Whether somebody decided on any change of a layer, or drew one."""
    return any(field_texts(frame, REVIEW)) or DRAWN in field_texts(frame, SOURCE)


def judged_changes(
    frame: gpd.GeoDataFrame, grid: GeoBox, label: str, coding: Mapping[str, int]
) -> list[JudgedChange]:
    """The changes of a layer with what was decided on them.

    Args:
        frame: Polygons with class, direction and review, in any CRS.
        grid: The grid of the images.
        label: Name of the layer, for messages.
        coding: Class indexes by names that are no classes of geochg's.

    Raises:
        InputError: If a word is no verdict, or the class of an accepted change is not known.
    """
    from odc.geo.crs import CRS

    from geochg.tiling.footprints import pixel_polygon

    crs = CRS(frame.crs)
    texts = {name: field_texts(frame, name) for name in (REVIEW_CLASS, "class", "change")}
    names, verdicts = feature_names(frame), review_verdicts(frame, label)
    codes = {row.name: row.mask_code for row in CHANGE_CLASSES} | dict(coding)
    changes = []
    for row, geometry in enumerate(frame.geometry):
        name, verdict = names[row], verdicts[row]
        class_index = direction = 0
        if verdict is ReviewVerdict.ACCEPTED:
            class_name = texts[REVIEW_CLASS][row] or texts["class"][row]
            class_index = _class_index(class_name, codes, label, name)
            direction = _direction(texts["change"][row])
        shape = pixel_polygon(geometry, crs, grid, segments=_SEGMENTS)
        changes.append(JudgedChange(label, name, shape, verdict, class_index, direction))
    return changes


def map_of_verdicts(
    layers: Sequence[Sequence[JudgedChange]],
    label: str,
    *,
    all_reviewed: bool,
    is_complete: bool = True,
) -> VerdictMap:
    """The verdicts of layers on one pair of images, added up.

    What one layer leaves open another decides. A change that one accepts and another rejects, or
    accepts as another class or direction, counts as one that nobody decided on.

    Args:
        layers: The changes of each layer.
        label: Name of the layer or layers, for notes.
        all_reviewed: Whether what was neither accepted nor drawn is unchanged.
        is_complete: Whether the map looked at all of the ground.

    """
    changes = [change for of_layer in layers for change in of_layer]
    owners = [number for number, of_layer in enumerate(layers) for _ in of_layer]
    decided_elsewhere, disputes = _compared(changes, owners)
    settled_changes = {
        number: change for number, change in enumerate(changes) if number not in decided_elsewhere
    }
    for number in disputes:
        settled_changes[number] = settled_changes[number].undecided()
    totals = Counter(change.verdict for change in settled_changes.values())
    counts = {verdict.name.lower(): totals[verdict] for verdict in reversed(ReviewVerdict)}
    if all_reviewed:
        settled_changes |= {
            number: change._replace(verdict=ReviewVerdict.REJECTED)
            for number, change in settled_changes.items()
            if change.verdict is ReviewVerdict.UNDECIDED and number not in disputes
        }
    open_count = totals[ReviewVerdict.UNDECIDED]
    knows_rest = all_reviewed or (is_complete and not open_count)
    notes = (
        *_dispute_notes(disputes),
        _rest_note(
            label,
            len(settled_changes),
            open_count,
            knows_rest=knows_rest,
            all_reviewed=all_reviewed,
        ),
    )
    return VerdictMap(list(settled_changes.values()), knows_rest, counts, notes)


def _compared(
    changes: Sequence[JudgedChange], owners: Sequence[int]
) -> tuple[set[int], dict[int, str]]:
    """Open changes that another layer decides, and contradictions in words, by number."""
    decided_elsewhere: set[int] = set()
    disputes: dict[int, str] = {}
    shapes = np.array([change.shape for change in changes], dtype=object)
    for first, second in same_places(shapes, lambda a, b: owners[a] != owners[b]):
        left, right = changes[first], changes[second]
        if left.verdict is ReviewVerdict.UNDECIDED:
            decided_elsewhere.add(first)
        elif right.verdict is ReviewVerdict.UNDECIDED:
            decided_elsewhere.add(second)
        elif left[3:] != right[3:]:
            text = f"{left.layer}, {left.name}, and {right.layer}, {right.name}"
            disputes |= {first: text, second: text}
    return decided_elsewhere, disputes


def _dispute_notes(disputes: Mapping[int, str]) -> list[str]:
    pairs = list(dict.fromkeys(disputes.values()))
    if not pairs:
        return []
    shown_text = "; ".join(pairs[:_MOST_NAMED])
    others_text = f"; and {len(pairs) - _MOST_NAMED:,} more" if len(pairs) > _MOST_NAMED else ""
    return [f"verdicts contradict each other and count as none: {shown_text}{others_text}"]


def _rest_note(
    label: str, total: int, open_count: int, *, knows_rest: bool, all_reviewed: bool
) -> str:
    """How the ground that no verdict speaks of is taken, in a sentence."""
    if all_reviewed and open_count:
        return f"{label}: {open_count:,} of {total:,} changes, undecided, count as unchanged"
    if all_reviewed:
        return f"{label}: ground that no change covers counts as unchanged, as you say"
    if knows_rest:
        return (
            f"{label}: all {total:,} changes were decided on, so ground that none covers counts as "
            "unchanged; what the map missed is to be drawn first"
        )
    if not open_count:
        return (
            f"{label}: some of its ground was not analysed, so ground that no change covers is "
            "unknown; --all-reviewed if you went through all of it"
        )
    return (
        f"{label}: {total - open_count:,} of {total:,} changes were decided on; other ground is "
        "unknown and is not learned from; --all-reviewed if you went through all of it"
    )


def _pixels_of(shape: BaseGeometry, window: PixelWindow) -> NDArray[np.bool_]:
    """`(height, width)` bool, the pixels of a window whose centres lie in a shape."""
    import shapely
    from rasterio.features import rasterize

    local = shapely.transform(shape, lambda xy: xy - (window.col_start, window.row_start))
    pixels = rasterize([local], out_shape=(window.height_px, window.width_px), dtype="uint8")
    return np.asarray(pixels > 0)


def _class_index(class_name: str, codes: Mapping[str, int], label: str, name: str) -> int:
    if class_name not in codes:
        fault = f"the class {cleaned(class_name, _LONGEST_WORD)!r}, which is not known"
        raise InputError(
            f"{label}, {name}, was accepted and has {fault if class_name else 'no class'}",
            f"say what it is with --classes, such as {cleaned(class_name, _LONGEST_WORD)}=building"
            if class_name
            else f"give it one: {', '.join(CLASS_NAMES[1:])}",
        )
    return codes[class_name]


def _direction(text: str) -> int:
    return DIRECTIONS.index(Change(text)) if text in list(Change) else 0
