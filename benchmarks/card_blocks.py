"""The marked blocks of a model card: what is between `<!-- name -->` and `<!-- /name -->`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from geochg.models.deltavlm.calibration import Calibration

BLOCKS = ("settings", "scores")


def check(card: Path) -> None:
    """Ends with one line where the card could not be filled later."""
    for file in (card, card.with_name("config.json")):
        if not file.is_file():
            raise SystemExit(f"{file}: no such file")
    text = card.read_text("utf-8")
    for name in BLOCKS:
        if f"<!-- {name} -->" not in text or f"<!-- /{name} -->" not in text:
            raise SystemExit(f"{card}: no block <!-- {name} --> to fill")


def fill(card: Path, scores: str) -> None:
    """Writes the scores, and the cuts of the `config.json` beside the card.

    Args:
        card: The file.
        scores: In Markdown.
    """
    dense = json.loads(card.with_name("config.json").read_text("utf-8"))["dense_config"]
    text = replaced(card.read_text("utf-8"), "settings", _cuts(dense["calibration"]))
    card.write_text(replaced(text, "scores", f"\n{scores}\n"), "utf-8")


def _cuts(calibration: dict[str, Any] | None) -> str:
    """The logits from which on a pixel is changed, and a building."""
    if calibration is None:
        return "not calibrated"
    cuts = Calibration.from_dict(calibration).to_dict()
    return (
        "{water:.2f} times the difference of the shares of water is added to the logit of any "
        "change; a pixel has changed where that reaches {intercept:.2f} {of_typical:+.2f} times "
        "the median logit of the scene {of_resolution:+.2f} times the binary logarithm of the "
        "shown pixel's side in metres, or {hysteresis:.2f} less where it joins such pixels; a "
        "building changed where its logit reaches {building:.2f}"
    ).format(**cuts)


def replaced(text: str, name: str, block: str) -> str:
    """The text with another block of this name."""
    head, mark, rest = text.partition(f"<!-- {name} -->")
    _, end, tail = rest.partition(f"<!-- /{name} -->")
    return f"{head}{mark}{block}{end}{tail}"
