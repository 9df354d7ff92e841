"""What an endpoint sent, read: the words of an answer, or why there are none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from geochg.models.chat.conversation import NOTHING_SAID
from geochg.safety.untrusted_text import cleaned

LONGEST_SENTENCE = 300
"""Characters of what a server says when it refuses."""

NO_SENSE = "the endpoint's answer makes no sense"

_TOLD = ("message", "detail", "error", "msg", "error_description", "reason", "title")
"""Members under which servers put their sentence, most telling first."""

THOUGHTS = ("reasoning_content", "reasoning", "thinking")
"""Members of a message in which servers put what a model thought."""

_TEXT_KINDS = ("text", "output_text")
_MOST_NESTED = 5


class NoAnswerError(Exception):
    """No answer came.

    Args:
        reason: Why, in one line.
        is_permanent: Whether no repetition mends it, for this tile or for others.
    """

    def __init__(self, reason: str, *, is_permanent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_permanent = is_permanent


def words(completion: Any, max_tokens: object) -> str:  # noqa: ANN401
    """The words of an answer.

    Args:
        completion: As OpenAI's client gives it.
        max_tokens: Most tokens of the answer, for the reason where it was cut off.

    Raises:
        NoAnswerError: If it refuses, was held back or cut off, calls a tool or says nothing.
        AttributeError, TypeError, LookupError: If it is not what the protocol says.
    """
    if not completion.choices:
        told = sentence(getattr(completion, "error", None))
        raise NoAnswerError(f"the endpoint answered with an error: {told}" if told else NO_SENSE)
    choice = completion.choices[0]
    message = choice.message
    if message is None:
        raise NoAnswerError(NO_SENSE)
    said = text_of(message.content)
    thought = any(_extra(message, name) for name in THOUGHTS)
    refuse_silence(
        said,
        choice.finish_reason,
        refusal=_refusal(message),
        has_thoughts=thought,
        has_calls=bool(_extra(message, "tool_calls") or _extra(message, "function_call")),
        max_tokens=max_tokens,
    )
    return said


def refuse_silence(
    said: str,
    finish_reason: object,
    *,
    refusal: str,
    has_thoughts: bool,
    has_calls: bool,
    max_tokens: object,
) -> None:
    """Raises where an answer is none, by the way in which it ended.

    Args:
        said: Its words.
        finish_reason: As the protocol calls it; None where it was not told.
        refusal: The words in which the model refused; mostly empty.
        has_thoughts: Whether it thought.
        has_calls: Whether it called a tool.
        max_tokens: Most tokens of the answer.

    Raises:
        NoAnswerError: With the reason.
    """
    if refusal:
        raise NoAnswerError(f"the model refused: {cleaned(refusal, LONGEST_SENTENCE)}")
    if finish_reason in ("content_filter", "safety", "SAFETY"):
        raise NoAnswerError("the endpoint's filter held the answer back")
    if finish_reason in ("length", "max_tokens", "model_length"):
        how = (
            "the model's thoughts used up"
            if has_thoughts and not said.strip()
            else ("the answer was cut off by")
        )
        raise NoAnswerError(
            f"{how} max_tokens {max_tokens}; more can be allowed with --model-option max_tokens="
        )
    if has_calls or finish_reason in ("tool_calls", "function_call"):
        raise NoAnswerError("the model called a tool in place of an answer")
    if finish_reason in ("error", "abort"):
        raise NoAnswerError("the endpoint broke the answer off")
    if not said.strip():
        raise NoAnswerError(NOTHING_SAID)


def text_of(content: object) -> str:
    """The text of a message's content, whole or in parts; parts that are thoughts are left out.

    Raises:
        TypeError: If it is neither text nor parts.
    """
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, Sequence):
        raise TypeError("the content is neither text nor a list of parts")
    return "".join(_part_texts(content))


def sentence(told: object, secrets: Iterable[str] = ()) -> str:
    """What a server says of an error, in one line; empty where it says nothing in words.

    Args:
        told: The body of its reply, or a part of it.
        secrets: What must not stand in it, such as the key.
    """
    text = _found(told, _MOST_NESTED).strip()
    if text.startswith("<"):  # A page of a proxy or a web server.
        return ""
    return cleaned(text, LONGEST_SENTENCE, secrets=[each for each in secrets if each])


def _found(told: object, depth: int) -> str:
    if isinstance(told, str):
        return told
    if depth and isinstance(told, Mapping):
        for name in _TOLD:
            if found := _found(told.get(name), depth - 1):
                return found
    if depth and isinstance(told, list) and told:
        return _found(told[0], depth - 1)
    return ""


def _part_texts(parts: Sequence[Any]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
        elif _member(part, "type") in _TEXT_KINDS and isinstance(_member(part, "text"), str):
            yield _member(part, "text")


def _refusal(message: Any) -> str:  # noqa: ANN401
    told = _extra(message, "refusal")
    if isinstance(told, str):
        return told
    parts = message.content if isinstance(message.content, list) else []
    found = (_member(part, "refusal") for part in parts if _member(part, "type") == "refusal")
    return next((text for text in found if isinstance(text, str)), "")


def _member(part: Any, name: str) -> Any:  # noqa: ANN401
    return part.get(name) if isinstance(part, Mapping) else getattr(part, name, None)


def _extra(message: Any, name: str) -> Any:  # noqa: ANN401
    return getattr(message, name, None)
