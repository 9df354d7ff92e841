"""Separates the thoughts of models from their answers.

Servers with a parser for it give thoughts beside the answer; others leave them in its text, between
marks that differ from model to model. Some chat templates write the opening mark themselves, so
that only the closing one is left.
"""

from __future__ import annotations

import re

_NAMES = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad)"
_OPENING = re.compile(
    rf"<(?:\w+:)?{_NAMES}>|<\|(?:begin_of_|start_)?{_NAMES}(?:_start)?\|>"
    r"|\[THINK\]|◁think▷|<unused94>(?:thought)?",
    re.IGNORECASE,
)
"""DeepSeek, Qwen and GLM; Seed; Command and others between bars; Magistral; Kimi; MedGemma."""
_CLOSING = re.compile(
    rf"</(?:\w+:)?{_NAMES}>|<\|(?:/|end_of_|end_){_NAMES}\|>|<\|{_NAMES}_end\|>"
    r"|\[/THINK\]|◁/think▷|<unused95>",
    re.IGNORECASE,
)
_CHANNEL = re.compile(
    r"<\|?channel\|?>\s*(?P<name>\w+)[^<\n]*?(?:<\|message\|>|\n|(?=<channel\|>))"
)
"""Channels of gpt-oss, where the answer stands in the channel `final`, and of Gemma."""
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start)\|>|<channel\|>")
_ANSWER = re.compile(
    r"<(?P<name>answer|final_answer|response|output)>(?P<answer>.*?)(?:</(?P=name)>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
LONGEST_MARK = 40
"""No mark has more characters; a text that comes in pieces is held back by as many."""


def without_thoughts(text: str) -> str:
    """The answer in a model's text, without what it thought before; empty where it never answers.

    Args:
        text: Text of the model in one turn.
    """
    answer = _after_marks(_final_channel(text)).strip()
    inside = _ANSWER.search(answer)
    return inside["answer"].strip() if inside else answer


def has_thoughts(text: str) -> bool:
    """Whether a text holds a mark of thoughts, opening or closing."""
    return any(mark.search(text) for mark in (_OPENING, _CLOSING, _CHANNEL))


def has_bare_thoughts(text: str) -> bool:
    """Whether thoughts end in a text that did not begin there: the template had begun them."""
    closed = _CLOSING.search(text)
    return closed is not None and not _OPENING.search(text[: closed.start()])


def ends_in_thoughts(text: str) -> bool:
    """Whether a prompt leaves the model in the midst of its thoughts."""
    mark_ends = [mark.end() for mark in _OPENING.finditer(text)]
    closed = [mark.end() for mark in _CLOSING.finditer(text)]
    return bool(mark_ends) and mark_ends[-1] > (closed[-1] if closed else 0)


def _final_channel(text: str) -> str:
    channels = list(_CHANNEL.finditer(text))
    if not channels:
        return text
    last = channels[-1]
    answer = _CHANNEL_END.split(text[last.end() :], maxsplit=1)
    if last["name"].lower() in ("final", "response", "answer"):
        return answer[0]
    # Gemma closes the channel of its thoughts, and answers outside of any.
    closed = text[last.end() :].partition("<channel|>")
    return closed[2] if closed[1] else ""


def _after_marks(text: str) -> str:
    closed = list(_CLOSING.finditer(text))
    answer = text[closed[-1].end() :] if closed else text
    if _OPENING.search(answer):
        # It thinks to the end, and what stands before its thoughts is no answer.
        return ""
    if answer.strip() or not closed:
        return answer
    # Nothing follows the thoughts; some models put them behind the answer.
    first = _OPENING.search(text)
    return text[: first.start()] if first else ""
