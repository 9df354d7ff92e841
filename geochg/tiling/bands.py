"""Which band is what, and which bands of the two dates go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rasterio import DatasetReader
from rasterio.enums import ColorInterp

from geochg.errors import InputError, OptionError
from geochg.foreign_text import cleaned

DISPLAY = ("red", "green", "blue")
"""The bands shown to models that look at pictures, in order."""

LONGEST_LABEL = 120
"""Characters of a band's name that are kept."""

_ROLES = {
    **{name: name for name in (*DISPLAY, "nir", "rededge", "swir", "pan", "coastal", "thermal")},
    "near infrared": "nir",
    "near-infrared": "nir",
    "nir08": "nir",
    "ir": "nir",
    "infrared": "nir",
    # Sentinel-2 writes its bands with two digits. "B4" or "Band 4" stays unnamed: it is red on
    # one sensor and near-infrared on another.
    "b02": "blue",
    "b03": "green",
    "b04": "red",
    "b05": "rededge",
    "b08": "nir",
    "b8a": "nir narrow",
    "b11": "swir",
    "b12": "swir2",
}


@dataclass(frozen=True, slots=True)
class Band:
    """A data band of a raster.

    Attributes:
        number: From 1, as GDAL counts.
        label: What the file calls it; may be empty.
        role: What it shows (`red`, `nir`, ...) where the file says so; may be empty.
        alpha: Whether the file marks it as alpha; such a band is data only when it is asked for.
    """

    number: int
    label: str
    role: str
    alpha: bool = False

    @property
    def name(self) -> str:
        """The role, else the label in lower case, else `band` and its number."""
        unnamed = "alpha" if self.alpha else f"band{self.number}"
        return self.role or self.label.lower() or unnamed


