"""Reads what an endpoint sent: the text of an answer, or why there is none."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from geochg.models.chat.dialogue import NOTHING_SAID
from geochg.safety.untrusted_text import cleaned
from geochg.tasks.reply_text import spoken_answer

LONGEST_SENTENCE = 300
"""Most characters of a server's error that are shown."""

NO_SENSE = "the endpoint's answer makes no sense"

_ERROR_MEMBERS = ("message", "detail", "error", "msg", "error_description", "reason", "title")
"""Members under which servers put the text of an error, most telling first."""

THOUGHTS = ("reasoning_content", "reasoning", "thinking")
"""Members of a message in which servers put the thoughts of a model."""

_CALLED = ("tool_calls", "function_call")
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


def answer_text(completion: Any, max_tokens: object) -> str:
    """The text of an answer.

    Args:
        completion: The completion of OpenAI's client.
        max_tokens: Most tokens of the answer, for the reason where it was cut off.

    Raises:
        NoAnswerError: If it refuses, was held back or cut off, calls a tool or says nothing.
        AttributeError, TypeError, LookupError: If it is not what the protocol says.
    """
    if not completion.choices:
        error = error_text(getattr(completion, "error", None))
        raise NoAnswerError(f"the endpoint answered with an error: {error}" if error else NO_SENSE)
    choice = completion.choices[0]
    message = choice.message
    if message is None:
        raise NoAnswerError(NO_SENSE)
    text, finish_reason, has_calls = content_text(message.content), choice.finish_reason, False
    if calls := _calls(message):
        called_text = "" if text.strip() else _called_answer(calls)
        text, has_calls = called_text or text, not called_text
        finish_reason = None if called_text and finish_reason in _CALLED else finish_reason
    check_answer(
        text,
        finish_reason,
        refusal=_refusal(message),
        has_thoughts=any(_member(message, name) for name in THOUGHTS),
        has_calls=has_calls,
        max_tokens=max_tokens,
    )
    return text


def check_answer(
    text: str,
    finish_reason: object,
    *,
    refusal: str,
    has_thoughts: bool,
    has_calls: bool,
    max_tokens: object,
) -> None:
    """Refuses an answer that is empty, cut off or held back.

    Args:
        text: The text of the answer.
        finish_reason: Why it ended, as the protocol calls it; None where the server does not say.
        refusal: The text of a refusal by the model; mostly empty.
        has_thoughts: Whether the model thought.
        has_calls: Whether the model called a tool.
        max_tokens: Most tokens of the answer.

    Raises:
        NoAnswerError: If it is no answer; its text says why.
    """
    if refusal:
        raise NoAnswerError(f"the model refused: {cleaned(refusal, LONGEST_SENTENCE)}")
    if finish_reason in ("content_filter", "safety", "SAFETY"):
        raise NoAnswerError("the endpoint's filter held the answer back")
    if finish_reason in ("length", "max_tokens", "model_length"):
        is_thought = has_thoughts and not text.strip()
        cause = "the model's thoughts used up" if is_thought else "the answer was cut off by"
        raise NoAnswerError(
            f"{cause} max_tokens {max_tokens}; more can be allowed with --model-option max_tokens="
        )
    if has_calls or finish_reason in _CALLED:
        raise NoAnswerError("the model called a tool in place of an answer")
    if finish_reason in ("error", "abort"):
        raise NoAnswerError("the endpoint broke the answer off")
    if not text.strip():
        raise NoAnswerError(NOTHING_SAID)


def content_text(content: object) -> str:
    """The text of a message's content, whole or in parts; parts that are thoughts are left out.

    Raises:
        TypeError: If it is neither text nor parts.
    """
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, Sequence):
        raise TypeError("the content is neither text nor a list of parts")
    return "".join(_part_texts(content))


def error_text(body: object, secrets: Iterable[str] = ()) -> str:
    """The text of a server's error in one line; empty where it has none.

    Args:
        body: The body of the reply, or a part of it.
        secrets: Texts to take out of it, such as the key.
    """
    text = _first_text(body, _MOST_NESTED).strip()
    if text.startswith("<"):  # A page of a proxy or a web server.
        return ""
    return cleaned(text, LONGEST_SENTENCE, secrets=[secret for secret in secrets if secret])


def _first_text(body: object, depth: int) -> str:
    if isinstance(body, str):
        return body
    if depth and isinstance(body, Mapping):
        for name in _ERROR_MEMBERS:
            if text := _first_text(body.get(name), depth - 1):
                return text
    if depth and isinstance(body, list) and body:
        return _first_text(body[0], depth - 1)
    return ""


def _part_texts(parts: Sequence[Any]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
        elif _member(part, "type") in _TEXT_KINDS and isinstance(_member(part, "text"), str):
            yield _member(part, "text")


def _calls(message: Any) -> list[Any]:
    """The tools that a message calls, in either form of the protocol."""
    calls = _member(message, "tool_calls")
    function = _member(message, "function_call")
    return calls if isinstance(calls, list) and calls else [{"function": function}] * bool(function)


def _called_answer(calls: Sequence[Any]) -> str:
    """The answer in the arguments of an only call; empty where they are no answer.

    No tools are offered, but templates of models that were trained on them take any JSON for a
    call. `{"answer": "Yes"}` is an answer, `{"box": [1, 2, 3, 4]}` is none.
    """
    arguments = _member(_member(calls[0], "function"), "arguments") if len(calls) == 1 else None
    if not isinstance(arguments, str) or not arguments.lstrip().startswith("{"):
        return ""
    spoken_text = spoken_answer(arguments)
    # Other objects come back as they are. Asides such as a confidence are left to the parsers.
    return "" if spoken_text.startswith("{") else arguments


def _refusal(message: Any) -> str:
    refusal = _member(message, "refusal")
    if isinstance(refusal, str):
        return refusal
    parts = message.content if isinstance(message.content, list) else []
    texts = (_member(part, "refusal") for part in parts if _member(part, "type") == "refusal")
    return next((text for text in texts if isinstance(text, str)), "")


def _member(part: Any, name: str) -> Any:
    return part.get(name) if isinstance(part, Mapping) else getattr(part, name, None)
