"""`geochg evaluate`: a model's answers beside the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from geochg.errors import OptionError
from geochg.evaluation.options import EvaluateOptions, ExampleOptions
from geochg.options import AnalyzeOptions
from geochg.records import Task

from .interrupts import interrupts_raised
from .label_option import LABELS_TEXT
from .shared_options import (
    PATH,
    CommaSeparated,
    device_option,
    field_options,
    images_option,
    json_option,
    model_options,
    output_option,
    overwrite_option,
    path_option,
    prompts_option,
)

_DEFAULTS = EvaluateOptions()

_ASKING = (
    *("model", "model_options", "clue", "clue_model", "clue_options", "prompts_file"),
    *("device", "batch_size", "exchange", "agreement", "predictions_file", "resume"),
)
"""Options that only matter where the model is asked; each kind of source adds its own."""

_PAIRS_ASKING = ("tile_size_px", "overlap_px", "changed_share")
_ROWS_ASKING = ("images", "tasks", "split", "skip_unreadable")
_FITTING = ("fit_share", "fit_metric", "save_options")
"""Options that only matter where a threshold is fitted; `seed` also where images are exchanged."""

_PAIRS_ONLY = (*_PAIRS_ASKING, "agreement", "fit_threshold", *_FITTING)
_AGREEMENT_HINT = (
    "answers to rows are compared wherever they ask two things about a pair; leave it out"
)
_ROWS_ONLY = (*_ROWS_ASKING, "resume", "bert", "meteor", "published")
_MAPS_ONLY = ("classes", "options_file")
_NOT_FOR_MAPS = (
    *("changed_share", "agreement", "fit_threshold", *_FITTING, *_ROWS_ONLY),
    "predictions_file",
)
_FOR_LABELS = (
    *("sources", "model", "model_options", "prompts_file", "images", "batch_size", "device"),
    *("labels", "skip_unknown_labels", "output", "markdown_file", "overwrite", "as_json"),
)
"""Options that matter where the labels of single images are scored."""


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]...", type=PATH)
@model_options(_DEFAULTS.model)
@field_options(AnalyzeOptions, "clue", "clue_model", "clue_options")
@prompts_option
@click.option(
    "--task",
    "tasks",
    multiple=True,
    type=click.Choice([str(task) for task in Task]),
    help="Rows: ask only this; may be given several times.",
)
@field_options(ExampleOptions, "split", "skip_unreadable")
@images_option("Rows, labels: where the names of images start; else beside the rows.")
@path_option("--bert", "Rows: compute BERTScore with the encoder in this folder.", "FOLDER")
@click.option(
    "--meteor/--no-meteor",
    default=True,
    help="Rows: compute METEOR where pycocoevalcap and Java are there.",
)
@click.option(
    "--published",
    is_flag=True,
    help="Rows: also show the numbers of the papers, which are of their own test sets.",
)
@field_options(EvaluateOptions)
@click.option(
    "--labels",
    metavar="FILE.toml",
    help=f"Score the labels of single images, of: {LABELS_TEXT}",
)
@click.option(
    "--skip-unknown-labels",
    is_flag=True,
    help="Labels: leave out images with a label that is not among these.",
)
@click.option(
    "--by",
    multiple=True,
    metavar="COLUMN",
    help="Also score each group of pairs that share a value of this column; several times if "
    "wanted.",
)
@path_option(
    "--by-file",
    "A table with the column pair and the columns of --by, for pairs that have none of their own.",
    "FILE.csv",
)
@path_option(
    "--save-options",
    "Write the model and its fitted threshold to a file that geochg analyze --options reads.",
    "FILE.toml",
)
@path_option(
    "--predictions",
    "Keep the model's answers, a line of JSON for each.",
    "FILE.jsonl",
    "predictions_file",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Rows: go on where a run with the same --predictions was interrupted.",
)
@path_option(
    "--from-predictions",
    "Score kept answers; no model is asked and no SOURCE is read.",
    "FILE.jsonl",
)
@click.option(
    "--classes",
    type=CommaSeparated(),
    metavar="LIST",
    help="Kinds: keep only these classes, instead of those that the masks of a kind cover.",
)
@path_option(
    "--options",
    "Kinds: options of analyze from a file; those given on the command line win.",
    "FILE.toml",
    "options_file",
)
@device_option(_DEFAULTS.device)
@output_option("Also write to a file what --json prints.", "FILE.json")
@path_option("--markdown", "Also write the scores as Markdown tables.", "FILE.md", "markdown_file")
@overwrite_option
@json_option("the scores")
@click.pass_context
def evaluate(
    ctx: click.Context,
    /,
    sources: tuple[Path, ...],
    from_predictions: Path | None,
    **_: Any,  # noqa: ANN401
) -> None:
    """Ask a model about pairs of which the answers are known, and score what it says.

    SOURCE is labelled pairs: a folder with A/, B/ and label/ (before, after, masks; files of equal
    names), or a CSV file with the columns before, after and changed. Or it is rows of questions
    and answers: one or several files of ChangeChat-105k, LEVIR-CC or LLaVA, CSV with question and
    answer, or what geochg dataset writes (--split test of a folder).

    Or it is a folder of kinds: KIND/PAIR/ with before.tif, after.tif and mask.tif (1 changed, 0
    not, 255 unknown). Then the maps that geochg analyze makes are scored.

    With --labels it is single images: CSV with the columns image and labels (a semicolon between
    several), a folder with such a labels.csv, or one with a folder of pictures for each label.

    The scores of answers that need no model stand beside, as baselines.

    \b
    Examples:
      geochg evaluate LEVIR-CD/test
      geochg evaluate LEVIR-CD/val --model clip:FOLDER --fit-threshold --save-options fitted.toml
      geochg evaluate changechat_105k_test.json changechat_105k_test_count.json --images LEVIR-CC
      geochg evaluate mytown --split test --predictions answers.jsonl
      geochg evaluate KINDS --markdown maps.md -o maps.json
      geochg evaluate RSSCN7 --labels rsscn7 --model vlm:FOLDER --markdown labels.md
      geochg evaluate --from-predictions answers.jsonl --bert roberta-large --markdown scores.md
    """
    if bool(sources) == (from_predictions is not None):
        raise click.UsageError("name SOURCE, or --from-predictions FILE.jsonl, and not both")
    kind = _source_kind(ctx, sources, from_predictions)
    _refuse_idle_options(ctx, kind)
    if kind == "labels":
        from .evaluate_labels import evaluate_labels as score
    elif kind == "kinds":
        from .evaluate_kinds import evaluate_kinds as score
    elif kind == "rows":
        from .evaluate_rows import evaluate_rows as score
    else:
        from .evaluate_pairs import evaluate_pairs as score
    with interrupts_raised():
        score(ctx)


def _source_kind(
    ctx: click.Context, sources: tuple[Path, ...], from_predictions: Path | None
) -> str:
    """What is scored: `labels`, `kinds`, `rows` or `pairs`."""
    if ctx.params["labels"] is not None:
        return "labels"
    if from_predictions is not None:
        barred_options = (*_ASKING, *_PAIRS_ASKING, *_ROWS_ASKING)
        _refuse(ctx, barred_options, "--from-predictions", "leave out one of them")
        return "rows" if _keeps_rows(from_predictions) else "pairs"
    if _are_kinds(sources):
        return "kinds"
    return "rows" if _are_rows(ctx, sources) else "pairs"


def _refuse_idle_options(ctx: click.Context, kind: str) -> None:
    """Refuses options that would not matter for what is scored."""
    if kind == "labels":
        others = [name for name in ctx.params if name not in _FOR_LABELS]
        _refuse(ctx, tuple(others), "--labels", "leave out one of them")
        return
    _refuse(ctx, ("skip_unknown_labels",), "other sources than images", "add --labels")
    has_exchange, has_fit = ctx.params["exchange"], ctx.params["fit_threshold"]
    if kind != "kinds":
        _refuse(ctx, _MAPS_ONLY, "other sources than kinds", "leave it out")
    if kind == "kinds":
        _refuse(ctx, _NOT_FOR_MAPS, "a folder of kinds", "leave it out")
        if not has_exchange:
            _refuse(ctx, ("seed",), "a folder of kinds", "add --exchange")
    elif kind == "rows":
        _refuse(ctx, ("agreement",), "rows of questions", _AGREEMENT_HINT)
        _refuse(ctx, _PAIRS_ONLY, "rows of questions", "it is for labelled pairs")
        if not has_exchange:
            _refuse(ctx, ("seed",), "rows of questions", "add --exchange")
    else:
        _refuse(ctx, _ROWS_ONLY, "labelled pairs", "it is for rows of questions and answers")
        if not has_fit:
            _refuse(ctx, _FITTING, "scoring alone", "add --fit-threshold")
        if not has_fit and not has_exchange:
            _refuse(ctx, ("seed",), "scoring alone", "add --fit-threshold or --exchange")


def _refuse(ctx: click.Context, names: tuple[str, ...], other_option: str, hint: str) -> None:
    """Refuses options that were given but would not matter."""
    for option in ctx.command.params:
        if option.name in names and _is_given(ctx, option.name):
            raise OptionError(f"{option.opts[0]} does not go with {other_option}", hint)


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _keeps_rows(path: Path) -> bool:
    from geochg.evaluation.answers import CONTENT
    from geochg.evaluation.predictions import json_lines

    return json_lines(path)[0].get("content") == CONTENT


def _are_kinds(sources: tuple[Path, ...]) -> bool:
    """Whether every source holds georeferenced pairs with masks, and no folder of pictures."""
    from geochg.datasets.kinds import holds_kinds
    from geochg.datasets.pairs import BEFORE

    return all(holds_kinds(source) and not (source / BEFORE).is_dir() for source in sources)


def _are_rows(ctx: click.Context, sources: tuple[Path, ...]) -> bool:
    """Whether the sources are rows of questions; a folder may be both."""
    from geochg.datasets.pairs import BEFORE
    from geochg.datasets.table import TABLE_SUFFIX
    from geochg.files.text_file import read_table

    first = sources[0]
    if len(sources) > 1:
        return True
    if first.is_dir():
        has_choice = _is_given(ctx, "split") or _is_given(ctx, "tasks")
        return has_choice or (not (first / BEFORE).is_dir() and any(first.glob("*.json")))
    is_table = first.suffix.lower() == TABLE_SUFFIX
    return "question" in read_table(first).columns if is_table else first.is_file()
