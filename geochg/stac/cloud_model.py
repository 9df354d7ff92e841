"""Cloud masks of scenes without a quality band, predicted by the models of `ukis-csmask`.

That package, of the extra `clouds` (DLR, Apache-2.0; Wieland, Li and Martinis 2019, remade
for version 1) holds four convolutional networks, for four bands or six and for reflectance at the
top of the atmosphere or at the surface. geochg reads its files and runs them itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geochg.errors import InputError, ModelError
from geochg.extras import install_command, require_packages
from geochg.models.deltavlm.runtime.onnx_file import start_session, workers
from geochg.records import PixelWindow
from geochg.stac.cloud_masks import CLEAR, CLOUD, NO_DATA, SHADOW

_PACKAGE = "ukis_csmask"
NEEDED_BANDS = ("blue", "green", "red", "nir")
"""Bands that every model needs."""

_SHORT_WAVE = ("swir16", "swir22")
_ALIASES = {
    **dict.fromkeys(("nir08", "nir09"), "nir"),
    **dict.fromkeys(("swir", "swir1"), "swir16"),
    "swir2": "swir22",
}
"""Other names for what a band shows."""

_CLASSES = np.array([CLEAR, CLOUD, SHADOW], np.uint8)
"""Classes of a cloud mask in the order of the models' outputs."""

_USUAL_M = 30.0
"""Side of a pixel in metres for which the models were made. In finer pixels, those of six bands
take bright roofs and their shadows for clouds (`benchmarks/cloud_masks.py`), so that pixels up to
20 m are averaged."""

COARSEST_M = 100.0
"""Side of a pixel in metres from which on clouds are too few pixels wide."""

_SIDE_PX, _MARGIN_PX = 256, 32
"""Side of a model's window, and how much of it beside an inner edge only serves as context."""

_BRIGHTEST = 3.0
"""Reflectance beyond which a value was not measured, even on a cloud towards the sun."""

_HINT = f"uninstall ukis-csmask, then install it again: {install_command('clouds')}"

Level = Literal["l1c", "l2a"]
"""Where reflectance is told: `l1c` at the top of the atmosphere, `l2a` at the surface."""


