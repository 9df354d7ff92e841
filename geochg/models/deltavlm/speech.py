"""What the language model says about tiles: prompts in, typed answers out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from geochg.tasks import SPECS

if TYPE_CHECKING:
    from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
    from geochg.models.deltavlm.processing import DeltaVLMProcessor
    from geochg.models.deltavlm.sight import Sight
    from geochg.records import Answer, Question


# Prompts come as embeddings, as in the released code; the penalty is for the answer. Once and for
# all, since a filter set for one call is not safe where several threads run.
warnings.filterwarnings("ignore", "Passing `repetition_penalty`")


@dataclass
class Conversation:
    """One question about one tile, turn by turn; most have one turn.

    Attributes:
        place: Of the tile in the sight.
        question: What is asked.
        said: The answers so far.
    """

    place: int
    question: Question
    said: list[str] = field(default_factory=list)

    @property
    def next_prompt(self) -> str | None:
        """What to ask next, after what was said; None when all is said."""
        turns = SPECS[self.question.task].turns(self.question.text)
        if len(self.said) == len(turns):
            return None
        return turn_prompt(turns[: len(self.said) + 1], self.said)

    def answer(self) -> Answer:
        """The typed answer."""
        spec = SPECS[self.question.task]
        answer: Answer = spec.parse(spec.joined(self.said))
        return answer


def turn_prompt(asked: Sequence[str], said: Sequence[str]) -> str:
    """The prompt of a later turn: all that was asked and said before it, in one text.

    Args:
        asked: The questions up to this turn.
        said: The answers before this turn, one fewer.
    """
    earlier = [f"{question} {answer}" for question, answer in zip(asked, said, strict=False)]
    return " ".join([*earlier, asked[-1]])


@dataclass(frozen=True)
class Speaker:
    """The language model of a DeltaVLM.

    Attributes:
        model: The whole model.
        processor: For words.
        settings: Over the generation defaults saved with the model.
    """

    model: DeltaVLMForConditionalGeneration
    processor: DeltaVLMProcessor
    settings: dict[str, Any] = field(default_factory=dict)

    def hold(self, sight: Sight, conversations: Sequence[Conversation]) -> None:
        """Carries all conversations to their end, those at the same turn together."""
        import torch

        if conversations:
            with torch.inference_mode():
                self._hold(sight, conversations)

    def _hold(self, sight: Sight, conversations: Sequence[Conversation]) -> None:
        places = sorted({conversation.place for conversation in conversations})
        row_of = {place: row for row, place in enumerate(places)}
        encoding = sight.encode(self.model, places)
        while open_ones := [c for c in conversations if c.next_prompt is not None]:
            # Prompts of like length side by side need less padding.
            open_ones.sort(key=lambda c: (len(c.next_prompt or ""), c.place))
            size = self.processor.config.language_batch
            for start in range(0, len(open_ones), size):
                batch = open_ones[start : start + size]
                prompts = [c.next_prompt or "" for c in batch]
                rows = [row_of[c.place] for c in batch]
                for conversation, words in zip(
                    batch, self._answers(encoding, rows, prompts), strict=True
                ):
                    conversation.said.append(words)

    def _answers(self, encoding: Any, rows: list[int], prompts: list[str]) -> list[str]:  # noqa: ANN401
        import torch

        device = self.model.device
        inputs = self.processor.questions(prompts).arguments()
        ids = self.model.generate(
            **{name: part.to(device) for name, part in inputs.items()},
            encoding=encoding,
            pair_index=torch.tensor(rows, device=device),
            **self.settings,
        )
        return self.processor.answers(ids)
