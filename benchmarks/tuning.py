"""Fine-tunes the built-in model on imagery and wording it has never seen; scores before and after.

It was made for red, green and blue. Here the synthetic world is shown in colour infrared (near
infrared, red, green in place of red, green, blue), as many agencies fly it, with far more
demolition, and told of as a land register would: in the terms of an office, not in those of the
model's own grammar. Pairs to learn from and to test on are drawn from seeds that no model of ours
has used.

    python benchmarks/tuning.py FOLDER [--pairs 240] [--tests 200] [--steps 400]
        [--teach caption,count]

docs/training.md also tells what `--teach caption --steps 240` comes to.

Everything runs through the command line. FOLDER keeps the data, the adapter and `scores.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import machine
import numpy as np
from PIL import Image

from geochg.datasets.world.options import WorldOptions
from geochg.datasets.world.write import write_dataset
from geochg.records import Task
from geochg.tasks import SPECS

FIRST_SEED, FIRST_TEST_SEED = 30_000_000, 40_000_000
TUNE = (
    *("--lora", "language,qformer,summary,dense,vision"),
    *("--rank", "16", "--alpha", "32", "--dropout", "0"),
    *("--learning-rate", "2e-3", "--batch-size", "8", "--validation-share", "0.05"),
)
TAUGHT = "caption,count"
"""What an office has: its register, how many of what, and masks (beside the pictures), from which
the dense head learns presence and places. Captions alone make it forget how to count.
"""

ASKED = (Task.CAPTION, Task.PRESENCE, Task.COUNT, Task.LOCATE)

NO_ENTRY = "no entry"
ENTRIES = {
    "building": ("building", "erected", "demolished", "altered"),
    "road": ("carriageway", "laid", "lifted", "realigned"),
    "vegetation": ("stand", "afforested", "felled", "thinned"),
    "water": ("basin", "flooded", "drained", "reshaped"),
    "bare": ("parcel", "stripped", "restored", "regraded"),
    "other": ("installation", "set up", "withdrawn", "refitted"),
}
"""How the register calls a class, and what appears, disappears and is altered of it."""


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=240)
    parser.add_argument("--tests", type=int, default=200)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--teach", default=TAUGHT)
    given = parser.parse_args()
    taught = [Task(name) for name in given.teach.split(",")]
    how = (*TUNE, "--steps", str(given.steps))
    given.folder.mkdir(exist_ok=True)
    learn = draw(given.folder / "learn", FIRST_SEED, given.pairs, taught)
    test = draw(given.folder / "test", FIRST_TEST_SEED, given.tests, ASKED)
    adapter = given.folder / "adapter"
    command = ("train", str(learn), "--model", "builtin", *how, "-o", str(adapter))
    tuned = None if adapter.exists() else machine.measure("-m", "geochg_cli", *command)
    found = {
        "command": " ".join(("geochg train register.json --model builtin", *how)),
        "machine": machine.describe(),
        "seconds": tuned and round(tuned.seconds),
        "peak_mb": tuned and round(tuned.peak_mb),
        "before": evaluated(test),
        "after": evaluated(test, "--model-option", f"adapter={adapter}"),
    }
    (given.folder / "scores.json").write_text(json.dumps(found, indent=2), encoding="utf-8")
    print(json.dumps(found, indent=2))


def draw(folder: Path, seed: int, pairs: int, tasks: Sequence[Task]) -> Path:
    """Pairs in colour infrared; the file of their rows in the words of the register."""
    if not folder.exists():
        aside = folder.with_name(f"{folder.name}.rgb")
        if not aside.exists():
            options = WorldOptions(
                gsd_min_m=0.3, gsd_max_m=1.0, coarse_share=0.0, reversed_share=0.5, nir=True
            )
            write_dataset(aside, seed, pairs, options, workers=2)
        shown_in_infrared(aside)
        aside.rename(folder)
    rows, facts = (
        json.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("world.json", "world_facts.json")
    )
    told = {fact["image"][0]: entry(fact["counts"]) for fact in facts}
    register = folder / "register.json"
    register.write_text(json.dumps(reworded(rows, told, tasks), indent=1), encoding="utf-8")
    return register


def shown_in_infrared(folder: Path) -> None:
    """Puts near infrared, red and green in place of red, green and blue."""
    for side in ("A", "B"):
        for path in sorted((folder / side).glob("*.png")):
            colour = np.asarray(Image.open(path))
            infrared = np.asarray(Image.open(folder / f"nir_{side}" / path.name))
            Image.fromarray(np.dstack([infrared, colour[..., 0], colour[..., 1]])).save(path)


def reworded(
    rows: list[dict[str, Any]], told: Mapping[str, str], tasks: Sequence[Task]
) -> list[dict[str, Any]]:
    """The rows of some tasks, captions as the register words them."""
    prompts = {SPECS[task].prompts[0]: task for task in tasks}
    kept = []
    for row in rows:
        asked = row["conversations"][0]["value"].replace("<image>", "").strip()
        task = prompts.get(asked) if len(row["conversations"]) == 2 else None
        if task is Task.CAPTION:
            row["conversations"][1]["value"] = told[row["image"][0]]
        if task is not None:
            kept.append(row)
    return kept


def entry(counts: Mapping[str, int]) -> str:
    """One sentence of the register.

    Args:
        counts: How many of each class, by "class direction".
    """
    parts = []
    for what, number in sorted(counts.items()):
        class_name, change = what.split()
        noun, *verbs = ENTRIES[class_name]
        verb = verbs[("appeared", "disappeared", "altered").index(change)]
        parts.append(f"{noun if number == 1 else f'{noun}s'} {verb}")
    return "; ".join(parts) or NO_ENTRY


def evaluated(rows: Path, *options: str) -> Any:  # noqa: ANN401
    """All that `geochg evaluate --json` tells of the built-in model."""
    command = ("evaluate", str(rows), "--model", "builtin", *options, "--no-meteor", "--json")
    return json.loads(machine.measure("-m", "geochg_cli", *command).stdout)


if __name__ == "__main__":
    main()
