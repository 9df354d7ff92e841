"""The tokens that a server says a run took, kept in the journal with the tiles that took them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from geochg.pipeline.journal import Journal

TOKENS = "tokens"
"""The name of the measurement in the journal."""


def spent_between(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What was added to totals; empty where nothing was."""
    spent = {name: total - before.get(name, 0) for name, total in after.items()}
    return spent if any(spent.values()) else {}


def kept_tokens(journals: Iterable[Journal[Any]]) -> dict[str, int]:
    """The totals that journals keep; empty where no server told of tokens.

    Raises:
        InputError: If a journal is damaged.
    """
    totals: Counter[str] = Counter()
    for journal in journals:
        values = journal.measurement(TOKENS) or {}
        if not all(type(number) is int and number >= 0 for number in values.values()):
            raise journal.damage("it does not say how many tokens its tiles took")
        totals.update(values)
    return dict(sorted(totals.items()))


def with_spent(journal: Journal[Any], spent: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """What the journal is to keep together with tiles that took so many tokens more."""
    if not spent:
        return {}
    return {TOKENS: dict(Counter(kept_tokens([journal])) + Counter(spent))}


def token_facts(journals: Iterable[Journal[Any]]) -> dict[str, Any]:
    """The member `tokens` of the outputs; nothing where no server told of any."""
    totals = kept_tokens(journals)
    token_sum = totals.get("prompt", 0) + totals.get("completion", 0)
    names = ("prompt", "completion", "untold")
    return {TOKENS: {name: totals.get(name, 0) for name in names}} if token_sum else {}
