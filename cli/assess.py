"""`geochg assess`: a judged sample in, accuracies and areas with intervals out."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .shared_options import json_option, output_option, overwrite_option, path_option
from .terminal import echo

SUFFIXES = (".json", ".md", ".html")


@click.command()
@click.argument("sample")
@click.option("--changes", required=True, metavar="LAYER", help="The layer that it was drawn of.")
@output_option("Matrix, accuracies and areas, each with its 95 % interval.", "PATH.json|.md|.html")
@path_option(
    "--verdicts",
    "Judgements in a table: id, reference_class, reference_change. They stand in place of those of "
    "the sample.",
    "FILE.csv",
)
@overwrite_option
@json_option("the assessment")
def assess(
    sample: str,
    changes: str,
    output: Path | None,
    verdicts: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Tell how right a change layer is, by SAMPLE, which people judged.

    Accuracies and areas are estimated after Olofsson et al. (2014) and Stehman (2014), each with
    its 95 % interval.

    \b
    Examples:
      geochg assess sample.gpkg --changes changes.gpkg
      geochg assess sample.gpkg --changes changes.gpkg -o assessment.html
      geochg assess sample.gpkg --changes changes.gpkg --verdicts judged.csv -o assessment.json
    """
    from geochg.accuracy.assess import assess_sample
    from geochg.geometry.vector_file import file_of
    from geochg.writers.checks import Output, check_outputs
    from geochg.writers.staging import write_output

    if output is not None:
        inputs = [Path(file_of(sample)), Path(file_of(changes)), *([verdicts] if verdicts else [])]
        check_outputs([Output(output, SUFFIXES)], inputs, overwrite=overwrite)
    assessment = assess_sample(sample, changes, verdicts=verdicts)
    content = json.dumps(assessment.to_dict(), indent=1, allow_nan=False, ensure_ascii=False)
    if output is not None:
        text = {".md": assessment.to_markdown, ".html": assessment.to_html}.get(
            output.suffix.lower(), lambda: content + "\n"
        )()
        write_output(
            output, lambda path: path.write_text(text, encoding="utf-8"), overwrite=overwrite
        )
    echo(content if as_json else assessment.to_markdown())
