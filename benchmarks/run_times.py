"""How near the panel's estimate of a run is to what the run takes, before and after it learned.

    python benchmarks/run_times.py [--models builtin cva] [--sides 4 8 16] [--rounds 2]

Each pair is described and analysed by a worker, as the panel does it; the ratios are those of the
estimate to the time by the clock, so that 1 is exact and above 1 too long. The first column of
ratios is the worker's own expectation, the second what the panel shows, which has learned from the
runs above it. The scenes are those of `builtin_speed.py`, squares of `--sides` blocks of 256 px:
`sparse` has changes in every sixteenth block, `busy` in each. A machine that is busy with other
things meanwhile changes the two times alike, as far as it stays so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import machine
from builtin_speed import DUBAI, PONDS, TILE_PX, Scene, write_scene

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

from plugin_package import load_plugin_package

load_plugin_package()

from geochg_qgis.link.client import HELLO_S, WorkerClient  # noqa: E402
from geochg_qgis.link.run_times import RunTime, corrected_time, with_run  # noqa: E402

SCENES = {"sparse": Scene(PONDS, 4), "busy": Scene(DUBAI, 1), "unchanged": Scene(PONDS, 0)}
FACTOR = 2
"""What an estimate may be off by."""


def main(models: list[str], sides: list[int], rounds: int) -> None:
    """Prints a row for each run, and how many estimates are within the factor."""
    print(machine.describe())
    print("model     scene       size        expected    shown    taken   expected   shown")
    for model in models:
        client = WorkerClient(Path(sys.executable))
        client.start(HELLO_S, bool)
        try:
            _measure(client, model, sides, rounds)
        finally:
            client.close()


def _measure(client: WorkerClient, model: str, sides: list[int], rounds: int) -> None:
    runs: list[RunTime] = []
    ratios: list[list[tuple[float, float]]] = []
    for number in range(rounds):
        ratios.append([])
        print(f"round {number + 1}")
        for side in sides:
            for name, scene in SCENES.items():
                expected_s, taken_s = _run(client, model, scene, side)
                shown_s = corrected_time(expected_s, runs)
                runs = with_run(runs, RunTime(expected_s, taken_s))
                ratios[-1].append((expected_s / taken_s, shown_s / taken_s))
                size = f"{side * TILE_PX} px"
                print(
                    f"{model:9} {name:11} {size:9} {expected_s:8.1f} s {shown_s:6.1f} s "
                    f"{taken_s:6.1f} s {expected_s / taken_s:10.2f} {shown_s / taken_s:7.2f}",
                    flush=True,
                )
    for number, pairs in enumerate(ratios):
        expected, shown = (sum(map(_is_within, column)) for column in zip(*pairs, strict=True))
        print(
            f"{model}, round {number + 1}: within a factor of {FACTOR}: "
            f"{expected} of {len(pairs)} as expected, {shown} of {len(pairs)} as shown"
        )


def _is_within(ratio: float) -> bool:
    return 1 / FACTOR <= ratio <= FACTOR


def _run(client: WorkerClient, model: str, scene: Scene, side: int) -> tuple[float, float]:
    """The time that the worker expects, and that the run takes, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = (str(path) for path in write_scene(Path(folder), scene, side))
        pair = {"before": before, "after": after, "options": {"model": model}, "folder": folder}
        expected_s = float(client.ask("describe", pair)["seconds"])
        start = time.perf_counter()
        client.ask("analyze", {**pair, "outputs": {"features": f"{folder}/changes.gpkg"}})
        return expected_s, time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["builtin", "cva"])
    parser.add_argument("--sides", nargs="+", type=int, default=[4, 8, 16])
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    main(arguments.models, arguments.sides, arguments.rounds)
