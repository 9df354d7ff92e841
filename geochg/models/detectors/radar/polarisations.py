"""Which bands of a pair are taken, and what they measure."""

from __future__ import annotations

from dataclasses import dataclass

from geochg.errors import ModelError
from geochg.models.detectors.radar.options import RadarScale
from geochg.pair_facts import BAND_ROLES
from geochg.records import PairFacts, RadarBand

MOST_POLARISATIONS = 2


@dataclass(frozen=True, slots=True)
class Polarisation:
    """A band that is taken.

    Attributes:
        index: Its place among the bands of the pair.
        scales: What the earlier and the later image measure in it.
    """

    index: int
    scales: tuple[RadarScale, RadarScale]


def polarisations_of(facts: PairFacts, scale: RadarScale | None) -> tuple[Polarisation, ...]:
    """The one or two polarisations of a pair.

    Of bands among which some name their polarisation, the others (an angle, say) are left out.

    Args:
        facts: The facts of the pair.
        scale: What the user says that the values are; it stands above what the files say.

    Raises:
        ModelError: If the bands are no radar or too many, or nothing says what they measure.
    """
    radar = facts.radar or (None,) * len(facts.bands)
    light = [
        name
        for name, band in zip(facts.bands, radar, strict=True)
        if name in BAND_ROLES and band is None
    ]
    named_indices = [index for index, band in enumerate(radar) if band and band.polarisation]
    indices = named_indices or list(range(len(facts.bands)))
    if light and not named_indices:
        raise ModelError(
            f"radar reads backscatter, and the bands are named {', '.join(light)}",
            "leave out --model radar for images of light",
        )
    if len(indices) > MOST_POLARISATIONS:
        names = ", ".join(facts.bands[index] for index in indices)
        raise ModelError(
            f"radar takes one or two polarisations, and there are {len(indices)} bands: {names}",
            "choose them, such as --bands "
            + ("vv,vh" if {"vv", "vh"} <= {b.polarisation for b in radar if b} else "1,2")
            + "; images of three bands that are pictures are for other models",
        )
    return tuple(
        Polarisation(index, _scales(radar[index] or RadarBand(), scale)) for index in indices
    )


def _scales(band: RadarBand, scale: RadarScale | None) -> tuple[RadarScale, RadarScale]:
    if scale is not None:
        return scale, scale
    if not all(band.scales):
        dates = [
            d
            for d, scale_text in zip(("before", "after"), band.scales, strict=True)
            if not scale_text
        ]
        raise ModelError(
            f"the {' and the '.join(dates)} image {'do' if len(dates) > 1 else 'does'} not say"
            " whether the values are intensity, amplitude or decibels",
            "add --model-option scale=intensity, scale=amplitude or scale=db",
        )
    return RadarScale(band.scales[0]), RadarScale(band.scales[1])
