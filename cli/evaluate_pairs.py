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

from .evaluate_files import marked, write_json, write_markdown
from .pair_options import named_values
from .terminal import echo

if TYPE_CHECKING:
    from geochg.evaluation.predictions import Predictions
    from geochg.evaluation.presence import PresenceReport

_FIELDS = {"tile_size": "tile_size_px", "overlap": "overlap_px"}
"""Command-line names that leave out the unit."""


def evaluate_pairs(ctx: click.Context) -> None:
    """Runs the command."""
    options = _options(ctx)
    pairs = next(iter(ctx.params["sources"]), None)
    kept = ctx.params["from_predictions"]
    files = {
        "predictions": ctx.params["predictions_file"],
        "saved_options": ctx.params["save_options"],
        "markdown": ctx.params["markdown_file"],
        "output": ctx.params["output"],
    }

    from geochg.evaluation.predictions import Predictions
    from geochg.evaluation.presence import presence_report
    from geochg.writers.staging import write_output

    overwrite = ctx.params["overwrite"]
    _check_files(files, [kept, pairs], overwrite=overwrite)
    if kept is not None:
        found = Predictions.read(kept)
        options = replace(options, model=found.model, model_options=found.model_options)
    if files["saved_options"] is not None:
        _check_has_threshold(options)
    if pairs is not None:
        found = _asked(pairs, options, files["predictions"], overwrite=overwrite)
    report = presence_report(found, options)
    if files["saved_options"] is not None:
        fitted = _fitted(found, report)
        may_replace = overwrite or fitted.overwrite
        write_output(files["saved_options"], fitted.to_toml, overwrite=may_replace)
    if files["markdown"] is not None:
        tables = [report.table()]
        write_markdown(files["markdown"], found.identity["id"], tables, overwrite=overwrite)
    named = {**files, "predictions": files["predictions"] or kept}
    told = {name: str(path) for name, path in named.items() if path is not None}
    facts = marked(told | _facts(found, options, report))
    if files["output"] is not None:
        write_json(files["output"], facts, overwrite=overwrite)
    if ctx.params["as_json"]:
        echo(json.dumps(facts, allow_nan=False))
    else:
        written = [str(path) for path in files.values() if path is not None]
        echo("\n".join([*written, *_in_words(found, report)]))


def _options(ctx: click.Context) -> EvaluateOptions:
    values = {_FIELDS.get(name, name): value for name, value in ctx.params.items()}
    values["model_options"] = named_values(values["model_options"])
    known = EvaluateOptions.__dataclass_fields__
    return EvaluateOptions.from_dict({n: v for n, v in values.items() if n in known})


def _check_files(
    files: dict[str, Path | None], inputs: list[Path | None], *, overwrite: bool
) -> None:
    from geochg.writers.checks import Output, check_outputs

    suffixes = {
        "predictions": ".jsonl",
        "saved_options": ".toml",
        "markdown": ".md",
        "output": ".json",
    }
    outputs = [Output(path, (suffixes[n],)) for n, path in files.items() if path is not None]
    read = [path for path in inputs if path is not None]
    check_outputs(outputs, read, overwrite=overwrite)


def _asked(
    pairs: Path, options: EvaluateOptions, keep: Path | None, *, overwrite: bool
) -> Predictions:
    from geochg.datasets.pairs import pair_files
    from geochg.evaluation.collect_presence import collect_presence
    from geochg.writers.staging import write_output

    from .progress import showing_progress

    with showing_progress() as listener:
        found = collect_presence(pair_files(pairs), options, listener)
    if keep is not None:
        write_output(keep, found.write, overwrite=overwrite)
    return found


def _check_has_threshold(options: EvaluateOptions) -> None:
    from geochg.evaluation.collect_presence import threshold_options

    if not threshold_options(options.model, options.model_options, 0.5, opened=False):
        raise OptionError(
            f"{options.model} has no option for its threshold", "leave out --save-options"
        )


def _fitted(found: Predictions, report: PresenceReport) -> AnalyzeOptions:
    """The model with the threshold that was found for it."""
    from geochg.evaluation.predictions import HINT

    assert report.fit is not None
    tile_size_px = found.options.get("tile_size_px")
    if type(tile_size_px) is not int:
        raise InputError("the predictions do not tell their tile size", HINT)
    usual = AnalyzeOptions()
    return AnalyzeOptions(
        model=found.model,
        model_options={**found.model_options, **report.fit.options},
        tile_size_px=tile_size_px,
        overlap_px=min(usual.tile_overlap_px, tile_size_px // 8),
    )


def _facts(found: Predictions, options: EvaluateOptions, report: PresenceReport) -> dict[str, Any]:
    fitting = {name: options.to_dict()[name] for name in ("fit_share", "fit_metric", "seed")}
    return {
        "model": dict(found.identity),
        "model_options": dict(found.model_options),
        "options": {**found.options, **(fitting if options.fit_threshold else {})},
        "presence": report.to_dict(),
    }


def _in_words(found: Predictions, report: PresenceReport) -> list[str]:
    lines = [f"{found.identity['id']}", *report.lines()]
    if report.unanswered:
        lines.append(f"{report.unanswered} without an answer, in none of the scores")
    if report.fit is not None:
        told = " ".join(
            f"--model-option {name}={json.dumps(value)}"
            for name, value in report.fit.options.items()
        )
        lines.append(
            told
            or f"changed above a probability of {report.fit.probability:.4g}; "
            f"{found.model} has no option for it"
        )
    return lines
