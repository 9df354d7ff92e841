"""What is said about tiles: prompts in, typed answers out, whatever runs the language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from geochg.models.chat.conversation import Conversation

if TYPE_CHECKING:
    from geochg.models.deltavlm.runtime.vision_output import VisionOutput


class Speaker(Protocol):
    """Runs the language model and what stands between it and the vision part."""

    @property
    def batch_prompts(self) -> int:
        """Prompts answered at once."""

    def encode(self, vision: VisionOutput, places: Sequence[int]) -> Any:  # noqa: ANN401
        """What is seen of the tiles at some places, as `answers` takes it."""

    def answers(self, encoding: Any, rows: Sequence[int], prompts: Sequence[str]) -> list[str]:  # noqa: ANN401
        """Answers prompts.

        Args:
            encoding: What `encode` gave.
            rows: Of each prompt, the place in the encoding of the tile it is about.
            prompts: As many.
        """


def turn_prompt(asked: Sequence[str], said: Sequence[str]) -> str:
    """The prompt of a later turn: all that was asked and said before it, in one text.

    Args:
        asked: The questions up to this turn.
        said: The answers before this turn, one fewer.
    """
    earlier = [f"{question} {answer}" for question, answer in zip(asked, said, strict=False)]
    return " ".join([*earlier, asked[-1]])


def hold(speaker: Speaker, vision: VisionOutput, conversations: Sequence[Conversation]) -> None:
    """Carries all conversations to their end, those at the same turn together."""
    if not conversations:
        return
    places = sorted({conversation.place for conversation in conversations})
    row_of = {place: row for row, place in enumerate(places)}
    encoding = speaker.encode(vision, places)
    while open_ones := [talk for talk in conversations if not talk.is_over]:
        # Prompts of like length side by side need less padding.
        asked = sorted(
            ((turn_prompt(talk.asked, talk.said), talk) for talk in open_ones),
            key=lambda pair: (len(pair[0]), pair[1].place),
        )
        for start in range(0, len(asked), speaker.batch_prompts):
            prompts, batch = zip(*asked[start : start + speaker.batch_prompts], strict=True)
            said = speaker.answers(encoding, [row_of[talk.place] for talk in batch], prompts)
            for talk, words in zip(batch, said, strict=True):
                talk.hear(words)
