"""Free questions about a tile: answered by the model where it can, else by rules."""

from collections.abc import Iterator, Sequence

import numpy as np

from geochg.models.base import ChangeModel, answers_about
from geochg.models.chat.change_views import ObservedTile
from geochg.models.chat.rule_based import reply
from geochg.records import Exchange, Outlines, PairFacts, Task, Tile
from geochg.tasks import ask


def converse(
    model: ChangeModel, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
) -> Iterator[str]:
    """Answers a free question about a tile.

    Args:
        model: The model that is asked; one that outlines and takes no free questions is asked for
            outlines, of which rules make the answer.
        tile: The pixels of the place that is asked about.
        facts: Facts about the whole pair.
        exchanges: Earlier questions with their answers.
        question: The new question.

    Yields:
        The answer, piece by piece.

    Raises:
        ModelError: If the model neither answers free questions nor outlines.
        RunError: If the place cannot be answered about.
    """
    if type(model).converse is ChangeModel.converse and model.answers_by_rules:
        yield rule_based_answer(model, tile, facts, question)
    else:
        yield from model.converse(tile, facts, exchanges, question)


def rule_based_answer(model: ChangeModel, tile: Tile, facts: PairFacts, question: str) -> str:
    """The answer that follows from a model's outlines; see `rule_based`.

    Raises:
        RunError: If the tile fails.
    """
    (outlines,) = answers_about(model, tile, [ask(Task.LOCATE)])
    assert isinstance(outlines, Outlines)
    # Where a file holds nothing, a change that is plain to see may be a tiny share of the tile.
    is_shown = tile.valid & np.any([date.any(axis=0) for date in tile.dates], axis=0)
    observed = ObservedTile(
        outlines,
        tile.valid,
        facts.pixel_area_m2,
        int(np.count_nonzero(is_shown)),
        Task.COUNT in model.capabilities.tasks,
        model.capabilities.keeps_names,
    )
    return reply(question, observed)
