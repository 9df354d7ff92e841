"""`geochg evaluate` on folders of pairs with masks: where something changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geochg.errors import OptionError

from .evaluate_files import check_files, write_report
from .pair_options import options_of

if TYPE_CHECKING:
    from geochg.datasets.kinds import Kind
    from geochg.evaluation.column_groups import ColumnScores
    from geochg.evaluation.kind_scores import KindScores
    from geochg.evaluation.tables import Section


def evaluate_kinds(ctx: click.Context) -> None:
    """Maps the pairs of the sources and scores the maps."""
    options = replace(options_of(ctx), resume=False)
    files = {"output": ctx.params["output"], "markdown": ctx.params["markdown_file"]}
    sources = ctx.params["sources"]

    from geochg.datasets.kinds import kinds_of
    from geochg.evaluation.kind_scores import kinds_report
    from geochg.evaluation.tables import in_words

    from .progress import showing_progress

    names, by_file = ctx.params["by"], ctx.params["by_file"]
    check_files(files, [*sources, by_file], overwrite=ctx.params["overwrite"])
    kinds = [kind for source in sources for kind in kinds_of(source)]
    columns = _columns(kinds, names, by_file)
    exchange_seed = ctx.params["seed"] if ctx.params["exchange"] else None
    with showing_progress() as listener:
        report = kinds_report(kinds, options, listener, exchange_seed=exchange_seed)
    model_id = report.identity["id"]
    scored_kinds = [(kind, columns[kind.name]) for kind in report.kinds]
    groups = {
        kind.name: {name: kind.by_column(name, of_kind) for name in names if kind.scored}
        for kind, of_kind in scored_kinds
    }
    facts = {
        "model": dict(report.identity),
        "options": options.shaping(),
        "kinds": [
            {**kind.to_dict(), "by": {n: part.to_dict() for n, part in groups[kind.name].items()}}
            if names
            else kind.to_dict()
            for kind in report.kinds
        ],
    }
    sections = [part for kind in report.kinds for part in _sections(kind, groups[kind.name])]
    lines = [model_id, *in_words(sections)]
    write_report(ctx.params, files, model_id, sections, facts, lines)


def _columns(
    kinds: Sequence[Kind], names: Sequence[str], file: Path | None
) -> dict[str, dict[str, Mapping[str, str]]]:
    """The columns of the pairs of each kind; a file may call them KIND/PAIR or PAIR."""
    if file is None:
        if names:
            raise OptionError(
                f"there is no column {names[0]!r} to score by",
                "give it with --by-file, a table with the column pair",
            )
        return {kind.name: {} for kind in kinds}
    from geochg.datasets.group_columns import read_columns
    from geochg.evaluation.column_groups import columns_of_pairs, group_indexes

    given_names = read_columns(file).keys()
    columns = {}
    for kind in kinds:
        calls = {pair.name: f"{kind.name}/{pair.name}" for pair in kind.pairs}
        calls = {n: call if call in given_names else n for n, call in calls.items()}
        of_file = columns_of_pairs(file, calls.values())
        columns[kind.name] = {name: of_file[call] for name, call in calls.items()}
    for name in names:
        # A column that is not there is refused before the first map.
        group_indexes([row for of_kind in columns.values() for row in of_kind.values()], name)
    return columns


def _sections(kind: KindScores, groups: Mapping[str, ColumnScores]) -> list[Section]:
    """What is told about a kind: its scores, its groups, the exchange, the heat of its cells."""
    from geochg.evaluation.histogram import HistogramSection

    sections: list[Section] = [kind, *groups.values()]
    if kind.exchange is not None:
        sections.append(kind.exchange)
    if (histogram := kind.histogram()) is not None:
        name = f"{kind.name}, histogram"
        sections.append(HistogramSection([histogram], name, name))
    return sections
