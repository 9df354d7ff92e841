"""The scores of the model radar on labelled radar pairs, as the table of docs/models.md.

    python benchmarks/radar.py KIND [--scale db] [--beside irmad builtin] [--markdown FILE]

KIND is the folder of one kind of pairs, as `geochg evaluate` takes it, whose files do not say what
their values measure. It prints `radar` with all that it finds and with water only, the models
beside it, differencing at thresholds that have seen the masks, and "all changed", each with the
interval of a bootstrap over the pairs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import kind_tables
import machine

from geochg import AnalyzeOptions
from geochg.datasets.kinds import Kind, kinds_of
from geochg.evaluation.kind_scores import KindsReport, kinds_report
from geochg.events import Event, Notice


def reports(
    kinds: Sequence[Kind], scale: str, beside: Sequence[str]
) -> tuple[list[str], list[KindsReport]]:
    """The names of the lines, and the report of each."""
    radar = AnalyzeOptions(model="radar", model_options={"scale": scale})
    asked = {
        "`radar`": radar,
        "`radar --classes water`": replace(radar, classes=("water",)),
        **{f"`{model}`": AnalyzeOptions(model=model) for model in beside},
    }
    return list(asked), [kinds_report(kinds, options, _tell) for options in asked.values()]


def _tell(event: Event) -> None:
    if isinstance(event, Notice) and event.warning:
        print(f"warning: {event.message}", flush=True)


def table(names: Sequence[str], found: Sequence[KindsReport]) -> str:
    """The table as Markdown, without the columns of the kind."""
    rows = [kind_tables.HEAD[2:], ("---",) * (len(kind_tables.HEAD) - 2)]
    rows += [row[2:] for row in kind_tables.rows(names, found)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def main() -> None:
    """Prints the table, and the machine it was measured on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", type=Path, help="folder of one kind of pairs")
    parser.add_argument("--scale", default="db", help="what the values measure")
    parser.add_argument("--beside", nargs="*", default=["irmad", "cva", "builtin"])
    parser.add_argument("--markdown", type=Path, help="file for the table")
    arguments = parser.parse_args()
    text = table(*reports(kinds_of(arguments.kind), arguments.scale, arguments.beside))
    print(text, machine.describe(), sep="\n")
    if arguments.markdown:
        arguments.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
