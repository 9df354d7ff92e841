"""`geochg evaluate` on labelled pairs: whether something changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geochg.errors import InputError, OptionError
from geochg.evaluation.options import EvaluateOptions
from geochg.options import AnalyzeOptions

from .evaluate_files import asking_values, check_files, write_report

if TYPE_CHECKING:
    from geochg.datasets.pairs import PairFiles
    from geochg.evaluation.predictions import Predictions
    from geochg.evaluation.presence import PresenceReport
    from geochg.evaluation.tables import Section


def evaluate_pairs(ctx: click.Context) -> None:
    """Asks a model about labelled pairs, or reads kept predictions, and scores the answers."""
    params, options = ctx.params, _options(ctx)
    pairs, kept_predictions = next(iter(params["sources"]), None), params["from_predictions"]
    files = {
        "predictions": params["predictions_file"],
        "saved_options": params["save_options"],
        "markdown": params["markdown_file"],
        "output": params["output"],
    }

    from geochg.evaluation.column_groups import with_columns
    from geochg.evaluation.histogram import HistogramSection
    from geochg.evaluation.predictions import Predictions
    from geochg.evaluation.presence import presence_report
    from geochg.evaluation.presence_probes import presence_probes
    from geochg.writers.staging import write_output

    overwrite = params["overwrite"]
    inputs = [kept_predictions, pairs, params["by_file"], params["prompts_file"]]
    check_files(files, inputs, overwrite=overwrite)
    if kept_predictions is not None:
        predictions = Predictions.read(kept_predictions)
        options = replace(options, model=predictions.model, model_options=predictions.model_options)
    if files["saved_options"] is not None:
        _check_has_threshold(options)
    if pairs is not None:
        labelled_pairs = _labelled_pairs(pairs, options, params["by"], params["by_file"])
        predictions = _collect(labelled_pairs, options, files["predictions"], overwrite=overwrite)
    predictions = replace(predictions, rows=with_columns(predictions.rows, params["by_file"]))
    report = presence_report(predictions, options)
    probes = presence_probes(predictions, report, params["by"])
    if files["saved_options"] is not None:
        fitted = _fitted_options(predictions, report)
        may_replace = overwrite or fitted.overwrite
        write_output(files["saved_options"], fitted.to_toml, overwrite=may_replace)
    facts = _facts(predictions, options, report) | probes.to_dict()
    model_id, histogram = predictions.identity["id"], report.histogram()
    shown_histogram = [] if histogram is None else [HistogramSection([histogram])]
    sections = [*probes.sections, *shown_histogram]
    lines = [*_in_words(predictions, report, sections)]
    write_report(params, files, model_id, [report.table(), *sections], facts, lines)


def _options(ctx: click.Context) -> EvaluateOptions:
    values = asking_values(ctx.params)
    known_fields = EvaluateOptions.__dataclass_fields__
    return EvaluateOptions.from_dict({n: v for n, v in values.items() if n in known_fields})


def _labelled_pairs(
    pairs: Path, options: EvaluateOptions, names: Sequence[str], by_file: Path | None
) -> list[PairFiles]:
    """The pairs, of which all is known that their groups need."""
    from geochg.datasets.pairs import pair_files
    from geochg.evaluation.column_groups import check_columns

    has_probe = options.exchange or options.agreement
    labelled_pairs = pair_files(pairs, needs_labels=not has_probe)
    check_columns(((pair.name, pair.columns) for pair in labelled_pairs), names, by_file)
    return labelled_pairs


def _collect(
    labelled_pairs: Sequence[PairFiles],
    options: EvaluateOptions,
    target: Path | None,
    *,
    overwrite: bool,
) -> Predictions:
    from geochg.evaluation.collect_presence import collect_presence
    from geochg.writers.staging import write_output

    from .progress import showing_progress

    with showing_progress() as listener:
        predictions = collect_presence(labelled_pairs, options, listener)
    if target is not None:
        write_output(target, predictions.write, overwrite=overwrite)
    return predictions


def _check_has_threshold(options: EvaluateOptions) -> None:
    from geochg.evaluation.collect_presence import threshold_options

    if not threshold_options(options.model, options.model_options, 0.5, was_opened=False):
        raise OptionError(
            f"{options.model} has no option for its threshold", "leave out --save-options"
        )


def _fitted_options(predictions: Predictions, report: PresenceReport) -> AnalyzeOptions:
    """The model with the threshold fitted for it."""
    from geochg.evaluation.predictions import HINT

    assert report.fit is not None
    tile_size_px = predictions.options.get("tile_size_px")
    if type(tile_size_px) is not int:
        raise InputError("the predictions lack their tile size", HINT)
    return AnalyzeOptions(
        model=predictions.model,
        model_options={**predictions.model_options, **report.fit.options},
        tile_size_px=tile_size_px,
        overlap_px=min(AnalyzeOptions().tile_overlap_px, tile_size_px // 8),
        **{name: predictions.options[name] for name in _WORDING if name in predictions.options},
    )


_WORDING = ("clue", "clue_model", "clue_options", "prompts")
"""Options of predictions with which geochg analyze asks as they were asked."""


def _facts(
    predictions: Predictions, options: EvaluateOptions, report: PresenceReport
) -> dict[str, Any]:
    fitting = {name: options.to_dict()[name] for name in ("fit_share", "fit_metric", "seed")}
    return {
        "model": dict(predictions.identity),
        "model_options": dict(predictions.model_options),
        "options": {**predictions.options, **(fitting if options.fit_threshold else {})},
        "presence": report.to_dict(),
    }


def _in_words(
    predictions: Predictions, report: PresenceReport, sections: Sequence[Section]
) -> list[str]:
    from geochg.evaluation.tables import in_words

    lines = [f"{predictions.identity['id']}", *report.lines()]
    if report.unanswered:
        lines.append(f"{report.unanswered} without an answer, in none of the scores")
    lines += in_words(sections)
    if report.fit is not None:
        flags = " ".join(
            f"--model-option {name}={json.dumps(value)}"
            for name, value in report.fit.options.items()
        )
        lines.append(
            flags
            or f"changed above a probability of {report.fit.probability:.4g}; "
            f"{predictions.model} has no option for it"
        )
    return lines
