"""From what a report shows to its file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from geochg.report.contents import REPORT_SUFFIXES, ReportContents
from geochg.report.page import report_page
from geochg.writers.checks import Output, check_outputs
from geochg.writers.staging import write_output


def write_report(contents: ReportContents, path: Path, *, overwrite: bool = False) -> None:
    """Writes a report, whole or not at all.

    Args:
        contents: What it shows.
        path: The file, `.html`.
        overwrite: Whether a file may be replaced that geochg did not write.

    Raises:
        OptionError: If the suffix is another.
        InputError: If the folder is missing, what lies there may not be replaced, or an image has
            gone.
        RunError: If it cannot be written.
    """
    check_report(path, overwrite=overwrite)
    page = report_page(contents)
    write_output(path, lambda staged: staged.write_bytes(page), overwrite=overwrite)


def check_report(path: Path, inputs: Iterable[Path] = (), *, overwrite: bool = False) -> None:
    """Refuses a place where a report could not be written; see `check_outputs`."""
    check_outputs([Output(path, REPORT_SUFFIXES)], inputs, overwrite=overwrite)
