"""A tile's result as a text, for the journal, and back."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import shapely

from geochg.features.tile_results import Ballot, Cell, Ground, TileResult, Vote
from geochg.files.text_file import parsed_json
from geochg.records import (
    Box,
    Calibration,
    Change,
    Direction,
    GridCell,
    Missing,
    PixelWindow,
    Task,
    TileWindow,
)


def record_of(result: TileResult) -> str:
    """What `result_of` reads: all but the window, the heat and the valid pixels."""
    cells = [
        {
            "class": cell.class_name,
            "change": cell.change,
            "probability": cell.probability,
            "polygon": cell.polygon.wkb_hex,
            "grid_cells": cell.grid_cells,
            "caption": cell.caption,
            "ground": cell.ground,
            "objects": cell.objects,
            "change_probability": cell.change_probability,
            **_described(cell),
        }
        for cell in result.cells
    ]
    votes = result.ballot.votes if result.ballot else None
    record = {
        "changed": result.changed,
        "probability": result.probability,
        "caption": result.caption,
        "counts": dict(result.counts),
        "unparsed": result.unparsed,
        "missing": {missing.task: missing.reason for missing in result.missing},
        "cells": cells,
        "tells_land_cover": result.tells_land_cover,
        "valid_px": result.valid_px,
        "not_seen_px": result.not_seen_px,
        "calibration": result.calibration,
        "votes": None if votes is None else [_vote_values(vote) for vote in votes],
    }
    return json.dumps(record)


def _described(cell: Cell) -> dict[str, Any]:
    """What a record holds of cells that are shown to a head."""
    if not cell.descriptor:
        return {}
    descriptor = base64.b64encode(cell.descriptor).decode("ascii")
    return {"descriptor": descriptor, "is_candidate": cell.is_candidate}


def _vote_values(vote: Vote) -> list[Any]:
    """What `_vote` reads."""
    window, grid_cell, probability, direction = vote.box
    edges = (window.row_start, window.row_stop, window.col_start, window.col_stop)
    return [vote.class_name, vote.change, edges, grid_cell, probability, direction]


def result_of(window: TileWindow, record: str, valid: bytes | None) -> TileResult:
    """The result that `record_of` wrote, without its heat.

    Args:
        window: The tile's.
        record: What `record_of` gave.
        valid: The valid pixels of the core, packed to bits and compressed; None where the tile did
            not vote.

    Raises:
        ValueError, TypeError, KeyError, AttributeError, shapely.GEOSException: If the record is
            damaged; see `journal_checks.check_result` for values of the right kind.
    """
    fields = parsed_object(record)
    return TileResult(
        window=window,
        changed=fields["changed"],
        probability=fields["probability"],
        caption=fields["caption"],
        counts=fields["counts"],
        cells=_cells(fields["cells"]),
        heat=None,
        unparsed=tuple(Task(task) for task in fields["unparsed"]),
        ballot=None if valid is None else _ballot(window.core, fields["votes"], valid),
        missing=tuple(Missing(Task(task), reason) for task, reason in fields["missing"].items()),
        tells_land_cover=fields["tells_land_cover"],
        valid_px=fields["valid_px"],
        not_seen_px=fields["not_seen_px"],
        calibration=_calibration(fields["calibration"]),
    )


def _calibration(values: list[list[float]] | None) -> Calibration | None:
    if values is None:
        return None
    mean, share = (tuple(numbers) for numbers in values)
    return mean, share


def _ballot(core: PixelWindow, votes: list[Any] | None, valid: bytes) -> Ballot:
    shape = (core.height_px, core.width_px)
    packed = np.frombuffer(unpacked_bytes(valid, -(-shape[0] * shape[1] // 8)), np.uint8)
    mask = np.unpackbits(packed, count=shape[0] * shape[1]).reshape(shape).astype(bool)
    return Ballot(None if votes is None else tuple(_vote(values) for values in votes), mask)


def _vote(values: list[Any]) -> Vote:
    class_name, change, edges, grid_cell, probability, direction_values = values
    direction = None
    if direction_values is not None:
        box_change, directed = direction_values
        direction = Direction(Change(box_change), directed)
    box = Box(PixelWindow(*edges), GridCell(*grid_cell), probability, direction)
    return Vote(class_name, Change(change), box)


def _cells(records: list[Mapping[str, Any]]) -> tuple[Cell, ...]:
    shapes = np.array([values["polygon"] for values in records], dtype=object)
    with np.errstate(invalid="ignore"):  # NaN in a damaged shape, which is refused later
        polygons = shapely.from_wkb(shapes)
    return tuple(
        Cell(
            class_name=values["class"],
            change=Change(values["change"]),
            probability=values["probability"],
            polygon=polygon,
            grid_cells=tuple(values["grid_cells"]),
            caption=values["caption"],
            ground=None if values["ground"] is None else Ground(*map(tuple, values["ground"])),
            objects=values["objects"],
            change_probability=values["change_probability"],
            descriptor=base64.b64decode(values.get("descriptor", ""), validate=True),
            is_candidate=values.get("is_candidate", False),
        )
        for values, polygon in zip(records, polygons, strict=True)
    )


def parsed_object(text: object) -> dict[str, Any]:
    """A JSON object that the journal keeps.

    Raises:
        ValueError: If it is none.
    """
    value = parsed_json(str(text))
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


def unpacked_bytes(packed: bytes, size_bytes: int) -> bytes:
    """Bytes that were packed, and were as many as they are to be.

    Raises:
        ValueError: If they cannot be unpacked, or are more or fewer.
    """
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed, size_bytes + 1)
    except zlib.error as error:
        raise ValueError(f"packed values are damaged: {error}") from error
    if len(content) != size_bytes:
        raise ValueError("packed values are of another size")
    return content
