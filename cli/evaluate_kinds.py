"""`geochg evaluate` on folders of pairs with masks: where something changed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .evaluate_files import marked, write_json, write_markdown
from .pair_options import options_of
from .terminal import echo

if TYPE_CHECKING:
    from geochg.evaluation.kind_scores import KindsReport
    from geochg.options import AnalyzeOptions


def evaluate_kinds(ctx: click.Context) -> None:
    """Runs the command."""
    options = replace(options_of(ctx), resume=False)
    files = {"output": ctx.params["output"], "markdown": ctx.params["markdown_file"]}
    sources, overwrite = ctx.params["sources"], ctx.params["overwrite"]

    from geochg.datasets.kinds import kinds_of
    from geochg.evaluation.kind_scores import kinds_report

    from .progress import showing_progress

    _check_files(files, sources, overwrite=overwrite)
    kinds = [kind for source in sources for kind in kinds_of(source)]
    with showing_progress() as listener:
        report = kinds_report(kinds, options, listener)
    told = {name: str(path) for name, path in files.items() if path is not None}
    facts = marked(told | _facts(report, options))
    if files["markdown"] is not None:
        write_markdown(files["markdown"], report.identity["id"], report.kinds, overwrite=overwrite)
    if files["output"] is not None:
        write_json(files["output"], facts, overwrite=overwrite)
    if ctx.params["as_json"]:
        echo(json.dumps(facts, allow_nan=False))
    else:
        echo("\n".join([*told.values(), *_in_words(report)]))


def _check_files(
    files: dict[str, Path | None], sources: tuple[Path, ...], *, overwrite: bool
) -> None:
    from geochg.writers.checks import Output, check_outputs

    suffixes = {"output": ".json", "markdown": ".md"}
    outputs = [Output(path, (suffixes[n],)) for n, path in files.items() if path is not None]
    check_outputs(outputs, sources, overwrite=overwrite)


def _facts(report: KindsReport, options: AnalyzeOptions) -> dict[str, Any]:
    return {
        "model": dict(report.identity),
        "options": options.shaping(),
        "kinds": [kind.to_dict() for kind in report.kinds],
    }


def _in_words(report: KindsReport) -> list[str]:
    from geochg.evaluation.tables import in_words

    return [report.identity["id"], *in_words(report.kinds)]
