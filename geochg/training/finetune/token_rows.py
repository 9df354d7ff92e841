"""Talks as rows of tokens, with the answers marked: as at inference, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from geochg.models.deltavlm.processing import IGNORED
from geochg.models.vlm.chat_writer import ChatWriter


class Taught(NamedTuple):
    """One row.

    Attributes:
        ids: The tokens after the opening; see `ChatWriter.prompt_ids`.
        labels: The same on the answers and their end tokens, else `IGNORED`.
    """

    ids: list[int]
    labels: list[int]


def taught(
    writer: ChatWriter, asked: Sequence[str], said: Sequence[str], ends: Sequence[int]
) -> list[Taught]:
    """A talk as one row, or as one row a turn where the template does not let turns nest.

    What stands before an answer is exactly what the model is given when it is asked. Some
    templates write an earlier turn otherwise than the last one, so that is checked.

    Args:
        writer: Of the model.
        asked: The questions.
        said: As many answers.
        ends: The tokens that end an answer.
    """
    turns = [_turn(writer, asked[: n + 1], said[:n], said[n], ends) for n in range(len(said))]
    nested = _nested(turns)
    return turns if nested is None else [nested]


def _turn(
    writer: ChatWriter,
    asked: Sequence[str],
    before: Sequence[str],
    answer: str,
    ends: Sequence[int],
) -> Taught:
    """The last turn of a talk as a row."""
    prompt = writer.prompt_ids(asked, before)
    spoken = _spoken(writer, prompt, writer.dialogue_ids(asked, [*before, answer]), ends)
    if spoken is None:
        spoken = [*writer.answer_ids(answer), ends[0]]
    return Taught([*prompt, *spoken], [IGNORED] * len(prompt) + spoken)


def _spoken(
    writer: ChatWriter, prompt: Sequence[int], whole: Sequence[int], ends: Sequence[int]
) -> list[int] | None:
    """The answer's tokens as the template writes them; None where it rewrites the prompt."""
    if list(whole[: len(prompt)]) != list(prompt):
        return None
    rest = list(whole[len(prompt) :])
    stop = next((place for place, token in enumerate(rest) if token in ends), None)
    if stop is None:
        # A template that leaves out the end of the last answer, at which the model shall stop.
        return [*rest, ends[0]]
    return rest[: stop + 1]


def _nested(turns: Sequence[Taught]) -> Taught | None:
    """All turns in one row; None where a later one does not begin with the one before it."""
    ids: list[int] = []
    labels: list[int] = []
    for turn in turns:
        if turn.ids[: len(ids)] != ids:
            return None
        labels += turn.labels[len(ids) :]
        ids = turn.ids
    return Taught(ids, labels)
