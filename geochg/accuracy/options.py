"""Options of drawing a sample; the help of each one stands with its field."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from geochg.errors import OptionError
from geochg.options import Options, option

USUAL_UNITS = 200
"""Units of a sample where nothing tells how many."""


class Allocation(StrEnum):
    """How the units are shared out among the strata."""

    EQUAL = "equal"
    OPTIMAL = "optimal"


@dataclass(frozen=True)
class SampleOptions(Options):
    """How a sample is drawn."""

    units: int | None = option(
        None,
        "Units in all, at least five of each stratum.",
        least=1,
        greatest=1_000_000,
        usual=str(USUAL_UNITS),
        commands=(),
        flag="-n",
    )
    standard_error: float | None = option(
        None,
        "Draw as many units as the overall accuracy needs for this standard error, a share of the "
        "area such as 0.02.",
        least=0.0001,
        greatest=0.4999,
        usual="the number of units counts",
    )
    allocation: Allocation = option(
        Allocation.EQUAL,
        "Units of each stratum: as many of each, or by area and expected spread (Neyman).",
    )
    near_m: float = option(
        50.0,
        "Metres within which unchanged ground is near a change: a stratum of its own.",
        unit="m",
        least=0,
        greatest=1_000_000,
    )
    footprint_m: float | None = option(
        None,
        "Side of the square to judge around each point, in metres.",
        unit="m",
        least=0.01,
        greatest=100_000,
        usual="three pixels",
    )
    seed: int = option(0, "The same seed draws the same units.", least=0, greatest=2**62)
    with_map: bool = option(False, "Tell what the map says: judging is blind no more.")
    heatmap: str | None = option(
        None,
        "The run's heatmap, which tells what it saw.",
        metavar="FILE.tif",
        usual="the images are read again",
        is_path=True,
    )
    before: str | None = option(
        None,
        "The earlier image, where it was moved.",
        metavar="IMAGE",
        usual="where the layer says",
        is_path=True,
    )
    after: str | None = option(
        None,
        "The later image, where it was moved.",
        metavar="IMAGE",
        usual="where the layer says",
        is_path=True,
    )
    overwrite: bool = option(
        False, "Replace a file that geochg did not write.", shapes_result=False, commands=()
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.units is not None and self.units < 1:
            raise OptionError(f"{self.units} units make no sample", "ask for 50 units or more")
        if self.units is not None and self.standard_error is not None:
            raise OptionError(
                "the number of units and --standard-error both tell the size", "give one of them"
            )
        if self.seed < 0:
            raise OptionError(f"seed {self.seed} makes no sense", "give 0 or a positive number")
