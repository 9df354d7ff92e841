"""`geochg evaluate` on folders of pairs with masks: where something changed."""

from __future__ import annotations

from dataclasses import replace

import click

from .evaluate_files import check_files, write_report
from .pair_options import options_of


def evaluate_kinds(ctx: click.Context) -> None:
    """Maps the pairs of the sources and scores the maps."""
    options = replace(options_of(ctx), resume=False)
    files = {"output": ctx.params["output"], "markdown": ctx.params["markdown_file"]}
    sources = ctx.params["sources"]

    from geochg.datasets.kinds import kinds_of
    from geochg.evaluation.kind_scores import kinds_report
    from geochg.evaluation.tables import in_words

    from .progress import showing_progress

    check_files(files, sources, overwrite=ctx.params["overwrite"])
    kinds = [kind for source in sources for kind in kinds_of(source)]
    with showing_progress() as listener:
        report = kinds_report(kinds, options, listener)
    model_id = report.identity["id"]
    facts = {
        "model": dict(report.identity),
        "options": options.shaping(),
        "kinds": [kind.to_dict() for kind in report.kinds],
    }
    lines = [model_id, *in_words(report.kinds)]
    write_report(ctx.params, files, model_id, report.kinds, facts, lines)
