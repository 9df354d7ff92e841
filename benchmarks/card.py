"""A model's scores, and the Markdown tables that tell them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import drawn_pairs
from drawn_scores import FamilyScores
from real_scores import CellScores, FalseAlarms, Find, WaterScores
from scores import Interval


@dataclass(frozen=True)
class RealScores:
    """What `real_pairs` gives, by name of the pairs."""

    false_alarms: list[FalseAlarms]
    finds: dict[str, list[Find]]
    water: WaterScores
    cells: dict[str, CellScores]


@dataclass(frozen=True)
class Card:
    """All scores of a model.

    Attributes:
        model: What `--model` was given.
        checksum: Of its weights or settings.
        machine: Where it was measured.
        threshold: Least probability of a changed pixel.
        difference_threshold: Of image differencing: that of best F1 on all drawn pairs.
        drawn: By family.
        real: On real pairs.
        pictures: Of real pairs, by their names; may be empty.
    """

    model: str
    checksum: str
    machine: str
    threshold: float
    difference_threshold: float | None
    drawn: dict[str, FamilyScores]
    real: RealScores
    pictures: dict[str, Path]


def markdown(card: Card, beside: Path) -> str:
    """The card's tables and pictures, whose links lead from a folder."""
    parts = [
        f"Model `{card.model}`, {card.checksum[:19]}; measured on {card.machine}.",
        "### Drawn pairs\n\n" + _drawn_note(card),
        _drawn_table(card.drawn),
        _presence_table(card.drawn),
        _count_table(card.drawn),
        "### Real pairs in which hardly anything changed\n\n" + ALARM_NOTE,
        _alarm_table(card.real.false_alarms),
        "### Real pairs that changed\n\n" + FIND_NOTE,
        _find_table(card.real.finds),
        _water_table(card.real.water),
        "### Hand-labelled cells\n\n" + CELL_NOTE,
        _cell_table(card.real.cells),
        *_pictures(card.pictures, beside),
    ]
    return "\n\n".join(parts)


ALARM_NOTE = (
    "Share of the valid area. Differencing (three bands, each standardised by date, Euclidean "
    "distance) is cut by Otsu's rule on each pair, which needs nothing else, and at the threshold "
    "of its best F1 on all drawn pairs, since the model's threshold comes from drawn pairs too. "
    "irmad runs at its defaults. A model trained with the real textures has been shown all but the "
    "held-out plots, and all but the east of the crop pairs, as ground on which nothing changed."
)
FIND_NOTE = (
    "The cities are left out of all training textures. The images of the ponds are among them, "
    "each by itself, never as a pair. New water is told by near infrared, which no model saw."
)
CELL_NOTE = (
    "AUROC of the mean over 850 m cells that were judged by eye on one screen: coarse, and not "
    "independent of the author (`benchmarks/city_cells.json`)."
)


def _drawn_note(card: Card) -> str:
    return (
        f"Seeds from {drawn_pairs.FIRST_SEED:,} on, held-out textures; pixels at the model's "
        f"threshold of {card.threshold:.2f}. AUROC is over the nine cells of each pair, changed "
        "when more than 5 % of a cell is; in brackets the 95 % interval of a bootstrap over pairs."
    )


def _drawn_table(drawn: dict[str, FamilyScores]) -> str:
    return table(
        "Family|Pairs (changed)|Changed area|Cell AUROC|Differencing|Pixel F1|On changed pairs"
        "|Differencing at best|All changed|None changed",
        [
            (
                family,
                f"{one.pairs} ({one.changed_pairs})",
                percent(one.changed_share),
                _interval(one.cells),
                _interval(one.cells_difference),
                number(one.pixel_f1),
                number(one.pixel_f1_changed),
                number(one.pixel_f1_difference.f1 if one.pixel_f1_difference else None),
                number(one.pixel_f1_all),
                number(0),
            )
            for family, one in drawn.items()
        ],
    )


def _presence_table(drawn: dict[str, FamilyScores]) -> str:
    rows = [
        (
            family,
            percent(one.presence_changed, 0),
            percent(one.presence_unchanged, 0),
            percent(one.false_area),
            percent(one.false_area_difference),
        )
        for family, one in drawn.items()
    ]
    rows += [
        ("always changed", "100 %", "0 %", "100.0 %", "-"),
        ("never changed", "0 %", "100 %", "0.0 %", "-"),
    ]
    head = (
        "Presence is right|Changed pairs|Unchanged pairs|False area of these|Differencing at best"
    )
    return table(head, rows)


def _count_table(drawn: dict[str, FamilyScores]) -> str:
    head = "Mean error of counts, changed pairs|Buildings|Always 0|Roads|Always 0|Unreadable"
    rows = []
    for family, one in drawn.items():
        errors = [
            number(each.get(name), 1)
            for name in drawn_pairs.COUNTED
            for each in (one.count_error, one.count_error_zero)
        ]
        rows.append((family, *errors, str(one.counts_unread) if one.count_error else "-"))
    return table(head, rows)


def _alarm_table(alarms: Sequence[FalseAlarms]) -> str:
    head = "Pairs|Number|In features|Worst pair|irmad|Differencing, Otsu|At drawn best"
    return table(
        head,
        [
            (
                one.name,
                str(one.pairs),
                *map(percent, (one.features, one.worst, one.irmad, one.otsu, one.drawn)),
            )
            for one in alarms
        ],
    )


def _find_table(finds: dict[str, list[Find]]) -> str:
    return table(
        "Pair|Model|Class|Change|Features|Area (ha)",
        [
            (
                pair,
                find.model,
                find.class_name,
                find.change,
                str(find.features),
                f"{find.area_ha:,.1f}",
            )
            for pair, found in finds.items()
            for find in found
        ],
    )


def _water_table(water: WaterScores) -> str:
    return table(
        f"New water of the ponds ({water.new_ha:,.0f} ha)|Share of it|Share of all area",
        [
            (name, percent(found), percent(water.marked[name]))
            for name, found in water.found.items()
        ],
    )


def _cell_table(cells: dict[str, CellScores]) -> str:
    return table(
        "City|Cells (changed)|Heatmap|irmad|Differencing",
        [
            (
                city,
                f"{one.cells} ({one.changed})",
                *map(number, (one.heatmap, one.irmad, one.difference)),
            )
            for city, one in cells.items()
        ],
    )


def _pictures(pictures: dict[str, Path], beside: Path) -> list[str]:
    links = [
        f"![{name}: before, after, changes]({Path(os.path.relpath(path, beside)).as_posix()})"
        for name, path in pictures.items()
    ]
    return ["### Pictures\n\nBefore, after, and what the model found.", *links] if links else []


def table(head: str, rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table; `head` holds the titles between bars."""
    lines = [head, "|".join("---" for _ in head.split("|")), *("|".join(row) for row in rows)]
    return "\n".join(f"| {line.replace('|', ' | ')} |" for line in lines)


def number(value: float | None, digits: int = 2) -> str:
    """A dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share 0-1 as per cent; a dash where there is none."""
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def _interval(found: Interval) -> str:
    if found.low is None:
        return number(found.value)
    return f"{number(found.value)} ({number(found.low)} to {number(found.high)})"