@dataclass(frozen=True, slots=True)
class BandChoice:
    """The bands in use: one name and one number a date for each.

    Attributes:
        names: What each band shows; distinct.
        before: Band numbers in the before image, from 1.
        after: Band numbers in the after image.
        note: What was assumed, for the user to see; may be empty.
    """

    names: tuple[str, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    note: str = ""


def describe_bands(dataset: DatasetReader) -> tuple[Band, ...]:
    """The bands of an open raster, named by description or colour."""
    labels = [cleaned(label or "", LONGEST_LABEL) for label in dataset.descriptions]
    return tuple(
        Band(number, label, _role(label, color), alpha=color is ColorInterp.alpha)
        for number, (label, color) in enumerate(
            zip(labels, dataset.colorinterp, strict=True), start=1
        )
    )


def _role(label: str, color: ColorInterp) -> str:
    return _ROLES.get(label.lower(), "") or _ROLES.get(color.name, "")


def choose_bands(
    before: Sequence[Band],
    after: Sequence[Band],
    wanted: Sequence[str],
    purpose: Literal["rgb", "all"],
    paths: tuple[str, str] = ("the before image", "the after image"),
) -> BandChoice:
    """Pairs the bands of the two dates.

    Args:
        before: Bands of the before image.
        after: Bands of the after image.
        wanted: The user's choice, each a number, a name, a role or `role=number` (or `role=name`);
            empty to let the files decide.
        purpose: `rgb` for a model that looks at pictures, `all` for one that uses every band.
        paths: What to call the two images in messages.

    Raises:
        OptionError: If a wanted band is not there, or the choice is no picture.
        InputError: If nothing is wanted and the files do not say which bands go together.
    """
    if wanted:
        choice = _wanted(before, after, wanted, paths)
        return _display_of(choice) if purpose == "rgb" else choice
    before = [band for band in before if not band.alpha]
    after = [band for band in after if not band.alpha]
    return _display(before, after) if purpose == "rgb" else _shared(before, after)


def _wanted(
    before: Sequence[Band], after: Sequence[Band], wanted: Sequence[str], paths: tuple[str, str]
) -> BandChoice:
    pairs = [(_find(t, before, paths[0]), _find(t, after, paths[1])) for t in wanted]
    roles = [token.partition("=")[0].lower() if "=" in token else "" for token in wanted]
    if unknown := [role for role in roles if role and role not in _ROLES.values()]:
        raise OptionError(
            f"no band role is called {unknown[0]!r}",
            f"roles: {', '.join(dict.fromkeys(_ROLES.values()))}",
        )
    names = [role or _common_name(a, b) for role, (a, b) in zip(roles, pairs, strict=True)]
    if len(set(names)) < len(names):
        raise OptionError(f"bands {','.join(wanted)} name one band twice", "name each once")
    return BandChoice(
        tuple(names), tuple(a.number for a, _ in pairs), tuple(b.number for _, b in pairs)
    )


def _find(token: str, bands: Sequence[Band], path: str) -> Band:
    key = token.rpartition("=")[2].strip().lower()
    if not key:
        raise OptionError(f"band {token!r} names no band", "write it as red=1, say")
    for matches in (_has_number, _has_name):
        for band in bands:
            if matches(band, key):
                return band
    known = ", ".join(f"{band.number} ({band.name})" for band in bands)
    raise OptionError(f"{path} has no band {key!r}", f"its bands: {known}")


def _has_number(band: Band, key: str) -> bool:
    return key == str(band.number)


def _has_name(band: Band, key: str) -> bool:
    return key in (band.label.lower(), band.role, band.name)


def _common_name(a: Band, b: Band) -> str:
    """A role either file gives, else the before band's name."""
    return a.role or b.role or a.name


def _shared(before: Sequence[Band], after: Sequence[Band]) -> BandChoice:
    by_name = {band.name: band for band in after}
    common = [(band, by_name[band.name]) for band in before if band.name in by_name]
    note = ""
    if all(band.role for band in (*before, *after)) and common:
        pairs = common
    elif len(before) == len(after):
        pairs = list(zip(before, after, strict=True))
        _refuse_contradiction(pairs)
    else:
        raise InputError(
            f"the before image has {len(before)} bands, the after image {len(after)}, "
            "and their names do not say which go together",
            "choose bands that both have, such as --bands 1,2,3 or --bands red=1,nir=4",
        )
    if not any(a.role or b.role for a, b in pairs):
        note = "the bands are not named; name them with --bands, such as red=1,green=2,nir=4"
    return BandChoice(
        _distinct(pairs), tuple(a.number for a, _ in pairs), tuple(b.number for _, b in pairs), note
    )


def _distinct(pairs: Sequence[tuple[Band, Band]]) -> tuple[str, ...]:
    """A name for each pair; bands that share one are called by number instead."""
    names = [_common_name(a, b) for a, b in pairs]
    return tuple(
        name if names.count(name) == 1 else f"band{a.number}"
        for name, (a, _) in zip(names, pairs, strict=True)
    )


def _refuse_contradiction(pairs: Sequence[tuple[Band, Band]]) -> None:
    for a, b in pairs:
        if a.role and b.role and a.role != b.role:
            raise InputError(
                f"band {a.number} is {a.role} in the before image and {b.role} in the after image",
                "choose bands by name, such as --bands red,green,blue",
            )


def _display(before: Sequence[Band], after: Sequence[Band]) -> BandChoice:
    by_role = [{band.role: band for band in bands} for bands in (before, after)]
    if all(role in roles for role in DISPLAY for roles in by_role):
        numbers = [tuple(roles[role].number for role in DISPLAY) for roles in by_role]
        return BandChoice(DISPLAY, numbers[0], numbers[1])
    if len(before) == len(after) == 1:
        return BandChoice(("gray",), (before[0].number,), (after[0].number,))
    if all(len(bands) in (3, 4) and not any(b.role for b in bands) for bands in (before, after)):
        return BandChoice(
            DISPLAY,
            tuple(band.number for band in before[:3]),
            tuple(band.number for band in after[:3]),
            "the bands are not named: the first three are taken for red, green and blue",
        )
    raise InputError(
        "the images do not say which bands are red, green and blue",
        "choose them, such as --bands 4,3,2",
    )


def _display_of(choice: BandChoice) -> BandChoice:
    """The picture within the user's choice: red, green and blue by name, else three or one."""
    if all(role in choice.names for role in DISPLAY):
        picked = [choice.names.index(role) for role in DISPLAY]
    elif len(choice.names) in (1, 3):
        picked = list(range(len(choice.names)))
    else:
        raise OptionError(f"{len(choice.names)} bands make no picture", "choose one band or three")
    return BandChoice(
        tuple(choice.names[i] for i in picked),
        tuple(choice.before[i] for i in picked),
        tuple(choice.after[i] for i in picked),
    )
