"""A folder of tiles and instruction rows, built from pairs with masks.

```
A/, B/                     tiles: PNG, or GeoTIFF where the pair has a place
label/, direction/         their masks: index into `telling.truth.CLASS_NAMES` and `DIRECTIONS`
train.json, val.json, test.json           instruction rows in the format of ChangeChat-105k
train_captions.json, ...                  five captions a tile
build.json                 options, version, sources, and what was kept and left out
```

Rows of placed tiles also have `scene` and `window` (rows, then columns, half-open, in pixels of
the pair's grid).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geochg.datasets.builder.captioner import Captioner, Subject
from geochg.datasets.builder.options import BuildOptions
from geochg.datasets.builder.scene import MaskedScene, MaskedTile
from geochg.datasets.builder.splits import SceneTile, tiles_by_split
from geochg.datasets.captions.facts import mask_facts
from geochg.datasets.captions.rows import Row, caption_row, instruction_row, instruction_rows
from geochg.datasets.captions.truth import MaskTruth
from geochg.datasets.example import ExampleTurn
from geochg.errors import InputError
from geochg.files.new_files import make_folder_aside

if TYPE_CHECKING:
    from numpy.typing import NDArray

ASKED_TOGETHER = 32
"""Tiles that wait until the captioner is asked about them."""

Progress = Callable[[int, int], None]
"""Told how many tiles are done, and how many there are."""

FACTS_FILE = "build.json"


@dataclass
class _SplitRows:
    """The rows of one part."""

    instructions: list[Row] = field(default_factory=list)
    captions: list[Row] = field(default_factory=list)


def build_dataset(
    folder: Path,
    scenes: Sequence[MaskedScene],
    options: BuildOptions,
    captioner: Captioner | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Cuts, splits, counts and tells pairs; the same for the same pairs and options.

    Args:
        folder: Where to; must not exist, or be empty. It appears whole or not at all.
        scenes: The pairs.
        options: How.
        captioner: Writes free questions and answers; none when None.
        progress: Called after each tile.

    Returns:
        What is written to `build.json`.

    Raises:
        InputError: If a pair or mask cannot be used, or a part that was asked for stays empty.
        RunError: If a tile cannot be read, or the captioner fails.
    """
    scenes = _uniquely_named(scenes)
    parts = tiles_by_split(scenes, options)
    with make_folder_aside(folder) as place:
        for name in ("A", "B", "label", "direction"):
            (place / name).mkdir()
        work = _DatasetWriter(place, scenes, options, captioner)
        work.run(parts, progress)
        done = work.summary(parts)
        for split, told in work.told.items():
            _dump(place / f"{split}.json", told.instructions)
            _dump(place / f"{split}_captions.json", told.captions)
        _dump(place / FACTS_FILE, done)
    return done


@dataclass(frozen=True, slots=True, eq=False)
class _WrittenTile:
    """A tile that is written but not yet told."""

    split: str
    scene: MaskedScene
    masked: MaskedTile
    truth: MaskTruth
    images: tuple[str, str]


