"""The scores that go into the card of the built-in model, as Markdown tables.

    python benchmarks/builtin.py --kinds FOLDER --data FOLDER
        [--card geochg/models/builtin/README.md] [--pictures FOLDER] [--json FILE]
        [--model builtin|deltavlm:FOLDER]

`--kinds` holds pairs with masks as `geochg evaluate` takes them, `--data` real imagery as
docs/training.md lays it out, and `neon_pairs_sjer/{2017,2018}/*.tif`; what is missing of the latter
is left out. `--card` writes tables, links to the pictures and the settings of the `config.json`
beside it into the marked blocks of a card.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import card_blocks
import kind_tables
import machine
import pictures
import ponds
import unchanged
from card import Scores, markdown

from geochg.datasets.kinds import Kind, kinds_of
from geochg.errors import GeochgError
from geochg.events import Event, Progress
from geochg.models.registry import load_model

BESIDE = ("irmad",)
"""The models that the judged one is put beside."""


def measured(arguments: argparse.Namespace, kinds: list[Kind]) -> Scores:
    """Measures everything, and draws the pictures."""
    names = [arguments.model, *BESIDE]
    models = {name: load_model(name, {}, "auto") for name in names}
    own = models[arguments.model]
    quiet = unchanged.measured(unchanged.groups(arguments.data), models, _say)
    new_water_ha, water = ponds.measured(models)
    texts = {}
    if arguments.pictures is not None:
        pairs = list(pictures.shown_pairs(arguments.data))
        texts = pictures.draw_pictures(pairs, arguments.model, own, arguments.pictures)
    return Scores(
        models=names,
        checksum=own.identity.checksum,
        machine=f"{machine.describe()}, {own.identity.precision or 'float32'}",
        kinds=kind_tables.reports(kinds, names, _tell),
        quiet=quiet,
        new_water_ha=new_water_ha,
        water=water,
        pictures=texts,
    )


def main(arguments: argparse.Namespace) -> None:
    """Prints the tables and writes what was asked for."""
    try:
        kinds = kinds_of(arguments.kinds)
        if arguments.card is not None:
            card_blocks.check(arguments.card)
        scores = measured(arguments, kinds)
    except GeochgError as error:
        raise SystemExit(f"{error.message}; {error.hint}") from error
    beside = arguments.card.parent if arguments.card else Path()
    tables = markdown(scores, beside, arguments.pictures)
    print(tables)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(scores.to_dict(), indent=1) + "\n", "utf-8")
    if arguments.card is not None:
        card_blocks.fill(arguments.card, tables)


def _tell(event: Event) -> None:
    if isinstance(event, Progress):
        _say(f"{event.done} of {event.total} labelled pairs are scored")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", type=Path, required=True, help="folder of pairs with masks")
    parser.add_argument("--data", type=Path, required=True, help="folder of real imagery")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--card", type=Path, help="model card whose marked blocks are filled")
    parser.add_argument("--pictures", type=Path, help="folder for pictures")
    parser.add_argument("--json", type=Path, help="file for the scores")
    main(parser.parse_args())
