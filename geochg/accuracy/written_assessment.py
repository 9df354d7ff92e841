"""An assessment as a file: JSON, Markdown, or a page."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from geochg.accuracy.assessment import Assessment
from geochg.files.sidecars import files_behind
from geochg.geometry.vector_file import file_of
from geochg.writers.checks import Output, check_outputs
from geochg.writers.staging import write_output

ASSESSMENT_SUFFIXES = (".json", ".md", ".html")


def check_assessment_file(path: Path, inputs: Iterable[str], *, overwrite: bool = False) -> None:
    """Refuses a file for an assessment before that is made.

    Args:
        path: The file.
        inputs: The sample, the change layer, and a table of verdicts.
        overwrite: Whether a file may be replaced that geochg did not write.

    Raises:
        OptionError: If its suffix is none of `ASSESSMENT_SUFFIXES`.
        InputError: If it may not be written there.
    """
    files = [file for name in inputs for file in files_behind(file_of(name))]
    check_outputs([Output(path, ASSESSMENT_SUFFIXES)], files, overwrite=overwrite)


def assessment_json(assessment: Assessment) -> str:
    """The assessment as JSON."""
    return json.dumps(assessment.to_dict(), indent=1, allow_nan=False, ensure_ascii=False)


def write_assessment(assessment: Assessment, path: Path, *, overwrite: bool = False) -> None:
    """Writes an assessment, in the format that the suffix names.

    Args:
        assessment: The assessment.
        path: The file, which `check_assessment_file` looked at.
        overwrite: Whether a file may be replaced that geochg did not write.

    Raises:
        RunError: If it cannot be written.
    """
    texts = {".md": assessment.to_markdown, ".html": assessment.to_html}
    as_text = texts.get(path.suffix.lower(), lambda: assessment_json(assessment) + "\n")
    text = as_text()
    write_output(path, lambda file: file.write_text(text, encoding="utf-8"), overwrite=overwrite)
