"""What `geochg evaluate` writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geochg.evaluation.tables import TaskScores


def write_markdown(
    path: Path, model: str, scores: Sequence[TaskScores], *, overwrite: bool
) -> None:
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
    from geochg.writers.staging import Staging

    lines = [f"# Scores of `{model}`", "", f"geochg {__version__}.", "", *in_markdown(scores)]
    with Staging(overwrite=overwrite) as staging:
        with staging.write(path) as place:
            place.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
        staging.commit()
