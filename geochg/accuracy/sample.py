"""A sample of a change layer, for people to judge: drawn, written, and read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geochg import __version__
from geochg.accuracy.allocation import equal_allocation, optimal_allocation, units_for_error
from geochg.accuracy.draw import Frame, ReadValid, draw_units, survey_frame
from geochg.accuracy.fingerprint import kinds_checksum, packed_outlines
from geochg.accuracy.options import USUAL_UNITS, Allocation, SampleOptions
from geochg.accuracy.seen import images_read, seen_in_heatmap, seen_in_images
from geochg.accuracy.strata import UNCHANGED, Strata
from geochg.errors import InputError
from geochg.events import Listener, ignore
from geochg.files.sidecars import files_behind
from geochg.geometry.placement import layer_frame, on_ground, table_column
from geochg.geometry.polygons_only import areas
from geochg.geometry.vector_file import file_of
from geochg.pipeline.reviewed_layer import as_reviewed, read_changes
from geochg.records import Change
from geochg.safety.untrusted_text import without_secrets
from geochg.tasks.quantities import rounded_value
from geochg.tiling.grid import pixel_m
from geochg.writers.checks import Output, check_outputs
from geochg.writers.layer_metadata import read_metadata
from geochg.writers.layers import LAYER_SUFFIXES, write_features
from geochg.writers.staging import write_output

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

SAMPLE_LAYER = "sample"
"""Name of the layer, in formats that have one."""

OUTLINES = "outlines"
"""Of the file's metadata, the member that `packed_outlines` made."""

_LEAST_FOOTPRINT_PX = 3


@dataclass(frozen=True)
class AccuracySample:
    """A sample that was drawn.

    Attributes:
        path: Its file.
        facts: The `geochg` member of the file: strata, seed, distances, checksum of the changes;
            without their `OUTLINES`.
        warnings: Sentences on what its user should know.
    """

    path: Path
    facts: Mapping[str, Any]
    warnings: tuple[str, ...]


def draw_sample(
    layer: str, path: Path, options: SampleOptions, *, listener: Listener = ignore
) -> AccuracySample:
    """Draws a stratified random sample over the ground that a run analysed, and writes it.

    Args:
        layer: The change layer, as it was reviewed; `FILE|layername=NAME` of several.
        path: Where the sample is written: polygons, the footprints of points.
        options: How it is drawn.
        listener: Hears of the progress.

    Raises:
        InputError: If the layer is none of geochg's changes, its images or heatmap are not there
            or other ones, or the sample may not be written there.
        OptionError: If the sample is too small for its strata.
        RunError: If it cannot be written.
    """
    inputs = [
        file for name in (layer, options.heatmap) if name for file in files_behind(file_of(name))
    ]
    check_outputs([Output(path, LAYER_SUFFIXES, SAMPLE_LAYER)], inputs, overwrite=options.overwrite)
    name, metadata = read_metadata(layer)
    changes, grid = read_changes(layer)
    if grid is None:
        raise InputError(
            f"{without_secrets(layer)} does not tell the grid of its run",
            "give the layer as geochg wrote it",
        )
    _check_metadata(metadata, layer)
    changes = mapped_changes(changes, layer)
    strata = Strata.of_layer(changes, grid, options.near_m)
    with _seen_ground(metadata, grid, options) as read_valid:
        frame = survey_frame(grid, strata, read_valid, listener)
        areas = frame.areas_m2()
        if not areas:
            raise InputError("nothing of the ground was seen", "check the heatmap or the images")
        units = _allocated(areas, strata, options)
        points, unit_strata = draw_units(frame, units, read_valid, options.seed)
    facts = _facts(name.file, metadata, frame, unit_strata, options)
    table = _table(points, unit_strata, strata, grid, options)
    kept_facts = {**facts, OUTLINES: packed_outlines(strata, grid)}
    write_output(
        path,
        lambda staged: write_features(table, staged, kept_facts, layer=SAMPLE_LAYER),
        overwrite=options.overwrite,
        layer=SAMPLE_LAYER,
    )
    return AccuracySample(path, facts, tuple(_warnings(areas, units, unit_strata, strata)))


def mapped_changes(frame: GeoDataFrame, label: str) -> GeoDataFrame:
    """The changes that a layer maps: not rejected, with an area, as valid polygons.

    Of a layer of several dates they are those from the first to the last.

    Args:
        frame: The features of the layer.
        label: Its name, for messages.

    Raises:
        InputError: If a change has no class or no direction.
    """
    from geopandas import GeoSeries

    if "step" in frame:
        frame = frame[frame["step"].isna()]
    changes = as_reviewed(frame)
    shapes = areas(changes.geometry).shapes
    changes = changes.set_geometry(GeoSeries(shapes, index=changes.index, crs=changes.crs))
    changes = changes[~shapely.is_empty(shapes)].reset_index(drop=True)
    known_changes = {str(change) for change in Change}
    is_named = changes["class"].notna() & changes["change"].isin(known_changes)
    if count := int((~is_named).sum()):
        raise InputError(
            f"{count} of {len(changes)} changes of {without_secrets(label)} lack a class, or a "
            f"direction that is one of {', '.join(sorted(known_changes))}",
            "fill the fields class and change, or delete those features",
        )
    return changes


