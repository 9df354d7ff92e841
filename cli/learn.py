"""`geochg learn`: reviewed layers in, what the next run is to heed out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .shared_options import device_option, json_option, model_options, path_option
from .terminal import echo
from .tile_interrupts import stop_on_interrupt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geochg.pipeline.learn import LearnResult, RankedChange

_MOST_RANKED = 20
"""Most changes that are told in words."""


@click.command()
@click.argument("layers", nargs=-1, required=True, metavar="LAYER...")
@path_option(
    "-o", "What was learned: a folder, for `geochg analyze --learned`.", "FOLDER", "output"
)
@click.option(
    "--rank",
    is_flag=True,
    help="Tell in which order the changes of LAYER are best reviewed that are left to review.",
)
@path_option("--learned", "What was learned before, by which --rank judges.", "FOLDER", "head")
@model_options("builtin")
@device_option("auto")
@json_option("what was learned")
def learn(
    layers: tuple[str, ...],
    output: Path | None,
    rank: bool,
    head: Path | None,
    model: str,
    model_options: tuple[str, ...],
    device: str,
    as_json: bool,
) -> None:
    """Learn from the review of LAYER, or of several, what counts as a change here.

    The changes that you accepted, rejected, gave another class or drew in QGIS, or any program
    wrote so into the fields review and review_class, are the examples: 20 accepted and 20 rejected
    ones at least. The images are looked for where they were, and beside the layers.

    \b
    Examples:
      geochg learn changes.gpkg -o my-changes
      geochg learn north.gpkg south.gpkg "project.gpkg|layername=changes_2024" -o my-changes
      geochg analyze 2024.tif 2025.tif -o next.gpkg --learned my-changes
      geochg learn next.gpkg --rank --learned my-changes
    """
    if rank == (output is not None):
        raise click.UsageError("give -o/--output FOLDER, or --rank to order a layer")
    if head is not None and not rank:
        raise click.UsageError("--learned goes with --rank: learning begins anew each time")
    if rank and len(layers) > 1:
        raise click.UsageError("--rank takes one LAYER")

    from geochg.pipeline.examples import LearnOptions
    from geochg.pipeline.learn import learn as learn_from
    from geochg.pipeline.learn import rank_layer

    from .pair_options import named_values
    from .progress import showing_progress

    options = LearnOptions(model, named_values(model_options), device)
    with showing_progress() as listener, stop_on_interrupt() as cancel:
        if output is None:
            ranked = rank_layer(layers[0], head, options, listener=listener, cancel=cancel)
            echo(_ranked_json(ranked) if as_json else "\n".join(_ranked_words(ranked)))
            return
        result = learn_from(layers, output, options, listener=listener, cancel=cancel)
    echo(_as_json(result) if as_json else "\n".join(_in_words(result)))


def _as_json(result: LearnResult) -> str:
    facts = {"outputs": {"head": str(result.folder)}, "card": json.loads(result.card.to_json())}
    return json.dumps({**facts, "notes": list(result.notes)}, allow_nan=False)


def _in_words(result: LearnResult) -> Iterator[str]:
    card = result.card
    yield f"{result.folder}"
    kinds = ", ".join(f"{count:,} {name}" for name, count in card.verdicts.items() if count)
    yield f"  of {kinds}, by {card.classifier}"
    yield f"  precision of what it keeps: {card.precision}"
    yield f"  recall of what was accepted: {card.recall}"
    yield f"  by cross-validation over {card.places} places; see README.md in the folder"


def _ranked_json(ranked: Sequence[RankedChange]) -> str:
    return json.dumps({"ranked": [change._asdict() for change in ranked]}, allow_nan=False)


def _ranked_words(ranked: Sequence[RankedChange]) -> Iterator[str]:
    yield f"{len(ranked):,} changes are left to review, the least certain first:"
    for change in ranked[:_MOST_RANKED]:
        probability = "not known" if change.probability is None else f"{change.probability:.2f}"
        yield f"  {change.id}: {probability}"
    if len(ranked) > _MOST_RANKED:
        yield f"  and {len(ranked) - _MOST_RANKED:,} more; --json tells all"
