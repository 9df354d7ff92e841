"""What the built-in model loses where it looks at quiet tiles in half size only.

    python benchmarks/first_look.py --kinds FOLDER --data FOLDER

Each tile is seen in both sizes, as if none were quiet, and told with which margins below the cuts
it would not have been seen in full; see `postprocessing.QUIET_MARGIN`. Lost are changed pixels of
such tiles. `alike` is of the tiles that no network sees; see `alike_dates.MOST_DIFFERENCE`.
`--kinds` and `--data` are as in `builtin.py`; scenes as in `builtin_speed.py` are made of the
example pairs.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import builtin_speed
import machine
import numpy as np
import unchanged

from geochg import open_pair, read_tiles
from geochg.datasets.kinds import kinds_of
from geochg.models.deltavlm.alike_dates import needs_no_network
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.postprocessing import OutlineMaker
from geochg.models.deltavlm.runtime.vision_output import DenseArrays
from geochg.models.registry import load_model
from geochg.options import Sensitivity
from geochg.records import Tile

MARGINS = (0.0, 1.0, 2.0, 3.0, 4.0)
HIGH = Sensitivity.HIGH.log_odds
SIDE = 8
"""Blocks along the side of the scenes that are made of the example pairs."""


class Look(NamedTuple):
    """A tile.

    Attributes:
        is_skipped: Whether its dates are alike, then for each of `MARGINS` whether it would not be
            looked at in full.
        changed_px: Its changed pixels, at the size of the head's maps.
        sensitive_px: Its changed pixels with `--sensitivity high`.
    """

    is_skipped: tuple[bool, ...]
    changed_px: int
    sensitive_px: int


def pairs(kinds: Path, data: Path, folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """Name and both rasters of each pair."""
    for name, scene in builtin_speed.SCENES.items():
        before, after = builtin_speed.write_scene(folder, scene, SIDE)
        yield name, before, after
    for kind in kinds_of(kinds):
        yield from ((kind.name, pair.before, pair.after) for pair in kind.pairs)
    for group in unchanged.groups(data):
        yield from ((group.name, pair.before, pair.after) for pair in group.pairs)


def looks_at(model: DeltaVLMModel, before: Path, after: Path) -> Iterator[Look]:
    """The tiles of a pair, all seen in both sizes."""
    assert model.detector is not None
    pair = open_pair(before, after, None, model.capabilities.bands)
    tiles = [tile for tile in read_tiles(pair) if isinstance(tile, Tile) and tile.valid.any()]
    model.survey(pair.facts, tiles[:: max(1, len(tiles) // model.capabilities.survey_tiles)])
    assert model.scene is not None
    maker = OutlineMaker(model.detector.head, model.scene)
    for tile in tiles:
        output = model.detector.detect([tile], model.scene)
        assert output.half is not None
        (prediction,) = maker.small_predictions(output, [tile])
        above = np.maximum(
            prediction.change - maker.cuts.change, prediction.building - maker.cuts.building
        )
        changed, sensitive = (int(np.count_nonzero(above >= cut)) for cut in (0, HIGH))
        half: DenseArrays = output.half
        quiet = tuple(maker.is_quiet(half, margin) for margin in MARGINS)
        is_alike = needs_no_network(tile, model.scene)
        yield Look((is_alike, *quiet), changed, sensitive)


def main(kinds: Path, data: Path) -> None:
    """Prints a table."""
    print(f"{machine.describe()}; share of tiles not seen in full, of changed")
    print("pixels lost, and of those lost with --sensitivity high; %")
    print(f"{'':45} tiles " + "".join(f"{name:>17}" for name in ("alike", *MARGINS)))
    model = load_model("builtin", {}, "cpu")
    assert isinstance(model, DeltaVLMModel)
    looks: dict[str, list[Look]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, before, after in pairs(kinds, data, Path(folder)):
            looks.setdefault(name, []).extend(looks_at(model, before, after))
    for name, rows in looks.items():
        quiet = np.array([row.is_skipped for row in rows])
        lost = [
            100 * (quiet * px[:, None]).sum(axis=0) / max(px.sum(), 1)
            for px in np.array([row[1:] for row in rows]).T
        ]
        shares = zip(100 * quiet.mean(axis=0), *lost, strict=True)
        cells = "".join(f"{share:5.0f} {part:5.2f} {high:5.2f}" for share, part, high in shares)
        print(f"{name:45} {len(rows):5} {cells}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    main(arguments.kinds, arguments.data)
