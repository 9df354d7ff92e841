"""The marked blocks of a model card: what is between `<!-- name -->` and `<!-- /name -->`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def check(card: Path, made: Path | None) -> None:
    """Ends with one line where the card could not be filled later."""
    for file in (card, card.with_name("config.json"), *([made] if made else [])):
        if not file.is_file():
            raise SystemExit(f"{file}: no such file")
    text = card.read_text("utf-8")
    for name in ("settings", "scores", *(["calibration"] if made else [])):
        if f"<!-- {name} -->" not in text or f"<!-- /{name} -->" not in text:
            raise SystemExit(f"{card}: no block <!-- {name} --> to fill")


def fill(card: Path, scores: str, made: Path | None) -> None:
    """Writes the scores, the cuts of the `config.json` beside the card, and how it was made.

    Args:
        card: The file.
        scores: In Markdown.
        made: The `made.json` of the training's work folder; None leaves that block as it is.
    """
    dense = json.loads(card.with_name("config.json").read_text("utf-8"))["dense_config"]
    text = card.read_text("utf-8")
    text = _replaced(text, "settings", _cuts(dense["calibration"]))
    text = _replaced(text, "scores", f"\n{scores}\n")
    if made is not None:
        found = json.loads(made.read_text("utf-8"))
        text = _replaced(text, "calibration", _options(found["options"]))
    card.write_text(text, "utf-8")


def _cuts(calibration: dict[str, Any] | None) -> str:
    """The logits from which on a pixel is changed, and a building."""
    if calibration is None:
        return "not calibrated"
    return (
        "a pixel has changed where its logit reaches {intercept:.2f} {of_typical:+.2f} times the "
        "median logit of the scene {of_resolution:+.2f} times the binary logarithm of the shown "
        "pixel's side in metres; a building changed where its logit reaches {building:.2f}"
    ).format(**calibration)


def _options(options: dict[str, Any]) -> str:
    """The options of `geochg train compact` that shaped the weights."""
    return ", ".join(f"`{name}` {value}" for name, value in options.items() if name != "real_dir")


def _replaced(text: str, name: str, block: str) -> str:
    head, mark, rest = text.partition(f"<!-- {name} -->")
    _, end, tail = rest.partition(f"<!-- /{name} -->")
    return f"{head}{mark}{block}{end}{tail}"
