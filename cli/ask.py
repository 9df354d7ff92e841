"""`geochg ask`: a dialogue about a pair or one image, or one place of it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from geochg.errors import OptionError

from .pair_options import options_of, pair_options
from .terminal import echo

if TYPE_CHECKING:
    from geochg.pipeline.dialogue import PairDialogue

_RASTER_NAME = re.compile(r"^\w+:|^/vsi|://|[\\/]|\.\w{2,7}$")
"""What names of rasters have and questions do not: a driver, a folder, a suffix."""

_ENDS = ("exit", "quit", "bye")


@click.command()
@pair_options("ask")
@click.option("--at", metavar="LON,LAT", help="Ask about a tile around this point.")
@click.option("--json", "as_json", is_flag=True, help="Print each exchange as a line of JSON.")
@click.pass_context
def ask(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    at: str | None,
    as_json: bool,
    **_: Any,  # noqa: ANN401
) -> None:
    """Talk about what changed between BEFORE and AFTER, or about one IMAGE.

    With a QUESTION only that is answered; without one, questions are read line by line until the
    end of the input, `exit` or an empty line. Behind one IMAGE a QUESTION has a blank in it or
    ends with a question mark.

    The model sees all of the image, or all that both dates share, in one view, or the area of
    --aoi, or with --at a tile at full resolution.

    \b
    Examples:
      geochg ask before.tif after.tif "How much has been built?"
      geochg ask before.tif after.tif --at 55.17,24.98
      echo "Where has water appeared?" | geochg ask before.tif after.tif --json
      geochg ask image.tif "How many ships are there?" --model vlm:FOLDER
    """
    from geochg.pipeline.dialogue import open_dialogue, open_image_dialogue

    (image, *later_images), question = _parted(words)
    options, place = options_of(ctx), _point(at)
    if later_images:
        dialogue = open_dialogue(image, later_images[0], options, at=place)
    else:
        dialogue = open_image_dialogue(image, options, at=place)
    for remark in dialogue.pair.remarks:
        echo(f"{'warning' if remark.warning else 'note'}: {remark.text}", err=True)
    for asked_question in [question] if question is not None else _questions():
        _answer(dialogue, asked_question, as_json=as_json)


def _parted(words: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    """One image or two, and the question behind them."""
    if len(words) > 3:
        raise click.UsageError("give BEFORE and AFTER or one IMAGE, and one QUESTION in quotes")
    if len(words) == 3:
        return words[:2], words[2]
    if len(words) == 2 and _is_question(words[1]):
        return words[:1], words[1]
    return words, None


def _is_question(text: str) -> bool:
    """Whether a text is a question and no raster: names of GDAL's may hold blanks too."""
    looks_asked = text.rstrip().endswith("?") or any(letter.isspace() for letter in text.strip())
    return looks_asked and not _RASTER_NAME.search(text) and not _is_file(text)


def _is_file(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # a text that no file system takes
        return False


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
