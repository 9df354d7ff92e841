"""What is told of a tuned model: its card, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geochg.training.finetune.base import Base
from geochg.training.finetune.options import TuneOptions

FILE = "card.json"
README = "README.md"


def write_card(
    folder: Path,
    base: Base,
    options: TuneOptions,
    training: Mapping[str, Any],
    validation: Mapping[str, Any],
    results: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes the card into the folder of a tuned model or adapter.

    Args:
        folder: Whose.
        base: What was tuned.
        options: How.
        training: See `facts.data_facts`.
        validation: Likewise, of what was held out.
        results: What came of it.

    Returns:
        What `card.json` holds.
    """
    from geochg import __version__

    facts = {
        "geochg_version": __version__,
        "kind": "adapter" if options.gives_adapter else "model",
        "base": {
            "model": base.source,
            "revision": base.revision,
            "checksum": base.checksum,
        },
        "training": dict(training),
        "validation": dict(validation),
        "options": options.shaping(),
        "results": dict(results),
    }
    (folder / FILE).write_text(json.dumps(facts, indent=2), encoding="utf-8")
    (folder / README).write_text(_in_words(facts, base), encoding="utf-8")
    return facts


def _in_words(facts: Mapping[str, Any], base: Base) -> str:
    used = f"--model {base.source} --adapter FOLDER"
    if facts["kind"] == "model":
        used = f"--model {base.kind}:FOLDER"
    sections = {
        "Base": facts["base"],
        "Learned from": facts["training"],
        "Held out": facts["validation"],
        "Options": facts["options"],
        "Results": facts["results"],
    }
    tables = "\n".join(f"## {title}\n\n{_table(told)}" for title, told in sections.items() if told)
    return (
        f"# A change {facts['kind']} tuned with geochg {facts['geochg_version']}\n\n"
        f"```sh\ngeochg analyze before.tif after.tif -o changes.geojson {used}\n```\n\n"
        f"FOLDER stands for this folder. `{FILE}` holds the same for programs.\n\n{tables}"
    )


def _table(told: Mapping[str, Any]) -> str:
    rows = [f"| {_cell(name)} | {_cell(value)} |\n" for name, value in told.items()]
    return f"| | |\n|---|---|\n{''.join(rows)}"


def _cell(value: object) -> str:
    """A value that cannot break out of its cell."""
    text = value if isinstance(value, str) else json.dumps(value)
    return " ".join(text.replace("|", "\\|").split())
