"""Which band is what, and which bands of the two dates go together."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Literal

from rasterio import DatasetReader

from geochg.errors import InputError, OptionError
from geochg.pair_facts import BAND_ROLES
from geochg.safety.untrusted_text import cleaned
from geochg.tiling.band_names import BandFacts, is_generic, roles_of, says_no_colour
from geochg.tiling.band_pairs import (
    by_name,
    left_out,
    names_of,
    place_pairing_note,
    reordering_note,
    tokens_of_dates,
)
from geochg.tiling.gray import COLORS, GRAY, count_of, gray_numbers, refuse_gray_against_color
from geochg.tiling.radar_bands import SourceRadar, radar_of

BandPurpose = Literal["rgb", "rgb+nir", "all"]
"""What bands are wanted for, see `choose_bands`."""

INFRARED = "nir"

LONGEST_LABEL = 120
"""Characters of a band's name that are kept."""

_ORIGIN = re.compile("satellite|platform|mission|sensor|spacecraft|constellation|instrument", re.I)
"""Names of tags that tell where an image comes from."""

_TELLS = re.compile("description|product|title|summary|polari[sz]ation", re.I)
"""Names of further tags that may tell that an image is radar."""


@dataclass(frozen=True, slots=True)
class Band:
    """A data band of a raster.

    Attributes:
        number: From 1, as GDAL counts.
        label: What the file calls it; may be empty.
        role: What it shows (`red`, `nir`, ...) where the file says so; may be empty.
        alpha: Whether it tells validity; such a band is data only when it is asked for.
        dtype: Data type.
        scale: What its stored values are multiplied by to be physical ones, as the file says.
        offset: What is then added to them.
        radar: What its file says of it as radar; None where it does not say that it is.
    """

    number: int
    label: str
    role: str
    alpha: bool = False
    dtype: str = "uint8"
    scale: float = 1.0
    offset: float = 0.0
    radar: SourceRadar | None = None

    @property
    def is_named(self) -> bool:
        """Whether its file says more of it than its place."""
        return bool(self.role) or not is_generic(self.label, self.number)

    @property
    def tells_content(self) -> bool:
        """Whether its file says what it shows, or that it is none of a picture."""
        return bool(self.role) or says_no_colour(self.label)

    @property
    def name(self) -> str:
        """The role, else the label in lower case, else `band` and its number."""
        return self.role or self.label.lower() or ("alpha" if self.alpha else f"band{self.number}")


