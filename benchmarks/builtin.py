"""The scores that go into a model's card, as Markdown tables.

    python benchmarks/builtin.py --data FOLDER [--model builtin|deltavlm:FOLDER|irmad]
        [--pairs 40] [--workers 2] [--pictures FOLDER] [--card FILE [--made FILE]] [--json FILE]

`--data` is laid out as `geochg/datasets/world/textures.py` says. `--card` writes the tables, the
links to the pictures and the settings of the `config.json` beside it into the marked blocks of a
card; `--made` adds the options that `geochg train compact` noted in its work folder. A dash is
what a model cannot do.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import card_blocks
import drawn_pairs
import drawn_scores
import machine
import numpy as np
import real_pairs
import real_scores
from card import Card, RealScores, markdown
from drawn_pairs import Seen
from real_pairs import Analysed, RealPair
from scores import best_f1

from geochg.models.base import ChangeModel
from geochg.models.registry import load_model

SOURCES = ("naip_series_nd", "neon_pairs_sjer", "s2_pairs", "oam_tiles", "naip_single")
"""Folders of the data that must be there."""

# --- measuring -----------------------------------------------------------------------------------


def measured(arguments: argparse.Namespace) -> Card:
    """Asks the model about all pairs, and draws the pictures."""
    model = load_model(arguments.model, {}, arguments.device)
    checksum = model.identity.checksum
    seen = {family: _seen(model, family, arguments) for family in drawn_pairs.FAMILIES}
    every = [one for family in seen.values() for one in family]
    best = best_f1(
        np.concatenate([one.truth.ravel() for one in every]),
        np.concatenate([one.distance.ravel() for one in every]),
    )
    cut = best.threshold if best else None
    with tempfile.TemporaryDirectory() as folder:
        looked = _looked(arguments, Path(folder))
        real = _real(looked, cut)
        pictures = _drawn(looked, arguments.pictures) if arguments.pictures else {}
    return Card(
        model=arguments.model,
        checksum=checksum,
        machine=machine.describe(),
        threshold=every[0].threshold,
        difference_threshold=cut,
        drawn={family: drawn_scores.scores_of(pairs) for family, pairs in seen.items()},
        real=real,
        pictures=pictures,
    )


def _seen(model: ChangeModel, family: str, arguments: argparse.Namespace) -> list[Seen]:
    _say(f"drawing and asking about {arguments.pairs} pairs of {family}")
    data = str(arguments.data)
    return list(drawn_pairs.seen_of(model, family, data, arguments.pairs, arguments.workers))


class Looked(NamedTuple):
    """The real pairs, analysed."""

    fine: list[Analysed]
    coarse: list[Analysed]
    crops: list[Analysed]
    ponds: Analysed
    cities: list[Analysed]


def _real(looked: Looked, cut: float | None) -> RealScores:
    alarms = [
        real_scores.false_alarms(name, pairs, cut, east_only)
        for name, pairs, east_only in _unchanged(looked)
    ]
    labelled = real_scores.labelled_cities()
    return RealScores(
        false_alarms=[each for each in alarms if each is not None],
        finds={
            one.pair.name: [
                find
                for product in dict.fromkeys((one.own, one.irmad))
                for find in real_scores.finds(product)
            ]
            for one in (looked.ponds, *looked.cities)
        },
        water=real_scores.water_scores(looked.ponds, cut),
        cells={
            one.pair.name: real_scores.cell_scores(one)
            for one in looked.cities
            if one.pair.name in labelled
        },
    )


def _looked(arguments: argparse.Namespace, folder: Path) -> Looked:
    """Analyses all real pairs, with their files in a folder."""
    data = arguments.data

    def look(pairs: Iterable[RealPair]) -> list[Analysed]:
        return [_look(pair, arguments, folder) for pair in pairs]

    return Looked(
        fine=look(real_pairs.neon(data)),
        coarse=look(real_pairs.neon(data, real_pairs.NEON_M)),
        crops=look(real_pairs.crops(data)),
        ponds=_look(real_pairs.ponds(data), arguments, folder),
        cities=look(real_pairs.city(data, name, folder) for name in real_pairs.CITIES),
    )


def _look(pair: RealPair, arguments: argparse.Namespace, folder: Path) -> Analysed:
    _say(f"analysing {pair.name}")
    return real_pairs.analysed(pair, arguments.model, arguments.device, folder)


def _unchanged(looked: Looked) -> Iterator[tuple[str, list[Analysed], bool]]:
    """Pairs in which hardly anything changed, and whether only their held-out east counts."""
    for name, plots in (("0.1 m", looked.fine), ("at 0.5 m", looked.coarse)):
        yield f"savanna {name}, all plots", plots, False
        yield f"savanna {name}, held-out plots", real_scores.held_out_plots(plots), False
    for one in looked.crops:
        yield f"crops {_years(one)}", [one], False
        yield f"crops {_years(one)}, held-out east", [one], True


def _years(one: Analysed) -> str:
    return one.pair.name.removeprefix("naip_").replace("_", " to ")


def _drawn(looked: Looked, folder: Path) -> dict[str, Path]:
    """The pictures by the names of their pairs."""
    from pair_pictures import save_picture

    drawn = {}
    folder.mkdir(parents=True, exist_ok=True)
    plots = real_scores.held_out_plots(looked.coarse) or looked.coarse
    for one in (looked.ponds, *looked.cities, *plots[:1]):
        drawn[one.pair.name] = folder / f"{one.pair.name.lower()}.jpg"
        save_picture(one.pair.before, one.pair.after, one.own.layer_path, drawn[one.pair.name])
    return drawn


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


# --- command line --------------------------------------------------------------------------------


def main(arguments: argparse.Namespace) -> None:
    """Prints the tables and writes what was asked for."""
    _check(arguments)
    card = measured(arguments)
    tables = markdown(card, arguments.card.parent if arguments.card else Path())
    print(tables)
    if arguments.card is not None:
        card_blocks.fill(arguments.card, tables, arguments.made)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(asdict(card), indent=1, default=str) + "\n", "utf-8")


def _check(arguments: argparse.Namespace) -> None:
    """Ends with one line where the run would fail late."""
    for source in SOURCES:
        if not (arguments.data / source).is_dir():
            raise SystemExit(f"{arguments.data}: no folder {source} in it; see --help for --data")
    if arguments.card is not None:
        card_blocks.check(arguments.card, arguments.made)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of real imagery")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--pictures", type=Path, help="folder for pictures")
    parser.add_argument("--json", type=Path, help="file for the scores")
    parser.add_argument("--card", type=Path, help="model card whose marked blocks are filled")
    parser.add_argument("--made", type=Path, help="made.json of the training, for the card")
    parser.add_argument("--pairs", type=int, default=40, help="drawn pairs of each family")
    parser.add_argument("--workers", type=int, default=2, help="processes that draw")
    parser.add_argument("--device", default="auto")
    main(parser.parse_args())
