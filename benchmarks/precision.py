"""What int8 costs the built-in model on labelled pairs, and what it saves on a busy scene.

    python benchmarks/precision.py --kinds FOLDER

Scores are those of all pairs of a kind, by the code of `geochg evaluate`. Times are of the vision
part alone on one thread, for tiles of 256 px seen in both sizes; `--kinds` as in `builtin.py`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import builtin_speed
import machine

from geochg import AnalyzeOptions, open_pair, read_tiles
from geochg.datasets.kinds import Kind, kinds_of
from geochg.evaluation.kind_scores import KindScores, kinds_report
from geochg.evaluation.map_scores import METRICS
from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.options import Precision
from geochg.models.registry import load_model
from geochg.records import Tile

PRECISIONS = (Precision.FLOAT32, Precision.INT8)
SIDE, ROUNDS = 4, 5


def main(kinds: Sequence[Kind]) -> None:
    """Prints both tables."""
    print(machine.describe())
    with tempfile.TemporaryDirectory() as folder:
        scene = builtin_speed.SCENES["5 m, busy"]
        before, after = builtin_speed.write_scene(Path(folder), scene, SIDE)
        for precision in PRECISIONS:
            print(f"  {precision:10} {vision_ms(precision, before, after):6.1f} ms a tile")
    print("  kind                 precision  " + "  ".join(f"{name:>10}" for name in METRICS))
    reports = [
        kinds_report(kinds, AnalyzeOptions(model="builtin", model_options={"precision": precision}))
        for precision in PRECISIONS
    ]
    for float_scores, int8_scores in zip(*(report.kinds for report in reports), strict=True):
        rows = [_scores(float_scores), _scores(int8_scores)]
        for precision, row in zip(PRECISIONS, rows, strict=True):
            print(f"  {float_scores.name:20} {precision:10} " + _line(row, "10.3f"))
        change = [after - before for before, after in zip(*rows, strict=True)]
        print(f"  {'':20} {'change':10} " + _line(change, "+10.3f"), flush=True)


def vision_ms(precision: Precision, before: Path, after: Path) -> float:
    """Milliseconds of the vision part for a tile: median of the tiles, best of some rounds."""
    model = load_model("builtin", {"precision": precision}, "cpu")
    assert isinstance(model, DeltaVLMModel)
    assert model.detector is not None
    pair = open_pair(before, after, None, model.capabilities.bands)
    tiles = [tile for tile in read_tiles(pair) if isinstance(tile, Tile)]
    model.survey(pair.facts, tiles)
    assert model.scene is not None
    rounds = []
    for _ in range(ROUNDS):
        times = []
        for tile in tiles:
            start = time.perf_counter()
            model.detector.detect([tile], model.scene, needs_tokens=False)
            times.append(time.perf_counter() - start)
        rounds.append(1000 * median(times))
    return min(rounds)


def _scores(kind: KindScores) -> list[float]:
    line = kind.tables[0].lines[0]
    return [line.values[name] or 0.0 for name in METRICS]


def _line(values: Sequence[float], form: str) -> str:
    return "  ".join(f"{value:{form}}" for value in values)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", type=Path, required=True, help="folder of pairs with masks")
    main(kinds_of(parser.parse_args().kinds))
