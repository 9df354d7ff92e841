"""What is fitted on held-out pairs: the logits from which on pixels have changed, confidence."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

from geochg.models.model_settings import is_number

MAX_CUT = 4.0
"""Greatest magnitude of a cut, in logits: it bounds the cuts of scenes unlike any in training."""

_MOST_LOGITS = 30.0


class Cuts(NamedTuple):
    """The logits from which on a pixel counts as changed.

    Attributes:
        change: Cut for any change.
        building: Cut for a change of buildings.
    """

    change: float
    building: float


@dataclass(frozen=True)
class Calibration:
    """Values fitted on held-out pairs.

    The cut for any change is `intercept + of_typical * typical + of_resolution * log2(shown)`:
    lower in scenes of which much has changed, see `Scene.typical_logit`.

    Attributes:
        intercept: Cut of a scene whose median logit is 0, in logits.
        of_typical: Change of the cut per logit of the scene's median.
        of_resolution: Change of the cut per doubling of the side of a shown pixel, in metres.
        building: Cut for a change of buildings.
        water: Added to the logit of any change, times the difference of the shares of water: where
            half of a scene is flooded, no difference is unusual.
        hysteresis: Depth below the cut, in logits, to which pixels may join pixels above it.
        confidence: Mean probabilities of features, and the shares of such features that are right;
            None where that was not measured.
    """

    intercept: float = 0.0
    of_typical: float = 0.0
    of_resolution: float = 0.0
    building: float = 0.0
    water: float = 0.0
    hysteresis: float = 0.0
    confidence: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    @classmethod
    def from_dict(cls, saved_values: dict[str, Any] | None) -> Self:
        """The calibration of a `to_dict`; plain cuts where nothing was fitted.

        Raises:
            ValueError: If no `to_dict` gives such values.
        """
        values = dict(saved_values or {})
        confidence = values.pop("confidence", None)
        numbers = [*values.values(), *(share for shares in confidence or () for share in shares)]
        if unknown := [name for name in values if name not in cls.__dataclass_fields__]:
            raise ValueError(f"unknown calibration {unknown[0]!r}")
        if not all(is_number(number, -_MOST_LOGITS, _MOST_LOGITS) for number in numbers):
            raise ValueError("a calibration that is no finite number")
        if values.get("hysteresis", 0) < 0:
            raise ValueError("a hysteresis below zero")
        if not confidence:
            return cls(**values)
        means, shares = map(tuple, confidence)
        if len(means) != len(shares):
            raise ValueError("a confidence whose means and shares are not as many")
        if not all(0 <= share <= 1 for share in (*means, *shares)) or list(means) != sorted(means):
            raise ValueError("a confidence that is no shares, or whose means do not rise")
        return cls(**values, confidence=(means, shares))

    def to_dict(self) -> dict[str, Any]:
        """The calibration as JSON values."""
        return {**asdict(self), "confidence": self.confidence and [*map(list, self.confidence)]}

    def cuts(self, typical_logit: float, shown_m: float | None) -> Cuts:
        """The cuts for a scene.

        Args:
            typical_logit: See `Scene`.
            shown_m: Side of a shown pixel, in metres; None where it is not known.
        """
        resolution = 0.0 if shown_m is None else math.log2(shown_m)
        change = self.intercept + self.of_typical * typical_logit + self.of_resolution * resolution
        return Cuts(min(max(change, -MAX_CUT), MAX_CUT), self.building)
