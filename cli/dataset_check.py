"""`geochg dataset check`: what is wrong with a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geochg.errors import InputError

from .shared_options import PATH, images_option, json_option
from .terminal import echo

if TYPE_CHECKING:
    from geochg.datasets.example import Example


@click.command()
@click.argument("sources", nargs=-1, required=True, type=PATH)
@images_option("Where image names start from; beside the rows when left out.")
@click.option(
    "--pixels/--no-pixels",
    default=True,
    show_default=True,
    help="Open the images: finds unreadable ones, sizes that differ, and look-alikes.",
)
@json_option("the report")
@click.pass_context
def check(
    ctx: click.Context, sources: tuple[Path, ...], images: Path | None, pixels: bool, as_json: bool
) -> None:
    """Look for what is wrong with the rows and images of SOURCES.

    A source is a file of rows (ChangeChat-105k, LEVIR-CC captions, LLaVA's format, CSV) or a
    folder that geochg made. Rows belong to the split that they, or the name of their file, tell;
    else each file is a split of its own. Exits with 1 when something is wrong.

    \b
    Examples:
      geochg dataset check mytown
      geochg dataset check changechat_105k_train.json changechat_105k_test.json --images LEVIR-CC
    """
    from geochg.datasets.check import MESSAGES, check_examples

    from .progress import showing_progress

    outside_names: list[str] = []
    splits = _splits(sources, images, outside_names)
    with showing_progress() as listener:
        report = check_examples(
            splits, pixels=pixels, outside_names=outside_names, listener=listener
        )
    if as_json:
        echo(json.dumps(report.to_dict()))
    else:
        for split, facts in report.splits.items():
            echo(f"{split}: {_in_words(facts)}")
        for problem in report.problems:
            echo(f"{problem.count} {MESSAGES[problem.kind]}:")
            for words in problem.shown:
                echo(f"  {words}")
            if problem.count > len(problem.shown):
                echo(f"  … and {problem.count - len(problem.shown)} more")
        if not report.problems:
            echo("Nothing is wrong.")
    if report.problems:
        ctx.exit(1)


def _splits(
    sources: tuple[Path, ...], images: Path | None, outside_names: list[str]
) -> dict[str, list[Example]]:
    """The examples of each split; notes which names of pictures lead elsewhere."""
    from geochg.datasets.examples import iter_examples, row_files
    from geochg.datasets.splits import split_of_name

    splits: dict[str, list[Example]] = {}
    for file in dict.fromkeys(file for source in sources for file in row_files(source)):
        # A file without rows is reported, too.
        name = split_of_name(file.stem) or file.stem
        if images is not None and not images.is_dir():
            raise InputError(f"there is no folder {images}", "check --images")
        examples = list(
            iter_examples(file, images, must_exist=False, on_outside=outside_names.append)
        )
        if not examples:
            splits.setdefault(name, [])
        for example in examples:
            splits.setdefault(example.split or name, []).append(example)
    return splits


def _in_words(facts: dict[str, Any]) -> str:
    unknown = f", {facts['not_known']} not known" if facts["not_known"] else ""
    tasks = ", ".join(f"{number} {task}" for task, number in facts["tasks"].items())
    return (
        f"{facts['rows']} rows ({tasks or 'none'}) about {facts['pairs']} pairs: "
        f"{facts['changed']} changed, {facts['unchanged']} not{unknown}"
    )
