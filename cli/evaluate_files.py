"""What `geochg evaluate` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geochg.evaluation.tables import Section


def marked(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is told, behind the mark by which a file of it is known as geochg's own.

    Args:
        facts: Plain JSON values.
    """
    from geochg import __version__
    from geochg.writers.recognition import METADATA_KEY

    return {METADATA_KEY: {"version": __version__}, **facts}


def write_markdown(path: Path, model: str, scores: Sequence[Section], *, overwrite: bool) -> None:
    """Writes the tables of a model.

    Args:
        path: The file.
        model: What was scored.
        scores: The tables.
        overwrite: Whether a file that geochg did not write may be replaced.

    Raises:
        RunError: If the file cannot be written.
    """
    from geochg import __version__
    from geochg.evaluation.tables import in_markdown

    lines = [f"# Scores of `{model}`", "", f"geochg {__version__}.", "", *in_markdown(scores)]
    _write(path, "\n".join(lines).rstrip() + "\n", overwrite=overwrite)


def write_json(path: Path, facts: Mapping[str, Any], *, overwrite: bool) -> None:
    """Writes what `--json` prints.

    Args:
        path: The file.
        facts: Plain JSON values, `marked`.
        overwrite: Whether a file that geochg did not write may be replaced.

    Raises:
        RunError: If the file cannot be written.
    """
    _write(path, json.dumps(facts, allow_nan=False, indent=1) + "\n", overwrite=overwrite)


def _write(path: Path, text: str, *, overwrite: bool) -> None:
    from geochg.writers.staging import write_output

    write_output(path, partial(Path.write_text, data=text, encoding="utf-8"), overwrite=overwrite)
