"""The scores of the built-in model as the Markdown of its card."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kind_tables
import unchanged
from ponds import NewWater
from unchanged import GroupShares

from geochg.evaluation.kind_scores import KindsReport


@dataclass(frozen=True)
class Scores:
    """All that was measured.

    Attributes:
        models: The model that is judged, and those beside it.
        checksum: Of the weights of the first one.
        machine: What it was measured on.
        kinds: A report a model.
        quiet: Of ground where hardly anything changed.
        new_water_ha: New water of the ponds by their infrared.
        water: What each way to ask found of it.
        pictures: What each picture shows, by its file.
    """

    models: Sequence[str]
    checksum: str
    machine: str
    kinds: Sequence[KindsReport]
    quiet: Sequence[GroupShares]
    new_water_ha: float
    water: Sequence[NewWater]
    pictures: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """The scores as plain JSON values."""
        return {
            "models": list(self.models),
            "checksum": self.checksum,
            "machine": self.machine,
            "kinds": {
                model: [kind.to_dict() for kind in report.kinds]
                for model, report in zip(self.models, self.kinds, strict=True)
            },
            "unchanged": [vars(group) for group in self.quiet],
            "new_water_ha": self.new_water_ha,
            "water": [vars(way) for way in self.water],
        }


KIND_NOTE = (
    "Real labelled pairs that nothing was learned from or fitted on, research material that is not "
    "shipped, by the code of `geochg evaluate FOLDER` (docs/evaluate.md) with default settings. "
    "Where masks cover buildings only, `--classes building` is asked for; `irmad` does not tell "
    "classes so finely and is scored by all it finds. Differencing has its best thresholds on "
    "these very pairs; in brackets, 95 % of 1,000 bootstrap samples of the pairs."
)
CONFIDENCE_NOTE = (
    "The features of the same pairs: a feature is right when more than half of its known pixels "
    "changed, whatever its class."
)
QUIET_NOTE = (
    "Share of the ground that features of `geochg analyze BEFORE AFTER` cover, without any option. "
    "`learned` says whether the built-in model was trained on this ground."
)
WATER_NOTE = (
    "`examples/ponds_2012.tif` and `ponds_2014.tif`: {area:,.0f} ha of land became water by the "
    "near infrared (2012 above 120, in 2014 an NDWI above 0.4). Whoever sees the infrared sees "
    "what the truth is made of."
)
PICTURE_NOTE = (
    "Before, after, truth where it is known (white), features. Red shades are buildings, yellow "
    "roads, green and orange plants, blue water, brown bare ground."
)


def markdown(scores: Scores, beside: Path, pictures: Path | None) -> str:
    """The card's tables and pictures, whose links lead from a folder."""
    own = scores.kinds[0]
    beside_names = ("Feature confidence", "Features", "Mean confidence", "Share that is right")
    parts = [
        f"`{scores.models[0]}`, {scores.checksum[:19]}; measured on {scores.machine}.",
        f"### Labelled pairs\n\n{KIND_NOTE}",
        table(kind_tables.HEAD, kind_tables.rows(scores.models, scores.kinds)),
        *(f"- {line}." for line in _not_scored(scores.kinds)),
        f"### Confidence\n\n{CONFIDENCE_NOTE}",
        table(beside_names, kind_tables.confidence_rows(own)),
        table(("Kind", *beside_names[1:]), kind_tables.confidence_by_kind(own)),
        f"### Ground where hardly anything changed\n\n{QUIET_NOTE}",
        table(("Ground", "Learned", "Pairs", *scores.models), unchanged.rows(scores.quiet)),
        "Each pair, least first: " + "; ".join(unchanged.each_pair(scores.quiet)) + ".",
        "### New water\n\n" + WATER_NOTE.format(area=scores.new_water_ha),
        _water_table(scores.water, scores.new_water_ha),
    ]
    if pictures is not None and scores.pictures:
        parts.append(f"### Pictures\n\n{PICTURE_NOTE}")
        parts += _pictures(scores.pictures, Path(os.path.relpath(pictures, beside)))
    return "\n\n".join(parts)


def _not_scored(found: Sequence[KindsReport]) -> list[str]:
    return [
        f"{kind.name}, {failure.pair or 'all pairs'}, {report.identity['id']}: "
        f"{failure.error.message}"
        for report in found
        for kind in report.kinds
        for failure in kind.failed
    ]


def _water_table(ways: Sequence[NewWater], area_ha: float) -> str:
    head = (
        "Asked",
        "Found as new water (ha)",
        "of it right (ha)",
        "Share of the new water in it",
        "Share of the new water in any feature",
    )
    lines = [
        (
            way.asked,
            f"{way.found_ha:,.0f}",
            f"{way.right_ha:,.0f}",
            f"{way.right_ha / area_ha:.0%}",
            f"{way.any_ha / area_ha:.0%}",
        )
        for way in ways
    ]
    return table(head, lines)


def _pictures(texts: Mapping[str, str], folder: Path) -> list[str]:
    return [f"![{text}]({(folder / file).as_posix()})\n\n{text}" for file, text in texts.items()]


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    rows = [tuple(head), ("---",) * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
