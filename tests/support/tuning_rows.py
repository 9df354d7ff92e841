"""Small data sets to tune models on."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from geochg.records import Task
from geochg.tasks import SPECS

SAID = {
    True: {
        "presence": "Yes",
        "locate": "roads: []. buildings: ['top-left'].",
        "caption": "A new building appears.",
    },
    False: {
        "presence": "No",
        "locate": "roads: []. buildings: [].",
        "caption": "There is no difference.",
    },
}


def write_rows(folder: Path, pairs: int = 4, side_px: int = 64, masks: bool = True) -> Path:
    """Pairs of which every other one has a new bright square at the top left; the rows' file."""
    for name in ("A", "B", *(("label", "direction") if masks else ())):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for number in range(pairs):
        changed = number % 2 == 0
        before = rng.integers(60, 120, (side_px, side_px, 3)).astype(np.uint8)
        after, mask = before.copy(), np.zeros((side_px, side_px), np.uint8)
        if changed:
            after[4:18, 4:18] = 230
            mask[4:18, 4:18] = 1
        name = f"{number}.png"
        Image.fromarray(before).save(folder / "A" / name)
        Image.fromarray(after).save(folder / "B" / name)
        if masks:
            Image.fromarray(mask).save(folder / "label" / name)
            Image.fromarray(mask).save(folder / "direction" / name)
        for task in (Task.PRESENCE, Task.LOCATE, Task.CAPTION):
            rows.append(_row(len(rows), name, changed, [(task, SAID[changed][task])]))
    (folder / "train.json").write_text(json.dumps(rows), encoding="utf-8")
    return folder / "train.json"


def _row(number, name, changed, turns):
    talk = []
    for task, answer in turns:
        talk.append({"from": "human", "value": f"<image> <image> {SPECS[task].prompts[0]}"})
        talk.append({"from": "gpt", "value": answer})
    return {
        "id": number,
        "image": [f"A/{name}", f"B/{name}"],
        "changeflag": int(changed),
        "conversations": talk,
    }


def tuned(source, rows, folder, listener=None, name="out", **options):
    """Tunes a base by few steps; the card, with the output in `folder / name`."""
    from geochg.datasets.examples import read_examples
    from geochg.training.finetune.base import find_base
    from geochg.training.finetune.options import TuneOptions
    from geochg.training.finetune.plan import plan_run
    from geochg.training.finetune.run import tune
    from geochg.training.finetune.run_state import remove_work_files

    few = {"steps": 4, "batch_size": 2, "learning_rate": 1e-2, "device": "cpu", "bf16": False}
    plan = plan_run(read_examples(rows), [], find_base(source), TuneOptions(**{**few, **options}))
    told = (listener,) if listener else ()
    card = tune(plan, folder / f"{name}.work", folder / name, *told)
    remove_work_files(folder / f"{name}.work")
    return card
