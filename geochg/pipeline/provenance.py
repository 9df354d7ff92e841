"""Where an output came from, and whether an unfinished run is the same as this one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from geochg import __version__
from geochg.files.sidecars import file_states, files_behind
from geochg.geometry.vector_file import file_of
from geochg.learning.card import Card
from geochg.models.base import ChangeModel
from geochg.options import AnalyzeOptions
from geochg.pipeline.journal import Tallies
from geochg.records import Question, TileFailure
from geochg.safety.untrusted_text import storable, without_secrets
from geochg.tasks.quantities import rounded_value
from geochg.tiling.pair import RasterPair
from geochg.tiling.preparation import Preparation
from geochg.tiling.series_dates import date_of
from geochg.tiling.source import RasterSource
from geochg.writers.layer_metadata import grid_facts


def fingerprint(
    pair: RasterPair,
    options: AnalyzeOptions,
    model: ChangeModel,
    *,
    heatmap: bool,
    between: Sequence[RasterSource] = (),
) -> dict[str, Any]:
    """What a journal must have in common with a run to be resumed by it.

    Keys are what a refusal names; values are plain JSON.

    Args:
        pair: The pair, or the first and the last date of a series.
        options: The options of the run.
        model: The model.
        heatmap: Whether there is a heatmap.
        between: Other dates of a series.
    """
    # Coordinates have no files.
    area_files = files_behind(file_of(options.aoi)) if options.aoi else []
    return {
        "the version of geochg": __version__,
        **_pair_inputs(pair),
        **{f"image {n}": _input_facts(source) for n, source in enumerate(between, start=2)},
        "the model": asdict(model.identity),
        "the area of interest": file_states(area_files),
        "whether there is a heatmap": heatmap,
        "what was learned": Card.read(Path(options.learned)).head_sha256 if options.learned else "",
        "the classes": options.class_list.to_dict() if options.class_list else None,
        **{f"option {name}": value for name, value in _shaping_options(options, model).items()},
    }


def metadata(
    pair: RasterPair,
    options: AnalyzeOptions,
    model: ChangeModel,
    questions: Iterable[Question],
    span: Mapping[str, Any],
) -> dict[str, Any]:
    """The `geochg` member of the outputs; nothing in it differs between equal runs.

    Args:
        pair: The pair, or the first and the last date of a series.
        options: The options of the run.
        model: The model.
        questions: The questions about each tile.
        span: What `span_facts` tells of the pair.
    """
    facts: dict[str, Any] = storable(
        {
            "version": __version__,
            "model": asdict(model.identity),
            "questions": {question.task: model.prompt(question) for question in questions},
            "sources": _sources(pair),
            "options": _shaping_options(options, model),
            **_class_facts(options, model),
            "grid": grid_facts(pair.grid),
            **span,
        }
    )
    return facts


def span_facts(
    pair: RasterPair,
    preparation: Preparation,
    tallies: Tallies,
    failures: Sequence[TileFailure],
) -> dict[str, Any]:
    """What was measured, read and answered of two dates, as plain JSON values."""
    counts = asdict(tallies)
    del counts["not_seen_px"]
    facts: dict[str, Any] = storable(
        {
            "bands": list(pair.bands.names),
            "alignment": preparation.alignment(math.sqrt(pair.facts.pixel_area_m2)),
            "matching": preparation.matching(),
            "tiles": {**counts, "failed": len(failures)},
            "not_seen_m2": _not_seen_m2(pair, tallies),
            "failed_tiles": {failure.window.name: failure.reason for failure in failures},
        }
    )
    return facts


def series_facts(
    sources: Iterable[RasterSource], steps: Iterable[Mapping[str, Any]], *, together: bool
) -> dict[str, Any]:
    """The member `series` of the outputs of three dates or more, as plain JSON values.

    Args:
        sources: The images, the earliest first.
        steps: What `span_facts` tells of each step, and its dates.
        together: Whether the model was shown all dates at once.
    """
    facts: dict[str, Any] = storable(
        {
            "dates": [_source_facts(source) for source in sources],
            "shown": "together" if together else "in pairs",
            "steps": [dict(step) for step in steps],
        }
    )
    return facts


def _pair_inputs(pair: RasterPair) -> dict[str, Any]:
    """What tells that the rasters are still the same."""
    if pair.is_alone:
        return {"the image": _input_facts(pair.before)}
    return {
        "the before image": _input_facts(pair.before),
        "the after image": _input_facts(pair.after),
    }


def _sources(pair: RasterPair) -> dict[str, Any]:
    """The rasters as outputs tell them."""
    if pair.is_alone:
        return {"image": _source_facts(pair.before)}
    return {"before": _source_facts(pair.before), "after": _source_facts(pair.after)}


def _source_facts(source: RasterSource) -> dict[str, Any]:
    """A source as outputs tell it; `date` is its day, as far as it is known."""
    return {**source.to_dict(), "date": date_of(source).text or None}


def _class_facts(options: AnalyzeOptions, model: ChangeModel) -> dict[str, Any]:
    """The classes of the user, and the color of each; nothing for models that know their own."""
    if options.class_list is None or not model.capabilities.free_classes:
        return {}
    colors = options.class_list.colors
    return {
        "classes": options.class_list.to_dict()["classes"],
        "colors": {name: colors[name] for name in options.wanted_classes},
    }


def _input_facts(source: RasterSource) -> list[Any]:
    """What tells that a raster is still the same: its files' states, or its pixels' checksum.

    GDAL's own sidecar counts by what it says of the raster: viewers such as QGIS write statistics
    into it when they show an image.
    """
    checksum = source.raster.checksum if source.raster is not None else ""
    kept_states = [checksum] if checksum else file_states(source.files)
    facts = (source.bands, source.dtype, source.nodata, source.mask, source.alpha, source.acquired)
    return [
        without_secrets(source.label),
        *kept_states,
        grid_facts(source.geobox),
        [str(fact) for fact in facts],
    ]


def _not_seen_m2(pair: RasterPair, tallies: Tallies) -> float | None:
    """Ground hidden by cloud, shadow or snow; None for models that cannot tell."""
    if tallies.not_seen_px is None:
        return None
    return rounded_value(tallies.not_seen_px * pair.facts.pixel_area_m2, 1)


def _shaping_options(options: AnalyzeOptions, model: ChangeModel) -> dict[str, Any]:
    """The options that shape the result, the model's own among them."""
    values = options.shaping()
    how_it_runs = model.how_it_runs
    own_options = {
        name: value for name, value in values["model_options"].items() if name not in how_it_runs
    }
    shaping: dict[str, Any] = storable({**values, "model_options": own_options})
    return shaping
