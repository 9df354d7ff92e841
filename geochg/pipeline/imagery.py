"""Whether the imagery of a pair is what its model was made for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from geochg.models.base import ChangeModel
from geochg.options import AnalyzeOptions
from geochg.tiling.pair import PlacedPair, RasterPair
from geochg.tiling.pair_checks import Remark, refuse

_HINT = "compare it with --model radar, which is made for it"
_BAND_HINT = "name the bands if the files do not: --bands red=1,green=2,blue=3,nir=4"


def pair_for(
    placed_pair: PlacedPair, options: AnalyzeOptions, model: ChangeModel, *, refusing: bool = True
) -> RasterPair:
    """The pair with the bands that a model takes, and with what is to be said of them.

    Args:
        placed_pair: The pair.
        options: The options of the run.
        model: The model.
        refusing: Whether imagery that the model refuses is; if not, the remarks say so.

    Raises:
        InputError: As `PlacedPair.with_bands`, or if the model refuses such imagery.
        OptionError: As `PlacedPair.with_bands`.
    """
    pair = placed_pair.with_bands(options, model.capabilities.bands)
    remarks = (*imagery_remarks(pair, model), *class_remarks(pair, model, options.classes))
    if refusing:
        refuse(remarks)
    return replace(pair, remarks=(*pair.remarks, *remarks))


def imagery_remarks(pair: RasterPair, model: ChangeModel) -> tuple[Remark, ...]:
    """What is remarkable about radar before a model that was made for pictures, and so on."""
    treatment = model.capabilities.of_radar
    bands = pair.facts.radar
    if treatment == "needed":
        return (*_other_polarisations(pair), *_left_out(pair))
    if treatment == "taken" or not any(bands):
        return ()
    names = ", ".join(
        name for name, band in zip(pair.bands.names, bands, strict=True) if band is not None
    )
    if treatment == "refused":
        text = f"the imagery is radar ({names}), and {model.name} knows pictures of light only"
        return (Remark(text, _HINT, refused=True),)
    text = f"the imagery is radar ({names}), and {model.name} was made for pictures of light"
    return (Remark(text, _HINT),)


def class_remarks(
    pair: RasterPair, model: ChangeModel, wanted_classes: Collection[str]
) -> tuple[Remark, ...]:
    """That the model cannot name a class in these bands; refused where it can name none of them."""
    known_classes = model.classes_of(pair.facts)
    missing = [name for name in wanted_classes if name not in known_classes]
    if not missing or model.capabilities.free_classes:
        return ()
    text = (
        f"{model.name} cannot tell {', '.join(missing)} by the bands {', '.join(pair.bands.names)}"
    )
    hint = f"it can tell {', '.join(known_classes)}; {_BAND_HINT}"
    return (Remark(text, hint, refused=len(missing) == len(wanted_classes)),)


def _other_polarisations(pair: RasterPair) -> tuple[Remark, ...]:
    """That bands would be compared which measure two polarisations; refused."""
    for number, other_number in zip(pair.bands.before, pair.bands.after, strict=False):
        dates = (pair.before.bands[number - 1], pair.after.bands[other_number - 1])
        told_names = [
            band.radar.polarisation for band in dates if band.radar and band.radar.polarisation
        ]
        if len(set(told_names)) > 1:
            names = f"{told_names[0]} before, {told_names[1]} after"
            text = f"the dates have different polarisations: {names}"
            return (Remark(text, "give two images of one polarisation", refused=True),)
    return ()


def _left_out(pair: RasterPair) -> tuple[Remark, ...]:
    """That bands without polarisation are not used beside those with one."""
    bands = pair.facts.radar
    if not any(band and band.polarisation for band in bands):
        return ()
    names = [
        name
        for name, band in zip(pair.bands.names, bands, strict=True)
        if not (band and band.polarisation)
    ]
    if not names:
        return ()
    text = f"bands that name no polarisation are left out: {', '.join(names)}"
    return (Remark(text, warning=False),)
