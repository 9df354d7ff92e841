"""`geochg assess`: a judged sample in, accuracies and areas with intervals out."""

from __future__ import annotations

from pathlib import Path

import click

from .shared_options import json_option, output_option, overwrite_option, path_option
from .terminal import echo


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
    from geochg.accuracy.written_assessment import (
        assessment_json,
        check_assessment_file,
        write_assessment,
    )

    if output is not None:
        inputs = [sample, changes, *([str(verdicts)] if verdicts else [])]
        check_assessment_file(output, inputs, overwrite=overwrite)
    assessment = assess_sample(sample, changes, verdicts=verdicts)
    if output is not None:
        write_assessment(assessment, output, overwrite=overwrite)
    echo(assessment_json(assessment) if as_json else assessment.to_markdown())