@dataclass(frozen=True, slots=True)
class BandChoice:
    """The bands in use: one name and one number a date for each.

    Attributes:
        names: What each band shows; distinct.
        before: Band numbers in the before image, from 1; red, green and blue where the one band
            `gray` is the luminance of a picture.
        after: Band numbers in the after image, likewise.
        note: What was assumed, for the user to see; may be empty.
        finding: What was found, as certain; may be empty.
    """

    names: tuple[str, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    note: str = ""
    finding: str = ""

    def is_luminance(self, numbers: Sequence[int]) -> bool:
        """Whether the one band in use is made of these of a date."""
        return len(numbers) > len(self.names)


def describe_bands(dataset: DatasetReader, alpha: int | None) -> tuple[Band, ...]:
    """The bands of an open raster, named by description or colour.

    Args:
        dataset: The raster.
        alpha: Number of the band that tells validity; None where there is none.
    """
    facts = [
        BandFacts(number, cleaned(label or "", LONGEST_LABEL), color.name, _tags(dataset, number))
        for number, (label, color) in enumerate(
            zip(dataset.descriptions, dataset.colorinterp, strict=True), start=1
        )
    ]
    roles = roles_of(facts, _origin(dataset))
    packed = map(_scale_and_offset, dataset.scales, dataset.offsets)
    radar = radar_of(facts, dataset.units, _file_says(dataset))
    return tuple(
        Band(band.number, band.name, role, band.number == alpha, dtype, scale, offset, radar_facts)
        for band, role, dtype, (scale, offset), radar_facts in zip(
            facts, roles, dataset.dtypes, packed, radar, strict=True
        )
    )


def _scale_and_offset(scale: float, offset: float) -> tuple[float, float]:
    """Scale and offset as a file tells them; 1 and 0 where they make no numbers."""
    is_usable = scale != 0 and math.isfinite(scale) and math.isfinite(offset)
    return (float(scale), float(offset)) if is_usable else (1.0, 0.0)


def _tags(dataset: DatasetReader, number: int) -> dict[str, str]:
    tags = {**dataset.tags(number), **dataset.tags(number, ns="IMAGERY")}
    # GDAL divides `eo:common_name=nir` at its colon.
    for space, value in list(tags.items()):
        name, divided, remainder = value.partition("=")
        if divided:
            tags.setdefault(f"{space}:{name}", remainder)
    return {name.lower(): cleaned(value, LONGEST_LABEL) for name, value in tags.items()}


def _origin(dataset: DatasetReader) -> str:
    """What a file says of where it comes from."""
    tags = {**dataset.tags(), **dataset.tags(ns="IMAGERY")}
    origins = [value for name, value in tags.items() if _ORIGIN.search(name)]
    name = "" if dataset.name.startswith("<") else dataset.name
    return " ".join([*origins, PurePath(name).name])


def _file_says(dataset: DatasetReader) -> tuple[str, ...]:
    """The texts of a file that may say that all of it is radar."""
    tags = {**dataset.tags(), **dataset.tags(ns="IMAGERY")}
    texts = [value for name, value in tags.items() if _ORIGIN.search(name) or _TELLS.search(name)]
    return (*(cleaned(text, LONGEST_LABEL) for text in texts), _origin(dataset))


def choose_bands(
    before: Sequence[Band],
    after: Sequence[Band],
    wanted_names: Sequence[str],
    purpose: BandPurpose,
    paths: tuple[str, str] = ("the before image", "the after image"),
) -> BandChoice:
    """Pairs the bands of the two dates.

    Args:
        before: Bands of the before image.
        after: Bands of the after image.
        wanted_names: The user's choice, each a number, a name, a role or `role=number` (or
            `role=name`), with `before/after` where the dates differ (`red=1/4`); empty to let the
            files decide. `gray` alone is the grey of each date: its only band, or the luminance
            of its colours.
        purpose: `rgb` for a model that looks at pictures, `rgb+nir` for one that also looks at
            the near infrared where both dates name it, and at named bands in false colour, `all`
            for one that uses every band.
        paths: What to call the two images in messages.

    Raises:
        OptionError: If a wanted band is not there, or the choice is no picture.
        InputError: If nothing is wanted and the files do not say which bands go together.
    """
    if len(wanted_names) == 1 and wanted_names[0].lower() in GRAY:
        return _gray_choice(before, after, paths)
    if wanted_names:
        choice = _wanted_bands(before, after, wanted_names, paths)
        if purpose == "all":
            return choice
        display_choice = _display_of(choice)
        return _with_infrared(display_choice, choice) if purpose == "rgb+nir" else display_choice
    before = [band for band in before if not band.alpha]
    after = [band for band in after if not band.alpha]
    if purpose == "all":
        return _shared_bands(before, after)
    if purpose == "rgb":
        return _display(before, after)
    display_choice = _false_color(before, after) or _display(before, after)
    first, second = (
        next((band.number for band in bands if band.role == INFRARED), None)
        for bands in (before, after)
    )
    if first is None or second is None:
        return display_choice
    return _with_infrared(display_choice, BandChoice((INFRARED,), (first,), (second,)))


def _wanted_bands(
    before: Sequence[Band],
    after: Sequence[Band],
    wanted_names: Sequence[str],
    paths: tuple[str, str],
) -> BandChoice:
    tokens = [tokens_of_dates(token, before, after) for token in wanted_names]
    pairs = [(_find(a, before, paths[0]), _find(b, after, paths[1])) for a, b in tokens]
    roles = [token.partition("=")[0].lower() if "=" in token else "" for token in wanted_names]
    if unknown := [role for role in roles if role and role not in BAND_ROLES]:
        raise OptionError(
            f"no band role is called {unknown[0]!r}", f"roles: {', '.join(BAND_ROLES)}"
        )
    names = [role or _common_name(a, b) for role, (a, b) in zip(roles, pairs, strict=True)]
    if len(set(names)) < len(names):
        raise OptionError(f"bands {','.join(wanted_names)} name one band twice", "name each once")
    return _paired(names, pairs)


def _paired(
    names: Sequence[str], pairs: Sequence[tuple[Band, Band]], note: str = "", finding: str = ""
) -> BandChoice:
    before, after = tuple(a.number for a, _ in pairs), tuple(b.number for _, b in pairs)
    return BandChoice(tuple(names), before, after, note, finding)


def _gray_choice(
    before: Sequence[Band], after: Sequence[Band], paths: tuple[str, str]
) -> BandChoice:
    numbers = (gray_numbers(before, paths[0]), gray_numbers(after, paths[1]))
    dates = zip(("before", "after"), (before, after), numbers, strict=True)
    colored = {date: bands for date, bands, made_of in dates if len(made_of) > 1}
    guessed = any(not any(band.role for band in bands) for bands in colored.values())
    of_date = f" of {next(iter(colored))}" if len(colored) == 1 else ""
    luminance = f"the luminance{of_date} is used: 0.299 red, 0.587 green, 0.114 blue"
    note = "the bands are not named: the first three are taken for red, green and blue"
    return BandChoice(
        GRAY[:1], *numbers, note=note if guessed else "", finding=luminance if colored else ""
    )


def _find(token: str, bands: Sequence[Band], path: str) -> Band:
    key = token.rpartition("=")[2].strip().lower()
    if not key:
        raise OptionError(f"band {token!r} names no band", "write it as red=1, say")
    # A number counts before a name.
    for band in bands:
        if key == str(band.number):
            return band
    for band in bands:
        if key in (band.label.lower(), band.role, band.name):
            return band
    known_bands = ", ".join(f"{band.number} ({band.name})" for band in bands)
    raise OptionError(f"{path} has no band {key!r}", f"its bands: {known_bands}")


def _common_name(a: Band, b: Band) -> str:
    """A role either file gives, else the before band's name."""
    return a.role or b.role or a.name


def _shared_bands(before: Sequence[Band], after: Sequence[Band]) -> BandChoice:
    if common := by_name(before, after):
        pairs, note = common, left_out(before, after, common)
    elif len(before) == len(after):
        pairs = list(zip(before, after, strict=True))
        _refuse_contradiction(pairs)
        note = place_pairing_note(before, after)
    else:
        refuse_gray_against_color(before, after)
        raise InputError(
            f"the before image has {count_of(before)}, the after image {count_of(after)}, "
            "and their names do not say which go together",
            "choose bands that both have, such as --bands 1",
        )
    return _paired(_distinct(pairs), pairs, note, reordering_note(pairs))


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
    if all(role in roles for role in COLORS for roles in by_role):
        pairs = [(by_role[0][role], by_role[1][role]) for role in COLORS]
        return _paired(COLORS, pairs, finding=reordering_note(pairs))
    if len(before) == len(after) == 1:
        return BandChoice(("gray",), (before[0].number,), (after[0].number,), _gray_note(before))
    if all(
        len(bands) in (3, 4) and not any(b.tells_content for b in bands)
        for bands in (before, after)
    ):
        reason = "the bands are not named"
        if any(band.label for band in (*before, *after)):
            reason = f"the names of the bands ({names_of(before)}) do not tell their colours"
        alike = by_name(before, after)
        pairs = (alike if len(alike) >= 3 else list(zip(before, after, strict=False)))[:3]
        note = f"{reason}: the first three are taken for red, green and blue"
        return _paired(COLORS, pairs, note, reordering_note(pairs))
    refuse_gray_against_color(before, after)
    is_radar = all(band.radar for band in (*before, *after))
    names = names_of(before)
    if names != names_of(after):
        names = f"before {names}; after {names_of(after)}"
    raise InputError(
        f"no file says which bands are red, green and blue: {names}",
        "they are radar, which --model radar compares" if is_radar else _choosable(before, after),
    )


def _choosable(before: Sequence[Band], after: Sequence[Band]) -> str:
    """What a user can choose where no picture can be made out."""
    pairs = by_name(before, after)
    # Names that hold what divides a list could not be written there.
    names = [a.name for a, _ in pairs if re.fullmatch(r"[\w.-]+", a.name)]
    if any(a.number != b.number for a, b in pairs) and len(names) >= 3:
        return f"choose three that both name, such as --bands {','.join(names[:3])}"
    if min(len(before), len(after)) >= 3:
        return "choose them, such as --bands 1,2,3 for the first three as they are"
    return "choose one that both have, such as --bands 1"


def _false_color(before: Sequence[Band], after: Sequence[Band]) -> BandChoice | None:
    """The first three bands where both dates name theirs alike, and not as red, green, blue."""
    roles = [[band.role for band in bands] for bands in (before, after)]
    if sorted(roles[0]) != sorted(roles[1]) or len(roles[0]) < len(COLORS) or not all(roles[0]):
        return None
    if set(COLORS) <= set(roles[0]):
        return None
    pairs = by_name(before, after)[: len(COLORS)]
    names = tuple(a.role for a, _ in pairs)
    finding = f"shown in false colour: {', '.join(names)} as red, green and blue"
    return _paired(names, pairs, finding="; ".join(filter(None, (finding, reordering_note(pairs)))))


def _with_infrared(display_choice: BandChoice, choice: BandChoice) -> BandChoice:
    """The picture and behind it the near infrared, where a choice has it and the picture not."""
    if INFRARED in display_choice.names or INFRARED not in choice.names:
        return display_choice
    position = choice.names.index(INFRARED)
    return replace(
        display_choice,
        names=(*display_choice.names, INFRARED),
        before=(*display_choice.before, choice.before[position]),
        after=(*display_choice.after, choice.after[position]),
    )


def _gray_note(bands: Sequence[Band]) -> str:
    """That one band is shown in grey, and stretched where it has more than 8 bits."""
    stretched = "" if bands[0].dtype == "uint8" else "stretched and "
    return f"the one band ({bands[0].dtype}) is {stretched}shown in grey"


def _display_of(choice: BandChoice) -> BandChoice:
    """The picture within the user's choice: red, green and blue by name, else three or one."""
    if all(role in choice.names for role in COLORS):
        picked = [choice.names.index(role) for role in COLORS]
    elif len(choice.names) in (1, 3):
        picked = list(range(len(choice.names)))
    else:
        raise OptionError(f"{len(choice.names)} bands make no picture", "choose one band or three")
    return BandChoice(
        tuple(choice.names[i] for i in picked),
        tuple(choice.before[i] for i in picked),
        tuple(choice.after[i] for i in picked),
    )
