"""What a run found, in the words and values of an answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from geochg.safety.untrusted_text import cleaned
from geochg.tasks.quantities import listed_area, rounded_value

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

    from geochg.features.layer import FeatureLayer
    from geochg.pipeline.analyze import ChangeResult

MOST_ZONE_ROWS = 200
"""Rows of a table of zones that an answer holds; the file has all."""

MOST_LARGEST = 20
"""Changes that an answer lists, the largest."""


def change_values(result: ChangeResult) -> dict[str, Any]:
    """Files, totals and circumstances of a run, as plain JSON values."""
    features = _totals(result.layer, -1)
    if (steps := len(result.layer.periods) - 1) > 0:
        features["steps"] = [_totals(result.layer, number) for number in range(steps)]
    facts = result.metadata
    told_names = ("caption", "tiles", "not_seen_m2", "alignment", "bands")
    zones = {} if result.zones is None else {"zones": _zone_rows(result)}
    return {
        "outputs": result.outputs.to_dict(),
        "features": features,
        "model": facts["model"]["id"],
        **{name: facts[name] for name in told_names if name in facts},
        **zones,
    }


def _zone_rows(result: ChangeResult) -> list[dict[str, Any]]:
    """Numbers and areas by zone, class and direction, the largest areas first."""
    rows = result.sums.rows().sort_values("area_m2", ascending=False, kind="stable")
    values: list[dict[str, Any]] = json.loads(rows.head(MOST_ZONE_ROWS).to_json(orient="records"))
    return values


def largest_changes(frames: Iterable[GeoDataFrame]) -> list[dict[str, Any]]:
    """The largest changes of a layer; of a series, of its whole and its steps alike."""
    names = ("id", "class", "change", "caption", "area_m2", "confidence", "step")
    return largest_rows(frames, names, MOST_LARGEST)


def largest_rows(
    frames: Iterable[GeoDataFrame], names: Sequence[str], limit: int
) -> list[dict[str, Any]]:
    """The rows of largest area of a layer as plain JSON values, with longitude and latitude.

    Args:
        frames: The tables of the layer, each with `area_m2`.
        names: Columns that are told, as far as they are there.
        limit: Most rows.
    """
    import pandas as pd

    largest: GeoDataFrame | None = None
    for frame in frames:
        candidates = frame if largest is None else pd.concat([largest, frame])
        candidates = candidates.sort_values("area_m2", ascending=False, kind="stable")
        largest = candidates.head(limit)
    if largest is None or largest.empty:
        return []
    points = largest.geometry.representative_point().to_crs(4326)
    values = []
    for (_, row), point in zip(largest.iterrows(), points, strict=True):
        cells = {name: _plain(row[name]) for name in names if name in largest.columns}
        values.append(cells | {"lon": round(point.x, 6), "lat": round(point.y, 6)})
    return values


def change_text(values: Mapping[str, Any]) -> str:
    """What a run found, in words."""
    features, tiles = values["features"], values["tiles"]
    lines = [
        f"{features['count']} changes on {listed_area(features['area_m2'])}, in"
        f" {tiles['changed']} of {tiles['read']} tiles, written to"
        f" {', '.join(values['outputs'].values())}"
    ]
    lines += [
        cleaned(f"{kind['class']} {kind['change']}: {kind['count']}")
        + f", {listed_area(kind['area_m2'])}"
        for kind in features["kinds"]
    ]
    # What files and models say stays on its line, so that it cannot pass for one of ours.
    lines += [cleaned(values["caption"])] if values.get("caption") else []
    lines += [f"note: {cleaned(notice)}" for notice in values["notices"]]
    for change in islice(values["largest"], 5):
        lines.append(
            f"largest: {cleaned(change['caption'] or change['class'])}"
            f" ({listed_area(change['area_m2'])} at {change['lon']:.5f}, {change['lat']:.5f})"
        )
    return "\n".join(lines)


def _totals(layer: FeatureLayer, period: int) -> dict[str, Any]:
    """Numbers and areas of the features of a pair, or of a period of a series."""
    totals = sorted(layer.totals(period), key=lambda total: -total.area_m2)
    return {
        "count": sum(total.features for total in totals),
        "area_m2": rounded_value(sum(total.area_m2 for total in totals), 1),
        "kinds": [
            {
                "class": total.class_name,
                "change": total.change,
                "count": total.features,
                "area_m2": rounded_value(total.area_m2, 1),
            }
            for total in totals
        ],
    }


def _plain(value: Any) -> Any:  # noqa: ANN401
    """A cell of a table as a plain JSON value; missing ones as null."""
    import pandas as pd

    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value
