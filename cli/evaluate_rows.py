"""`geochg evaluate` on rows of questions and answers: the six tasks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geochg.evaluation.example_options import ExampleOptions

from .evaluate_files import marked, write_json, write_markdown
from .pair_options import named_values
from .terminal import echo

if TYPE_CHECKING:
    from geochg.evaluation.answers import AnswerSet
    from geochg.evaluation.items import ItemSet
    from geochg.evaluation.tables import TaskScores


def evaluate_rows(ctx: click.Context) -> None:
    """Runs the command."""
    from geochg.evaluation.answers import AnswerSet

    given = ctx.params
    kept, markdown = given["predictions_file"], given["markdown_file"]
    output = given["output"]
    options = _options(given)
    _check_files(given)
    if given["from_predictions"] is not None:
        found = AnswerSet.read(given["from_predictions"])
        _check_metrics({row.task for row in found.rows}, given["bert"])
    else:
        asked = _read(given["sources"], given["images"], options)
        _check_metrics({item.question.task for item in asked.items}, given["bert"])
        found = _asked(asked, options, kept, resume=given["resume"])
    scores = _scores(found, given)
    files = {
        "predictions": kept or given["from_predictions"],
        "markdown": markdown,
        "output": output,
    }
    told = {name: str(path) for name, path in files.items() if path is not None}
    facts = marked(told | _facts(found, scores))
    if markdown is not None:
        write_markdown(markdown, found.head.identity["id"], scores, overwrite=given["overwrite"])
    if output is not None:
        write_json(output, facts, overwrite=given["overwrite"])
    if given["as_json"]:
        echo(json.dumps(facts, allow_nan=False))
    else:
        written = [str(path) for path in (kept, markdown, output) if path is not None]
        echo("\n".join([*written, *_in_words(found, scores)]))


def _options(given: dict[str, Any]) -> ExampleOptions:
    known = ExampleOptions.__dataclass_fields__
    values = {name: value for name, value in given.items() if name in known and value is not None}
    return ExampleOptions.from_dict(
        values | {"model_options": named_values(given["model_options"])}
    )


def _check_files(given: dict[str, Any]) -> None:
    from geochg.errors import OptionError
    from geochg.writers.checks import Output, check_outputs

    wanted = [
        (given["predictions_file"], ".jsonl"),
        (given["markdown_file"], ".md"),
        (given["output"], ".json"),
    ]
    outputs = [Output(path, (suffix,)) for path, suffix in wanted if path is not None]
    inputs = [
        *given["sources"],
        *([given["from_predictions"]] if given["from_predictions"] else []),
    ]
    check_outputs(outputs, inputs, overwrite=given["overwrite"])
    if given["resume"] and given["predictions_file"] is None:
        raise OptionError(
            "--resume goes on with a file of predictions", "name it with --predictions"
        )


def _check_metrics(tasks: set[Any], bert: Path | None) -> None:
    """Refuses what could not be scored, before the model is asked for an hour."""
    from geochg.evaluation.bert import bert_layers
    from geochg.evaluation.optional_packages import check_metrics
    from geochg.evaluation.reports import TEXTS
    from geochg.evaluation.text_scores import NEEDED

    if not tasks.isdisjoint(TEXTS):
        check_metrics((*NEEDED, *(("bert_score",) if bert is not None else ())))
        if bert is not None:
            bert_layers(bert)


def _read(sources: Sequence[Path], images: Path | None, options: ExampleOptions) -> ItemSet:
    from geochg.datasets.examples import read_examples
    from geochg.evaluation.items import item_set

    examples = [example for source in sources for example in read_examples(source, images)]
    return item_set(examples, options)


def _asked(
    asked: ItemSet, options: ExampleOptions, keep: Path | None, *, resume: bool
) -> AnswerSet:
    from geochg.evaluation.collect_answers import collect_answers

    from .progress import showing_progress

    with showing_progress() as listener:
        return collect_answers(asked, options, keep, resume=resume, listener=listener)


def _scores(found: AnswerSet, given: dict[str, Any]) -> list[TaskScores]:
    from geochg.evaluation.published import published_scores
    from geochg.evaluation.reports import task_scores
    from geochg.evaluation.text_scores import OptionalMetrics

    with ExitStack() as stack:
        judges = OptionalMetrics.here(stack, given["bert"], meteor=given["meteor"])
        return task_scores(found, judges, published_scores() if given["published"] else ())


def _facts(found: AnswerSet, scores: Sequence[TaskScores]) -> dict[str, Any]:
    head = found.head
    return {
        "model": dict(head.identity),
        "model_options": dict(head.model_options),
        "items": head.items,
        "unreadable": head.unreadable,
        "unasked": dict(head.unasked),
        "tasks": {one.task: one.to_dict() for one in scores},
    }


def _in_words(found: AnswerSet, scores: Sequence[TaskScores]) -> list[str]:
    from geochg.evaluation.tables import in_words

    head = found.head
    lines = [f"{head.identity['id']}: {len({row.pair for row in found.rows})} pairs"]
    if head.unasked:
        told = ", ".join(f"{number} of {task}" for task, number in head.unasked.items())
        lines.append(f"not asked, because the model does not take them: {told}")
    if head.unreadable:
        lines.append(f"{head.unreadable} rows left out: their own answers are outside the grammar")
    if missing := head.items - len(found.rows):
        lines.append(f"{missing} of {head.items} answers are not in the file")
    return [*lines, *in_words(scores)]
