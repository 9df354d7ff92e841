"""Options of `geochg dataset build`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from geochg.datasets.captions.truth import CLASS_NAMES
from geochg.errors import OptionError
from geochg.options import MOST_TILE_PX, AlignMode, Options, check_tiles

LEVIR_MCI = ("128=road", "255=building")
"""How the masks of LEVIR-MCI are coded."""


@dataclass(frozen=True)
class BuildOptions(Options):
    """Options of turning pairs into rows.

    Attributes:
        coding: `value=class` for each value of the masks; 0 is no change. For vectors, values of
            the class field.
        tile_size_px: Side of a tile; smaller pictures are taken whole.
        overlap_px: Overlap of neighbouring tiles.
        shares: Shares of train, val and test; 0 for none.
        block_tiles: Tiles along a side of the blocks that a raster is split by.
        gap_px: Tiles of different splits lie at least this far apart on the ground; what is nearer
            is left out.
        min_valid: Tiles with a smaller share (0-1) of pixels that both dates and the mask cover
            are left out.
        keep_unchanged: Share (0-1) of the tiles without change that is kept.
        align: What to do about a residual shift between two rasters.
        dates_as_given: Whether two rasters are taken whose files say that the first is the newer.
        allow_remote: Whether rasters and masks on this machine may name rasters elsewhere.
        seed: Seed of the splits, the wordings and which unchanged tiles are kept.
        questions: Free questions a tile that the captioner is asked to write.
    """

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "tile_size_px": (3, MOST_TILE_PX),
        "overlap_px": (0, MOST_TILE_PX),
        "shares": (0, 1),
        "block_tiles": (1, 100_000),
        "gap_px": (0, 100_000),
        "min_valid": (0, 1),
        "keep_unchanged": (0, 1),
        "seed": (0, 2**62),
        "questions": (1, 100),
    }

    coding: tuple[str, ...] = LEVIR_MCI
    tile_size_px: int = 256
    overlap_px: int = 0
    shares: tuple[float, ...] = (0.7, 0.1, 0.2)
    block_tiles: int = 4
    gap_px: int = 64
    min_valid: float = 0.9
    keep_unchanged: float = 1.0
    align: AlignMode = AlignMode.AUTO
    dates_as_given: bool = False
    allow_remote: bool = False
    seed: int = 0
    questions: int = 1

    def __post_init__(self) -> None:
        _require(self.tile_size_px >= 3, f"tile size {self.tile_size_px} px", "at least 3")
        check_tiles(self.tile_size_px, self.overlap_px)
        fits = len(self.shares) == 3 and all(0 <= share <= 1 for share in self.shares)
        _require(
            fits and abs(sum(self.shares) - 1) < 1e-6,
            f"the shares {', '.join(map(str, self.shares))}",
            "three numbers, of train, val and test, that add up to 1",
        )
        _require(self.block_tiles > 0, f"blocks of {self.block_tiles} tiles", "above zero")
        _require(self.questions > 0, f"{self.questions} questions", "above zero")
        for name in ("min_valid", "keep_unchanged"):
            value = getattr(self, name)
            _require(0 <= value <= 1, f"{name.replace('_', ' ')} {value}", "between 0 and 1")
        class_coding(self.coding)
        super().__post_init__()


def class_coding(coding: Sequence[str]) -> dict[str, int]:
    """Index in `CLASS_NAMES` by the value of a mask, as text.

    Raises:
        OptionError: If an entry is not `value=class` or a value is given twice.
    """
    indexes: dict[str, int] = {}
    for entry in coding:
        value, separator, name = (part.strip() for part in entry.rpartition("="))
        if not separator or not value or name not in CLASS_NAMES[1:]:
            raise OptionError(
                f"{entry!r} gives no class of masks",
                f"write VALUE=CLASS; classes: {', '.join(CLASS_NAMES[1:])}",
            )
        if value in indexes or value == "0":
            raise OptionError(
                f"the value {value!r} of masks", "give each value once; 0 is no change"
            )
        indexes[value] = CLASS_NAMES.index(name)
    if not indexes:
        raise OptionError("no class of masks is given", "write VALUE=CLASS")
    return indexes


def _require(holds: bool, value: str, rule: str) -> None:
    if not holds:
        raise OptionError(value, f"it must be {rule}")
