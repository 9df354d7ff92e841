"""`geochg evaluate` on labelled pairs: whether something changed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geochg.errors import InputError, OptionError
from geochg.evaluation.options import EvaluateOptions
from geochg.options import AnalyzeOptions

from .evaluate_files import check_files, write_report
from .pair_options import named_values

if TYPE_CHECKING:
    from geochg.evaluation.predictions import Predictions
    from geochg.evaluation.presence import PresenceReport


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

    from geochg.evaluation.predictions import Predictions
    from geochg.evaluation.presence import presence_report
    from geochg.writers.staging import write_output

    overwrite = params["overwrite"]
    check_files(files, [kept_predictions, pairs], overwrite=overwrite)
    if kept_predictions is not None:
        predictions = Predictions.read(kept_predictions)
        options = replace(options, model=predictions.model, model_options=predictions.model_options)
    if files["saved_options"] is not None:
        _check_has_threshold(options)
    if pairs is not None:
        predictions = _collect(pairs, options, files["predictions"], overwrite=overwrite)
    report = presence_report(predictions, options)
    if files["saved_options"] is not None:
        fitted = _fitted_options(predictions, report)
        may_replace = overwrite or fitted.overwrite
        write_output(files["saved_options"], fitted.to_toml, overwrite=may_replace)
    facts = _facts(predictions, options, report)
    model_id = predictions.identity["id"]
    write_report(params, files, model_id, [report.table()], facts, _in_words(predictions, report))


def _options(ctx: click.Context) -> EvaluateOptions:
    values = dict(ctx.params)
    values["model_options"] = named_values(values["model_options"])
    known_fields = EvaluateOptions.__dataclass_fields__
    return EvaluateOptions.from_dict({n: v for n, v in values.items() if n in known_fields})


def _collect(
    pairs: Path, options: EvaluateOptions, target: Path | None, *, overwrite: bool
) -> Predictions:
    from geochg.datasets.pairs import pair_files
    from geochg.evaluation.collect_presence import collect_presence
    from geochg.writers.staging import write_output

    from .progress import showing_progress

    with showing_progress() as listener:
        predictions = collect_presence(pair_files(pairs), options, listener)
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
    )


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


def _in_words(predictions: Predictions, report: PresenceReport) -> list[str]:
    lines = [f"{predictions.identity['id']}", *report.lines()]
    if report.unanswered:
        lines.append(f"{report.unanswered} without an answer, in none of the scores")
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
