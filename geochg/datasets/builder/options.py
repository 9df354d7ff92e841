"""Options of `geochg dataset build`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from geochg.datasets.captions.truth import CLASS_NAMES
from geochg.errors import OptionError
from geochg.options import AlignMode, Options, option
from geochg.tile_sizes import MOST_TILE_PX, check_tiles

LEVIR_MCI = ("128=road", "255=building")
"""How the masks of LEVIR-MCI are coded."""


@dataclass(frozen=True)
class BuildOptions(Options):
    """Options of turning pairs into rows; the help of each option stands with its field.

    Attributes:
        coding: `value=class` for each value of the masks; 0 is no change. For vectors, values of
            the class field.
    """

    coding: tuple[str, ...] = LEVIR_MCI
    tile_size_px: int = option(
        256,
        "Side of a tile in pixels; smaller pictures are taken whole.",
        unit="px",
        least=3,
        greatest=MOST_TILE_PX,
    )
    overlap_px: int = option(
        0, "Overlap of neighbouring tiles, in pixels.", unit="px", least=0, greatest=MOST_TILE_PX
    )
    shares: tuple[float, ...] = option(
        (0.7, 0.1, 0.2),
        "Shares of train, val and test; 0 for none.",
        least=0,
        greatest=1,
        commands=(),
    )
    block_tiles: int = option(
        4,
        "Tiles along a side of the blocks by which rasters are split.",
        flag="--block",
        least=1,
        greatest=100_000,
    )
    gap_px: int = option(
        64,
        "Tiles of different splits lie at least so many pixels apart; nearer ones are left out.",
        unit="px",
        least=0,
        greatest=100_000,
    )
    min_valid: float = option(
        0.9,
        "Leave out tiles with a smaller share of pixels that both dates and the mask cover.",
        least=0,
        greatest=1,
    )
    all_reviewed: bool = option(
        False,
        "Of reviewed layers: you went through the whole area. What you neither accepted nor drew "
        "counts as unchanged, changes that nobody decided on too.",
    )
    keep_unchanged: float = option(
        1.0, "Share of the tiles without change that is kept.", least=0, greatest=1
    )
    align: AlignMode = option(
        AlignMode.AUTO, "What to do about a residual shift between two rasters."
    )
    dates_as_given: bool = option(
        False, "Take rasters in the order given although the files say that BEFORE is the newer."
    )
    allow_remote: bool = option(
        False,
        "Let rasters and masks on this machine name rasters elsewhere (a VRT of an address), and "
        "fetch those.",
    )
    seed: int = option(0, "Seed of all draws.", least=0, greatest=2**62)
    questions: int = option(
        1, "Free questions a tile that the captioner is asked for.", least=1, greatest=100
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_tiles(self.tile_size_px, self.overlap_px)
        if len(self.shares) != 3 or abs(sum(self.shares) - 1) > 1e-6:
            raise OptionError(
                f"the shares {', '.join(map(str, self.shares))}",
                "they must be three numbers, of train, val and test, that add up to 1",
            )
        class_coding(self.coding)


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
                f"{entry!r} names no mask value with its class",
                f"write VALUE=CLASS; classes: {', '.join(CLASS_NAMES[1:])}",
            )
        if value in indexes or value == "0":
            raise OptionError(
                f"the mask value {value!r} is given twice, or is 0",
                "give each once; 0 is no change",
            )
        indexes[value] = CLASS_NAMES.index(name)
    if not indexes:
        raise OptionError("no mask value is given a class", "write VALUE=CLASS")
    return indexes
