"""`geochg evaluate`: a model's answers beside the truth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from geochg.errors import OptionError
from geochg.evaluation.options import EvaluateOptions, FitMetric
from geochg.options import AnalyzeOptions

from .pair_options import named_values

if TYPE_CHECKING:
    from geochg.evaluation.predictions import Predictions
    from geochg.evaluation.presence import PresenceReport

_DEFAULTS = EvaluateOptions()
_FIELDS = {"tile_size": "tile_size_px", "overlap": "overlap_px"}
"""Command-line names that leave out the unit."""

_ASKING = (
    "model",
    "model_options",
    "tile_size",
    "overlap",
    "changed_share",
    "device",
    "batch_size",
    "predictions_file",
)
"""What only matters where the model is asked."""

_FITTING = ("fit_share", "fit_metric", "seed", "save_options")
"""What only matters where a threshold is fitted."""


@click.command()
@click.argument("pairs", required=False, type=click.Path(path_type=Path))
@click.option(
    "--model",
    default=_DEFAULTS.model,
    show_default=True,
    help="The change model, NAME or NAME:SOURCE; see `geochg models`.",
)
@click.option(
    "--model-option",
    "model_options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the model's own; may be given several times.",
)
@click.option(
    "--tile-size",
    type=int,
    default=_DEFAULTS.tile_size_px,
    show_default=True,
    help="Side of the square the model sees, in pixels; larger pictures are cut.",
)
@click.option(
    "--overlap",
    type=int,
    default=_DEFAULTS.overlap_px,
    show_default=True,
    help="Overlap of neighbouring tiles, in pixels.",
)
@click.option(
    "--changed-share",
    type=float,
    default=_DEFAULTS.changed_share,
    show_default=True,
    help="A tile is changed where more than this share of its pixels is.",
)
@click.option(
    "--fit-threshold",
    is_flag=True,
    help="Find the model's presence threshold on a share of the pairs; score the others.",
)
@click.option(
    "--fit-share",
    type=float,
    default=_DEFAULTS.fit_share,
    show_default=True,
    help="The share of the pairs that is.",
)
@click.option(
    "--fit-metric",
    type=click.Choice([metric.value for metric in FitMetric]),
    default=_DEFAULTS.fit_metric.value,
    show_default=True,
    help="What the threshold makes as high as it can be.",
)
@click.option(
    "--seed",
    type=int,
    default=_DEFAULTS.seed,
    show_default=True,
    help="Of the choice of the pairs to fit on.",
)
@click.option(
    "--save-options",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="Write the model and its fitted threshold to a file that geochg analyze --options reads.",
)
@click.option(
    "--predictions",
    "predictions_file",
    type=click.Path(path_type=Path),
    metavar="FILE.jsonl",
    help="Keep what the model said, a line of JSON for each tile.",
)
@click.option(
    "--from-predictions",
    type=click.Path(path_type=Path),
    metavar="FILE.jsonl",
    help="Score what was kept; no model is asked and no PAIRS are read.",
)
@click.option(
    "--device",
    default=_DEFAULTS.device,
    show_default=True,
    help="auto, cpu, cuda, cuda:1 or mps.",
)
@click.option("--batch-size", type=int, help="Tiles answered in one call.")
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON on stdout.")
@click.pass_context
def evaluate(
    ctx: click.Context,
    /,
    pairs: Path | None,
    predictions_file: Path | None,
    from_predictions: Path | None,
    save_options: Path | None,
    as_json: bool,
    **_: Any,  # noqa: ANN401
) -> None:
    """Ask a model whether labelled PAIRS have changed, and score its answers.

    PAIRS is a folder with A/, B/ and label/ (before, after, masks; files of equal names), or a CSV
    file with the columns before, after and changed. Beside the model stand answers that need
    none: always yes, always no, and the difference of the pictures.

    \b
    Examples:
      geochg evaluate LEVIR-CD/test
      geochg evaluate pairs.csv --model clip:clip-vit-large-patch14 --fit-threshold
      geochg evaluate LEVIR-CD/val --model clip:FOLDER --fit-threshold --save-options fitted.toml
      geochg evaluate --from-predictions said.jsonl --fit-threshold --fit-metric f1
    """
    options = _options(ctx)
    if (pairs is None) == (from_predictions is None):
        raise click.UsageError("name PAIRS, or --from-predictions FILE.jsonl, and not both")

    from geochg.evaluation.predictions import Predictions
    from geochg.evaluation.presence import presence_report

    _check_files(predictions_file, save_options, [from_predictions, pairs])
    if from_predictions is not None:
        _refuse(ctx, _ASKING, "--from-predictions", "leave out one of them")
        found = Predictions.read(from_predictions)
        options = replace(options, model=found.model, model_options=found.model_options)
    if save_options is not None:
        _check_has_threshold(options)
    if pairs is not None:
        found = _asked(pairs, options, predictions_file)
    report = presence_report(found, options)
    if save_options is not None:
        _save(save_options, found, report)
    files = {"predictions": predictions_file or from_predictions, "saved_options": save_options}
    if as_json:
        told = {name: str(path) for name, path in files.items() if path is not None}
        click.echo(json.dumps(told | _facts(found, options, report), allow_nan=False))
    else:
        click.echo("\n".join([*_files(predictions_file, save_options), *_in_words(found, report)]))


def _options(ctx: click.Context) -> EvaluateOptions:
    values = {_FIELDS.get(name, name): value for name, value in ctx.params.items()}
    values["model_options"] = named_values(values["model_options"])
    known = EvaluateOptions.__dataclass_fields__
    options = EvaluateOptions.from_dict({n: v for n, v in values.items() if n in known})
    if not options.fit_threshold:
        _refuse(ctx, _FITTING, "scoring alone", "add --fit-threshold")
    return options


def _refuse(ctx: click.Context, names: tuple[str, ...], beside: str, hint: str) -> None:
    """Refuses options that were given but would not matter."""
    for option in ctx.command.params:
        given = ctx.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
        if option.name in names and given:
            raise OptionError(f"{option.opts[0]} does not go with {beside}", hint)


def _check_files(
    predictions: Path | None, save_options: Path | None, inputs: list[Path | None]
) -> None:
    from geochg.writers.staging import Output, check_outputs

    wanted = [(predictions, ".jsonl"), (save_options, ".toml")]
    outputs = [Output(path, (suffix,)) for path, suffix in wanted if path is not None]
    check_outputs(outputs, [path for path in inputs if path is not None])


def _asked(pairs: Path, options: EvaluateOptions, keep: Path | None) -> Predictions:
    from geochg.datasets.pairs import pair_files
    from geochg.evaluation.asking import predictions
    from geochg.writers.staging import Staging

    from .progress import showing_progress

    with showing_progress() as listener:
        found = predictions(pair_files(pairs), options, listener)
    if keep is not None:
        with Staging() as staging:
            with staging.write(keep) as path:
                found.write(path)
            staging.commit()
    return found


def _check_has_threshold(options: EvaluateOptions) -> None:
    from geochg.evaluation.asking import threshold_options

    if not threshold_options(options.model, options.model_options, 0.5, opened=False):
        raise OptionError(
            f"{options.model} has no option for its threshold", "leave out --save-options"
        )


def _save(path: Path, found: Predictions, report: PresenceReport) -> None:
    from geochg.writers.staging import Staging

    assert report.fit is not None
    tile_size_px = int(found.options["tile_size_px"])
    usual = AnalyzeOptions()
    options = AnalyzeOptions(
        model=found.model,
        model_options={**found.model_options, **report.fit.options},
        tile_size_px=tile_size_px,
        overlap_px=min(usual.tile_overlap_px, tile_size_px // 8),
    )
    with Staging() as staging:
        with staging.write(path) as place:
            options.to_toml(place)
        staging.commit()


def _files(*paths: Path | None) -> list[str]:
    return [str(path) for path in paths if path is not None]


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
