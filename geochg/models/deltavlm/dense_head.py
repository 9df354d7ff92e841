"""The dense change head: what covers the ground at each date, and where it changed.

Not in the paper. Three logits are averaged, because they fail in different places: a feature
pyramid (Lin et al. 2017, https://arxiv.org/abs/1612.03144) over both dates knows what houses and
water look like, a pixelwise network on maps of the differences knows what is unusual in this pair
(`scene`, `difference_maps`), and the plain colour difference in a wide window, relative to its
median, is not learned, so nothing can mislead it. It is weighted so that its spread is that of the
networks' logits. Land cover is read from each date's own pyramid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from geochg.models.deltavlm.configuration import DeltaVLMDenseConfig
from geochg.models.deltavlm.difference_maps import (
    WIDE_COLOR,
    Differences,
    differences,
    map_count,
    relative_logs,
)
from geochg.models.deltavlm.runtime.vision_output import (
    AVERAGED_LOGITS,
    COVER_WEIGHT,
    TWICE_THE_MEDIAN,
)
from geochg.models.deltavlm.scene import SceneLayout, scene_layout
from geochg.models.deltavlm.vision import split_dates
from geochg.records import LAND_COVER

COVERS = len(LAND_COVER) + 1
"""Land covers, then the class of ground that is not seen: cloud, its shadow, snow."""

NOT_SEEN = len(LAND_COVER)
BUILDING = LAND_COVER.index("building")

INDEX_CHANNELS = 4
"""Channels of the first level behind the colours, see `vision.colors_of`."""

CHANGE_PRIOR = -1.0
"""Bias of the change logits at the start of training: change is rare."""

KINDS = 2
"""Outputs of the two networks: anything changed; a building came, went or was replaced."""

_SURE = 4.6
"""Greatest magnitude of the logit from the land covers of two dates."""


class DenseOutput(NamedTuple):
    """The prediction for a batch of pairs, at a quarter of the image's sides.

    Attributes:
        pyramid_logits: `(batch, 2, rows, columns)`: anything changed; buildings changed.
        statistics_logits: As `pyramid_logits`.
        color_logits: `(batch, 1, rows, columns)`: anything changed, by the colour difference alone.
        before_logits: `(batch, COVERS, rows, columns)`: land cover before.
        after_logits: As `before_logits`.
        relative_maps: See `Differences.relative`; their medians go into the scene vector.
    """

    pyramid_logits: Tensor
    statistics_logits: Tensor
    color_logits: Tensor
    before_logits: Tensor
    after_logits: Tensor
    relative_maps: Tensor

    def select(self, index: Tensor) -> DenseOutput:
        """The pairs at the given indices of the batch."""
        return DenseOutput(*(part[index] for part in self))

    @property
    def change_logits(self) -> Tensor:
        """`(batch, 1, rows, columns)`: anything changed."""
        networks = self.pyramid_logits[:, :1] + self.statistics_logits[:, :1]
        return (networks + self.color_logits) / AVERAGED_LOGITS

    @property
    def building_logits(self) -> Tensor:
        """`(batch, 1, rows, columns)`: a building came, went or was replaced."""
        before, after = (
            logits.softmax(dim=1)[:, BUILDING : BUILDING + 1]
            for logits in (self.before_logits, self.after_logits)
        )
        differs = (after - before).abs().clamp(1e-3, 1 - 1e-3)
        from_cover = torch.log(differs) - torch.log1p(-differs)
        networks = self.pyramid_logits[:, 1:] + COVER_WEIGHT * from_cover.clamp(-_SURE, _SURE)
        return (networks + self.color_logits) / (2 + COVER_WEIGHT)


class DenseHead(nn.Module):
    """The dense change head; see the module.

    Args:
        config: The head's configuration.
        channels: Channels of the encoder's feature levels, the finest first.
    """

    def __init__(self, config: DeltaVLMDenseConfig, channels: Sequence[int]) -> None:
        super().__init__()
        width, maps = config.width, map_count(len(channels))
        self.config = config
        self.layout = scene_layout(channels)
        self.date_pyramid = FeaturePyramid(channels, width, config.norm_groups)
        self.difference_pyramid = FeaturePyramid(channels, width, config.norm_groups)
        self.land_cover = nn.Sequential(
            _separable(width + INDEX_CHANNELS, width, config.norm_groups),
            nn.Conv2d(width, COVERS, 1),
        )
        self.fuse = nn.Sequential(
            nn.Conv2d(2 * width + maps + 2 + _RESOLUTION, width, 3, padding=1),
            nn.GroupNorm(config.norm_groups, width),
            nn.ReLU(),
            _separable(width, width, config.norm_groups),
            _separable(width, width, config.norm_groups),
        )
        self.change = ChangeReadout(width)
        self.statistics = nn.Sequential(
            nn.Conv2d(maps + _RESOLUTION, config.statistics_width, 1),
            nn.ReLU(),
            ChangeReadout(config.statistics_width),
        )

    def forward(
        self, maps: Sequence[Tensor], scene: Tensor, comparison: Differences | None = None
    ) -> DenseOutput:
        """Predicts change in a batch of pairs.

        Args:
            maps: Per level `(2 * batch, channels, rows, columns)`, see `DateFeatures.maps`.
            scene: `(batch, layout.size)`, see `scene.scene_vector`.
            comparison: The difference maps, where they are known.
        """
        dates = [split_dates(level) for level in maps]
        before, after = ([level[date] for level in dates] for date in (0, 1))
        comparison = self.compare(before, after, scene) if comparison is None else comparison
        # The maps keep their precision where the weights have less.
        dtype = self.change.weight.dtype
        relative = relative_logs(self.layout, comparison.relative, scene.float())
        relative_and_plain = torch.cat((relative, comparison.plain), dim=1)
        statistics = relative_and_plain.to(dtype)
        resolution = _resolution_planes(self.layout, scene, statistics).to(dtype)
        pyramids = split_dates(self.date_pyramid(maps[1:]))
        covers = [
            self.land_cover(torch.cat((pyramid, colors[:, -INDEX_CHANNELS:]), dim=1)).float()
            for pyramid, colors in zip(pyramids, dates[0], strict=True)
        ]
        shares = [cover.softmax(dim=1) for cover in covers]
        building = slice(BUILDING, BUILDING + 1)
        seen_parts = (
            (pyramids[0] - pyramids[1]).abs(),
            self.difference_pyramid([level.to(dtype) for level in comparison.standard]),
            statistics,
            1 - (shares[0] * shares[1]).sum(dim=1, keepdim=True),
            (shares[0][:, building] - shares[1][:, building]).abs(),
            resolution,
        )
        fused = self.fuse(torch.cat([part.to(dtype) for part in seen_parts], dim=1))
        return DenseOutput(
            pyramid_logits=self.change(fused),
            statistics_logits=self.statistics(torch.cat((statistics, resolution), dim=1)),
            color_logits=self.config.color_weight
            * (relative[:, WIDE_COLOR : WIDE_COLOR + 1] - TWICE_THE_MEDIAN),
            before_logits=covers[0],
            after_logits=covers[1],
            relative_maps=comparison.relative,
        )

    @torch.no_grad()
    def compare(
        self, before: Sequence[Tensor], after: Sequence[Tensor], scene: Tensor
    ) -> Differences:
        """The difference maps, float32; nothing is learned through them."""
        first, second = ([level.float() for level in levels] for levels in (before, after))
        return differences(self.layout, first, second, scene.float())


class FeaturePyramid(nn.Module):
    """Features of all levels brought to the finest, the coarse ones first.

    Args:
        channels: Channels of each level, the finest first.
        width: Channels of the output.
        groups: Groups of the group norms.
    """

    def __init__(self, channels: Sequence[int], width: int, groups: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(channel, width, 1) for channel in channels)
        self.mix = nn.ModuleList(_separable(width, width, groups) for _ in channels)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """`(batch, width, rows, columns)` at the finest level's size."""
        pyramid: Tensor | None = None
        for lateral, mix, level in zip(
            reversed(self.lateral), reversed(self.mix), reversed(levels), strict=True
        ):
            features = lateral(level)
            if pyramid is not None:
                size = (features.shape[-2], features.shape[-1])
                features = features + functional.interpolate(
                    pyramid, size=size, mode="bilinear", align_corners=False
                )
            pyramid = mix(features)
        assert pyramid is not None
        return pyramid


class ChangeReadout(nn.Conv2d):
    """A last convolution; its bias begins with the prior that change is rare."""

    def __init__(self, width: int) -> None:
        super().__init__(width, KINDS, 1)


_RESOLUTION = 2


def _resolution_planes(layout: SceneLayout, scene: Tensor, like: Tensor) -> Tensor:
    """`(batch, 2, rows, columns)`: the resolution of the pair at every pixel."""
    planes = scene[:, layout.resolution_slice, None, None]
    return planes.expand(-1, -1, like.shape[-2], like.shape[-1])


def _separable(channels: int, width: int, groups: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
        nn.Conv2d(channels, width, 1),
        nn.GroupNorm(groups, width),
        nn.ReLU(),
    )
