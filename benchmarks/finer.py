"""What `--refine` and `--vote` make of a model that answers by the 3x3 grid, and what they cost.

    python benchmarks/finer.py KINDS [--ways grid vote ...]

KINDS holds pairs with masks, as `geochg evaluate` takes them; those of several tiles tell most. The
model is the built-in one, restricted to the grid (`grid_plugin`). Scores compare the mapped area
with the mask over all pairs of a kind, as `geochg evaluate` does; `outlines` is what the
unrestricted model maps. Pictures are tiles and enlarged cells shown to the model.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import kind_tables
import machine
from card import table

from geochg import AnalyzeOptions
from geochg.datasets.kinds import Kind, kinds_of
from geochg.evaluation.kind_scores import KindScores, kinds_report
from geochg.evaluation.map_measures import PixelCounts

PLUGIN = Path(__file__).parent / "grid_plugin"

WAYS: dict[str, dict[str, Any]] = {
    "grid": {},
    "vote": {"vote": True},
    "refine 1": {"refine": 1},
    "refine 2": {"refine": 2},
    "refine 1 and vote": {"refine": 1, "vote": True},
    "outlines": {"model": "builtin"},
}

HEAD = ("Way", "IoU", "F1", "Precision", "Recall", "Pictures")


def main(kinds: Sequence[Kind], ways: Sequence[str]) -> None:
    """Prints a table a kind."""
    sys.path.insert(0, str(PLUGIN))
    print(machine.describe())
    for kind in kinds:
        print(f"\n{kind.name}, {len(kind.pairs)} pairs\n")
        print(table(HEAD, _lines(kind, {way: WAYS[way] for way in ways})), flush=True)


def _lines(kind: Kind, ways: Mapping[str, dict[str, Any]]) -> Iterator[kind_tables.Row]:
    import geochg_gridded

    for name, way in ways.items():
        geochg_gridded.ASKED.clear()
        options = AnalyzeOptions.from_dict({"model": "gridded", **way})
        scores = kinds_report([kind], options).kinds[0]
        pictures = geochg_gridded.ASKED["pictures"]
        yield (name, *figures(counted(scores)), f"{pictures:,}" if pictures else "")


def counted(scores: KindScores) -> PixelCounts:
    """The pixels of all pairs of a kind."""
    each = [pair.pixels for pair in scores.pairs]
    return PixelCounts(*(sum(getattr(one, name) for one in each) for name in PixelCounts.__slots__))


def figures(pixels: PixelCounts) -> tuple[str, ...]:
    """IoU, F1, precision and recall; a dash where a score divides by nothing."""
    found = pixels.hits + pixels.alarms
    quotients = (
        (pixels.hits, pixels.changed + pixels.alarms),
        (2 * pixels.hits, found + pixels.changed),
        (pixels.hits, found),
        (pixels.hits, pixels.changed),
    )
    return tuple(f"{over / under:.3f}" if under else "-" for over, under in quotients)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", type=Path)
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS))
    given = parser.parse_args()
    main(kinds_of(given.kinds), given.ways)
