"""`geochg ask`: a dialogue about a pair, or one place of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from geochg.errors import OptionError

from .pair_options import options_of, pair_options
from .terminal import echo

if TYPE_CHECKING:
    from geochg.pipeline.dialogue import PairDialogue

_ENDS = ("exit", "quit", "bye")


@click.command()
@pair_options("ask")
@click.argument("question", required=False)
@click.option("--at", metavar="LON,LAT", help="Ask about a tile around this point.")
@click.option("--json", "as_json", is_flag=True, help="Print each exchange as a line of JSON.")
@click.pass_context
def ask(
    ctx: click.Context,
    /,
    before: str,
    after: str,
    question: str | None,
    at: str | None,
    as_json: bool,
    **_: Any,  # noqa: ANN401
) -> None:
    """Talk about what changed between BEFORE and AFTER, or ask one QUESTION.

    The model sees all that both dates share in one view, or the area of --aoi, or with --at a tile
    at full resolution. Without a QUESTION, questions are read line by line until the end of the
    input, `exit` or an empty line.

    \b
    Examples:
      geochg ask before.tif after.tif "How much has been built?"
      geochg ask before.tif after.tif --at 55.17,24.98
      echo "Where has water appeared?" | geochg ask before.tif after.tif --json
    """
    from geochg.pipeline.dialogue import open_dialogue

    dialogue = open_dialogue(before, after, options_of(ctx), at=_point(at))
    for remark in dialogue.pair.remarks:
        echo(f"{'warning' if remark.warning else 'note'}: {remark.text}", err=True)
    for asked_question in [question] if question is not None else _questions():
        _answer(dialogue, asked_question, as_json=as_json)


def _point(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        lon, lat = (float(part) for part in text.split(","))
    except ValueError as error:
        raise OptionError(f"{text!r} is no place", "write --at LON,LAT in degrees") from error
    return lon, lat


def _questions() -> Iterator[str]:
    """Line by line; with a prompt where someone types."""
    for line in _typed_lines() if sys.stdin.isatty() else _piped_lines(sys.stdin.buffer):
        question = line.strip()
        if not question or question.lower() in _ENDS:
            return
        yield question


def _typed_lines() -> Iterator[str]:
    while True:
        echo("> ", nl=False, err=True)
        yield sys.stdin.readline()


def _piped_lines(lines: BinaryIO) -> Iterator[str]:
    """The lines of a pipe or file as they come, in whatever encoding a program writes.

    UTF-16 is read to its end first: its lines do not end where bytes say so.
    """
    from geochg.files.text_file import decoded_text, is_wide

    first = lines.readline()
    if is_wide(first):
        yield from decoded_text(first + lines.read()).split("\n")
        return
    while first:
        try:
            yield decoded_text(first)
        except UnicodeDecodeError:  # the code page of a system
            yield first.decode(sys.stdin.encoding or "utf-8", "replace")
        first = lines.readline()


def _answer(dialogue: PairDialogue, question: str, *, as_json: bool) -> None:
    for piece in dialogue.ask(question):
        if not as_json:
            echo(piece, nl=False)
    if as_json:
        last = dialogue.exchanges[-1]
        facts = {"question": last.question, "answer": last.answer}
        echo(json.dumps({**facts, "model": dialogue.model.identity.id}))
    else:
        echo()
