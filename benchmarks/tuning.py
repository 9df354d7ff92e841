"""Fine-tunes the built-in model on imagery it has never seen, and scores it before and after.

It was made for red, green and blue. Here the synthetic world is shown in colour infrared (near
infrared, red, green in place of red, green, blue), as many agencies fly it, and with far more
demolition. Pairs to learn from and to test on are drawn from seeds that no model of ours has used.

    python benchmarks/tuning.py FOLDER [--pairs 240] [--tests 200]

Everything runs through the command line. FOLDER keeps the data, the adapter and `scores.json`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from geochg.datasets.examples import Example, read_examples
from geochg.models.registry import load_model
from geochg.records import Caption, Outlines, Task
from geochg.tasks import ask
from geochg.training.tuning.lesson import lesson_of
from geochg.training.tuning.metrics import cells_said

FIRST_SEED, FIRST_TEST_SEED = 30_000_000, 40_000_000
TUNE = (
    *("--lora", "language,qformer,summary,dense,vision"),
    *("--rank", "16", "--alpha", "32", "--dropout", "0", "--steps", "160"),
    *("--learning-rate", "2e-3", "--batch-size", "8", "--validation-share", "0.05"),
)
BATCH = 16


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=240)
    parser.add_argument("--tests", type=int, default=200)
    given = parser.parse_args()
    given.folder.mkdir(exist_ok=True)
    draw(given.folder / "learn", FIRST_SEED, given.pairs)
    draw(given.folder / "test", FIRST_TEST_SEED, given.tests)
    adapter = given.folder / "adapter"
    started = time.monotonic()
    if not adapter.exists():
        rows = str(given.folder / "learn" / "world.json")
        geochg("train", rows, "--model", "builtin", *TUNE, "-o", str(adapter))
    found = {
        "command": " ".join(("geochg train learn/world.json --model builtin", *TUNE)),
        "seconds": round(time.monotonic() - started),
        "before": scored(given.folder / "test", {}),
        "after": scored(given.folder / "test", {"adapter": str(adapter)}),
    }
    (given.folder / "scores.json").write_text(json.dumps(found, indent=2), encoding="utf-8")
    print(json.dumps(found, indent=2))


def draw(folder: Path, seed: int, pairs: int) -> None:
    """Pairs in colour infrared."""
    if folder.exists():
        return
    aside = folder.with_name(f"{folder.name}.rgb")
    if not aside.exists():
        from geochg.datasets.world.options import WorldOptions
        from geochg.datasets.world.write import write_dataset

        options = WorldOptions(
            gsd_min_m=0.3, gsd_max_m=1.0, coarse_share=0.0, reversed_share=0.5, nir=True
        )
        write_dataset(aside, seed, pairs, options, workers=2)
    for side in ("A", "B"):
        for path in sorted((aside / side).glob("*.png")):
            colour = np.asarray(Image.open(path))
            infrared = np.asarray(Image.open(aside / f"nir_{side}" / path.name))
            Image.fromarray(np.dstack([infrared, colour[..., 0], colour[..., 1]])).save(path)
    aside.rename(folder)


def geochg(*arguments: str) -> None:
    """Runs a command."""
    subprocess.run([sys.executable, "-m", "geochg_cli", *arguments], check=True)


def scored(folder: Path, options: Mapping[str, Any]) -> dict[str, float]:
    """Micro F1 of cells, and CIDEr-D of captions, on the pairs of a folder."""
    rows = read_examples(folder / "world_captions.json")
    model = load_model("builtin", dict(options), "cpu")
    lessons = [lesson_of(row) for row in rows]
    questions = [ask(Task.LOCATE), ask(Task.CAPTION)]
    answers = [
        answer
        for start in range(0, len(lessons), BATCH)
        for answer in model.answer(
            [lesson.tile() for lesson in lessons[start : start + BATCH]], questions
        )
    ]
    hits = errors = 0
    said = []
    for lesson, (where, caption) in zip(lessons, answers, strict=True):
        assert isinstance(where, Outlines)
        assert isinstance(caption, Caption)
        assert lesson.masks is not None
        truth = {(n, c) for n, cells in lesson.masks.locations().cells.items() for c in cells}
        found = {(n, c) for n, cells in cells_said(where).items() for c in cells}
        hits += len(truth & found)
        errors += len(truth ^ found)
        said.append(caption.text)
    changed = [place for place, row in enumerate(rows) if row.changed]
    return {
        "locate_f1": round(2 * hits / max(2 * hits + errors, 1), 4),
        "cider_d": cider(rows, said, range(len(rows))),
        "cider_d_changed": cider(rows, said, changed),
        "cider_d_no_change_always": cider(
            rows, ["there is no difference"] * len(rows), range(len(rows))
        ),
        "pairs": len(rows),
        "changed_pairs": len(changed),
    }


def cider(rows: Sequence[Example], said: Sequence[str], places: Sequence[int] | range) -> float:
    """CIDEr-D times 100, by pycocoevalcap; words in lower case without punctuation."""
    from pycocoevalcap.cider.cider import Cider

    truths = {place: [_plain(text) for text in rows[place].references] for place in places}
    found = {place: [_plain(said[place])] for place in places}
    return round(100 * float(Cider().compute_score(truths, found)[0]), 2)


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


if __name__ == "__main__":
    main()
