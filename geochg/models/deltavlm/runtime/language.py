"""Answers prompts about encoded tiles, whatever runs the language model."""

from collections.abc import Sequence
from typing import Any, Protocol

from geochg.models.chat.dialogue import TileDialogue
from geochg.models.deltavlm.runtime.vision_output import VisionOutput


class LanguageRunner(Protocol):
    """Runs the language model and all that lies between it and the vision encoder."""

    @property
    def batch_prompts(self) -> int:
        """Prompts answered at once."""

    def encode(self, vision: VisionOutput, indices: Sequence[int]) -> Any:
        """The pair encodings of some tiles, as `answers` takes them."""

    def answers(self, encoding: Any, rows: Sequence[int], prompts: Sequence[str]) -> list[str]:
        """Answers prompts.

        Args:
            encoding: Pair encodings from `encode`.
            rows: For each prompt the row of its tile in the encoding.
            prompts: As many prompts.
        """


def turn_prompt(questions: Sequence[str], answers: Sequence[str]) -> str:
    """The prompt of a turn in one text: the questions up to it, and one answer fewer, by turns."""
    pairs = zip(questions, answers, strict=False)
    return " ".join([*(f"{question} {answer}" for question, answer in pairs), questions[-1]])


def run_dialogues(
    language: LanguageRunner, vision: VisionOutput, dialogues: Sequence[TileDialogue]
) -> None:
    """Carries all dialogues to their end, those at the same turn together."""
    if not dialogues:
        return
    indices = sorted({dialogue.tile_index for dialogue in dialogues})
    rows = {index: row for row, index in enumerate(indices)}
    encoding = language.encode(vision, indices)
    while going := [item for item in dialogues if not item.is_over]:
        # Prompts of like length side by side need less padding.
        turns = sorted(
            ((turn_prompt(item.prompts, item.replies), item) for item in going),
            key=lambda turn: (len(turn[0]), turn[1].tile_index),
        )
        for start in range(0, len(turns), language.batch_prompts):
            prompts, batch = zip(*turns[start : start + language.batch_prompts], strict=True)
            replies = language.answers(encoding, [rows[item.tile_index] for item in batch], prompts)
            for dialogue, reply in zip(batch, replies, strict=True):
                dialogue.add_reply(reply)
