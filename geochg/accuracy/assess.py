"""The judgement of a sample held against the change layer that it was drawn of."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from geochg.accuracy.assessment import Assessment, small_strata
from geochg.accuracy.estimates import JudgedSample, estimate_accuracy
from geochg.accuracy.sample import changes_checksum, of_whole
from geochg.accuracy.strata import UNCHANGED, Strata, change_label, to_pixels
from geochg.errors import InputError
from geochg.files.text_file import read_text
from geochg.geometry.vector_file import read_layer
from geochg.pipeline.reviewed_layer import as_reviewed, read_changes
from geochg.records import Change
from geochg.safety.untrusted_text import cleaned, without_secrets
from geochg.writers.layer_metadata import grid_of, read_metadata

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

CHANGED = "changed"
_CHANGES = (*(str(change) for change in Change), UNCHANGED)
_COLUMNS = ("id", "reference_class", "reference_change")
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
    layer = as_reviewed(of_whole(layer))
    if changes_checksum(layer) != facts["sample_of"].get("checksum"):
        raise InputError(
            f"{without_secrets(sample)} was drawn of another change layer, or of this one before "
            "it was reviewed or edited",
            "give the layer as it was then, or draw a new sample",
        )
    units = read_layer(sample)
    for column in _COLUMNS:
        if column not in units.columns:
            raise InputError(f"{without_secrets(sample)} has no column {column!r}", "put it back")
    judged_classes = _judged_classes(units, verdicts)
    grid = grid_of(facts)
    if grid is None:
        raise InputError(
            f"{without_secrets(sample)} does not tell its grid", "give the file as it was written"
        )
    strata = Strata.of_layer(layer, grid, float(facts["near_m"]))
    numbers = strata.of_points(_points(units, grid))
    stratum_names = [strata.names[number] for number in numbers]
    _check_strata(stratum_names, facts["strata"])
    is_judged = [judged is not None for judged in judged_classes]
    if not any(is_judged):
        raise InputError(
            f"{without_secrets(str(verdicts or sample))} has no judgement",
            "fill reference_class and reference_change",
        )
    return _assessment(strata, numbers.tolist(), judged_classes, facts)


def _points(units: GeoDataFrame, grid: GeoBox) -> np.ndarray[Any, np.dtype[np.float64]]:
    centres = shapely.get_coordinates(shapely.centroid(units.geometry.to_numpy()))
    return to_pixels(list(map(tuple, centres)), units.crs.to_wkt(), grid)


def _judged_classes(units: GeoDataFrame, verdicts: Path | None) -> list[str | None]:
    """The class that a person found at each unit; None where none was given."""
    rows: dict[int, tuple[Any, Any]] = {
        int(number): (name, change)
        for number, name, change in zip(*(units[column] for column in _COLUMNS), strict=True)
    }
    if verdicts is not None:
        rows |= {number: row for number, row in _csv_rows(verdicts, set(rows)).items() if any(row)}
    wrong: list[str] = []
    classes = [_class_of(int(number), rows[int(number)], wrong) for number in units["id"]]
    if wrong:
        raise InputError(
            f"{len(wrong)} judgements cannot be read: {'; '.join(wrong[:_MOST_NAMED])}",
            f"reference_change is one of {', '.join(_CHANGES)}, and reference_class the class of "
            "what changed",
        )
    return classes


def _class_of(number: int, row: tuple[Any, Any], wrong: list[str]) -> str | None:
    name, change = (value.strip() if isinstance(value, str) else "" for value in row)
    if not name and not change:
        return None
    if change.lower() == UNCHANGED or (not change and name.lower() == UNCHANGED):
        return UNCHANGED
    if change.lower() not in _CHANGES:
        wrong.append(f"unit {number} has the change {cleaned(change or 'none', 40)!r}")
        return None
    if not name or name.lower() == UNCHANGED:
        wrong.append(f"unit {number} has no class")
        return None
    return change_label(cleaned(name, 100), change.lower())


def _csv_rows(path: Path, ids: set[int]) -> dict[int, tuple[str, str]]:
    rows: dict[int, tuple[str, str]] = {}
    reader = csv.DictReader(read_text(path, "the judgements").splitlines())
    missing = [column for column in _COLUMNS if column not in (reader.fieldnames or [])]
    if missing:
        raise InputError(f"{path} has no column {missing[0]!r}", f"it needs {', '.join(_COLUMNS)}")
    for line, row in enumerate(reader, start=2):
        text = (row["id"] or "").strip()
        number = int(text) if text.isdecimal() else 0
        if number not in ids:
            raise InputError(
                f"line {line} of {path} has the id {cleaned(text, 40)!r}, which the sample lacks",
                "give the judgements of this sample",
            )
        if number in rows:
            raise InputError(f"line {line} of {path} judges unit {number} again", "judge it once")
        rows[number] = (row["reference_class"] or "", row["reference_change"] or "")
    return rows


def _check_strata(names: Sequence[str], strata: Sequence[Mapping[str, Any]]) -> None:
    """Refuses units that are not those that were drawn."""
    expected = {str(stratum["name"]): int(stratum["units"]) for stratum in strata}
    counts = Counter(names)
    if {name: count for name, count in expected.items() if count} != dict(counts):
        raise InputError(
            "the units do not lie in the strata that they were drawn of: some were moved, added "
            "or deleted",
            "give the sample with all units where they were; only its columns are to be filled",
        )


def _assessment(
    strata: Strata,
    numbers: Sequence[int],
    judged_classes: Sequence[str | None],
    facts: Mapping[str, Any],
) -> Assessment:
    judged = [
        (strata.names[number], strata.map_class(number), name)
        for number, name in zip(numbers, judged_classes, strict=True)
        if name is not None
    ]
    counts = Counter(stratum for stratum, _, _ in judged)
    rows = [{**stratum, "judged": counts[stratum["name"]]} for stratum in facts["strata"]]
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
    warnings = small_strata(rows)
    if open_units := len(numbers) - len(judged):
        warnings.append(
            f"{open_units} of {len(numbers)} units are not judged: if those are the hard ones, the "
            "figures are too good"
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
