"""The example of docs/evaluate.md: does the built-in model look, and does it agree with itself?

Floods that the model did not learn from, cut by `geochg evaluate`, which is all that is run here:
with exchanged after images, all four questions, and groups by the column `series` of a table; then
`irmad` on a kind of pairs with masks.

    python benchmarks/evaluate_probes.py DATA FOLDER
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from flood_rows import PARTS, held_out, odd_before

PAIRS = 60
TILE_PX = 128
SERIES = ("first", "second", "third")
"""Thirds of the floods by their numbers, of which neighbouring ones may be one flood."""


def write_pairs(data: Path, folder: Path) -> Path:
    """Copies pairs into the folders that evaluate reads, and gives a table with their columns."""
    odd = set(odd_before(data, "9999"))
    names = [name for name in held_out(data) if name not in odd]
    chosen = names[:: max(1, len(names) // PAIRS)][:PAIRS]
    for source, part in PARTS.items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        for name in chosen:
            shutil.copy(data / "floods_s2" / source / f"{name}.tif", folder / part)
    table = folder / "columns.csv"
    thirds = [SERIES[len(SERIES) * number // len(chosen)] for number in range(len(chosen))]
    lines = [f"{name},{third}" for name, third in zip(chosen, thirds, strict=True)]
    table.write_text("\n".join(["pair,series", *lines]) + "\n", encoding="utf-8")
    return table


def evaluate(*arguments: str) -> None:
    """Runs `geochg evaluate`, which prints its tables."""
    subprocess.run([sys.executable, "-m", "geochg_cli", "evaluate", *arguments], check=True)


def main() -> None:
    """Writes the pairs, and scores both models."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="Folder with floods_s2 and validation.")
    parser.add_argument("folder", type=Path, help="New folder for the pairs.")
    given = parser.parse_args()
    table = write_pairs(given.data, given.folder)
    probes = ("--exchange", "--agreement", "--by", "series", "--by-file", str(table))
    cut = ("--tile-size", str(TILE_PX), "--changed-share", "0.05")
    evaluate(str(given.folder), *cut, *probes)
    kind = given.data / "validation" / "floods_10m"
    evaluate(str(kind), "--model", "irmad", "--exchange")


if __name__ == "__main__":
    main()
