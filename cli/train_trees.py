"""`geochg train trees`: trees learn from labelled tiles which tiles changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geochg.extras import require_packages
from geochg.training.trees.options import TreeTrainingOptions

from .interrupts import interrupts_raised
from .new_folder import check_new_folder
from .pair_options import named_values
from .shared_options import (
    PATH,
    device_option,
    field_options,
    json_option,
    model_options,
    output_option,
    path_option,
)
from .terminal import echo

if TYPE_CHECKING:
    from geochg.models.trees.card import TreesCard

_DEFAULTS = TreeTrainingOptions()


@click.command()
@click.argument("pairs", type=PATH)
@model_options(_DEFAULTS.model)
@output_option("The folder to make, for --model trees:FOLDER.", required=True)
@field_options(TreeTrainingOptions)
@path_option(
    "--place-file",
    "A table with the column pair and that of --place, for pairs that have none of their own.",
    "FILE.csv",
)
@device_option(_DEFAULTS.device)
@json_option("what was made")
def trees(
    pairs: Path,
    output: Path,
    place_file: Path | None,
    model_options: tuple[str, ...],
    as_json: bool,
    **params: Any,  # noqa: ANN401
) -> None:
    """Learn from labelled tiles which tiles changed.

    PAIRS is a folder with A/, B/ and label/, or a CSV file with the columns before, after and
    changed, as for geochg evaluate: a hundred tiles of your own are enough. Gradient boosting and
    a random forest learn from what a model tells of both dates; the one that is better on places
    that it has not seen is kept.

    \b
    Examples:
      geochg train trees PAIRS --model builtin -o trees
      geochg train trees tiles.csv --model clip:FOLDER --place town -o trees
      geochg evaluate OTHERS --model trees:trees
      geochg analyze 2024.tif 2025.tif --model trees:trees -o changes.gpkg
    """
    check_new_folder(output)
    require_packages("learn", "sklearn", "onnx")
    from geochg.training.trees.train import train_trees
    from geochg.writers.staging import Staging

    from .progress import showing_progress

    values = {name: value for name, value in params.items() if value is not None}
    options = TreeTrainingOptions.from_dict(
        {**values, "model_options": named_values(model_options)}
    )
    with interrupts_raised(), showing_progress() as listener, Staging() as staging:
        with staging.write(output) as folder:
            card = train_trees(pairs, folder, options, place_file, listener)
        staging.commit()
    if as_json:
        echo(json.dumps({"folder": str(output), "card": json.loads(card.to_json())}))
    else:
        echo("\n".join(_in_words(output, card)))


def _in_words(output: Path, card: TreesCard) -> list[str]:
    from geochg.evaluation.tables import aligned_rows
    from geochg.training.trees.scoring import in_words

    return [
        f"{output}",
        f"  {card.classifier} on {card.columns} {card.features} features of {card.identity['id']}",
        f"  of {card.tiles['changed']} changed and {card.tiles['unchanged']} unchanged tiles in "
        f"{card.places} places, by {card.divided_by}",
        "  on held-out places, by cross-validation:",
        *(f"  {row}" for row in aligned_rows(in_words(card.scores))),
    ]
