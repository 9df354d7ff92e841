"""A folder of pairs: pictures, masks and instruction rows.

```
A/, B/          PNG, red, green, blue: before and after, world_000000.png ...
label/          PNG, palette: index of the class that changed (`kinds.CLASS_NAMES`), 0 for none
direction/      PNG, palette: index of the direction (`kinds.DIRECTIONS`), 0 for none
nir_A/, nir_B/  PNG, grey: near infrared, where it was asked for
world.json          instruction rows of all six tasks, in the format of ChangeChat-105k
world_captions.json five captions a pair
world_facts.json    seed, ground sample distance, family, events and counts of each pair
options.json        the options and the seeds
```
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from geochg.datasets.new_folder import new_folder
from geochg.datasets.telling.rows import Row, caption_row, rows
from geochg.datasets.world.generate import spread
from geochg.datasets.world.kinds import ByteArray
from geochg.datasets.world.options import WorldOptions
from geochg.datasets.world.pair import WorldPair, scene
from geochg.datasets.world.sheet import COLOURS
from geochg.records import Task

Progress = Callable[[int, int], None]
"""Told how many pairs are done, and how many there are."""


def write_dataset(
    folder: Path,
    seed: int,
    count: int,
    options: WorldOptions,
    workers: int = 1,
    progress: Progress | None = None,
) -> None:
    """Writes the pairs of seeds `seed` to `seed + count - 1`.

    The folder comes into being when all is written; what was interrupted leaves nothing behind.

    Args:
        folder: Where to; must not exist or be empty.
        seed: First seed.
        count: Number of pairs.
        options: What is drawn.
        workers: Processes.
        progress: Called after each pair.

    Raises:
        InputError: If the folder holds something already.
    """
    with new_folder(folder) as place:
        _fill(place, seed, count, options, workers, progress)


def _fill(
    folder: Path,
    seed: int,
    count: int,
    options: WorldOptions,
    workers: int,
    progress: Progress | None,
) -> None:
    names = ("A", "B", "label", "direction", *(("nir_A", "nir_B") if options.nir else ()))
    for name in names:
        (folder / name).mkdir()
    instructions, captions, told = list[Row](), list[Row](), list[Row]()
    write = partial(_write_pair, folder=folder, first_seed=seed, options=options)
    for done, pair_rows in enumerate(spread(write, range(seed, seed + count), workers), start=1):
        instructions += pair_rows[0]
        captions.append(pair_rows[1])
        told.append(pair_rows[2])
        if progress is not None:
            progress(done, count)
    _dump(folder / "world.json", instructions)
    _dump(folder / "world_captions.json", captions)
    _dump(folder / "world_facts.json", told)
    _dump(folder / "options.json", {"seed": seed, "count": count, "options": options.to_dict()})


def _write_pair(
    seed: int, folder: Path, first_seed: int, options: WorldOptions
) -> tuple[list[Row], Row, Row]:
    pair, number = scene(seed, options), seed - first_seed
    name = f"world_{number:06d}.png"
    _picture(folder / "A" / name, np.moveaxis(pair.before, 0, -1))
    _picture(folder / "B" / name, np.moveaxis(pair.after, 0, -1))
    _indexed(folder / "label" / name, pair.classes)
    _indexed(folder / "direction" / name, pair.directions)
    for side, band in (("nir_A", pair.nir_before), ("nir_B", pair.nir_after)):
        if band is not None:
            _picture(folder / side / name, band)
    images = (f"A/{name}", f"B/{name}")
    return (
        rows(pair, images, number * len(Task)),
        caption_row(pair, images),
        {"image": list(images), **facts_row(pair)},
    )


def facts_row(pair: WorldPair) -> Row:
    """What is true of a pair, as plain JSON values."""
    return {
        "seed": pair.seed,
        "gsd_m": round(pair.gsd_m, 4),
        "family": pair.family,
        "setting": pair.setting,
        "changeflag": int(pair.changed),
        "events": [event.name for event in pair.events],
        "counts": {f"{name} {change}": number for (name, change), number in pair.counts.items()},
    }


def _picture(path: Path, pixels: ByteArray) -> None:
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, compress_level=3)


def _indexed(path: Path, indices: ByteArray) -> None:
    image = Image.fromarray(indices, "P")
    image.putpalette(COLOURS.ravel().tolist())
    image.save(path)


def _dump(path: Path, values: Any) -> None:  # noqa: ANN401
    path.write_text(json.dumps(values, indent=1), encoding="utf-8")
