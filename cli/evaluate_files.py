"""The files that `geochg evaluate` writes, and what it prints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .pair_options import named_values
from .terminal import echo

if TYPE_CHECKING:
    from geochg.evaluation.tables import Section

_SUFFIXES = {
    "predictions": ".jsonl",
    "saved_options": ".toml",
    "markdown": ".md",
    "output": ".json",
}


def asking_values(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of the command, with options of models by name and prompts read.

    Raises:
        InputError: If the file of prompts cannot be read.
        OptionError: If an option of a model or a prompt makes no sense.
    """
    values = {name: value for name, value in params.items() if value is not None}
    for name in ("model_options", "clue_options"):
        values[name] = named_values(values[name])
    if "prompts_file" in values:
        from geochg.tasks.prompts import read_prompts

        values["prompts"] = read_prompts(values["prompts_file"])
    return values


Files = Mapping[str, Path | None]
"""Files to write, by their names in the JSON output; None for those not asked for."""


def check_files(files: Files, inputs: Iterable[Path | None], *, overwrite: bool) -> None:
    """Refuses files that could not be written at the end of the run.

    Args:
        files: Files to write.
        inputs: Files that are read.
        overwrite: Whether a file that geochg did not write may be replaced.

    Raises:
        InputError: If one cannot be written.
        OptionError: If one is of another format, or is read.
    """
    from geochg.writers.checks import Output, check_outputs

    outputs = [Output(p, (_SUFFIXES[n],)) for n, p in files.items() if p is not None]
    check_outputs(outputs, [path for path in inputs if path is not None], overwrite=overwrite)


def write_report(
    params: Mapping[str, Any],
    files: Files,
    model_id: str,
    sections: Sequence[Section],
    facts: Mapping[str, Any],
    lines: Sequence[str],
) -> None:
    """Writes the scores to the files that were asked for, and prints them.

    Args:
        params: Parameters of the command.
        files: Files of the run; `markdown` and `output` are written here.
        model_id: Name of the model.
        sections: Tables of scores.
        facts: Scores as plain JSON values.
        lines: Scores as lines of text.

    Raises:
        RunError: If a file cannot be written.
    """
    from geochg import __version__
    from geochg.evaluation.tables import in_markdown
    from geochg.writers.recognition import METADATA_KEY

    named_files = {**files, "predictions": files.get("predictions") or params["from_predictions"]}
    paths = {name: str(path) for name, path in named_files.items() if path is not None}
    # The mark by which a file is known as geochg's own.
    values = {METADATA_KEY: {"version": __version__}, **paths, **facts}
    if files["markdown"] is not None:
        heading = [f"# Scores of `{model_id}`", "", f"geochg {__version__}.", ""]
        text = "\n".join([*heading, *in_markdown(sections)]).rstrip() + "\n"
        _write(files["markdown"], text, overwrite=params["overwrite"])
    if files["output"] is not None:
        text = json.dumps(values, allow_nan=False, indent=1) + "\n"
        _write(files["output"], text, overwrite=params["overwrite"])
    if params["as_json"]:
        echo(json.dumps(values, allow_nan=False))
    else:
        echo("\n".join([*(str(path) for path in files.values() if path is not None), *lines]))


def _write(path: Path, text: str, *, overwrite: bool) -> None:
    from geochg.writers.staging import write_output

    write_output(path, partial(Path.write_text, data=text, encoding="utf-8"), overwrite=overwrite)
