"""The examples that a head learns from: verdicts, and features of what they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event as Flag
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import shapely

from geochg.errors import InputError
from geochg.events import Listener
from geochg.features.descriptors import Descriptors
from geochg.features.judging import ChangeFacts
from geochg.features.review import ReviewVerdict
from geochg.geometry.geodesy import geodesic_areas
from geochg.geometry.placement import crs_of
from geochg.learning.example_features import FeatureTable, feature_table
from geochg.learning.training import Examples
from geochg.models.base import ChangeModel
from geochg.options import AnalyzeOptions
from geochg.pipeline.layer_descriptors import layer_descriptors, run_options
from geochg.pipeline.verdicts import ReviewedLayer
from geochg.report.metadata_text import sources_of
from geochg.safety.untrusted_text import without_secrets

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class LearnOptions:
    """The options of `learn`.

    Attributes:
        model: The model that found the changes, as `--model` takes it.
        model_options: Its own options.
        device: The device it runs on.
    """

    model: str = "builtin"
    model_options: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"

    def analyze_options(self) -> AnalyzeOptions:
        """The options that load the model."""
        return AnalyzeOptions(
            model=self.model, model_options=self.model_options, device=self.device
        )


class DescribedChanges(NamedTuple):
    """Some changes of a layer, and their features.

    Attributes:
        layer: The layer.
        rows: `(n,)` their rows.
        table: Their features.
        seen: `(n,)` bool, whose pixels the images show.
    """

    layer: ReviewedLayer
    rows: NDArray[np.intp]
    table: FeatureTable
    seen: NDArray[np.bool_]


def described_changes(
    layer: ReviewedLayer,
    chosen_rows: NDArray[np.bool_],
    options: LearnOptions,
    model: ChangeModel,
    listener: Listener,
    cancel: Flag,
) -> DescribedChanges:
    """The features of some changes of a layer, of whose images the tiles around them are read.

    Args:
        layer: The layer.
        chosen_rows: `(n,)` bool, which changes.
        options: The options, which name the model.
        model: The model.
        listener: Called with progress.
        cancel: A flag that stops the work.

    Raises:
        InputError: If an image is gone or another one.
        CancelledRunError: If it was cancelled.
    """
    run = run_options(layer, options.model, options.model_options)
    sums = layer_descriptors(layer, chosen_rows, run, model, listener, cancel)
    rows = np.flatnonzero(chosen_rows)
    frame = layer.frame.iloc[rows]
    classes, changes = (
        frame[name].astype(object).fillna("").tolist() for name in ("class", "change")
    )
    polygons = frame.geometry.to_numpy()
    facts = ChangeFacts(
        polygons,
        geodesic_areas(polygons, crs_of(layer.grid).proj),
        list(zip(classes, changes, strict=True)),
        model_confidence(layer)[rows],
    )
    sums = Descriptors(*(part[rows] for part in sums))
    return DescribedChanges(layer, rows, feature_table(facts, sums), sums.within[:, 0] > 0)


def joined_examples(described: Sequence[DescribedChanges]) -> tuple[Examples, int]:
    """The examples of all layers, and the number of changes that the images do not show."""
    columns = {len(part.table.names) for part in described}
    if len(columns) > 1:
        raise InputError(
            "the images of the layers give different features",
            "learn from layers of one kind of images at a time",
        )
    is_seen = np.concatenate([part.seen for part in described])
    points = [
        shapely.get_coordinates(shapely.point_on_surface(part.layer.lonlat[part.rows]))
        for part in described
    ]
    return Examples(
        FeatureTable(
            described[0].table.names,
            np.concatenate([part.table.values for part in described])[is_seen],
        ),
        np.concatenate(
            [part.layer.verdict[part.rows] == ReviewVerdict.ACCEPTED for part in described]
        )[is_seen],
        np.concatenate(points)[is_seen],
        [
            part.layer.class_names[row]
            for part in described
            for row, has_pixels in zip(part.rows.tolist(), part.seen.tolist(), strict=True)
            if has_pixels
        ],
        np.concatenate([part.layer.relabelled[part.rows] for part in described])[is_seen],
        np.concatenate([part.layer.drawn[part.rows] for part in described])[is_seen],
    ), int((~is_seen).sum())


def layer_facts(layer: ReviewedLayer) -> dict[str, Any]:
    """What a card tells of a layer."""
    judged = layer.lonlat[layer.is_judged]
    box = shapely.total_bounds(judged if len(judged) else layer.lonlat)
    return {
        "name": without_secrets(layer.label),
        "accepted": int((layer.verdict == ReviewVerdict.ACCEPTED).sum()),
        "rejected": int((layer.verdict == ReviewVerdict.REJECTED).sum()),
        "dates": [str(source.get("date") or "") for _, source in sources_of(layer.metadata)],
        "box": [round(float(np.nan_to_num(value)), 2) for value in box],
    }


def model_confidence(layer: ReviewedLayer) -> NDArray[np.float64]:
    """`(n,)` the model's confidence, 0-1; not a number where it is not told."""
    for name in ("model_confidence", "confidence"):
        if name in layer.frame:
            values = layer.frame[name].astype("object").map(number_of).to_numpy(np.float64)
            return np.where((values >= 0) & (values <= 1), values, np.nan)
    return np.full(len(layer), np.nan)


def number_of(value: object) -> float:
    """The value of a field as a number; not a number where it is none."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")
