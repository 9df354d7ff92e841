"""A pair of rasters whose changes somebody reviewed, to be cut into tiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from geochg.datasets.builder.pair_tiles import pair_tiles
from geochg.datasets.builder.scene import MaskedScene, MaskedTile
from geochg.datasets.builder.verdicts import VerdictMap
from geochg.datasets.captions.truth import CLASS_NAMES
from geochg.options import AlignMode
from geochg.records import TileWindow
from geochg.tiling.pair import RasterPair


@dataclass(frozen=True)
class ReviewedScene(MaskedScene):
    """A pair of rasters with verdicts; its attributes beside those of `MaskedScene`.

    Attributes:
        pair: The rasters on their common grid.
        verdict_map: What was decided on the changes between them.
        align: What to do about a residual shift.
        match: Whether to match the later values to the earlier ones.
    """

    pair: RasterPair | None = None
    verdict_map: VerdictMap | None = None
    align: AlignMode = AlignMode.AUTO
    match: bool = False

    def windows(self, tile_size_px: int, overlap_px: int) -> list[TileWindow]:
        """The tiles that the verdicts tell something of, cut as by `analyze`."""
        assert self.verdict_map is not None
        windows = super().windows(tile_size_px, overlap_px)
        return [window for window in windows if self.verdict_map.tells_of(window.read)]

    def shows_change(self, window: TileWindow) -> bool:
        """See `MaskedScene.shows_change`."""
        assert self.verdict_map is not None
        return self.verdict_map.shows_change(window.read)

    def count_untold(self, tile_size_px: int, overlap_px: int) -> int:
        """See `MaskedScene.count_untold`."""
        all_windows = super().windows(tile_size_px, overlap_px)
        return len(all_windows) - len(self.windows(tile_size_px, overlap_px))

    def tiles(self, windows: Sequence[TileWindow]) -> Iterator[MaskedTile]:
        """The tiles of some windows, in order, both dates stretched as `analyze` does."""
        assert self.pair is not None
        assert self.verdict_map is not None
        for tile in pair_tiles(self.pair, windows, self.align, self.name, match=self.match):
            yield MaskedTile(tile, *self.verdict_map.ground(tile.window.read))


def reviewed_scene(
    pair: RasterPair,
    verdict_map: VerdictMap,
    name: str,
    *,
    align: AlignMode,
    match: bool = False,
    wanted_classes: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> ReviewedScene:
    """The scene of a pair and of the verdicts on its changes.

    Args:
        pair: The rasters on their common grid.
        verdict_map: What was decided.
        name: Name of the scene, as a file may have it.
        align: What to do about a residual shift.
        match: Whether to match the later values to the earlier ones.
        wanted_classes: Classes that were looked for; all of geochg's when empty.
        notes: Sentences that its user should know.
    """
    known_names = {*(wanted_classes or CLASS_NAMES), *verdict_map.classes}
    height_px, width_px = pair.grid.shape
    return ReviewedScene(
        name=name,
        shape_px=(height_px, width_px),
        # Of a word of the user's own that no verdict gives a class, it is some change.
        known=tuple(name for name in CLASS_NAMES[1:] if name in known_names) or CLASS_NAMES[-1:],
        facts=pair.facts,
        grid=pair.grid,
        notes=(*notes, *verdict_map.notes),
        verdicts=verdict_map.counts,
        pair=pair,
        verdict_map=verdict_map,
        align=align,
        match=match,
    )
