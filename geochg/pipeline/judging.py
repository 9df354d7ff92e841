"""The head of a run, which judges the changes that its model finds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from geochg.errors import OptionError
from geochg.features.candidates import with_candidates
from geochg.features.cells import CellSettings
from geochg.features.descriptors import with_descriptors
from geochg.features.tile_results import TileResult
from geochg.learning.head import Head, HeadJudge
from geochg.models.base import ChangeModel
from geochg.options import AnalyzeOptions
from geochg.records import Answer, Tile


def judge_of(options: AnalyzeOptions, model: ChangeModel) -> HeadJudge | None:
    """The head that the options name; None where they name none.

    Raises:
        InputError: If there is none in the folder, or it was learned with another model.
        OptionError: If the options do not go with a head.
    """
    if not options.learned:
        return None
    if options.vote:
        raise OptionError(
            "--learned judges changes as the tiles show them, and with --vote they are made anew",
            "leave out one of the two",
        )
    head = Head.open(Path(options.learned))
    head.check_model(model.identity, options.geometry)
    return HeadJudge(head)


def described_result(
    tile: Tile,
    answers: Sequence[Answer],
    result: TileResult,
    settings: CellSettings,
    judge: HeadJudge,
) -> TileResult:
    """The result of a tile with what its head is to be told, and with candidates if it adds some.

    Args:
        tile: The tile.
        answers: The model's answers about it.
        result: What is kept of them without a head.
        settings: The settings of that.
        judge: The head.
    """
    if judge.head.card.adds:
        result = with_candidates(tile, answers, result, settings)
    return with_descriptors(tile, answers, result)


def judged_facts(judges: Iterable[HeadJudge | None]) -> dict[str, Any]:
    """The member `learned` of the outputs: a head, and what it did over all spans of a run.

    Empty where there is no head.
    """
    facts: dict[str, Any] = {}
    for judge in judges:
        if judge is not None:
            counts = {name: judge.counts[name] + facts.get(name, 0) for name in judge.COUNTED}
            facts = {**judge.head.card.facts(), **counts}
    return {"learned": facts} if facts else {}
