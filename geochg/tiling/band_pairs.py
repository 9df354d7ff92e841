"""Bands of two dates that go together, and the notes about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geochg.tiling.bands import Band


def tokens_of_dates(token: str, before: Sequence[Band], after: Sequence[Band]) -> tuple[str, str]:
    """A wanted band as it is called at each date: `red=1/4` is band 1 before and band 4 after.

    Args:
        token: What the user wrote; without a slash, the band of both dates.
        before: Bands of the before image.
        after: Bands of the after image.
    """
    role, mark, key = token.rpartition("=")
    first, slash, second = key.partition("/")
    # A slash may also be part of a band's name.
    labels = {band.label.lower() for band in (*before, *after)}
    if not slash or key.strip().lower() in labels:
        return token, token
    return f"{role}{mark}{first}", f"{role}{mark}{second}"


def by_name(before: Sequence[Band], after: Sequence[Band]) -> list[tuple[Band, Band]]:
    """The bands that both dates name alike; none where a band has no name, or two have the same."""
    names = [[band.name for band in bands] for bands in (before, after)]
    if not all(band.is_named for band in (*before, *after)):
        return []
    if any(len(set(date_names)) < len(date_names) for date_names in names):
        return []
    after_by_name = {band.name: band for band in after}
    return [(band, after_by_name[band.name]) for band in before if band.name in after_by_name]


def left_out(
    before: Sequence[Band], after: Sequence[Band], pairs: Sequence[tuple[Band, Band]]
) -> str:
    """Which bands only one date has, by its names."""
    used_names = {band.name for band, _ in pairs}
    alone = [band.name for band in (*before, *after) if band.name not in used_names]
    names = ", ".join(dict.fromkeys(alone))
    return f"bands that only one date has are left out: {names}" if alone else ""


def place_pairing_note(before: Sequence[Band], after: Sequence[Band]) -> str:
    """What it means that bands are paired by their places."""
    if all(a.role == b.role and a.role for a, b in zip(before, after, strict=True)):
        return ""
    if not any(band.label or band.role for band in (*before, *after)):
        if len(before) == 1:  # nothing can be mixed up, and no colour could name it
            return ""
        return "the bands are not named; name them with --bands, such as red=1,green=2,nir=4"
    if all(a.name == b.name for a, b in zip(before, after, strict=True)):
        return ""
    return (
        f"the dates name their bands differently ({names_of(before)}; {names_of(after)}): they are "
        "paired in their order"
    )


def reordering_note(pairs: Sequence[tuple[Band, Band]]) -> str:
    """That bands lie in another order, and are paired all the same."""
    if all(a.number == b.number for a, b in pairs):
        return ""
    numbers = ", ".join(f"{a.name} {a.number} and {b.number}" for a, b in pairs)
    return f"bands are paired by their names, not in their order: {numbers}"


def names_of(bands: Sequence[Band]) -> str:
    """What a file calls its bands."""
    return ", ".join(band.label or band.name for band in bands)
