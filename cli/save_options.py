"""What `--save-options` writes."""

from __future__ import annotations

from pathlib import Path

from geochg.options import AnalyzeOptions


def write_options(path: Path, options: AnalyzeOptions, *, overwrite: bool = False) -> None:
    """Writes options to a file that `--options` reads.

    Args:
        path: The file.
        options: What it is to hold.
        overwrite: Whether a file that geochg did not write may be replaced.

    Raises:
        RunError: If the file cannot be written.
    """
    from geochg.writers.staging import Staging

    with Staging(overwrite=overwrite or options.overwrite) as staging:
        with staging.write(path) as place:
            options.to_toml(place)
        staging.commit()
