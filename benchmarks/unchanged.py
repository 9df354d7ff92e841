"""Ground where hardly anything changed, and how much of it a model calls changed all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from geochg import AnalyzeOptions, analyze
from geochg.datasets.georeferenced_mask import GeoreferencedMask, bands_on, covered_by
from geochg.datasets.ground.labelled import LabelledGround
from geochg.datasets.ground.series import SAVANNA_LEARNED, floods, savanna_plots, split_grounds
from geochg.models.base import ChangeModel

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class QuietPair:
    """Two dates of a place where hardly anything changed.

    Attributes:
        name: Unlike that of any other pair of its group.
        before: The earlier raster.
        after: The later raster.
        asked: From the shape of the before raster to the pixels that count; None for all.
        left_out: A class of features that do not count; empty for none.
    """

    name: str
    before: Path
    after: Path
    asked: Callable[[], Mask] | None = None
    left_out: str = ""


@dataclass(frozen=True)
class Group:
    """Pairs of one kind of ground.

    Attributes:
        name: What they show.
        learned: Whether the built-in model learned from them.
        pairs: The pairs.
    """

    name: str
    learned: str
    pairs: Sequence[QuietPair]


@dataclass(frozen=True)
class GroupShares:
    """The share of each pair, 0-1, that each model calls changed.

    Attributes:
        name: See `Group`.
        learned: See `Group`.
        shares: By model, then by pair.
    """

    name: str
    learned: str
    shares: dict[str, dict[str, float]]


def groups(data: Path) -> list[Group]:
    """The groups whose folders are there."""
    found = [*savanna(data), crop_years(data), seasons(data), *quiet_floods(data)]
    return [group for group in found if group.pairs]


def savanna(data: Path) -> list[Group]:
    """Plots of oak savanna in two years: season, shadows and seams differ."""
    pairs = [QuietPair(before.stem, before, after) for before, after in savanna_plots(data)]
    name = "oak savanna, 0.1 m, 2017 to 2018"
    return [
        Group(f"{name}, other plots", "no", pairs[SAVANNA_LEARNED:]),
        Group(name, "yes", pairs[:SAVANNA_LEARNED]),
    ]


def crop_years(data: Path) -> Group:
    """Neighbouring years of fields; lakes that rise and fall are real, so water is left out."""
    paths = sorted((data / "naip_series_nd").glob("*.tif"), key=_year)
    pairs = [
        QuietPair(f"{_year(one)} to {_year(two)}", one, two, left_out="water")
        for one, two in pairwise(paths)
        if _year(two) == _year(one) + 1
    ]
    return Group("fields, 5 m, neighbouring years, without water", "yes, but for 2014", pairs)


def _year(path: Path) -> int:
    return int(path.stem.rpartition("_")[2][:4])


def seasons(data: Path) -> Group:
    """Clear weeks of one summer: meadows are mown."""
    folder = data / "s2_two_seasons"
    clear = [
        path
        for path in sorted((folder / "images").glob("*.tif"))
        if not _band(folder / "masks" / path.name).any()
    ]
    pairs = [QuietPair(f"{one.stem} to {two.stem}", one, two) for one, two in pairwise(clear)]
    return Group("one summer in Slovenia, 10 m, 13 bands", "yes", pairs)


EACH_LEARNED = 5
"""Of the quiet floods that were learned from, each fifth is looked at."""


def quiet_floods(data: Path) -> list[Group]:
    """Two seasons of ground that a flood hardly reached; flooded pixels do not count."""
    folder = data / "floods_s2"
    listed = folder / "quiet.txt"
    quiet = set(listed.read_text("utf-8").split()) if listed.is_file() else set()
    learned, held_out = split_grounds(list(floods(data)) if quiet else [])
    name = "beside floods, 10 m, false colour"
    return [
        Group(f"{name}, held out", "no; calibrated on", _floods_of(folder, held_out, quiet)),
        Group(name, "yes", _floods_of(folder, learned, quiet)[::EACH_LEARNED]),
    ]


def _floods_of(folder: Path, grounds: Sequence[LabelledGround], quiet: set[str]) -> list[QuietPair]:
    return [
        QuietPair(
            ground.name,
            folder / "before" / f"{ground.name}.tif",
            folder / "after" / f"{ground.name}.tif",
            lambda mask=folder / "mask" / f"{ground.name}.tif": _band(mask) == 0,
        )
        for ground in grounds
        if ground.name in quiet
    ]


def _band(path: Path) -> NDArray[np.generic]:
    with rasterio.open(path) as raster:
        pixels: NDArray[np.generic] = raster.read(1)
    return pixels


def measured(
    found: Sequence[Group], models: dict[str, ChangeModel], say: Callable[[str], None]
) -> list[GroupShares]:
    """Analyses all pairs with each model at the defaults of `geochg analyze`."""
    return [GroupShares(group.name, group.learned, _shares(group, models, say)) for group in found]


def _shares(
    group: Group, models: dict[str, ChangeModel], say: Callable[[str], None]
) -> dict[str, dict[str, float]]:
    shares: dict[str, dict[str, float]] = {name: {} for name in models}
    for pair in group.pairs:
        say(f"{group.name}: {pair.name}")
        ground = ground_of(pair)
        for name, model in models.items():
            shares[name][pair.name] = changed_share(pair, name, model, ground)
    return shares


def ground_of(pair: QuietPair) -> GeoreferencedMask:
    """The pixels of the before raster that both dates cover and that count; none changed."""
    with rasterio.open(pair.before) as raster:
        shape, transform, crs = raster.shape, raster.transform, raster.crs
    everywhere = np.ones(shape, bool)
    label = GeoreferencedMask(~everywhere, everywhere, transform, crs)
    known = np.logical_and(*(bands_on(path, label).any(axis=0) for path in _dates(pair)))
    if pair.asked is not None:
        known &= pair.asked()
    return GeoreferencedMask(~everywhere, known, transform, crs)


def _dates(pair: QuietPair) -> tuple[Path, Path]:
    return pair.before, pair.after


def changed_share(
    pair: QuietPair, name: str, model: ChangeModel, ground: GeoreferencedMask
) -> float:
    """The share of the ground that features cover, 0-1."""
    features = analyze(*_dates(pair), AnalyzeOptions(model=name), model=model).features
    covered = covered_by(features[features["class"] != pair.left_out], ground)
    return float(covered[ground.known].mean())


def rows(found: Sequence[GroupShares]) -> Iterator[tuple[str, ...]]:
    """Lines of a table: mean and worst share of each model."""
    for group in found:
        shares = [list(each.values()) for each in group.shares.values()]
        yield (
            group.name,
            group.learned,
            str(len(shares[0])),
            *(f"{np.mean(each):.1%} (worst {max(each):.1%})" for each in shares),
        )


def each_pair(found: Sequence[GroupShares]) -> Iterator[str]:
    """One sentence a group and model: the shares of all its pairs, least first."""
    for group in found:
        for model, shares in group.shares.items():
            listed = ", ".join(f"{share:.1%}" for share in sorted(shares.values()))
            yield f"{group.name}, {model}: {listed}"
