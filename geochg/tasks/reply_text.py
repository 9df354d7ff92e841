"""The plain answer in a model's text, without what models put around it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable

from geochg.tasks.thoughts import without_thoughts

_SPECIAL = (
    r"(?:</?s>|<(?:pad|unk|image|video|bos|eos)>|<\|[^|>]{0,80}\|>|<｜[^｜>]{0,80}｜>|\[/?INST\]"  # noqa: RUF001
    r"|</?(?:start|end)_of_(?:turn|image|text)>)"
)
_LEADING_SPECIAL = re.compile(rf"^(?:\s*{_SPECIAL})+", re.IGNORECASE)
_FIRST_SPECIAL = re.compile(_SPECIAL, re.IGNORECASE)
_TRANSCRIPT = re.compile(
    r"^\W*(?:user|human|question)\s*:.*?\b(?:assistant|gpt|answer)\s*:", re.IGNORECASE | re.DOTALL
)
_LABEL = re.compile(
    r"^[\s*#_]*(?:(?:the\s+)?(?:final\s+)?(?:answer|response|output)(?:\s+is)?|assistant|gpt|a)"
    r"[\s*_]*:[\s*_]*|^\s*the\s+(?:final\s+)?answer\s+is\s+",
    re.IGNORECASE,
)
_ROLE = re.compile(rf"^\s*(?:assistant|model)[ \t]*(?=\n|{_SPECIAL})", re.IGNORECASE)
"""A role on a line of its own or before the mark that ends it, as chat templates write it."""
_FENCED = re.compile(r"^(?P<fence>```|~~~)[\w-]*[ \t]*\n(?P<inner>.*?)\s*(?P=fence)$", re.DOTALL)
_BOXED = re.compile(
    r"^\$*\s*\\boxed\{\s*(?:\\text\{(?P<text>[^{}]*)\}|(?P<inner>[^{}]*))\s*\}\s*\$*\.?$"
)
"""Form of answers of models that were trained on exercises."""
_MEMBERS = frozenset("answer response result output caption description text changed count".split())
"""Members of a JSON object under which models put their answer."""
_ASIDES = frozenset("confidence score probability reason reasoning thought thoughts".split())
"""Members of a JSON object that may stand beside the answer and are no part of it."""
_RUN_ON = re.compile(r"\s(?:#+\s*)?(?:user|human|question|assistant)\s*:.*", re.I | re.DOTALL)
_QUOTES = "\"'`*_\u2018\u2019\u201c\u201d"
_QUOTED = re.compile(rf"^[{_QUOTES}]+(?P<inner>[^{_QUOTES}]*)[{_QUOTES}]+$")
_PAIRED = re.compile(r"^(?:\"(?P<double>[^\"]+)\"|“(?P<curly>[^“”]+)”|\*\*(?P<bold>[^*]+)\*\*)$")
"""Quotes or stars around the whole, though apostrophes stand within."""
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")

_ASCII = str.maketrans(
    dict.fromkeys("“”„«»″", '"') | dict.fromkeys("‘’‚′`´", "'") | dict.fromkeys("‐‑‒–—−", "-")  # noqa: RUF001
)
_LIST_MARK = re.compile(r"^\s*(?:[-•·>]|\d+[.)])\s+(?=\S)", re.MULTILINE)
_FENCE = re.compile(r"```\w*|~~~\w*")
_SENTENCE_END = re.compile(r"(?<=[.!?;])(?!\d)|\n")


def spoken_answer(text: str, prompts: Iterable[str] = ()) -> str:
    """The answer without thoughts, end tokens, role labels, `Answer:`, fences, an echo or quotes.

    Args:
        text: Text of the model, decoded with or without its special tokens.
        prompts: Prompts of the model, to recognise an echo.
    """
    echoes = [_echo(prompt) for prompt in prompts if prompt]
    text, previous = without_thoughts(text), None
    # Wrappings are nested in any order, so they are peeled until nothing comes off.
    while previous != text:
        previous, text = text, _without_wrapping(text, echoes)
    return text


def _without_wrapping(text: str, echoes: Iterable[re.Pattern[str]]) -> str:
    text = _LEADING_SPECIAL.sub("", _INVISIBLE.sub("", text)).strip()
    text = _LEADING_SPECIAL.sub("", _ROLE.sub("", text)).strip()
    text = _LABEL.sub("", _TRANSCRIPT.sub("", text))
    for echo in echoes:
        text = echo.sub("", text)
    text = _LEADING_SPECIAL.sub("", text)
    # What follows the end of the answer is another dialogue that the model made up.
    text = _RUN_ON.sub("", _FIRST_SPECIAL.split(text, maxsplit=1)[0]).strip()
    for wrapping in (_FENCED, _QUOTED):
        if around := wrapping.match(text):
            return around["inner"].strip()
    if boxed := _BOXED.match(text):
        return (boxed["text"] or boxed["inner"] or "").strip()
    if text.startswith("{") and (member := _member(text)):
        return member
    paired = _PAIRED.match(text)
    return next(inner for inner in paired.groups() if inner).strip() if paired else text


def _member(text: str) -> str:
    """The answer in a JSON object that holds nothing else but asides; else empty."""
    members = _members(text)
    named_members = [name for name in members if name.lower() not in _ASIDES]
    holds_one = len(named_members) == 1 and named_members[0].lower() in _MEMBERS
    return _member_text(members[named_members[0]]) if holds_one else ""


def _members(text: str) -> dict[str, object]:
    """The members of a text that is a JSON object; none of any other text."""
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


def changed_members(text: str) -> set[bool]:
    """The value of the member `changed` of a text that is a JSON object; empty without one.

    Args:
        text: An answer, see `spoken_answer`.
    """
    value = {name.lower(): value for name, value in _members(text).items()}.get("changed")
    return {value} if isinstance(value, bool) else set()


def _member_text(value: object) -> str:
    """A JSON value in words; empty where it has none."""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return ", ".join(value)
    return str(value).strip() if isinstance(value, str | int) else ""


def _echo(prompt: str) -> re.Pattern[str]:
    """Matches the prompt at the start, with or without the punctuation the processor drops."""
    words = re.findall(r"\w+", prompt)
    return re.compile(r"^\W*" + r"\W+".join(map(re.escape, words)) + r"[\s.,?!:'\")]*", re.I)


def plain_text(text: str) -> str:
    """The text in lower case and ASCII punctuation, without Markdown; lines are kept apart."""
    text = _FENCE.sub(" ", unicodedata.normalize("NFKC", text)).translate(_ASCII).lower()
    text = re.sub(r"[*#~]+", " ", _LIST_MARK.sub("", text))
    text = re.sub(r"\bcan(?:'t| not)\b", "cannot", text)
    text = re.sub(r"n't\b", " not", text)
    return re.sub(r"[^\S\n]+", " ", text).strip()


def sentences(text: str) -> list[str]:
    """The statements in a `plain_text`; questions are left out, since they state nothing."""
    parts = (part.strip() for part in _SENTENCE_END.split(text))
    stated = (part.rstrip(" .!;").strip() for part in parts if not part.endswith("?"))
    return [sentence for sentence in stated if re.search(r"\w", sentence)]


_NO_IMAGES = (
    r"no (?:images?|pictures?|photos?)\b[^.]{0,30}\b(?:provided|attached|given|shared|included"
    r"|uploaded|visible)|(?:please|kindly) (?:provide|upload|share|attach)"
    r"|(?:do not|did not) (?:see|have|receive) (?:any|the|access to) (?:images?|pictures?|photos?)"
    r"|(?:images?|pictures?|photos?) (?:is|are|was|were) not (?:provided|attached|visible|included)"
)
"""Statements of models that they were shown nothing."""

_DOUBT = re.compile(
    r"\b(?:cannot|unable|unsure|uncertain|unclear|unknown|maybe|perhaps|sorry|impossible"
    r"|as an ai|yes (?:or|and) no|or not"
    r"|not (?:sure|certain|clear|possible|able|know|tell|determine|identify|judge|say|count)"
    rf"|{_NO_IMAGES})\b"
)
_REFUSAL = re.compile(
    r"\b(?:sorry|as an ai|unable to|not able to|(?:i|we) (?:cannot|do not know)|cannot (?:be )?"
    rf"(?:determine|describe|identify|compare|view|see the|assist|help|provide)\w*|{_NO_IMAGES})\b"
)


def refusal(text: str) -> str:
    """The words in a `plain_text` by which the model declines to describe; else empty."""
    match = _REFUSAL.search(text)
    return match[0] if match else ""


def doubt(text: str) -> str:
    """The word in a `plain_text` that shows the model refused or did not know; else empty."""
    match = _DOUBT.search(text)
    return match[0] if match else ""
