"""The marked blocks of a model card: what is between `<!-- name -->` and `<!-- /name -->`."""

from __future__ import annotations

import json
from pathlib import Path

SETTINGS = ("temperature", "threshold", "presence_threshold")


def check(card: Path, made: Path | None) -> None:
    """Ends with one line where the card could not be filled later."""
    for file in (card, card.with_name("config.json"), *([made] if made else [])):
        if not file.is_file():
            raise SystemExit(f"{file}: no such file")
    text = card.read_text("utf-8")
    for name in ("settings", "calibration", "scores"):
        if f"<!-- {name} -->" not in text or f"<!-- /{name} -->" not in text:
            raise SystemExit(f"{card}: no block <!-- {name} --> to fill")


def fill(card: Path, scores: str, made: Path | None) -> None:
    """Writes the scores, the settings of the `config.json` beside the card, and calibration.

    Args:
        card: The file.
        scores: In Markdown.
        made: The `made.json` of the training's work folder; None leaves that block as it is.
    """
    dense = json.loads(card.with_name("config.json").read_text("utf-8"))["dense_config"]
    text = card.read_text("utf-8")
    settings = ", ".join(f"`{name}` {dense[name]:.2f}" for name in SETTINGS)
    text = _replaced(text, "settings", settings)
    text = _replaced(text, "scores", f"\n{scores}\n")
    if made is not None:
        found = json.loads(made.read_text("utf-8"))["calibration"]
        text = _replaced(text, "calibration", _calibration(found))
    card.write_text(text, "utf-8")


def _calibration(found: dict[str, float]) -> str:
    return (
        f"{found['pairs']} pairs; pixel F1 {found['pixel_f1']:.2f}, balanced accuracy of presence "
        f"{found['balanced_accuracy']:.2f}, expected calibration error {found['error']:.3f}"
    )


def _replaced(text: str, name: str, block: str) -> str:
    head, mark, rest = text.partition(f"<!-- {name} -->")
    _, end, tail = rest.partition(f"<!-- /{name} -->")
    return f"{head}{mark}{block}{end}{tail}"
