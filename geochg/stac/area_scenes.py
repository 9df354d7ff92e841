"""What runs that fetch the scenes of an area have in common: folder, options, words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from geochg.errors import OptionError
from geochg.stac.options import FetchOptions

if TYPE_CHECKING:
    from geochg.stac.fetch import FetchedScene

_SHARED = ("crs", "resolution", "allow_remote")
"""Options that a run and a search have in common."""


class GridOptions(Protocol):
    """Options of a run that say what of an area is to be fetched."""

    @property
    def bands(self) -> tuple[str, ...]:
        """The bands in use."""

    @property
    def crs(self) -> str | None:
        """CRS of the grid."""

    @property
    def resolution(self) -> float | None:
        """Pixel size in units of the CRS."""

    @property
    def allow_remote(self) -> bool:
        """Whether files on this machine may name data elsewhere."""


def scenes_folder(scenes: Path | str | None, outputs: Sequence[Path]) -> Path:
    """The folder that scenes are kept in: that which is named, else one beside the outputs.

    Args:
        scenes: The folder, where one is named.
        outputs: The files that the run writes.

    Raises:
        OptionError: If there are neither.
    """
    if scenes is not None:
        return Path(scenes)
    if not outputs:
        raise OptionError("there is no folder for the scenes", "name one, or name an output")
    return outputs[0].with_name(f"{outputs[0].stem}_scenes")


def fetch_options_of(options: GridOptions, fetching: FetchOptions) -> FetchOptions:
    """How scenes are fetched for an analysis or a series.

    Args:
        options: Options of the run, whose grid and bands count where `fetching` has none.
        fetching: Options of fetching.
    """
    defaults = FetchOptions()
    shared = {
        name: getattr(options, name)
        for name in _SHARED
        if getattr(fetching, name) == getattr(defaults, name)
    }
    return replace(fetching, **shared, bands=fetching.bands or band_names(options.bands))


def band_names(bands: Sequence[str]) -> tuple[str, ...]:
    """The names of bands that an analysis asks for, which are to be fetched.

    Args:
        bands: The option of the analysis, such as `swir,nir,red`.

    Returns:
        Empty where it does not go by names: those that a collection has by default will do.
    """
    names = [name for entry in bands for name in entry.rpartition("=")[2].split("/")]
    if any(name.isdecimal() for name in names):
        return ()
    return tuple(dict.fromkeys(name for name in names if name != "gray"))


def scene_in_words(scene: FetchedScene) -> str:
    """What a scene is, in a line."""
    days = scene.dates[0] if len(scene.dates) == 1 else f"{len(scene.dates)} days"
    count = f"{len(scene.items)} scene{'' if len(scene.items) == 1 else 's'}"
    collection = scene.metadata["collection"]
    return f"{days}, {count} of {collection}, {100 * scene.hidden_share:.0f} % of the area not seen"
