"""Text that others wrote, made fit to be stored, shown in a terminal and shown by Qt.

What models answer, files say of themselves and libraries and servers give as reasons may hold
control codes, halves of characters, addresses with passwords, and keys. This is the one place that
takes those out, so that a reason can be told and nothing leaks with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus

LONGEST_REASON = 500
"""Characters of a reason that are shown; enough for the longest sentence a server writes."""

LONGEST_TEXT = 2_000
"""Characters of a caption, an answer or a message that are kept."""

HIDDEN = "***"
"""Stands for a secret that was taken out."""

REPLACEMENT = "\ufffd"
"""Stands for what is no character, or commands a terminal."""

_LONGEST_SEQUENCE = 400
_SEQUENCES = re.compile(
    # OSC, DCS, SOS, PM and APC: text for the terminal itself up to a terminator.
    rf"(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]{{0,{_LONGEST_SEQUENCE}}}"
    r"(?:\x07|\x1b\\|\x9c)"
    # CSI: colours, cursor, clearing.
    r"|(?:\x1b\[|\x9b)[0-?]{0,40}[ -/]{0,8}[@-~]"
    # The short ones; of a text without an end only its introducer.
    r"|\x1b[!-/]{0,4}[0-~]"
)
_BEGUN = re.compile(
    rf"(?:(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]{{0,{_LONGEST_SEQUENCE}}}\x1b?"
    r"|(?:\x1b\[|\x9b)[0-?]{0,40}[ -/]{0,8}|\x1b[!-/]{0,4}|\r|[\ud800-\udbff])\Z"
)
"""An escape sequence, a line end or a character that the next piece of a text may complete."""

_LINE_ENDS = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Marks that turn text around or hide in it. Joiners and the two plain direction marks stay, since
# Persian, Hindi, Hebrew and emoji are written with them.
_HIDING = re.compile("[\u202a-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]")
_NO_CHARACTERS = "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
_UNFIT = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef{_NO_CHARACTERS}]")

_ADDRESS = re.compile(r"""\b[a-z][a-z0-9+.-]{0,20}://[^\s<>"'`]+""", re.IGNORECASE)
_GDAL_QUERY = re.compile(r"/vsi\w+\?[^\s\"']+")
_PARAMETER = re.compile(r"""(?<=[?&])([\w.%-]{1,80})=[^\s&"'<>]+""")
_SECRET_NAME = (
    r"(?:secret|token(?!s\b|iz|_c|_id)|passw(?:or)?d|passphrase|api[-_ ]?key|access[-_ ]?key"
    r"|private[-_ ]?key|signature|credential|authorization|cookie)"
)
_ASSIGNED = re.compile(
    rf"""(\b[\w.-]{{0,40}}{_SECRET_NAME}(?!_variable)[\w.-]{{0,40}}(?: provided)?"""
    r"""["']?\s{0,3}[=:]\s{0,3}["']?)"""
    r"""((?:(?:Bearer|Basic|Digest|Token)\s+)?[^\s"',;&{}()\[\]]{3,})""",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\b(Bearer|Basic)(\s+|%20)(?=\S*[\d=_+/.-]|[A-Z]{8}|\S{16})[^\s\"',;]{6,}")
_KEYS = re.compile(
    # OpenAI and its like, Hugging Face, GitHub, GitLab, Slack, AWS, Google, NVIDIA, Groq, JWT.
    r"\b(?:(?:sk|pk|rk)-[\w-]{8,}|hf_\w{8,}|gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}"
    r"|xox[abeprs]-[\w-]{8,}|(?:AKIA|ASIA)[A-Z0-9]{12,}|AIza[\w-]{20,}|nvapi-[\w-]{8,}|gsk_\w{8,}"
    r"|eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?)"
)
_NAMES_A_SECRET = re.compile(rf"{_SECRET_NAME}|^(?:auth|sig|sas|pwd)$", re.IGNORECASE)


def printable(text: str) -> str:
    r"""A text that can be stored and shown anywhere; it keeps its lines (`\n`) and tabs.

    Escape sequences go, other control codes and what is no character become U+FFFD, halves of
    surrogate pairs are joined or become U+FFFD, and marks that turn text around go.
    """
    if text.isprintable():  # no control code, half of a pair, line end or mark is
        return text
    full_text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    lines = _LINE_ENDS.sub("\n", _SEQUENCES.sub("", full_text))
    return _UNFIT.sub(REPLACEMENT, _HIDING.sub("", lines))


def printable_pieces(pieces: Iterable[str]) -> Iterator[str]:
    """What `printable` makes of a text that comes in pieces; no piece is empty.

    What a later piece may complete, such as half of an escape sequence, is held back until it came.
    """
    kept_text = ""
    for piece in pieces:
        kept_text += piece
        begun_sequence = _BEGUN.search(kept_text, max(0, len(kept_text) - _LONGEST_SEQUENCE - 4))
        end = begun_sequence.start() if begun_sequence else len(kept_text)
        if shown_text := printable(kept_text[:end]):
            yield shown_text
        kept_text = kept_text[end:]
    if shown_text := printable(kept_text):
        yield shown_text


def cleaned(
    text: object,
    longest: int = LONGEST_REASON,
    *,
    secrets: Sequence[str] = (),
    keep_lines: bool = False,
) -> str:
    r"""A text of others without control codes and secrets, of bounded length.

    Args:
        text: The text; of an exception, the reason it gives, or that of the error behind it.
        longest: Most characters; what is longer ends in an ellipsis.
        secrets: Texts that must not stand in it, such as the key a request was sent with.
        keep_lines: Whether lines stay apart (`\n`); if not, all is one line with single spaces.
    """
    message = _reason(text) if isinstance(text, BaseException) else str(text)
    # A text is cut before it is searched, with enough left that no secret is cut in two.
    shown_text = printable(message[: 4 * longest + 4_000])
    for secret in secrets:
        for spelling in {secret, quote(secret, safe=""), quote_plus(secret)} - {""}:
            shown_text = shown_text.replace(spelling, HIDDEN)
    shown_text = _without_marked_secrets(shown_text)
    if not keep_lines:
        shown_text = " ".join(shown_text.split())
    return shown_text if len(shown_text) <= longest else f"{shown_text[: longest - 1].rstrip()}…"


def without_secrets(name: str) -> str:
    """The name of a raster or an address without what may let its reader in.

    User, password, query and signature go. Signatures also expire, so two runs on one raster may
    have different ones.
    """
    name = printable(name)
    if _GDAL_QUERY.match(name):
        return _without_query(name)
    if ("://" in name or name.startswith("/vsi")) and '"' not in name:
        name = name.partition("?")[0]
    return _without_marked_secrets(name)


def names_a_secret(name: str) -> bool:
    """Whether what goes by this name is likely a key, password, token or signature."""
    return _NAMES_A_SECRET.search(name) is not None


def secret_names(values: Mapping[str, Any]) -> list[str]:
    """The names of secrets that stand in JSON values with a text, at any depth."""
    pieces = []
    for name, value in values.items():
        pieces += [name] if isinstance(value, str) and names_a_secret(name) else []
        for inner in value if isinstance(value, list | tuple) else [value]:
            pieces += secret_names(inner) if isinstance(inner, Mapping) else []
    return pieces


def storable(value: Any) -> Any:  # noqa: ANN401
    """Plain JSON values whose texts are `printable` and hold no secrets.

    `***` stands for each value that goes by the name of a secret.
    """
    if isinstance(value, Mapping):
        return {
            printable(str(name)): HIDDEN if inner and names_a_secret(str(name)) else storable(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [storable(inner) for inner in value]
    return _without_marked_secrets(printable(value)) if isinstance(value, str) else value


def _reason(error: BaseException) -> str:
    """What an exception says, or the one behind it where it only points there."""
    while "previous exception" in str(error) and error.__cause__ is not None:
        error = error.__cause__
    strerror = error.strerror if isinstance(error, OSError) else None
    return str(strerror or str(error).strip() or type(error).__name__)


def _without_marked_secrets(text: str) -> str:
    """A text without secrets of addresses, assignments and well-known kinds of keys."""
    text = _GDAL_QUERY.sub(lambda match: _without_query(match[0]), text)
    text = _ADDRESS.sub(lambda match: _plain_address(match[0]), text)
    text = _PARAMETER.sub(rf"\1={HIDDEN}", text)
    text = _ASSIGNED.sub(_masked_assignment, text)
    text = _SCHEME.sub(rf"\1\2{HIDDEN}", text)
    return _KEYS.sub(HIDDEN, text)


def _masked_assignment(match: re.Match[str]) -> str:
    # A number behind "token:" is a count or an identity of a vocabulary.
    is_count = "token" in match[1].lower() and match[2].strip(".").isdigit()
    return match[0] if is_count else f"{match[1]}{HIDDEN}"


def _plain_address(address: str) -> str:
    """An address without user, password, query, and a fragment that assigns something."""
    ending = re.search(r"[.,:;!)\]}]*\Z", address)
    tail = ending[0] if ending else ""
    body = address[: len(address) - len(tail)] if tail else address
    body, _, fragment = body.partition("?")[0].partition("#")
    plain = re.sub(r"://[^/@\s]*@", "://", body)
    return f"{plain}{f'#{fragment}' if fragment and '=' not in fragment else ''}{tail}"


def _without_query(name: str) -> str:
    """`/vsicurl?header.Authorization=...&url=http...` as `/vsicurl/http...`."""
    head, _, query = name.partition("?")
    try:
        address = parse_qs(query).get("url", [""])[0]
    except ValueError:
        address = ""
    return f"{head}/{_plain_address(address)}" if address else head
