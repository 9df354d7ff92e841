"""Fine-tunes the built-in model on floods told in other words than its own; scores before, after.

    python benchmarks/tuning.py FOLDER --data DATA [--steps 100]

It learns from the floods that its training left out for their clouds, black margins and odd colours
(`odd.txt`), and is tested on those that were held out. Both are told as a warning service might:
how bad it is, and in which corner. Everything runs through the command line. FOLDER keeps the rows,
the adapter and `scores.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flood_rows
import machine
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geochg.records import Task
from geochg.tasks import SPECS

TUNE = (
    *("--lora", "language,qformer,summary,dense"),
    *("--rank", "16", "--alpha", "32", "--dropout", "0"),
    *("--learning-rate", "2e-3", "--batch-size", "8", "--validation-share", "0.05"),
)
TASKS = (Task.CAPTION, Task.PRESENCE)

NO_FLOOD = "all clear"
LEVELS = ((0.02, "watch"), (0.15, "warning"), (1.0, "emergency"))
"""What is said up to which flooded share."""

CORNERS = (("northwest", "northeast"), ("southwest", "southeast"))


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of real imagery")
    parser.add_argument("--steps", type=int, default=100)
    given = parser.parse_args()
    given.folder.mkdir(exist_ok=True)
    held_out = flood_rows.held_out(given.data)
    learned = flood_rows.odd_before(given.data, held_out[0])
    learn = warnings(given.folder / "learn", given.data, learned)
    test = warnings(given.folder / "test", given.data, held_out)
    adapter = given.folder / "adapter"
    how = (*TUNE, "--steps", str(given.steps))
    command = ("train", str(learn), "--model", "builtin", *how, "-o", str(adapter))
    tuned = None if adapter.exists() else machine.measure("-m", "geochg_cli", *command)
    found = {
        "command": " ".join(("geochg train warnings.json --model builtin", *how)),
        "machine": machine.describe(),
        "learned": len(learned),
        "tested": len(held_out),
        "seconds": tuned and round(tuned.seconds),
        "peak_mb": tuned and round(tuned.peak_mb),
        "before": evaluated(test),
        "after": evaluated(test, "--model-option", f"adapter={adapter}"),
    }
    (given.folder / "scores.json").write_text(json.dumps(found, indent=2), encoding="utf-8")
    print(json.dumps(found, indent=2))


def warnings(folder: Path, data: Path, names: Sequence[str]) -> Path:
    """The file of rows of some floods, in the words of the warning service."""
    file = folder / "rows" / "warnings.json"
    if not file.exists():
        rows = flood_rows.build_rows(data, names, folder)
        told = {
            path.stem: warning(np.asarray(Image.open(path)) > 0)
            for path in (rows / "label").glob("*.png")
        }
        made = json.loads((rows / "test.json").read_text("utf-8"))
        file.write_text(json.dumps(reworded(made, told), indent=1), encoding="utf-8")
    return file


def warning(flooded: NDArray[np.bool_]) -> str:
    """One sentence: how bad it is, and in which quarter of the picture most."""
    share = flooded.mean()
    if share == 0:
        return NO_FLOOD
    level = next(name for most, name in LEVELS if share <= most)
    rows, cols = (side // 2 for side in flooded.shape)
    quarters = {
        CORNERS[down][right]: flooded[
            down * rows : (down + 1) * rows, right * cols : (right + 1) * cols
        ].sum()
        for down in (0, 1)
        for right in (0, 1)
    }
    return f"flood {level}, worst in the {max(quarters, key=lambda name: quarters[name])}"


def reworded(rows: list[dict[str, Any]], told: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows of `TASKS`, one caption a pair, as the service words it.

    Args:
        rows: As `geochg dataset build` writes them.
        told: The warnings by the names of the pairs.
    """
    prompts = {SPECS[task].prompts[0]: task for task in TASKS}
    kept: dict[tuple[str, Task], dict[str, Any]] = {}
    for row in rows:
        asked = row["conversations"][0]["value"].replace("<image>", "").strip()
        task = prompts.get(asked) if len(row["conversations"]) == 2 else None
        if task is not None:
            name = Path(row["image"][0]).stem
            if task is Task.CAPTION:
                row["conversations"][1]["value"] = told[name]
            kept.setdefault((name, task), row)
    return list(kept.values())


def evaluated(rows: Path, *options: str) -> Any:  # noqa: ANN401
    """All that `geochg evaluate --json` tells of the built-in model."""
    command = ("evaluate", str(rows), "--model", "builtin", *options, "--no-meteor", "--json")
    return json.loads(machine.measure("-m", "geochg_cli", *command).stdout)


if __name__ == "__main__":
    main()
