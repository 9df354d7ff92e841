"""How many pairs with exchanged after images a model calls changed, beside trivial answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from geochg.evaluation.intervals import share_interval
from geochg.evaluation.scores import ALL_CHANGED, DIFFERENCING, NO_CHANGE, PAIRS_BY_LABEL
from geochg.evaluation.tables import Interval, ScoreLine, ScoreTable

EXCHANGED = "the model, exchanged pairs"
_AS_THEY_ARE = "the model, {} as they are"

NOTE = (
    "exchanged pairs show two places, so a model that looks calls them changed; one that says so "
    "of everything does too: compare with the pairs as they are"
)


class CalledItem(NamedTuple):
    """One item that a model has judged.

    Attributes:
        group: Name of the group of pairs that share images.
        changed: Whether it changed; None where that is not known. Of an exchanged item, that of
            the pair which the before image is of.
        is_called: Whether the model calls it changed.
        difference: Mean absolute difference of the two dates, in 8-bit steps.
    """

    group: str
    changed: bool | None
    is_called: bool
    difference: float


@dataclass(frozen=True, slots=True)
class CalledShare:
    """A share of items that are called changed.

    Attributes:
        name: Name of the items and of what calls them so.
        items: Number of items.
        share: The share; None of no items.
        interval: Its interval, 95 %; None of an answer that is always the same.
    """

    name: str
    items: int
    share: float | None
    interval: Interval | None = None

    def to_dict(self) -> dict[str, Any]:
        """The share as plain JSON values."""
        interval = None if self.interval is None else list(self.interval)
        return {"items": self.items, "called_changed": self.share, "interval": interval}


@dataclass(frozen=True)
class ExchangeScores:
    """The probe that exchanges the after images.

    Attributes:
        exchanged: Share of exchanged items that the model calls changed.
        by_label: The same by the label of the pair which the before image is of.
        as_they_are: Share of the pairs as they are that it calls changed, by label.
        baselines: Shares of exchanged items that trivial answers call changed, by name.
        unanswered: Number of exchanged items without an answer.
        lone_pairs: Number of pairs for which there was no image to exchange.
        seed: Seed of the exchange; None where it is not known.
        unit: Name of the items.
    """

    exchanged: CalledShare
    by_label: Mapping[str, CalledShare]
    as_they_are: Mapping[str, CalledShare]
    baselines: Mapping[str, CalledShare]
    unanswered: int
    lone_pairs: int
    seed: int | None
    unit: str = "items"
    name: str = "exchange"
    heading: str = "Exchanged after images"

    @property
    def summary(self) -> str:
        """What was asked, on one line."""
        gaps = {"without an answer": self.unanswered, "pairs left out": self.lone_pairs}
        return "".join(
            [
                f"{self.exchanged.items} {self.unit} with the after image of another pair",
                *(f", {number} {gap}" for gap, number in gaps.items() if number),
            ]
        )

    @property
    def tables(self) -> list[ScoreTable]:
        """All shares in one table."""
        shares = [
            self.exchanged,
            *self.by_label.values(),
            *self.as_they_are.values(),
            *self.baselines.values(),
        ]
        return [ScoreTable("", self.exchanged.items, ("called_changed",), [*map(_line, shares)])]

    @property
    def notes(self) -> list[str]:
        """Sentences on how the figure was made."""
        gap = f"{self.lone_pairs} pairs left out: no other pair of their size has an image to give"
        return [*([gap] if self.lone_pairs else ()), NOTE]

    def to_dict(self) -> dict[str, Any]:
        """The figure as plain JSON values."""
        interval = self.exchanged.interval
        return {
            "exchanged_called_changed": self.exchanged.share,
            "interval": None if interval is None else list(interval),
            "items": self.exchanged.items,
            "unanswered": self.unanswered,
            "left_out": self.lone_pairs,
            "seed": self.seed,
            **{
                name: {key.replace(" ", "_"): share.to_dict() for key, share in shares.items()}
                for name, shares in (
                    ("by_label", self.by_label),
                    ("as_they_are", self.as_they_are),
                    ("baselines", self.baselines),
                )
            },
        }


def exchange_scores(
    exchanged: Sequence[CalledItem],
    as_they_are: Sequence[CalledItem],
    difference: float | None,
    *,
    unanswered: int = 0,
    lone_pairs: int = 0,
    seed: int | None = None,
) -> ExchangeScores:
    """The shares of exchanged items and of items as they are that are called changed.

    Args:
        exchanged: Exchanged items; at least one.
        as_they_are: The pairs' own items.
        difference: Threshold of differencing; None leaves it out.
        unanswered: See `ExchangeScores`.
        lone_pairs: See `ExchangeScores`.
        seed: See `ExchangeScores`.
    """
    baselines = {
        ALL_CHANGED: CalledShare(ALL_CHANGED, len(exchanged), 1.0),
        NO_CHANGE: CalledShare(NO_CHANGE, len(exchanged), 0.0),
    }
    if difference is not None:
        differing = [item._replace(is_called=item.difference > difference) for item in exchanged]
        name = f"{DIFFERENCING}, exchanged pairs"
        baselines[DIFFERENCING] = _called_share(name, differing)
    by_label = _by_label(f"{EXCHANGED}: before of {{}}", exchanged)
    return ExchangeScores(
        _called_share(EXCHANGED, exchanged),
        by_label if len(by_label) > 1 else {},
        _by_label(_AS_THEY_ARE, as_they_are),
        baselines,
        unanswered,
        lone_pairs,
        seed,
    )


def _by_label(name: str, items: Sequence[CalledItem]) -> dict[str, CalledShare]:
    shares = {}
    for key, label in PAIRS_BY_LABEL.items():
        if of_label := [item for item in items if item.changed is label]:
            shares[key] = _called_share(name.format(key), of_label)
    return shares


def _called_share(name: str, items: Sequence[CalledItem]) -> CalledShare:
    called = np.array([item.is_called for item in items], bool)
    interval = share_interval(called, [item.group for item in items])
    return CalledShare(name, len(items), float(called.mean()), interval)


def _line(share: CalledShare) -> ScoreLine:
    spread = {} if share.interval is None else {"called_changed": share.interval}
    return ScoreLine(share.name, {"called_changed": share.share}, spread)
