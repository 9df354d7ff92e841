"""Rows of questions and answers about real floods that the built-in model did not learn from."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import machine

from geochg.datasets.ground.series import floods, split_grounds

CLASSES = "1=water"
"""How the masks are coded: anything that changed is water that appeared."""

TILE_PX = 128

PARTS = {"before": "A", "after": "B", "mask": "label"}


def held_out(data: Path) -> list[str]:
    """The floods on which the built-in model was calibrated, but from which it did not learn."""
    return [ground.name for ground in split_grounds(list(floods(data)))[1]]


def odd_before(data: Path, name: str) -> list[str]:
    """The floods with clouds, black margins or odd colours, numbered below a name.

    They are in no training. Neighbouring numbers may be one flood.
    """
    lines = (data / "floods_s2" / "odd.txt").read_text("utf-8").splitlines()
    return [odd for line in lines if (odd := line.split("\t")[0].strip()) < name]


def build_rows(data: Path, names: Sequence[str], folder: Path) -> Path:
    """Copies pairs beside each other, cuts them and makes rows; gives the folder of rows.

    All rows are of one part, `test`. In a quarter of a pair often nothing was flooded, so that
    there are unchanged pairs too.
    """
    pictures, rows = folder / "pictures", folder / "rows"
    for source, part in PARTS.items():
        place = pictures / "test" / part
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copy(data / "floods_s2" / source / f"{name}.tif", place)
    machine.measure(
        *("-m", "geochg_cli", "dataset", "build", str(rows), "--pairs", str(pictures)),
        *("--classes", CLASSES, "--tile-size", str(TILE_PX), "--json"),
    )
    return rows
