"""What is judged on real pairs: false alarms, finds, and cells labelled by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from real_pairs import Analysed, Product, new_water
from scores import auroc, otsu

from geochg.datasets.world.textures import TRAINING_SHARE_OF_SERIES, held_out

LABELS = Path(__file__).with_name("city_cells.json")


@dataclass(frozen=True)
class FalseAlarms:
    """Shares (0-1) of the valid pixels of pairs in which hardly anything changed.

    Attributes:
        name: Which pairs.
        pairs: How many.
        features: In features.
        worst: In features of the pair that has most.
        irmad: In the features of irmad.
        otsu: Marked by image differencing at Otsu's threshold of each pair.
        drawn: Marked by image differencing at the threshold of best F1 on the drawn pairs.
    """

    name: str
    pairs: int
    features: float
    worst: float
    irmad: float
    otsu: float
    drawn: float | None


@dataclass(frozen=True)
class Find:
    """What a model found of one class and direction."""

    model: str
    class_name: str
    change: str
    features: int
    area_ha: float


@dataclass(frozen=True)
class WaterScores:
    """How much of the new water of the ponds is found, and how much is marked to find it.

    Attributes:
        new_ha: Area of the new water.
        found: Share of it (0-1) that is marked, by what marks.
        marked: Share of the valid pixels (0-1) that is marked, by what marks.
    """

    new_ha: float
    found: dict[str, float]
    marked: dict[str, float]


@dataclass(frozen=True)
class CellScores:
    """AUROC of the mean over hand-labelled cells; None where cells are of one kind."""

    cells: int
    changed: int
    heatmap: float | None
    irmad: float | None
    difference: float | None


def held_out_plots(plots: Sequence[Analysed]) -> list[Analysed]:
    """The plots that no model trained on real textures has seen."""
    return [one for one in plots if held_out(one.pair.before.name)]


def false_alarms(
    name: str,
    seen: Sequence[Analysed],
    drawn_threshold: float | None,
    east_only: bool = False,
) -> FalseAlarms | None:
    """The shares over all pixels of pairs; None where there are no pairs.

    Args:
        name: What to call the pairs.
        seen: The pairs.
        drawn_threshold: Of image differencing, from the drawn pairs.
        east_only: Whether only the columns count that textures hold out for validation.
    """
    if not seen:
        return None
    where = [_counted(one, east_only) for one in seen]
    insides = [one.own.inside[part] for one, part in zip(seen, where, strict=True)]
    distances = [one.distance[part] for one, part in zip(seen, where, strict=True)]
    cuts = [otsu(one.distance[one.valid]) for one in seen]
    return FalseAlarms(
        name=name,
        pairs=len(seen),
        features=_share(insides),
        worst=max(float(inside.mean()) for inside in insides),
        irmad=_share([one.irmad.inside[part] for one, part in zip(seen, where, strict=True)]),
        otsu=_share([far >= cut for far, cut in zip(distances, cuts, strict=True)]),
        drawn=None
        if drawn_threshold is None
        else _share([far >= drawn_threshold for far in distances]),
    )


def finds(product: Product) -> list[Find]:
    """What was found by class and direction, the largest area first; one of zero for nothing."""
    found = [
        Find(product.model, class_name, change, len(group), float(group["area_m2"].sum()) / 1e4)
        for (class_name, change), group in product.layer.groupby(["class", "change"])
    ]
    nothing = Find(product.model, "-", "-", 0, 0.0)
    return sorted(found, key=lambda find: -find.area_ha) or [nothing]


def water_scores(one: Analysed, drawn_threshold: float | None) -> WaterScores:
    """The new water of the ponds against what was found."""
    new = new_water(one) & one.valid
    layer = one.own.layer
    told = layer[(layer["class"] == "water") & (layer["change"] == "appeared")]
    marks = {
        "features of water that appeared": one.own.inside_of(told),
        "all features": one.own.inside,
        "features of irmad": one.irmad.inside,
    }
    if drawn_threshold is not None:
        marks["differencing at drawn best"] = one.distance >= drawn_threshold
    return WaterScores(
        new_ha=np.count_nonzero(new) * abs(one.own.transform.determinant) / 1e4,
        found={name: float(mark[new].mean()) for name, mark in marks.items()},
        marked={name: float(mark[one.valid].mean()) for name, mark in marks.items()},
    )


def labelled_cities() -> set[str]:
    """Cities with hand-labelled cells."""
    return set(json.loads(LABELS.read_text("utf-8"))["changed"])


def cell_scores(one: Analysed) -> CellScores:
    """The heatmap and image differencing against the hand-labelled cells of a city."""
    labels = json.loads(LABELS.read_text("utf-8"))
    changed = {tuple(cell) for cell in labels["changed"][one.pair.name]}
    cells = list(_cells(one, labels["cell_px"], labels["least_side_px"]))
    missing = changed - {cell for cell, _ in cells}
    assert not missing, f"labelled cells that are not there: {sorted(missing)}"
    truth = np.array([cell in changed for cell, _ in cells])
    means = [
        np.array([surface[part & one.valid].mean() for _, part in cells])
        for surface in (one.own.heat, one.irmad.heat, one.distance)
    ]
    return CellScores(len(cells), len(changed), *(auroc(truth, each) for each in means))


def _counted(one: Analysed, east_only: bool) -> NDArray[np.bool_]:
    border = int(one.valid.shape[1] * TRAINING_SHARE_OF_SERIES) if east_only else 0
    return one.valid & (np.arange(one.valid.shape[1]) >= border)


def _share(parts: Sequence[NDArray[np.bool_]]) -> float:
    return float(np.concatenate(parts).mean())


def _cells(
    one: Analysed, cell_px: int, least_side_px: int
) -> Iterator[tuple[tuple[int, int], NDArray[np.bool_]]]:
    """Row and column of each cell of the before image's grid, and its pixels."""
    with rasterio.open(one.pair.before) as before:
        col, row = ~before.transform * (one.own.transform * (0.5, 0.5))
    rows = ((np.arange(one.valid.shape[0]) + int(row)) // cell_px)[:, None]
    cols = ((np.arange(one.valid.shape[1]) + int(col)) // cell_px)[None, :]
    for i in np.unique(rows).tolist():
        for j in np.unique(cols).tolist():
            if min(np.count_nonzero(rows == i), np.count_nonzero(cols == j)) >= least_side_px:
                yield (i, j), (rows == i) & (cols == j)