def _check_metadata(metadata: Mapping[str, Any], label: str) -> None:
    """Refuses metadata whose members were made something else by another program."""
    sources = metadata.get("sources") or {}
    is_sound = (
        isinstance(sources, Mapping)
        and all(isinstance(source, Mapping | None) for source in sources.values())
        and all(isinstance(metadata.get(key), Mapping | None) for key in ("options", "tiles"))
        and isinstance(metadata.get("bands"), list | None)
        and all(isinstance(name, str) for name in metadata.get("bands") or ())
    )
    if not is_sound:
        raise InputError(
            f"what {without_secrets(label)} tells of its run cannot be read",
            "give the layer as geochg wrote it",
        )


@contextmanager
def _seen_ground(
    metadata: Mapping[str, Any], grid: GeoBox, options: SampleOptions
) -> Iterator[ReadValid]:
    """Reads what the run saw: of its heatmap, or of the images where it saw all of them."""
    if options.heatmap:
        with seen_in_heatmap(options.heatmap, metadata, grid) as read_valid:
            yield read_valid
        return
    tiles = metadata.get("tiles") or {}
    hidden_m2 = metadata.get("not_seen_m2") or 0
    if hidden_m2 or tiles.get("failed"):
        raise InputError(
            "the run did not see all of the ground (clouds, shadows, or tiles that failed)",
            "give its heatmap, which tells where: --heatmap change.tif",
        )
    pair = images_read(metadata, grid, options.before or "", options.after or "")
    with seen_in_images(pair) as read_valid:
        yield read_valid


def _allocated(
    areas: Mapping[str, float], strata: Strata, options: SampleOptions
) -> dict[str, int]:
    is_change = {name: strata.map_class(strata.names.index(name)) != UNCHANGED for name in areas}
    if options.standard_error is not None:
        total = units_for_error(areas, is_change, options.standard_error)
        return optimal_allocation(areas, is_change, total)
    total = USUAL_UNITS if options.units is None else options.units
    if options.allocation is Allocation.OPTIMAL:
        return optimal_allocation(areas, is_change, total)
    return equal_allocation(areas, total)


def _facts(
    layer: str,
    metadata: Mapping[str, Any],
    frame: Frame,
    unit_strata: NDArray[np.int16],
    options: SampleOptions,
) -> dict[str, Any]:
    """The `geochg` member of the sample, as plain JSON values."""
    areas = frame.areas_m2()
    names = frame.strata.names
    return {
        "version": __version__,
        "sample_of": {
            "layer": without_secrets(Path(layer).name),
            "checksum": kinds_checksum(frame.strata),
            "features": len(frame.strata.polygons),
        },
        "sources": metadata.get("sources"),
        "grid": metadata.get("grid"),
        "seed": options.seed,
        "allocation": str(
            options.allocation if options.standard_error is None else Allocation.OPTIMAL
        ),
        "near_m": options.near_m,
        "footprint_m": _footprint_m(frame.grid, options),
        "unseen_m2": rounded_value(frame.unseen_m2, 1),
        "strata": [
            {
                "name": name,
                "area_m2": area,
                "units": int(np.count_nonzero(unit_strata == names.index(name))),
            }
            for name, area in areas.items()
        ],
    }


def _footprint_m(grid: GeoBox, options: SampleOptions) -> float:
    if options.footprint_m is not None:
        return options.footprint_m
    return rounded_value(_LEAST_FOOTPRINT_PX * pixel_m(grid), 3)


def _table(
    points: NDArray[np.float64],
    unit_strata: NDArray[np.int16],
    strata: Strata,
    grid: GeoBox,
    options: SampleOptions,
) -> GeoDataFrame:
    """The units: footprints, columns to be filled, and what the map says where that is wanted."""
    half = _footprint_m(grid, options) / pixel_m(grid) / 2
    corners = np.column_stack([points - half, points + half])
    squares = np.array([shapely.box(*corner) for corner in corners], np.object_)
    empty = [None] * len(points)
    columns = {
        "id": table_column(range(1, len(points) + 1), "Int64"),
        "reference_class": table_column(empty, "string"),
        "reference_change": table_column(empty, "string"),
        "note": table_column(empty, "string"),
    }
    if options.with_map:
        classes = [strata.map_class(stratum) for stratum in unit_strata.tolist()]
        columns["map"] = table_column(classes, "string")
    return layer_frame(columns, on_ground(squares, grid), grid)


def _warnings(
    areas: Mapping[str, float],
    units: Mapping[str, int],
    unit_strata: NDArray[np.int16],
    strata: Strata,
) -> Iterator[str]:
    for name in areas:
        count = int(np.count_nonzero(unit_strata == strata.names.index(name)))
        if count < units[name]:
            yield f"the stratum {name} has {count} pixels only, and {units[name]} units were wanted"
