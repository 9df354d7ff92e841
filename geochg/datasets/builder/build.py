"""A folder of tiles and instruction rows, built from pairs with masks.

```
A/, B/                     tiles: PNG, or GeoTIFF where the pair has a place
label/, direction/         their masks: index into `captions.truth.CLASS_NAMES` and `DIRECTIONS`;
                           in label/ `UNKNOWN_LABEL` where nobody knows
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
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.builder.captioner import Captioner, Subject
from geochg.datasets.builder.options import BuildOptions
from geochg.datasets.builder.scene import MaskedScene, MaskedTile
from geochg.datasets.builder.splits import SceneTile, tiles_by_split
from geochg.datasets.captions.facts import mask_facts
from geochg.datasets.captions.rows import Row, caption_row, instruction_row, instruction_rows
from geochg.datasets.captions.truth import UNKNOWN_LABEL, MaskTruth
from geochg.datasets.example import ExampleTurn
from geochg.errors import InputError
from geochg.events import Listener, Progress, ignore
from geochg.files.new_files import make_folder_aside

ASKED_TOGETHER = 32
"""Tiles that wait until the captioner is asked about them."""

FACTS_FILE = "build.json"


@dataclass
class _SplitRows:
    """The rows of one split, and the numbers of its tiles: all, changed, known in parts."""

    instructions: list[Row] = field(default_factory=list)
    captions: list[Row] = field(default_factory=list)
    tiles: int = 0
    changed: int = 0
    partial: int = 0


def build_dataset(
    folder: Path,
    scenes: Sequence[MaskedScene],
    options: BuildOptions,
    captioner: Captioner | None = None,
    listener: Listener = ignore,
) -> dict[str, Any]:
    """Cuts, splits, counts and captions pairs; the same for the same pairs and options.

    Args:
        folder: Folder to make; must not exist, or be empty. It appears whole or not at all.
        scenes: Pairs with masks.
        options: Options of cutting, splitting and captioning.
        captioner: Writes free questions and answers; none when None.
        listener: Receives the progress in tiles.

    Returns:
        What is written to `build.json`.

    Raises:
        InputError: If a pair or mask cannot be used, a review only rejects, or a split that was
            asked for stays empty.
        RunError: If a tile cannot be read, or the captioner fails.
    """
    _refuse_rejections_alone(scenes)
    scenes = _uniquely_named(scenes)
    splits = tiles_by_split(scenes, options)
    with make_folder_aside(folder) as partial:
        for name in ("A", "B", "label", "direction"):
            (partial / name).mkdir()
        writer = _DatasetWriter(partial, scenes, options, captioner)
        writer.write_tiles(splits, listener)
        summary = writer.summary(splits)
        for split, rows in writer.rows.items():
            _dump(partial / f"{split}.json", rows.instructions)
            _dump(partial / f"{split}_captions.json", rows.captions)
        _dump(partial / FACTS_FILE, summary)
    return summary


@dataclass(frozen=True, slots=True, eq=False)
class _WrittenTile:
    """A tile that is written but has no rows yet."""

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
        self.rows: dict[str, _SplitRows] = {}
        self.left_out: Counter[str] = Counter()
        self.ids = 0
        self.waiting: list[_WrittenTile] = []

    def write_tiles(self, splits: dict[str, list[SceneTile]], listener: Listener) -> None:
        total, done_count = sum(map(len, splits.values())), 0
        self.rows = {split: _SplitRows() for split in splits}
        by_scene: dict[int, list[tuple[str, SceneTile]]] = {}
        for split, tiles in splits.items():
            for tile in tiles:
                by_scene.setdefault(tile.scene, []).append((split, tile))
        for number in sorted(by_scene):
            of_scene = sorted(by_scene[number], key=lambda pair: pair[1].window.index)
            scene = self.scenes[number]
            masked_tiles = scene.tiles([tile.window for _, tile in of_scene])
            for (split, _), masked_tile in zip(of_scene, masked_tiles, strict=True):
                self._add_tile(split, scene, masked_tile)
                if len(self.waiting) >= ASKED_TOGETHER:
                    self._add_rows_of_waiting()
                done_count += 1
                listener(Progress("cut", done_count, total))
        self._add_rows_of_waiting()
        for split, rows in self.rows.items():
            if not rows.tiles:
                raise InputError(
                    f"no tile is left for {split}", "lower --min-valid, or raise --keep-unchanged"
                )

    def _add_tile(self, split: str, scene: MaskedScene, masked_tile: MaskedTile) -> None:
        tile = masked_tile.tile
        if tile.valid.mean() < self.options.min_valid:
            self.left_out["too few valid pixels"] += 1
            return
        name = f"{scene.name}_{tile.window.name}" if _is_cut(scene, tile.valid) else scene.name
        seed = _number(f"{self.options.seed}/{name}")
        classes = np.where(tile.valid, masked_tile.classes, 0).astype(np.uint8)
        directions = np.where(tile.valid, masked_tile.directions, 0).astype(np.uint8)
        is_known = tile.valid if masked_tile.known is None else tile.valid & masked_tile.known
        is_whole = bool(is_known[tile.valid].all())
        truth = MaskTruth(seed, classes, directions, scene.known, is_whole)
        if not is_whole and not truth.changed and not (is_known.any() and masked_tile.is_settled):
            self.left_out["undecided"] += 1
            return
        draw = np.random.default_rng((seed, 22)).random()
        if not truth.changed and draw >= self.options.keep_unchanged:
            self.left_out["unchanged"] += 1
            return
        self.rows[split].tiles += 1
        self.rows[split].changed += truth.changed
        self.rows[split].partial += not truth.whole
        file = f"{name}{'.png' if scene.grid is None else '.tif'}"
        label = np.where(is_known | ~tile.valid, classes, UNKNOWN_LABEL).astype(np.uint8)
        self._write_images(file, scene, masked_tile, label, directions)
        self.waiting.append(
            _WrittenTile(split, scene, masked_tile, truth, (f"A/{file}", f"B/{file}"))
        )

    def _write_images(
        self,
        file: str,
        scene: MaskedScene,
        masked_tile: MaskedTile,
        label: NDArray[np.uint8],
        directions: NDArray[np.uint8],
    ) -> None:
        layers = {
            "A": masked_tile.tile.before,
            "B": masked_tile.tile.after,
            "label": label[None],
            "direction": directions[None],
        }
        for name, pixels in layers.items():
            if scene.grid is None:
                _write_png(self.folder / name / file, pixels)
            else:
                _write_geotiff(self.folder / name / file, pixels, scene, masked_tile)

    def _add_rows_of_waiting(self) -> None:
        turns: list[list[ExampleTurn]] = [[] for _ in self.waiting]
        if self.captioner is not None:
            # What is known in parts is nothing to ask about.
            asked_tiles = [number for number, t in enumerate(self.waiting) if t.truth.whole]
            subjects = [
                Subject(t.masked.tile, t.scene.facts, t.truth, mask_facts(t.truth))
                for t in (self.waiting[number] for number in asked_tiles)
            ]
            turns_of_asked = self.captioner.turns(subjects, self.options.questions)
            for number, of_tile in zip(asked_tiles, turns_of_asked, strict=True):
                turns[number] = of_tile
        for tile, tile_turns in zip(self.waiting, turns, strict=True):
            self._add_rows(tile, tile_turns)
        self.waiting.clear()

    def _add_rows(self, tile: _WrittenTile, captioner_turns: Sequence[ExampleTurn]) -> None:
        origin: Row = {}
        if tile.scene.grid is not None:
            read = tile.masked.tile.window.read
            window = [read.row_start, read.row_stop, read.col_start, read.col_stop]
            origin = {"scene": tile.scene.name, "window": window}
        rows = instruction_rows(tile.truth, tile.images, self.ids)
        for turn in captioner_turns:
            dialogue = [(turn.question, turn.answer)]
            row = instruction_row(self.ids + len(rows), tile.images, tile.truth.changed, dialogue)
            # A question that happens to count is still a free one.
            rows.append(row | {"task": "question"})
        self.ids += len(rows)
        of_split = self.rows[tile.split]
        of_split.instructions += [row | origin for row in rows]
        if tile.truth.whole:
            of_split.captions.append(caption_row(tile.truth, tile.images) | origin)

    def summary(self, splits: dict[str, list[SceneTile]]) -> dict[str, Any]:
        from geochg import __version__

        sizes = (self.options.tile_size_px, self.options.overlap_px)
        near = sum(len(scene.windows(*sizes)) for scene in self.scenes)
        near -= sum(map(len, splits.values()))
        untold = sum(scene.count_untold(*sizes) for scene in self.scenes)
        left_out_counts = {"too near to another split": near, **dict(sorted(self.left_out.items()))}
        if untold:
            left_out_counts["nothing decided"] = untold
        verdicts = {s.name: dict(s.verdicts) for s in self.scenes if s.verdicts}
        captioner = self.captioner and {
            "model": self.captioner.model.identity.id,
            "dropped": dict(sorted(self.captioner.dropped.items())),
        }
        return {
            "version": __version__,
            "options": self.options.to_dict(),
            "scenes": [scene.name for scene in self.scenes],
            "splits": {
                split: {
                    "tiles": split_rows.tiles,
                    "changed": split_rows.changed,
                    "rows": len(split_rows.instructions),
                    **({"known_in_parts": split_rows.partial} if split_rows.partial else {}),
                }
                for split, split_rows in self.rows.items()
            },
            "left_out": left_out_counts,
            "captioner": captioner,
            **({"verdicts": verdicts} if verdicts else {}),
        }


def _refuse_rejections_alone(scenes: Sequence[MaskedScene]) -> None:
    """Refuses pairs of which a review says nothing but that they have not changed."""
    if scenes and not any(scene.verdicts.get("accepted", not scene.verdicts) for scene in scenes):
        count = sum(scene.verdicts.get("rejected", 0) for scene in scenes)
        raise InputError(
            f"all verdicts are rejections ({count:,}): there is no change to learn from",
            "accept or draw some, or add other pairs",
        )


def _uniquely_named(scenes: Sequence[MaskedScene]) -> list[MaskedScene]:
    """The scenes with names unlike each other."""
    name_counts: Counter[str] = Counter()
    scene_names = {scene.name.casefold() for scene in scenes}
    renamed_scenes = []
    for scene in scenes:
        key, name = scene.name.casefold(), scene.name
        while (
            name_counts[key]
            and (name := f"{scene.name}-{name_counts[key] + 1}").casefold() in scene_names
        ):
            name_counts[key] += 1
        name_counts[key] += 1
        scene_names.add(name.casefold())
        renamed_scenes.append(replace(scene, name=name))
    return renamed_scenes


def _is_cut(scene: MaskedScene, valid: NDArray[np.bool_]) -> bool:
    return scene.grid is not None or valid.shape != scene.shape_px


def _number(text: str) -> int:
    """A number made of a text, the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    from PIL import Image

    values = pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)
    Image.fromarray(np.ascontiguousarray(values)).save(path, compress_level=3)


def _write_geotiff(
    path: Path, pixels: NDArray[np.uint8], scene: MaskedScene, masked_tile: MaskedTile
) -> None:
    import rasterio
    from rasterio.enums import ColorInterp

    assert scene.grid is not None
    read = masked_tile.tile.window.read
    grid = scene.grid[read.row_start : read.row_stop, read.col_start : read.col_stop]
    count, height_px, width_px = pixels.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=count,
        height=height_px,
        width=width_px,
        dtype="uint8",
        crs=str(grid.crs),
        transform=grid.transform,
        compress="deflate",
        photometric="RGB" if count == 3 else "MINISBLACK",
    ) as dataset:
        if count == 3:
            dataset.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
        dataset.write(pixels)


def _dump(path: Path, values: Any) -> None:  # noqa: ANN401
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
