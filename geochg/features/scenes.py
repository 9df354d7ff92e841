"""From results of tiles of a single image to features: ground whose tiles have the same labels."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely

from geochg.features.merging import Contacts
from geochg.features.scene_layer import SceneLayer, SceneRow
from geochg.features.scene_results import SceneResult
from geochg.features.tiles import core_boxes
from geochg.geometry.geodesy import geodesic_areas
from geochg.geometry.lattice import first_pixels, outline_polygons, united_steps
from geochg.geometry.placement import crs_of, layer_frame, on_ground, table_column
from geochg.records import SceneAnswers, TileFailure, TileWindow
from geochg.tasks.quantities import rounded_value

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox
    from shapely import Polygon

BATCH_PIECES = 2_500
"""Pieces from which on features are made of those that no further tile can join."""


class _Piece(NamedTuple):
    """Connected valid ground of a tile."""

    result: SceneResult
    polygon: Polygon


def merge_scenes(
    results: Iterable[SceneResult], grid: GeoBox, layer: SceneLayer, least_m2: float = 0.0
) -> None:
    """Joins tiles that share an edge and have the same labels, and puts them into a layer.

    A tile of which a label is not known is joined with those of which the same is not known.
    Pieces wait until no further tile can join their feature, so that few are held at once.

    Args:
        results: Results of the tiles in raster order; each is let go once it is in a feature.
        grid: The grid of the image.
        layer: The layer that takes the features.
        least_m2: Features below this area are left out.

    Raises:
        RunError: If the temporary file of the features cannot be written.
    """
    pieces: list[_Piece] = []
    limit = BATCH_PIECES
    for result in results:
        pieces += (_Piece(result, polygon) for polygon in result.pieces)
        if len(pieces) >= limit:
            pieces = _add_closed(pieces, result.window, grid, layer, least_m2)
            # What hangs together for long is not looked through again and again.
            limit = max(BATCH_PIECES, 2 * len(pieces))
    _add_closed(pieces, None, grid, layer, least_m2)


def _add_closed(
    pieces: list[_Piece],
    last_window: TileWindow | None,
    grid: GeoBox,
    layer: SceneLayer,
    least_m2: float,
) -> list[_Piece]:
    """Adds the features that are whole, and gives the pieces of the others."""
    if not pieces:
        return []
    polygons = np.array([piece.polygon for piece in pieces], dtype=object)
    keys = [(piece.result.answers.present, piece.result.answers.untold) for piece in pieces]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    contacts = Contacts.of(polygons)
    feature = contacts.feature_numbers(np.array([numbers[key] for key in keys], np.int64))
    is_open = np.zeros(len(pieces), bool)
    if last_window is not None:
        _, _, right, bottom = shapely.bounds(polygons).T
        core = last_window.core
        is_near = bottom >= core.row_stop
        is_near |= (bottom >= core.row_start) & (right >= core.col_stop)
        is_open = np.isin(feature, feature[is_near])
    if not is_open.all():
        shapes = outline_polygons(united_steps(contacts.steps, feature))
        layer.add(_rows(pieces, feature, is_open, shapes, grid, least_m2))
    return [piece for piece, waits in zip(pieces, is_open.tolist(), strict=True) if waits]


def _rows(
    pieces: Sequence[_Piece],
    feature: NDArray[np.int64],
    is_open: NDArray[np.bool_],
    shapes: NDArray[np.object_],
    grid: GeoBox,
    least_m2: float,
) -> Iterator[SceneRow]:
    """The features that are whole and large enough."""
    polygons = on_ground(shapes, grid)
    areas_m2 = geodesic_areas(polygons, crs_of(grid).proj)
    first = first_pixels(shapes).tolist()
    members: dict[int, list[_Piece]] = {}
    for number, piece, waits in zip(feature.tolist(), pieces, is_open.tolist(), strict=True):
        if not waits:
            members.setdefault(number, []).append(piece)
    for number, own_pieces in members.items():
        if areas_m2[number] < least_m2:
            continue
        tiles = list({p.result.window.index: p.result for p in own_pieces}.values())
        answers = tiles[0].answers
        is_one = len(tiles) == 1
        row_px, col_px = first[number]
        yield SceneRow(
            row_px,
            col_px,
            json.dumps(answers.present, ensure_ascii=False),
            _as_json(_mean_probabilities(own_pieces)),
            _as_json(answers.counts) if is_one else None,
            (answers.caption if is_one else "") or worded_labels(answers),
            rounded_value(float(areas_m2[number]), 1),
            json.dumps([tile.window.name for tile in tiles]),
            shapely.to_wkb(polygons[number]),
        )


def _mean_probabilities(pieces: Sequence[_Piece]) -> dict[str, float]:
    """The mean probability of each label by area, where it was measured."""
    sums: dict[str, tuple[float, float]] = {}
    for result, polygon in pieces:
        for name, label in result.answers.labels.items():
            if label.probability is not None:
                weight, total = sums.get(name, (0.0, 0.0))
                area = polygon.area
                sums[name] = weight + area, total + area * label.probability
    return {name: round(total / weight, 4) for name, (weight, total) in sums.items()}


def worded_labels(answers: SceneAnswers) -> str:
    """What the labels of a tile say, in words."""
    present, untold = answers.present, answers.untold
    sentences = []
    if present:
        sentences.append(f"Shows: {', '.join(present)}.")
    elif not untold:
        sentences.append("Shows none of the labels.")
    elif len(untold) < len(answers.labels):
        sentences.append("Shows none of the other labels.")
    if untold:
        sentences.append(f"Not known: {', '.join(untold)}.")
    return " ".join(sentences)


def scene_tiles(
    results: Iterable[SceneResult],
    grid: GeoBox,
    *,
    failures: Iterable[TileFailure] = (),
    skipped: Iterable[TileWindow] = (),
) -> GeoDataFrame:
    """One feature a tile: its core and what the model said about it.

    Args:
        results: Results of the tiles that were answered.
        grid: The grid of the image.
        failures: Tiles that could not be read or answered.
        skipped: Tiles without valid pixels, which the model never saw.

    Returns:
        One row a tile in raster order, in the grid's CRS. Columns: `tile`, `status` (`answered`,
        `failed`, `skipped`), `labels` (list of text), `probabilities` and `count` (JSON text, by
        label), `caption`, `unparsed` (list of labels and of `count` and `caption`, to which the
        answer made no sense), `reason` (why it failed; else empty), `geometry`. What a tile has no
        answer for is missing.
    """
    rows: list[tuple[TileWindow, str, SceneAnswers | None, str]] = [
        (result.window, "answered", result.answers, "") for result in results
    ]
    rows += [(failure.window, "failed", None, failure.reason) for failure in failures]
    rows += [(window, "skipped", None, "") for window in skipped]
    rows.sort(key=lambda row: row[0].index)
    answers = [answer or SceneAnswers({}) for _, _, answer, _ in rows]
    columns = {
        "tile": table_column([window.name for window, *_ in rows], "string"),
        "status": table_column([status for _, status, *_ in rows], "string"),
        "labels": table_column([list(answer.present) for answer in answers], "object"),
        "probabilities": table_column([_as_json(_measured(a)) for a in answers], "string"),
        "count": table_column([_as_json(answer.counts) for answer in answers], "string"),
        "caption": table_column([answer.caption or None for answer in answers], "string"),
        "unparsed": table_column([list(answer.unparsed) for answer in answers], "object"),
        "reason": table_column([reason for *_, reason in rows], "string"),
    }
    boxes = on_ground(core_boxes([window for window, *_ in rows]), grid)
    return layer_frame(columns, boxes, grid)


def _measured(answers: SceneAnswers) -> dict[str, float]:
    probabilities = {name: label.probability for name, label in answers.labels.items()}
    return {name: likely for name, likely in probabilities.items() if likely is not None}


def _as_json(values: Mapping[str, float]) -> str | None:
    """An object as JSON text; None where it is empty."""
    return json.dumps(dict(values), ensure_ascii=False) if values else None
