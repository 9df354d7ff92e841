"""What the synthetic world can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from geochg.errors import OptionError
from geochg.options import Options

MOST_SIZE_PX = 448
"""The noise tiles repeat after 512 px, so scenes stay below that, margins included."""


@dataclass(frozen=True)
class WorldOptions(Options):
    """Shares are probabilities from 0 to 1; what is drawn is fixed by these and the seed.

    Attributes:
        size_px: Side of the square images.
        gsd_min_m: Finest ground sample distance of the fine family, in metres.
        gsd_max_m: Coarsest one; what lies between is drawn in the bands of `scales.py`.
        coarse_share: Share of the 10 m family (Sentinel-2 like, 5 to 15 m).
        unchanged_share: Share of pairs in which nothing changed.
        calm_share: Share of pairs whose nuisances are mild; the others are strong.
        reversed_share: Share of changed pairs shown backwards, so that things disappear.
        real_share: Share of pairs that use real textures, where a folder of them is given.
        real_dir: Folder of real imagery laid out as `real.py` says; None for none.
        validation: Whether real textures come from the held-out files instead of the others.
        nir: Whether a near-infrared band is drawn.
        event_weights: Relative weight of events by name (`events.EVENTS`); others keep 1.
        nuisances: False draws both dates with the same light, colours and sensor (for tests).
    """

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "size_px": (32, MOST_SIZE_PX),
        "gsd_min_m": (0.01, 1000),
        "gsd_max_m": (0.01, 1000),
        "coarse_share": (0, 1),
        "unchanged_share": (0, 1),
        "calm_share": (0, 1),
        "reversed_share": (0, 1),
        "real_share": (0, 1),
        "event_weights": (0, 1e9),
    }

    size_px: int = 256
    gsd_min_m: float = 0.2
    gsd_max_m: float = 2.5
    coarse_share: float = 0.25
    unchanged_share: float = 0.42
    calm_share: float = 0.25
    reversed_share: float = 0.15
    real_share: float = 0.3
    real_dir: str | None = None
    validation: bool = False
    nir: bool = False
    event_weights: Mapping[str, float] = field(default_factory=dict)
    nuisances: bool = True

    def __post_init__(self) -> None:
        if not 32 <= self.size_px <= MOST_SIZE_PX:
            raise OptionError(
                f"size {self.size_px} px", f"it must lie between 32 and {MOST_SIZE_PX} px"
            )
        if not 0 < self.gsd_min_m <= self.gsd_max_m:
            raise OptionError(
                f"ground sample distance {self.gsd_min_m} to {self.gsd_max_m} m",
                "it must be above zero and in rising order",
            )
        for name in (n for n in self.to_dict() if n.endswith("_share")):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"{name} {getattr(self, name)}", "it must lie between 0 and 1")
        super().__post_init__()
