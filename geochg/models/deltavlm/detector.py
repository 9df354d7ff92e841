"""From tiles to dense predictions: views, the survey of the pair, batches.

The pair is shown at one size or at two. Coarse imagery is enlarged, very fine imagery reduced, so
that things have about the size they had in training; and a view of half that size lets the head
see a wider neighbourhood. Both dates are stretched to the range of their own colours.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geochg.models.blind_models import refuse_blind
from geochg.models.deltavlm.runtime.onnx_file import workers
from geochg.models.deltavlm.runtime.vision_output import (
    NOT_SEEN_SHARE,
    DenseArrays,
    EncodedDates,
    HeadFacts,
    VisionOutput,
    VisionRunner,
    batches,
    softmax,
)
from geochg.models.deltavlm.scene import scene_vector, valid_at, with_medians
from geochg.models.deltavlm.views import HALF, view_margins, view_sides, view_zoom
from geochg.records import Tile

SCENE_TILES = 16
"""Tiles on which a scene is measured; more change its statistics by less than tiles differ."""

COARSE_M, FINE_M = 7.0, 0.2
"""Pixels larger than the first are shown twice as large, smaller than the second half as large."""

STRETCH_PERCENTILES = (1.0, 99.0)

_SAMPLED_PX = 20_000
"""Pixels of a tile that the stretch is measured on."""

_NO_INFRARED = -100.0
"""The value of `vision.NO_INFRARED`, which cannot be imported without torch."""


@dataclass(frozen=True, slots=True, eq=False)
class ColorRange:
    """The values of one date that are shown as 0 and 1.

    Attributes:
        low: Value of each band that is shown as 0, in display units.
        high: Value of each band that is shown as 1, above `low`.
        mean: Mean of the valid pixels, 0-1 after the stretch; stands for invalid ones.
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    mean: NDArray[np.float32]

    @classmethod
    def of(cls, tiles: Sequence[Tile], date: str) -> Self:
        """Measured on the valid pixels of some tiles."""
        return cls.of_images([(getattr(tile, date), tile.valid) for tile in tiles])

    @classmethod
    def of_images(cls, images: Sequence[tuple[NDArray[np.generic], NDArray[np.bool_]]]) -> Self:
        """Measured on images `(bands, height, width)` where their masks are true."""
        samples = [_sample_pixels(image, valid) for image, valid in images]
        values = np.concatenate(samples, axis=1).astype(np.float32)
        if not values.shape[1]:
            values = np.zeros((len(values), 1), np.float32)
        low, high = np.percentile(values, STRETCH_PERCENTILES, axis=1).astype(np.float32)
        high = low + np.maximum(high - low, np.maximum(1e-2 * high.max(), 1e-6))
        stretched_values = np.clip((values - low[:, None]) / (high - low)[:, None], 0, 1)
        return cls(low, high, stretched_values.mean(axis=1, dtype=np.float64).astype(np.float32))

    def stretched_image(
        self, image: NDArray[np.generic], valid: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """`(bands, height, width)` 0-1."""
        low, high = self.low[:, None, None], self.high[:, None, None]
        stretched_values = np.clip((image.astype(np.float32) - low) / (high - low), 0, 1)
        return (
            stretched_values
            if valid.all()
            else np.where(valid, stretched_values, self.mean[:, None, None])
        )


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The results of the survey of a pair; fixed for the run.

    Attributes:
        ranges: Range of the colours of each date.
        zoom: Size at which tiles are shown, relative to their own.
        infrared: Index of the near infrared among the bands; None where there is none.
        resolution_m: Side of a pixel on the ground, in metres; None where it is not known.
        vectors: The scene vector of each view.
        typical_logit: Median of the change logits: high where much has changed.
        hidden_share: Share of the surveyed ground that cloud, shadow or snow hides.
    """

    ranges: tuple[ColorRange, ColorRange]
    zoom: float
    infrared: int | None
    resolution_m: float | None
    vectors: tuple[NDArray[np.float32], ...] = ()
    typical_logit: float = 0.0
    hidden_share: float = 0.0

    @property
    def shown_m(self) -> float | None:
        """Side of a shown pixel on the ground, in metres; None where it is not known."""
        return None if self.resolution_m is None else self.resolution_m / self.zoom


@dataclass(frozen=True, eq=False)
class Detector:
    """Predicts change in tiles by a vision runner.

    Attributes:
        runner: Runs vision encoder and dense head.
        head: The facts of the dense head.
    """

    runner: VisionRunner
    head: HeadFacts

    def survey(
        self,
        sample: Iterable[Tile],
        resolution_m: float | None,
        infrared: int | None = 3,
        zoom: float | None = None,
    ) -> Scene:
        """Measures a pair on some of its tiles.

        Args:
            sample: Tiles spread over the pair.
            resolution_m: Side of a pixel on the ground, in metres; None where it is not known.
            infrared: Index of the near infrared among the bands; None where there is none.
            zoom: Size at which tiles are shown; None to follow the resolution.
        """
        tiles = list(sample)
        ranges = (ColorRange.of(tiles, "before"), ColorRange.of(tiles, "after"))
        zoom = zoom_at(resolution_m) if zoom is None else zoom
        plain = Scene(ranges, zoom, infrared, resolution_m)
        with ThreadPoolExecutor(1, "geochg-survey") as other_thread:
            half = other_thread.submit(self._scene_vector, tiles, plain, half=True)
            full_vector, *full_facts = self._scene_vector(tiles, plain, half=False)
        half_vector, *half_facts = half.result()
        typical, hidden = np.mean((full_facts, half_facts), axis=0).tolist()
        vectors = (full_vector, half_vector)
        return replace(plain, vectors=vectors, typical_logit=typical, hidden_share=hidden)

    def detect(
        self,
        tiles: Sequence[Tile],
        scene: Scene,
        is_quiet: Callable[[DenseArrays], bool] | None = None,
        *,
        needs_tokens: bool = True,
        keeps_encodings: bool = False,
    ) -> VisionOutput:
        """The output of vision encoder and dense head for tiles of one size.

        Args:
            tiles: The tiles.
            scene: The survey of the pair.
            is_quiet: Whether the prediction of one tile for the view of half the size is enough;
                the full prediction of such tiles is the other one enlarged. None to predict all in
                both sizes.
            needs_tokens: Whether text is asked for, so that all tiles are encoded in full size;
                else `before` and `after` are `(tiles, 0)`.
            keeps_encodings: Whether `VisionOutput.encodings` are wanted.
        """
        parts = list(
            workers().map(
                lambda part: self._prediction(part, scene, is_quiet, needs_tokens=needs_tokens),
                batches(tiles),
            )
        )
        count = len(tiles)
        full, half = (
            DenseArrays(*(np.concatenate(arrays)[:count] for arrays in zip(*view, strict=True)))
            for view in ([part[index] for part in parts] for index in (0, 1))
        )
        before, after = (
            np.concatenate([part[2][date] for part in parts])[:count] for date in (0, 1)
        )
        encodings = [part[3] for part in parts][:count] if keeps_encodings else ()
        return VisionOutput(before, after, full, half, encodings)

    def _prediction(
        self,
        tiles: Sequence[Tile],
        scene: Scene,
        is_quiet: Callable[[DenseArrays], bool] | None,
        *,
        needs_tokens: bool,
    ) -> tuple[
        DenseArrays,
        DenseArrays,
        tuple[NDArray[np.float32], NDArray[np.float32]],
        tuple[EncodedDates, EncodedDates] | None,
    ]:
        # The answer for one tile must not decide on others.
        assert is_quiet is None or len(tiles) == 1, "a batch is one tile where is_quiet is given"
        full_vector, half_vector = scene.vectors
        half = self._dense(self._encodings(tiles, scene, half=True), half_vector)
        quiet = is_quiet is not None and is_quiet(half)
        tokens, encodings = (np.zeros((len(tiles), 0), np.float32),) * 2, None
        if needs_tokens or not quiet:
            encodings = before, after = self._encodings(tiles, scene, half=False)
            tokens = (before.tokens, after.tokens) if needs_tokens else tokens
        if quiet:
            _, padded = view_sides(tiles[0].valid.shape, scene.zoom, half=False)
            full = _enlarged_view(half, *(side // self.head.stride_px for side in padded))
        else:
            full = self._dense((before, after), full_vector)
        return full, half, tokens, encodings

    def _dense(
        self, dates: tuple[EncodedDates, EncodedDates], vector: NDArray[np.float32]
    ) -> DenseArrays:
        """The prediction for a batch of which both dates are encoded."""
        before, after = dates
        vectors = np.repeat(vector[None], len(before.maps[0]), axis=0)
        return self.runner.detect(before.maps, after.maps, vectors)

    def _scene_vector(
        self, tiles: Sequence[Tile], scene: Scene, *, half: bool
    ) -> tuple[NDArray[np.float32], float, float]:
        """The scene vector of one view, the median of the change logits, the share not seen."""
        layout, count = self.head.layout, len(tiles)
        parts = list(
            workers().map(lambda part: self._encodings(part, scene, half=half), batches(tiles))
        )
        before, after = (
            [
                np.concatenate(level)[:count]
                for level in zip(*(p[date].maps for p in parts), strict=True)
            ]
            for date in (0, 1)
        )
        valid = np.stack([_valid_view(tile.valid, scene.zoom, half=half) for tile in tiles])
        valid = valid_at(valid, self.head.stride_px)
        size = view_zoom(scene.zoom, half=half)
        shown_m = None if scene.resolution_m is None else scene.resolution_m / size
        vector = scene_vector(layout, before, after, valid, shown_m)

        def run_all(
            run: Callable[..., NDArray[np.float32]], vector: NDArray[np.float32]
        ) -> NDArray[np.float32]:
            def run_batch(indices: Sequence[int]) -> NDArray[np.float32]:
                first, second = ([m[list(indices)] for m in maps] for maps in (before, after))
                return run(first, second, np.repeat(vector[None], len(indices), axis=0))

            return np.concatenate(list(workers().map(run_batch, batches(range(count)))))[:count]

        relative_maps = run_all(self.runner.relative_maps, vector)
        vector = with_medians(layout, vector, relative_maps, valid)
        maps = run_all(lambda *inputs: _change_and_hidden(self.runner.detect(*inputs)), vector)
        logits, hidden = (part[valid] if valid.any() else part for part in (maps[:, 0], maps[:, 1]))
        return vector, float(np.median(logits)), float(np.mean(hidden > NOT_SEEN_SHARE))

    def _encodings(
        self, tiles: Sequence[Tile], scene: Scene, *, half: bool
    ) -> tuple[EncodedDates, EncodedDates]:
        date_images = [
            np.stack(
                [
                    self._pixels(
                        colors.stretched_image(getattr(tile, date), tile.valid), scene, half=half
                    )
                    for tile in tiles
                ]
            )
            for date, colors in zip(("before", "after"), scene.ranges, strict=True)
        ]
        before, after = (self.runner.encode(pixels) for pixels in date_images)
        deepest = [date.maps[-1][: len(tiles)] for date in (before, after)]
        refuse_blind((date_images[0], date_images[1]), (deepest[0], deepest[1]))
        return before, after

    def _pixels(
        self, image: NDArray[np.float32], scene: Scene, *, half: bool
    ) -> NDArray[np.float32]:
        """`(4, height, width)` of a stretched date, as the vision part takes it."""
        shown_sides, padded = view_sides(image.shape[1:], scene.zoom, half=half)
        if shown_sides != image.shape[1:]:
            image = np.clip(resample(image, *shown_sides), 0, 1)
        color = image[:3] if len(image) >= 3 else np.repeat(image[:1], 3, axis=0)
        if scene.infrared is None or scene.infrared >= len(image):
            infrared = np.full_like(color[:1], _NO_INFRARED)
        else:
            infrared = image[scene.infrared][None]
        mean, std = (
            np.array(values, np.float32)[:, None, None]
            for values in (self.head.color_mean, self.head.color_std)
        )
        pixels = np.concatenate(((color - mean) / std, (infrared - mean[:1]) / std[:1]))
        return np.pad(pixels, ((0, 0), *view_margins(shown_sides, padded)), mode="edge").astype(
            np.float32
        )


def _change_and_hidden(dense: DenseArrays) -> NDArray[np.float32]:
    """`(tiles, 2, rows, columns)`: logit of any change, and share of what hides the ground."""
    dates = (dense.before_logits, dense.after_logits)
    hidden = np.maximum(*(softmax(logits.swapaxes(0, 1))[-1] for logits in dates))
    return np.stack((dense.change_logits, hidden), axis=1)


def _enlarged_view(half: DenseArrays, rows: int, cols: int) -> DenseArrays:
    """The prediction for a view of half the size, at the size of the maps of the full one."""
    high, wide = (round(side / HALF) for side in half.color_logits.shape[-2:])
    # What lies beyond the tile was padded; a half-size view may be padded further.
    return DenseArrays(*(resample(maps, high, wide)[..., :rows, :cols] for maps in half))


def zoom_at(resolution_m: float | None) -> float:
    """Size at which pixels of a resolution are shown, relative to their own."""
    if resolution_m is None:
        return 1.0
    return 2.0 if resolution_m > COARSE_M else 0.5 if resolution_m < FINE_M else 1.0


def _sample_pixels(image: NDArray[np.generic], valid: NDArray[np.bool_]) -> NDArray[np.generic]:
    """`(bands, pixels)` of an even sample of the valid pixels."""
    values = image[:, valid]
    return values[:, :: max(1, values.shape[1] // _SAMPLED_PX)]


def _valid_view(valid: NDArray[np.bool_], zoom: float, *, half: bool) -> NDArray[np.bool_]:
    """The mask at the size of a view, padded as `_pixels` pads, where nothing is valid."""
    shown_sides, padded = view_sides(valid.shape, zoom, half=half)
    size = view_zoom(zoom, half=half)
    row, col = (
        np.minimum(((np.arange(count) + 0.5) / size).astype(int), side - 1)
        for count, side in zip(shown_sides, valid.shape, strict=True)
    )
    return np.pad(valid[np.ix_(row, col)], view_margins(shown_sides, padded))


def resample(layers: NDArray[np.float32], rows: int, cols: int) -> NDArray[np.float32]:
    """Bilinear resampling with half-pixel centres, as torch's without antialiasing.

    By NumPy alone: products with matrices of weights would start the threads of BLAS, which stand
    in the way of the threads that answer tiles.

    Args:
        layers: `(..., any, any)` float32.
        rows: Rows of the result.
        cols: Columns of the result.

    Returns:
        `(..., rows, cols)` float32.
    """
    return _resampled_along(_resampled_along(layers, cols, -1), rows, -2)


def _resampled_along(layers: NDArray[np.float32], size: int, axis: int) -> NDArray[np.float32]:
    if layers.shape[axis] == size:
        return layers
    lower, upper, share = _neighbours(layers.shape[axis], size)
    share = share.reshape(-1, *[1] * (-1 - axis))
    resampled = np.take(layers, lower, axis)
    difference = np.take(layers, upper, axis)
    difference -= resampled
    difference *= share
    resampled += difference
    return resampled


@lru_cache(maxsize=32)
def _neighbours(
    old: int, new: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each new pixel along an axis the old ones on both sides, and the share of the second."""
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    lower = np.minimum(centres.astype(np.intp), max(old - 2, 0))
    upper = np.minimum(lower + 1, old - 1)
    return lower, upper, (centres - lower).astype(np.float32)
