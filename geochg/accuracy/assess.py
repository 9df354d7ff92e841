"""The judgement of a sample held against the change layer that it was drawn of."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from geochg.accuracy.assessment import Assessment, small_strata
from geochg.accuracy.estimates import JudgedSample, estimate_accuracy
from geochg.accuracy.fingerprint import are_same_outlines, kinds_checksum, lost_px_at
from geochg.accuracy.judgements import COLUMNS, Judgements, read_judgements
from geochg.accuracy.sample import OUTLINES, mapped_changes
from geochg.accuracy.strata import UNCHANGED, Strata
from geochg.errors import InputError
from geochg.geometry.placement import crs_of, transformer
from geochg.geometry.vector_file import read_layer
from geochg.pipeline.reviewed_layer import read_changes
from geochg.safety.untrusted_text import cleaned, without_secrets
from geochg.tiling.footprints import grid_center, unwrapped_longitudes
from geochg.writers.layer_metadata import grid_of, read_metadata

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from numpy.typing import NDArray

CHANGED = "changed"
_MOST_NAMED = 5


def assess_sample(sample: str, changes: str, *, verdicts: Path | None = None) -> Assessment:
    """Estimates how right a change layer is, of a sample that was judged.

    Args:
        sample: The sample, as `draw_sample` wrote it, its columns filled.
        changes: The change layer that it was drawn of.
        verdicts: A CSV with the columns `id`, `reference_class` and `reference_change`, whose
            judgements stand in place of those of the sample.

    Raises:
        InputError: If the sample is none, is one of another layer, has no judgement, or words that
            are not known; or if a stratum has none.
    """
    _, facts = read_metadata(sample)
    if not isinstance(facts.get("sample_of"), Mapping):
        raise InputError(
            f"{without_secrets(sample)} is no sample", "give the file that geochg sample wrote"
        )
    layer, _ = read_changes(changes)
    layer = mapped_changes(layer, changes)
    units = read_layer(sample)
    for column in COLUMNS:
        if column not in units.columns:
            raise InputError(f"{without_secrets(sample)} has no column {column!r}", "put it back")
    near_m, drawn_strata = _checked_facts(facts, without_secrets(sample))
    grid = grid_of(facts)
    if grid is None:
        raise InputError(
            f"{without_secrets(sample)} does not tell its grid", "give the file as it was written"
        )
    strata = Strata.of_layer(layer, grid, near_m)
    outlines = facts.pop(OUTLINES, None)
    is_same_layer = kinds_checksum(strata) == facts["sample_of"].get("checksum")
    if not (is_same_layer and are_same_outlines(outlines, strata, grid)):
        raise InputError(
            f"{without_secrets(sample)} was drawn of another change layer, or of this one before "
            "it was reviewed or edited",
            "give the layer as it was then, or draw a new sample",
        )
    map_classes = [strata.map_class(number) for number in range(len(strata.names))]
    judgements = read_judgements(units, verdicts, map_classes, sample)
    points = _points(units, grid)
    expected = {stratum["name"]: stratum["units"] for stratum in drawn_strata}
    numbers = _strata_of_units(strata, points, 2 * lost_px_at(points, grid), expected)
    if all(name is None for name in judgements.classes):
        raise InputError(
            f"{without_secrets(str(verdicts or sample))} has no judgement",
            "fill reference_class and reference_change",
        )
    return _assessment(strata, numbers.tolist(), judgements, drawn_strata, facts)


def _points(units: GeoDataFrame, grid: GeoBox) -> NDArray[np.float64]:
    """`(units, 2)` middles of the footprints, column and row in pixels of the grid."""
    footprints = units.geometry.to_numpy()
    if units.crs is None or not np.isfinite(shapely.bounds(footprints)).all():
        raise _moved()
    crs, target = CRS(units.crs), crs_of(grid)
    x, y = shapely.get_coordinates(shapely.centroid(_uncut(footprints, crs))).T
    x, y = transformer(crs, target).transform(x, y)
    if target.geographic:
        x = unwrapped_longitudes(x, grid_center(grid)[0])
    return np.column_stack(~grid.affine * (x, y))


def _uncut(footprints: NDArray[np.object_], crs: CRS) -> NDArray[np.object_]:
    """Footprints whose parts beyond the antimeridian are beside the others; GeoJSON cuts there."""
    if not crs.geographic:
        return footprints
    coordinates, index = shapely.get_coordinates(footprints, return_index=True)
    lon = coordinates[:, 0]
    first_lon = lon[np.searchsorted(index, index)]
    uncut_footprints: NDArray[np.object_] = shapely.transform(
        footprints,
        lambda xy: np.column_stack([unwrapped_longitudes(xy[:, 0], first_lon), xy[:, 1]]),
    )
    return uncut_footprints


def _checked_facts(facts: Mapping[str, Any], label: str) -> tuple[float, list[dict[str, Any]]]:
    """The distance `near_m` and the strata that a sample tells, each with name, area and units."""
    try:
        near_m = float(facts["near_m"])
        strata: list[dict[str, Any]] = [
            {
                "name": str(stratum["name"]),
                "area_m2": float(stratum["area_m2"]),
                "units": int(stratum["units"]),
            }
            for stratum in facts["strata"]
        ]
    except (KeyError, TypeError, ValueError, OverflowError):
        near_m, strata = math.nan, []
    is_sound = strata and all(0 < stratum["area_m2"] < math.inf for stratum in strata)
    if not (is_sound and 0 <= near_m < math.inf):
        raise InputError(
            f"{label} does not tell the strata that it was drawn of",
            "give the file as geochg sample wrote it, or its judgements by --verdicts",
        )
    return near_m, strata


def _strata_of_units(
    strata: Strata,
    points_px: NDArray[np.float64],
    reach_px: NDArray[np.float64],
    expected: Mapping[str, int],
) -> NDArray[np.int16]:
    """The stratum that each unit was drawn of.

    Centres of pixels may lie on outlines, or as near to one as formats lose of coordinates: what
    such a unit was drawn of, of the strata there, follows from the numbers drawn.

    Args:
        strata: The strata of the layer.
        points_px: `(units, 2)` points of the units, in pixels of the grid.
        reach_px: `(units, 2)` how far outlines may be off.
        expected: Units drawn of each stratum.

    Returns:
        `(units,)` int16, indices of `strata.names`.

    Raises:
        InputError: If the units are not those that were drawn.
    """
    from scipy.optimize import linear_sum_assignment

    corners = [(0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)]
    candidates = np.array([strata.of_points(points_px + reach_px * corner) for corner in corners])
    numbers: NDArray[np.int16] = candidates[0]
    is_open = (candidates != numbers).any(axis=0)
    left = np.array([expected.get(name, 0) for name in strata.names])
    left -= np.bincount(numbers[~is_open], minlength=len(left))
    if (left < 0).any() or left.sum() != is_open.sum() or sum(expected.values()) != len(numbers):
        raise _moved()
    places = np.repeat(np.arange(len(left)), left)
    is_possible = (candidates[:, is_open, None] == places).any(axis=0)
    costs = np.where(
        numbers[is_open, None] == places, 0, np.where(is_possible, 1, len(numbers) + 1)
    )
    units, columns = linear_sum_assignment(costs)
    if not is_possible[units, columns].all():
        raise _moved()
    numbers[is_open] = places[columns]
    return numbers


def _moved() -> InputError:
    return InputError(
        "the units do not lie in the strata that they were drawn of: some were moved, added or "
        "deleted",
        "give the sample with all units where they were; only its columns are to be filled",
    )


def _assessment(
    strata: Strata,
    numbers: Sequence[int],
    judgements: Judgements,
    drawn_strata: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
) -> Assessment:
    judged = [
        (strata.names[number], strata.map_class(number), name)
        for number, name in zip(numbers, judgements.classes, strict=True)
        if name is not None
    ]
    counts = Counter(stratum for stratum, _, _ in judged)
    rows = [{**stratum, "judged": counts[stratum["name"]]} for stratum in drawn_strata]
    if missing := [row["name"] for row in rows if not row["judged"]]:
        raise InputError(
            f"no unit was judged of the stratum {missing[0]}",
            "judge some of each stratum: what lies in it cannot be estimated otherwise",
        )
    stratum_names, mapped, reference = (list(column) for column in zip(*judged, strict=True))
    areas = {row["name"]: float(row["area_m2"]) for row in rows}
    classes = [*sorted({*mapped, *reference} - {UNCHANGED}), UNCHANGED]
    sample = JudgedSample(stratum_names, mapped, reference, areas)
    binary = JudgedSample(stratum_names, _binary(mapped), _binary(reference), areas)
    warnings = [*small_strata(rows), *judgements.remarks]
    if open_units := len(numbers) - len(judged):
        warnings.append(
            f"{open_units} of {len(numbers)} units are not judged: if those are the hard ones, the "
            "figures are too good"
        )
    map_classes = {strata.map_class(number) for number in range(len(strata.names))}
    if others := sorted(set(reference) - map_classes):
        warnings.append(
            f"the layer has no {', no '.join(cleaned(name, 100) for name in others[:_MOST_NAMED])}:"
            " if that is another word for a class of the layer, judge by the layer's word, for each"
            " such unit counts as an error"
        )
    return Assessment(
        estimates=estimate_accuracy(sample, classes),
        binary=estimate_accuracy(binary, (CHANGED, UNCHANGED)),
        strata=rows,
        facts=facts,
        warnings=warnings,
    )


def _binary(names: Sequence[str]) -> list[str]:
    return [UNCHANGED if name == UNCHANGED else CHANGED for name in names]
