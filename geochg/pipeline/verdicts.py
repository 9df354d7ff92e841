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
from geochg.features.review import (
    DRAWN,
    REVIEW_CLASS,
    SOURCE,
    ReviewVerdict,
    feature_names,
    field_texts,
    review_verdicts,
    same_places,
)
from geochg.geometry.vector_file import LayerName
from geochg.pipeline.reviewed_layer import on_grid, read_changes
from geochg.report.metadata_text import sources_of
from geochg.safety.untrusted_text import cleaned, without_secrets
from geochg.writers.layer_metadata import read_metadata

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

_KIND = ("step", "class", "change")
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
        verdict: `(n,)` values of `ReviewVerdict`.
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
    def is_judged(self) -> NDArray[np.bool_]:
        """`(n,)` bool, which somebody decided on."""
        is_judged: NDArray[np.bool_] = self.verdict != ReviewVerdict.UNDECIDED
        return is_judged

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
    verdict = np.array(review_verdicts(frame, label), np.int64)
    is_drawn = np.array([source == DRAWN for source in field_texts(frame, SOURCE)], bool)
    own_names = [str(value) for value in frame["class"].astype(object).fillna("").tolist()]
    new_names = field_texts(frame, REVIEW_CLASS)
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
            for row in np.flatnonzero(layers[number].is_judged).tolist()
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
    # What the model found as two changes, such as two classes in one cell, is judged apart.
    kinds = {
        number: list(zip(*(field_texts(layers[number].frame, name) for name in _KIND), strict=True))
        for number in {number for number, _ in rows}
    }
    kind_of = [kinds[number][row] for number, row in rows]
    contradictory: set[int] = set()
    repeated: set[int] = set()
    for left, right in same_places(polygons, lambda a, b: kind_of[a] == kind_of[b]):
        if verdicts[left] == verdicts[right]:
            repeated.add(right)
            continue
        contradictory |= {left, right}
        places = [_place(layers[rows[index][0]], rows[index][1]) for index in (left, right)]
        words = [("rejected", "accepted")[verdicts[index]] for index in (left, right)]
        yield f"{words[0]} in {places[0]}, {words[1]} in {places[1]}"
    for index in contradictory | repeated:
        number, row = rows[index]
        layers[number].verdict[row] = ReviewVerdict.UNDECIDED


def _place(layer: ReviewedLayer, row: int) -> str:
    """A change in words, such as `a.gpkg, feature 7`."""
    return f"{layer.label}, {feature_names(layer.frame)[row]}"


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
