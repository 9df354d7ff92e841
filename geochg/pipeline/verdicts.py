"""The verdicts of reviewed layers: what people accepted, rejected, relabelled and drew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from geochg.classes import CLASSES
from geochg.errors import InputError
from geochg.features.review import ACCEPTED, DRAWN, REJECTED, REVIEW, REVIEW_CLASS, SOURCE
from geochg.geometry.vector_file import LayerName, field_text
from geochg.pipeline.reviewed_layer import on_grid, read_changes
from geochg.report.metadata_text import sources_of
from geochg.safety.untrusted_text import cleaned, without_secrets
from geochg.writers.layer_metadata import read_metadata

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

SAME_PLACE_SHARE = 0.5
"""Two changes of the same images are one where they share more than this of their union."""

UNDECIDED = -1
"""The verdict on a change of which nobody decided, beside 1 for accepted and 0 for rejected."""

_KNOWN_WORDS = {ACCEPTED: 1, REJECTED: 0, "": UNDECIDED}
_LONGEST = 60


@dataclass(eq=False)
class ReviewedLayer:
    """A change layer and the verdicts in it.

    Attributes:
        text: The layer as it was named.
        name: Name of its file, and of the layer in it.
        metadata: What the file tells of its run.
        grid: The grid of that run.
        frame: The changes in the CRS of the grid, in rows from 0.
        lonlat: `(n,)` their polygons in degrees.
        verdict: `(n,)` 1 for accepted, 0 for rejected, `UNDECIDED`.
        drawn: `(n,)` bool, which were drawn by hand.
        class_names: The class of each, as it was reviewed.
        relabelled: `(n,)` bool, which were given another class.
    """

    text: str
    name: LayerName
    metadata: Mapping[str, Any]
    grid: GeoBox
    frame: gpd.GeoDataFrame
    lonlat: NDArray[np.object_]
    verdict: NDArray[np.int64]
    drawn: NDArray[np.bool_]
    class_names: list[str]
    relabelled: NDArray[np.bool_]

    def __len__(self) -> int:
        """Number of changes, judged or not."""
        return len(self.frame)

    @property
    def label(self) -> str:
        """The name of the file, for messages and the card."""
        return Path(self.name.file).name

    def images_key(self) -> tuple[object, ...]:
        """What tells that two layers are of the same images."""
        facts = [source for _, source in sources_of(self.metadata)]
        names = ("size_bytes", "acquired", "date")
        return tuple(
            (Path(str(fact.get("path") or "")).name, *(str(fact.get(name)) for name in names))
            for fact in facts
        )

    def model_facts(self) -> dict[str, str]:
        """The identity of the model that found the changes."""
        facts = self.metadata.get("model")
        values = facts if isinstance(facts, Mapping) else {}
        names = ("id", "checksum", "adapter")
        return {name: cleaned(str(values.get(name) or ""), 300) for name in names}


def read_reviewed_layer(text: str) -> ReviewedLayer:
    """Reads a layer and its verdicts.

    Raises:
        InputError: If it is no change layer of geochg's, does not tell its grid, or holds words
            that are no verdicts or no classes.
    """
    name, metadata = read_metadata(text)
    label = without_secrets(text)
    if "sample_of" in metadata:
        raise InputError(
            f"{label} is a sample for an assessment", "give the change layer with its review"
        )
    frame, grid = read_changes(text)
    if grid is None:
        raise InputError(
            f"{label} does not tell the grid of its run", "give a layer as geochg wrote it"
        )
    geometry = frame.geometry
    usable = ~(geometry.isna() | geometry.is_empty).to_numpy()
    frame = frame[usable & (shapely.get_dimensions(geometry.to_numpy()) == 2)]
    frame = on_grid(frame.reset_index(drop=True), grid)
    frame = frame.set_geometry(shapely.make_valid(frame.geometry.to_numpy()), crs=frame.crs)
    verdict = np.array([_verdict(label, word) for word in _words(frame, REVIEW)], np.int64)
    is_drawn = np.array([word == DRAWN for word in _words(frame, SOURCE)], bool)
    # What was drawn is there to be a change, unless somebody thought better of it.
    verdict = np.where(is_drawn & (verdict == UNDECIDED), 1, verdict)
    verdict = np.where(is_drawn & (verdict == 0), UNDECIDED, verdict)
    own_names = [str(value) for value in frame["class"].astype(object).fillna("").tolist()]
    new_names = _words(frame, REVIEW_CLASS)
    _check_classes(label, new_names, {*CLASSES, *own_names, *_listed_classes(metadata)})
    class_names = [new_name or name for new_name, name in zip(new_names, own_names, strict=True)]
    relabelled = np.array(
        [
            bool(new_name) and new_name != name
            for new_name, name in zip(new_names, own_names, strict=True)
        ],
        bool,
    )
    lonlat = frame.geometry.to_crs(4326).to_numpy() if len(frame) else np.zeros(0, object)
    return ReviewedLayer(
        text, name, metadata, grid, frame, lonlat, verdict, is_drawn, class_names, relabelled
    )


def settled_verdicts(layers: Sequence[ReviewedLayer]) -> list[str]:
    """Settles verdicts on the same change of the same images; those that differ do not count.

    Of equal verdicts one counts.

    Returns:
        What is to be told of each contradiction.
    """
    notes: list[str] = []
    by_images: dict[tuple[object, ...], list[int]] = {}
    for number, layer in enumerate(layers):
        by_images.setdefault(layer.images_key(), []).append(number)
    for numbers in by_images.values():
        rows = [
            (number, row)
            for number in numbers
            for row in np.flatnonzero(layers[number].verdict != UNDECIDED).tolist()
        ]
        notes += _settled_rows(layers, rows)
    return notes


def _settled_rows(
    layers: Sequence[ReviewedLayer], rows: Sequence[tuple[int, int]]
) -> Iterator[str]:
    polygons = np.array([layers[number].lonlat[row] for number, row in rows], dtype=object)
    if len(polygons) < 2:
        return
    verdicts = [int(layers[number].verdict[row]) for number, row in rows]
    steps = [
        layers[number].frame["step"].get(row) if "step" in layers[number].frame else None
        for number, row in rows
    ]
    contradictory: set[int] = set()
    repeated: set[int] = set()
    for left, right in zip(*shapely.STRtree(polygons).query(polygons), strict=True):
        if left >= right or str(steps[left]) != str(steps[right]):
            continue
        shared = shapely.area(shapely.intersection(polygons[left], polygons[right]))
        union = shapely.area(polygons[left]) + shapely.area(polygons[right]) - shared
        if shared <= SAME_PLACE_SHARE * union:
            continue
        if verdicts[left] == verdicts[right]:
            repeated.add(int(right))
            continue
        contradictory |= {int(left), int(right)}
        places = [_place(layers[rows[index][0]], rows[index][1]) for index in (left, right)]
        words = [("rejected", "accepted")[verdicts[index]] for index in (left, right)]
        yield f"{words[0]} in {places[0]}, {words[1]} in {places[1]}"
    for index in contradictory | repeated:
        number, row = rows[index]
        layers[number].verdict[row] = UNDECIDED


def _place(layer: ReviewedLayer, row: int) -> str:
    """A change in words, such as `a.gpkg, feature 7`."""
    number = layer.frame["id"].get(row) if "id" in layer.frame else row + 1
    return f"{layer.label}, feature {field_text(number)}"


def _verdict(label: str, word: str) -> int:
    if word not in _KNOWN_WORDS:
        raise InputError(
            f"{label} holds the verdict {cleaned(word, _LONGEST)!r}, which is none",
            f"write {ACCEPTED} or {REJECTED} in the field {REVIEW}, or leave it empty",
        )
    return _KNOWN_WORDS[word]


def _check_classes(label: str, names: Sequence[str], class_names: set[str]) -> None:
    for name in names:
        if name and name not in class_names:
            raise InputError(
                f"{label} gives the class {cleaned(name, _LONGEST)!r}, which the model does not"
                " know",
                f"write one of {', '.join(sorted(filter(None, class_names)))[:200]} in the field"
                f" {REVIEW_CLASS}",
            )


def _listed_classes(metadata: Mapping[str, Any]) -> Iterator[str]:
    """The classes that the user of the run asked for."""
    colors = metadata.get("colors")
    yield from colors if isinstance(colors, Mapping) else ()


def _words(frame: gpd.GeoDataFrame, column: str) -> list[str]:
    """A field as text, empty where it is not filled or not there."""
    if column not in frame:
        return [""] * len(frame)
    return [field_text(value).strip() for value in frame[column].astype(object).tolist()]
