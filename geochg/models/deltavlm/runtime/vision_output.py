"""The output of the vision encoder for tiles, before any question, whatever runs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from geochg.models.deltavlm.scene import SceneLayout, scene_layout
from geochg.records import Change, Channel, Tile

if TYPE_CHECKING:
    from geochg.models.deltavlm.configuration import DeltaVLMConfig

SIDE_MULTIPLE_PX = 32
"""Images are padded to sides of a multiple of this."""

VISION_BATCH = 1
"""Images encoded at once: the feature maps of more leave a processor's cache, and batches run side
by side."""

TWICE_THE_MEDIAN = 45 / 64
"""Logarithm at which the colour logit is 0; exports keep it in half precision."""

AVERAGED_LOGITS = 3
"""Logits of any change that are averaged: of two networks, and of the plain colours."""

COVER_WEIGHT = 2
"""Weight of the land covers in the mean for a change of buildings, where pyramid and colours weigh
1: they follow roofs best."""

NOT_SEEN_SHARE = 0.8
"""Cloud, shadow or snow that is likelier than this at either date hides the ground."""


@dataclass(frozen=True, slots=True)
class HeadFacts:
    """The facts that are needed to use a dense head.

    Attributes:
        channels: Class and direction of each channel of the outlines.
        level_channels: Channels of the encoder's feature levels, the finest first.
        stride_px: Image pixels per pixel of the head, along one side.
        color_mean: Mean of each band of the encoder's pixels, 0-1.
        color_std: Standard deviation of each band.
        calibration: See `postprocessing.Calibration`; None before it was fitted.
        no_change_sentence: The caption of a pair in which the head sees no change.
    """

    channels: tuple[Channel, ...]
    level_channels: tuple[int, ...]
    stride_px: int
    color_mean: tuple[float, ...]
    color_std: tuple[float, ...]
    calibration: dict[str, Any] | None
    no_change_sentence: str

    @classmethod
    def of(cls, config: DeltaVLMConfig, level_channels: Sequence[int]) -> HeadFacts:
        """The facts of a configuration that has a dense head."""
        dense = config.dense_config
        return cls(
            tuple(Channel(name, Change(change)) for name, change in dense.channels),
            tuple(level_channels),
            dense.stride_px,
            tuple(config.image_mean),
            tuple(config.image_std),
            dense.calibration,
            config.no_change_sentence,
        )

    @property
    def layout(self) -> SceneLayout:
        """The layout of a scene vector."""
        return scene_layout(self.level_channels)


class EncodedDates(NamedTuple):
    """Images of one date, encoded.

    Attributes:
        tokens: `(images, tokens, width)` float32: visual tokens.
        maps: Per level, the colours first: `(images, channels, rows, columns)` float32.
    """

    tokens: NDArray[np.float32]
    maps: list[NDArray[np.float32]]


class DenseArrays(NamedTuple):
    """The fields of `DenseOutput` as arrays, but for the relative maps."""

    pyramid_logits: NDArray[np.float32]
    statistics_logits: NDArray[np.float32]
    color_logits: NDArray[np.float32]
    before_logits: NDArray[np.float32]
    after_logits: NDArray[np.float32]

    @property
    def change_logits(self) -> NDArray[np.float32]:
        """`(tiles, rows, columns)`; as `DenseOutput.change_logits`."""
        networks = self.pyramid_logits[:, 0] + self.statistics_logits[:, 0]
        logits: NDArray[np.float32] = networks + self.color_logits[:, 0]
        logits /= AVERAGED_LOGITS
        return logits


@dataclass(frozen=True, slots=True, eq=False)
class VisionOutput:
    """The output of the vision encoder for some tiles.

    Attributes:
        before: Visual tokens, `(tiles, tokens, width)`; array or tensor, as it came.
        after: As `before`.
        dense: The dense prediction, arrays or tensors; None without a head.
        half: The dense prediction for a view of half the size; None without a head.
        encodings: Of each tile both dates, encoded in full size; None for tiles that were not, and
            empty where nobody asked for them.
    """

    before: Any
    after: Any
    dense: DenseArrays | None
    half: DenseArrays | None = None
    encodings: Sequence[tuple[EncodedDates, EncodedDates] | None] = ()


class VisionRunner(Protocol):
    """Runs the vision encoder and the dense head."""

    @property
    def head(self) -> HeadFacts | None:
        """The facts of the dense head; None without one."""

    def encode(self, pixels: NDArray[np.float32]) -> EncodedDates:
        """Encodes images of one date, each once.

        Args:
            pixels: `(VISION_BATCH, 4, height, width)` float32, normalised; see
                `vision.colors_of`. Sides are multiples of `SIDE_MULTIPLE_PX`.
        """

    def detect(
        self,
        before: Sequence[NDArray[np.float32]],
        after: Sequence[NDArray[np.float32]],
        scene: NDArray[np.float32],
    ) -> DenseArrays:
        """Predicts change in pairs.

        Args:
            before: Maps of `VISION_BATCH` images.
            after: As `before`.
            scene: `(VISION_BATCH, size)`, see `scene.scene_vector`.
        """

    def relative_maps(
        self,
        before: Sequence[NDArray[np.float32]],
        after: Sequence[NDArray[np.float32]],
        scene: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """The difference maps whose medians go into the scene vector; see `Differences.relative`.

        Arguments as `detect`; the medians of the scene vector do not matter.

        Returns:
            `(VISION_BATCH, medians, rows, columns)` float32.
        """

    def tokens(self, tiles: Sequence[Tile]) -> VisionOutput:
        """Only the visual tokens, for a model without a dense head."""


def joined_outputs(outputs: Sequence[VisionOutput]) -> VisionOutput:
    """The outputs of tiles one by one, as the output of all at once."""
    if len(outputs) == 1:
        return outputs[0]

    def view(dense: Sequence[DenseArrays | None]) -> DenseArrays | None:
        dense_arrays = [arrays for arrays in dense if arrays is not None]
        return (
            DenseArrays(*map(np.concatenate, zip(*dense_arrays, strict=True)))
            if dense_arrays
            else None
        )

    return VisionOutput(
        np.concatenate([output.before for output in outputs]),
        np.concatenate([output.after for output in outputs]),
        view([output.dense for output in outputs]),
        view([output.half for output in outputs]),
        [encodings for output in outputs for encodings in output.encodings],
    )


_Item = TypeVar("_Item")


def batches(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items in batches that are always as large: the last is filled with its last item.

    Sums are rounded differently in batches of other sizes, and the same tile must give the same
    whatever its neighbours and however often a run resumed.
    """
    for start in range(0, len(items), VISION_BATCH):
        part = items[start : start + VISION_BATCH]
        yield [*part, *[part[-1]] * (VISION_BATCH - len(part))]


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shares along the first axis."""
    powers = np.exp(logits - logits.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0))