class _DatasetWriter:
    def __init__(
        self,
        folder: Path,
        scenes: Sequence[MaskedScene],
        options: BuildOptions,
        captioner: Captioner | None,
    ) -> None:
        self.folder, self.scenes, self.options = folder, scenes, options
        self.captioner = captioner
        self.told: dict[str, _SplitRows] = {}
        self.left_out: Counter[str] = Counter()
        self.changed: Counter[str] = Counter()
        self.tiles: Counter[str] = Counter()
        self.ids = 0
        self.waiting: list[_WrittenTile] = []

    def run(self, parts: dict[str, list[SceneTile]], progress: Progress | None) -> None:
        total, done = sum(map(len, parts.values())), 0
        self.told = {split: _SplitRows() for split in parts}
        by_scene: dict[int, list[tuple[str, SceneTile]]] = {}
        for split, places in parts.items():
            for place in places:
                by_scene.setdefault(place.scene, []).append((split, place))
        for number in sorted(by_scene):
            wanted = sorted(by_scene[number], key=lambda one: one[1].window.index)
            scene = self.scenes[number]
            masked = scene.tiles([place.window for _, place in wanted])
            for (split, _), tile in zip(wanted, masked, strict=True):
                self._take(split, scene, tile)
                if len(self.waiting) >= ASKED_TOGETHER:
                    self._tell_waiting()
                done += 1
                if progress is not None:
                    progress(done, total)
        self._tell_waiting()
        for split in parts:
            if not self.tiles[split]:
                raise InputError(
                    f"no tile is left for {split}", "lower --min-valid, or keep more unchanged"
                )

    def _take(self, split: str, scene: MaskedScene, masked: MaskedTile) -> None:
        tile = masked.tile
        if tile.valid.mean() < self.options.min_valid:
            self.left_out["too few valid pixels"] += 1
            return
        name = f"{scene.name}_{tile.window.name}" if _is_cut(scene, tile.valid) else scene.name
        seed = _number(f"{self.options.seed}/{name}")
        classes = np.where(tile.valid, masked.classes, 0).astype(np.uint8)
        directions = np.where(tile.valid, masked.directions, 0).astype(np.uint8)
        truth = MaskTruth(seed, classes, directions, scene.known)
        drawn = np.random.default_rng((seed, 22)).random()
        if not truth.changed and drawn >= self.options.keep_unchanged:
            self.left_out["unchanged"] += 1
            return
        self.tiles[split] += 1
        self.changed[split] += truth.changed
        file = f"{name}{'.png' if scene.grid is None else '.tif'}"
        self._write(file, scene, masked, truth)
        self.waiting.append(_WrittenTile(split, scene, masked, truth, (f"A/{file}", f"B/{file}")))

    def _write(self, file: str, scene: MaskedScene, masked: MaskedTile, truth: MaskTruth) -> None:
        layers = {
            "A": masked.tile.before,
            "B": masked.tile.after,
            "label": truth.classes[None],
            "direction": truth.directions[None],
        }
        for name, pixels in layers.items():
            if scene.grid is None:
                _png(self.folder / name / file, pixels)
            else:
                _geotiff(self.folder / name / file, pixels, scene, masked)

    def _tell_waiting(self) -> None:
        turns: list[list[ExampleTurn]] = [[] for _ in self.waiting]
        if self.captioner is not None:
            subjects = [
                Subject(one.masked.tile, one.scene.facts, one.truth, mask_facts(one.truth))
                for one in self.waiting
            ]
            turns = self.captioner.turns(subjects, self.options.questions)
        for one, written in zip(self.waiting, turns, strict=True):
            self._tell(one, written)
        self.waiting.clear()

    def _tell(self, one: _WrittenTile, written: Sequence[ExampleTurn]) -> None:
        ground: Row = {}
        if one.scene.grid is not None:
            read = one.masked.tile.window.read
            window = [read.row_start, read.row_stop, read.col_start, read.col_stop]
            ground = {"scene": one.scene.name, "window": window}
        found = instruction_rows(one.truth, one.images, self.ids)
        for turn in written:
            talk = [(turn.question, turn.answer)]
            row = instruction_row(self.ids + len(found), one.images, one.truth.changed, talk)
            # A question that happens to count is still a free one.
            found.append(row | {"task": "question"})
        self.ids += len(found)
        told = self.told[one.split]
        told.instructions += [row | ground for row in found]
        told.captions.append(caption_row(one.truth, one.images) | ground)

    def summary(self, parts: dict[str, list[SceneTile]]) -> dict[str, Any]:
        from geochg import __version__

        cut = sum(
            len(scene.windows(self.options.tile_size_px, self.options.overlap_px))
            for scene in self.scenes
        )
        near = cut - sum(map(len, parts.values()))
        return {
            "version": __version__,
            "options": self.options.to_dict(),
            "scenes": [scene.name for scene in self.scenes],
            "splits": {
                split: {
                    "tiles": self.tiles[split],
                    "changed": self.changed[split],
                    "rows": len(self.told[split].instructions),
                }
                for split in self.told
            },
            "left_out": {"too near to another split": near, **dict(sorted(self.left_out.items()))},
            "captioner": None
            if self.captioner is None
            else {
                "model": self.captioner.model.identity.id,
                "dropped": dict(sorted(self.captioner.dropped.items())),
            },
        }


def _uniquely_named(scenes: Sequence[MaskedScene]) -> list[MaskedScene]:
    """With names unlike each other."""
    seen: Counter[str] = Counter()
    taken = {scene.name.casefold() for scene in scenes}
    found = []
    for scene in scenes:
        key, name = scene.name.casefold(), scene.name
        while seen[key] and (name := f"{scene.name}-{seen[key] + 1}").casefold() in taken:
            seen[key] += 1
        seen[key] += 1
        taken.add(name.casefold())
        found.append(replace(scene, name=name))
    return found


def _is_cut(scene: MaskedScene, valid: NDArray[np.bool_]) -> bool:
    return scene.grid is not None or valid.shape != scene.shape_px


def _number(text: str) -> int:
    """A number for a text, the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def _png(path: Path, pixels: NDArray[np.uint8]) -> None:
    from PIL import Image

    values = pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)
    Image.fromarray(np.ascontiguousarray(values)).save(path, compress_level=3)


def _geotiff(path: Path, pixels: NDArray[np.uint8], scene: MaskedScene, masked: MaskedTile) -> None:
    import rasterio
    from rasterio.enums import ColorInterp

    assert scene.grid is not None
    read = masked.tile.window.read
    part = scene.grid[read.row_start : read.row_stop, read.col_start : read.col_stop]
    count, height_px, width_px = pixels.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=count,
        height=height_px,
        width=width_px,
        dtype="uint8",
        crs=str(part.crs),
        transform=part.transform,
        compress="deflate",
        photometric="RGB" if count == 3 else "MINISBLACK",
    ) as dataset:
        if count == 3:
            dataset.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
        dataset.write(pixels)


def _dump(path: Path, values: Any) -> None:  # noqa: ANN401
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
