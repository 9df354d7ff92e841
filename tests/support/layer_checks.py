"""A layer and an image to check, and models that see bright ground as buildings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely

from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.models.date_cover import CoverLogits
from geochg.options import Options
from geochg.records import LAND_COVER, Label, SceneAnswers, Task, TileFailure

CELL_PX = 4
ORIGIN = (500_000.0, 5_000_000.0)
CRS = "EPSG:32633"
PIXEL_M = 0.5


class BrightGround(ChangeModel[Options]):
    """Sees bright ground as buildings, black as cloud where that is wanted."""

    name = "bright"
    summary = "bright ground"
    backend_capabilities = Capabilities(
        tasks=frozenset({Task.LOCATE}), location="mask", pixels="display", bands="rgb"
    )

    @classmethod
    def load(cls, source: str, options: Options, device: str) -> "BrightGround":
        """Makes one."""
        return cls()

    @property
    def identity(self) -> ModelIdentity:
        """Its identity."""
        return ModelIdentity("bright", "sha256:0")

    def answer(self, tiles: Any, questions: Any) -> list[Any]:
        """Never asked."""
        raise AssertionError

    def cover_logits(self, facts: Any, sample: Any, tiles: Any) -> Iterator[CoverLogits]:
        """Logits by brightness."""
        for tile in tiles:
            rows, cols = (side // CELL_PX for side in tile.valid.shape)
            gray = tile.before[:3].mean(axis=0).reshape(rows, CELL_PX, cols, CELL_PX)
            gray = gray.mean(axis=(1, 3))
            logits = np.zeros((len(LAND_COVER) + 1, rows, cols), np.float32)
            logits[LAND_COVER.index("building")] = (gray - 120) / 15
            features = np.stack([gray, gray.T if rows == cols else gray]).astype(np.float32) / 50
            features += np.random.default_rng(0).normal(0, 1, features.shape).astype(np.float32)
            yield CoverLogits(np.concatenate([logits, logits]), features, gray > 250, CELL_PX)


@dataclass
class AskedGround(ChangeModel[Options]):
    """Says of a crop whether its middle is bright; fails from a call on where that is wanted."""

    fails_from: int = 10**6
    measured: bool = True
    calls: int = 0
    crops: list[Any] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)

    name = "asked"
    summary = "asked about crops"
    backend_capabilities = Capabilities(
        tasks=frozenset({Task.PRESENCE}),
        location="grid",
        pixels="display",
        bands="rgb",
        free_classes=True,
        fewest_dates=1,
        tasks_of_one=frozenset({Task.PRESENCE}),
        asked_in_words=frozenset({Task.PRESENCE}),
        batch_tiles=8,
    )

    @classmethod
    def load(cls, source: str, options: Options, device: str) -> "AskedGround":
        """Makes one."""
        return cls()

    @property
    def identity(self) -> ModelIdentity:
        """Its identity."""
        return ModelIdentity("asked", "sha256:0")

    def answer(self, tiles: Any, questions: Any) -> list[Any]:
        """Never asked."""
        raise AssertionError

    def describe(self, tiles: Sequence[Any], questions: Any) -> list[Any]:
        """By the middle of each crop."""
        self.calls += 1
        answers: list[Any] = []
        for tile in tiles:
            if self.calls >= self.fails_from:
                answers.append(TileFailure(tile.window, "no more", is_permanent=True))
                continue
            self.crops.append(tile.before)
            self.prompts.append(questions.presence)
            height, width = tile.valid.shape
            middle = tile.before[:, height // 3 : 2 * height // 3, width // 3 : 2 * width // 3]
            is_bright = middle.mean() > 150
            if "outline" not in questions.presence:
                is_bright = (tile.before.mean(axis=0) > 150).mean() > 0.05
            likely = 0.95 if is_bright else 0.05
            label = Label(likely > 0.5, likely if self.measured else None)
            answers.append([SceneAnswers({questions.labels[0].name: label})])
        return answers


def box(row: float, col: float, side: float = 24, move: tuple[float, float] = (0, 0)) -> Any:
    """A square on the ground, by its first pixel and side; `move` in pixels down and right."""
    top, left = row + move[0], col + move[1]
    x, y = ORIGIN
    return shapely.box(
        x + left * PIXEL_M,
        y - (top + side) * PIXEL_M,
        x + (left + side) * PIXEL_M,
        y - top * PIXEL_M,
    )


@dataclass(frozen=True)
class Town:
    """Houses on a lattice, in pixels: their first row and column."""

    houses: tuple[tuple[int, int], ...]
    side_px: int = 640

    def write(self, path: Path, nodata: slice | None = None, cloud: slice | None = None) -> Path:
        """The image; rows without data are black and transparent, those under cloud white."""
        rng = np.random.default_rng(0)
        image = rng.integers(60, 100, (self.side_px, self.side_px)).astype(np.uint8)
        for row, col in self.houses:
            image[row : row + 24, col : col + 24] = rng.integers(180, 220)
        if cloud is not None:
            image[cloud] = 254
        if nodata is not None:
            image[nodata] = 0
        x, y = ORIGIN
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=self.side_px,
            height=self.side_px,
            count=3,
            dtype="uint8",
            crs=CRS,
            transform=rasterio.Affine(PIXEL_M, 0, x, 0, -PIXEL_M, y),
            nodata=0 if nodata is not None else None,
        ) as target:
            target.write(np.repeat(image[None], 3, axis=0))
        return path


HOUSES = tuple((row, col) for row in range(30, 600, 64) for col in range(30, 600, 64))


def town_layer(path: Path, shapes: Sequence[Any], **columns: Any) -> Path:
    """A layer of some polygons."""
    frame = gpd.GeoDataFrame(columns or None, geometry=list(shapes), crs=CRS)
    frame.to_file(path)
    return path