@dataclass(frozen=True)
class CloudModel:
    """A network that tells clouds and their shadows from clear ground; it knows no snow.

    Attributes:
        name: Which of the four it is, with its version.
        bands: What its bands show, in their order.
        mean: `(bands, 1, 1)` float32, reflectance.
        deviation: `(bands, 1, 1)` float32, reflectance.
        session: An `onnxruntime.InferenceSession`: `(n, bands, 256, 256)` float32 to
            `(n, 3, 256, 256)` float32, logits of clear, cloud and shadow.
    """

    name: str
    bands: tuple[str, ...]
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    session: Any

    @classmethod
    def open(
        cls, band_names: Sequence[str], level: Level = "l2a", device: str = "cpu"
    ) -> CloudModel:
        """Opens the model for the bands that a scene has.

        Args:
            band_names: Common names of STAC's extension for sensors, such as `red` and `swir16`,
                in any order; others are not used.
            level: Where reflectance is told.
            device: `cpu`, `cuda` or `cuda:1`.

        Raises:
            MissingExtraError: If the package is not installed.
            InputError: If a band is missing that the models need.
            ModelError: If the package's files cannot be loaded.
        """
        bands = model_bands(band_names)
        require_packages("clouds", _PACKAGE)
        file = _package_folder() / f"model_{len(bands)}b_{level}.onnx"
        try:
            card = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
            statistics = card["data"]["dataset_statistics"]
            order, version = tuple(statistics["band_names"]), card["model"]["version"]
            mean, deviation = np.asarray(statistics["img"], np.float32)[:, :, None, None]
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise ModelError(f"{file} has no card that geochg can read", _HINT) from error
        if sorted(order) != sorted(bands) or card["data"].get("target_size") != [_SIDE_PX] * 2:
            raise ModelError(f"{file} is a model of a kind that geochg does not know", _HINT)
        session = start_session(file, device, _HINT)
        return cls(f"ukis-csmask {version}", order, mean, deviation, session)

    def classes(
        self,
        reflectance: dict[str, NDArray[np.floating]],
        valid: NDArray[np.bool_],
        pixel_m: float,
    ) -> NDArray[np.uint8]:
        """The cloud mask of a scene.

        Args:
            reflectance: By the names that `open` was given; each `(height, width)` float,
                reflectance from 0 to 1.
            valid: `(height, width)` bool, where it was measured.
            pixel_m: Side of a pixel in metres. Up to 20 m, pixels are averaged to about 30 m, those
                of 20 m to 40 m; from 45 m on, they are repeated.

        Returns:
            `(height, width)` uint8 of the classes of `cloud_masks`, without snow.

        Raises:
            InputError: If the pixels are too coarse, or the values are no reflectance.
        """
        if not 0 < pixel_m <= COARSEST_M:
            raise InputError(
                f"clouds cannot be told in pixels of {pixel_m:g} m",
                f"take a collection of {COARSEST_M:g} m or finer, or leave cloud masks off",
            )
        # What is named as the model does goes before what stands for it.
        by_name = {_common_name(name): values for name, values in reflectance.items()} | reflectance
        scene = np.stack([np.asarray(by_name[name], np.float32) for name in self.bands])
        valid = valid & np.isfinite(scene).all(axis=0)
        if not valid.any():
            return np.full(valid.shape, NO_DATA, np.uint8)
        _refuse_other_units(scene[:, valid])
        scene[:, ~valid] = 0
        height, width = valid.shape
        if (factor := math.floor(_USUAL_M / pixel_m + 0.5)) > 1:
            mask = _repeated(self._predict(_averaged(scene, valid, factor)), factor)
        elif (factor := round(pixel_m / _USUAL_M)) > 1:
            large = _repeated(scene, factor)
            mask = self._predict(large)[factor // 2 :: factor, factor // 2 :: factor]
        else:
            mask = self._predict(scene)
        return np.where(valid, mask[:height, :width], NO_DATA).astype(np.uint8)

    def _predict(self, scene: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Classes of `(bands, height, width)` reflectance in pixels of a fit size."""
        _, height, width = scene.shape
        missing = [(0, max(_SIDE_PX - side, 0)) for side in (height, width)]
        large = np.pad((scene - self.mean) / self.deviation, [(0, 0), *missing], mode="symmetric")
        mask = np.empty(large.shape[1:], np.uint8)

        frame = PixelWindow.whole(mask.shape)

        def predict_core(window: PixelWindow, core: PixelWindow) -> None:
            tile = large[None, :, *window.slices_within(frame)]
            (logits,) = self.session.run(None, {self.session.get_inputs()[0].name: tile})
            classes = _CLASSES[logits[0].argmax(axis=0)]
            mask[core.slices_within(frame)] = classes[core.slices_within(window)]

        # Waits for all of them, and raises what one raises.
        list(workers().map(predict_core, *zip(*_tiles(*mask.shape), strict=True)))
        return mask[:height, :width]


def model_bands(band_names: Sequence[str]) -> tuple[str, ...]:
    """The bands that a model would use of those there are: six, or four without short wave.

    Args:
        band_names: Common names of STAC's extension for sensors.

    Raises:
        InputError: If one of the four is missing.
    """
    names = {_common_name(name) for name in band_names}
    if missing := [name for name in NEEDED_BANDS if name not in names]:
        words = ["near infrared" if name == "nir" else name for name in missing]
        raise InputError(
            f"clouds cannot be told without {' and '.join(words)}: the scene has "
            f"{', '.join(band_names) or 'no named band'}",
            "add the band to those that are fetched, or leave cloud masks off",
        )
    has_all = names.issuperset(_SHORT_WAVE)
    return (*NEEDED_BANDS, *_SHORT_WAVE) if has_all else NEEDED_BANDS


def _common_name(name: str) -> str:
    return _ALIASES.get(name.lower(), name.lower())


def _package_folder() -> Path:
    """The folder of the package, which needs not be imported to read its files."""
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"{_PACKAGE} has no folder", _HINT)
    return Path(spec.submodule_search_locations[0])


def _refuse_other_units(values: NDArray[np.float32]) -> None:
    """Refuses digital numbers, which a scale and an offset have yet to bring to reflectance."""
    high = float(np.percentile(values, 99))
    if high > _BRIGHTEST:
        raise InputError(
            f"clouds cannot be told: values up to {high:g} are no reflectance, which is 0 to 1",
            "the catalogue tells no scale of its bands; leave cloud masks off",
        )


def _averaged(
    scene: NDArray[np.float32], valid: NDArray[np.bool_], factor: int
) -> NDArray[np.float32]:
    """Means over blocks of valid pixels, 0 where none is; `(bands, height, width)`."""
    bands, height, width = scene.shape
    rows, cols = -(-height // factor), -(-width // factor)
    beyond = [(0, rows * factor - height), (0, cols * factor - width)]
    blocks = np.pad(scene, [(0, 0), *beyond]).reshape(bands, rows, factor, cols, factor)
    counts = np.pad(valid, beyond).reshape(rows, factor, cols, factor).sum(axis=(1, 3))
    return np.asarray(blocks.sum(axis=(2, 4)) / np.maximum(counts, 1), np.float32)


def _repeated(values: NDArray[Any], factor: int) -> NDArray[Any]:
    """Each pixel of `(..., height, width)` as a block of pixels."""
    return np.repeat(np.repeat(values, factor, axis=-1), factor, axis=-2)


def _tiles(height: int, width: int) -> Iterator[tuple[PixelWindow, PixelWindow]]:
    """Windows of a model, each with the core that its answer is taken for; cores cover all."""
    for row_start, rows in _spans(height):
        for col_start, cols in _spans(width):
            window = PixelWindow(row_start, row_start + _SIDE_PX, col_start, col_start + _SIDE_PX)
            yield window, PixelWindow(*rows, *cols)


def _spans(length: int) -> list[tuple[int, tuple[int, int]]]:
    """Along one side: starts of windows, the last one moved inwards, and starts and ends of cores.

    Args:
        length: Of the side in pixels, 256 or more.
    """
    count = math.ceil((length - 2 * _MARGIN_PX) / (_SIDE_PX - 2 * _MARGIN_PX))
    starts = [round(k * (length - _SIDE_PX) / max(count - 1, 1)) for k in range(count)]
    # Two windows share what both see, so that no core ends near an inner edge.
    edges = [(start + _SIDE_PX + after) // 2 for start, after in pairwise(starts)]
    return list(zip(starts, zip([0, *edges], [*edges, length], strict=True), strict=True))
