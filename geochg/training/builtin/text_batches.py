"""Batches of the language stage: a few pairs, with a few questions and answers about each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, tensor
from torch.utils.data import Dataset

from geochg.models.chat.dialogue import TileDialogue
from geochg.models.deltavlm.processing import DeltaVLMProcessor
from geochg.models.deltavlm.runtime.language import turn_prompt
from geochg.records import Question, Task
from geochg.tasks import SPECS
from geochg.training.builtin.language_pairs import LanguagePair, LanguagePairs

TASK_SHARES = {
    Task.CAPTION: 0.33,
    Task.DIALOGUE: 0.25,
    Task.QUESTION: 0.16,
    Task.COUNT: 0.14,
    Task.PRESENCE: 0.06,
    Task.LOCATE: 0.06,
}
"""Share of the rows. Presence and location get little: the dense head answers them, and the
language model is asked the one only as the first turn of a dialogue, the other never."""

LENGTHS = 4
"""Groups of rows of like length in a batch; each is padded to its own longest row only."""


class Row(NamedTuple):
    """A question and its answer; of a dialogue, one turn.

    Attributes:
        task: The task it belongs to.
        prompt: The question as inference asks it, with the turns before it.
        answer: The answer to learn.
    """

    task: Task
    prompt: str
    answer: str


class TextBatch(NamedTuple):
    """A batch of pairs with rows about them.

    Attributes:
        before: `(pairs, 3, height, width)` float32, normalised.
        after: As `before`.
        rows: Groups of rows of like length: arguments of the model's `forward` but the images;
            `pair_index` is the index of each row's pair.
    """

    before: Tensor
    after: Tensor
    rows: list[dict[str, Tensor]]


def rows_of(pair: LanguagePair) -> list[Row]:
    """All that can be learned about a pair; a prompt that two tasks share comes once."""
    rows: dict[str, Row] = {}
    for name, question, text in pair.turns:
        task = Task(name)
        answers = SPECS[task].turns(text)
        dialogue = TileDialogue(0, Question(task, question))
        while not dialogue.is_over:
            prompt = turn_prompt(dialogue.prompts, dialogue.replies)
            answer = answers[len(dialogue.replies)].strip()
            rows.setdefault(prompt, Row(task, prompt, answer))
            dialogue.replies.append(answer)
    return list(rows.values())


def sampled_rows(rows: Sequence[Row], count: int, rng: np.random.Generator) -> list[Row]:
    """Some of a pair's rows, none twice, each task as often as its share asks for.

    Args:
        rows: All rows of the pair.
        count: Rows wanted; fewer are taken where a task's share of them is above one.
        rng: Generator of the sampling.
    """
    number = Counter(row.task for row in rows)
    weights = np.array([TASK_SHARES[row.task] / number[row.task] for row in rows])
    # Systematic sampling: equal steps along the weights laid end to end.
    ends = np.cumsum(weights) * (count / weights.sum())
    indices = np.searchsorted(ends, np.arange(count) + rng.random(), side="right")
    return [rows[index] for index in np.unique(indices.clip(max=len(rows) - 1))]


def pair_order(
    changed: Sequence[bool], count: int, unchanged_share: float, seed: int
) -> NDArray[np.intp]:
    """The indices of pairs in the order of training; those without change are spread evenly.

    Args:
        changed: Whether each pair changed.
        count: Pairs wanted; each kind begins anew, in another order, when it is used up.
        unchanged_share: Share of the pairs without change, 0-1; void where there is one kind only.
        seed: Seed of the order.
    """
    kinds = [np.flatnonzero(np.array(changed) == kind) for kind in (False, True)]
    share = unchanged_share if all(map(len, kinds)) else float(len(kinds[0]) > 0)
    is_changed = np.diff(np.floor(np.arange(count + 1) * share)) == 0
    order = np.empty(count, np.intp)
    for kind, indices in enumerate(kinds):
        is_wanted = is_changed == bool(kind)
        order[is_wanted] = _passes(
            indices, int(is_wanted.sum()), np.random.default_rng((seed, kind))
        )
    return order


def _passes(indices: NDArray[np.intp], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The indices in random order, over and over."""
    passes = [rng.permutation(indices) for _ in range(0, count, max(1, len(indices)))]
    return np.concatenate([indices[:0], *passes])[:count]


@dataclass(frozen=True, eq=False)
class TextBatches(Dataset[TextBatch]):
    """The batches of a run by their number.

    A batch depends on its number and the fields only, so a stopped run goes on as if it had not.

    Attributes:
        pairs: Pairs to learn from. They are shown as they are: each date was varied when it was
            made.
        processor: Processor of the model.
        order: `(batches, pairs in each)`, indices of pairs.
        rows_per_pair: Rows about each pair.
        seed: Seed of the sampling of rows.
    """

    pairs: LanguagePairs
    processor: DeltaVLMProcessor
    order: NDArray[np.intp]
    rows_per_pair: int
    seed: int

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, number: int) -> TextBatch:
        rng = np.random.default_rng((self.seed, number))
        pairs = [self.pairs[int(index)] for index in self.order[number]]
        return TextBatch(
            self.processor.pixels([pair.before for pair in pairs]),
            self.processor.pixels([pair.after for pair in pairs]),
            [self._group(rows) for rows in self._rows(pairs, rng)],
        )

    def _rows(
        self, pairs: Sequence[LanguagePair], rng: np.random.Generator
    ) -> list[list[tuple[int, Row]]]:
        """Rows with the indices of their pairs, in groups from short to long."""
        rows = [
            (index, row)
            for index, pair in enumerate(pairs)
            for row in sampled_rows(rows_of(pair), self.rows_per_pair, rng)
        ]
        rows.sort(key=lambda entry: len(entry[1].prompt) + len(entry[1].answer))
        size = -(-len(rows) // LENGTHS)
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def _group(self, rows: Sequence[tuple[int, Row]]) -> dict[str, Tensor]:
        texts = self.processor.examples(
            [row.prompt for _, row in rows], [row.answer for _, row in rows]
        )
        return {**texts.arguments(), "pair_index": tensor([index for index, _ in rows])}
