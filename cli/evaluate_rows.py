"""`geochg evaluate` on rows of questions and answers: the six tasks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geochg.errors import OptionError
from geochg.evaluation.options import ExampleOptions

from .evaluate_files import asking_values, check_files, write_report

if TYPE_CHECKING:
    from geochg.evaluation.answers import AnswerSet
    from geochg.evaluation.items import ItemSet
    from geochg.evaluation.row_probes import RowProbes
    from geochg.evaluation.tables import Section, TaskScores


def evaluate_rows(ctx: click.Context) -> None:
    """Asks a model the questions of rows, or reads kept answers, and scores the answers."""
    from geochg.evaluation.answers import AnswerSet
    from geochg.evaluation.column_groups import check_columns, with_columns

    params, kept_predictions = ctx.params, ctx.params["from_predictions"]
    options = _options(params)
    files = {
        "predictions": params["predictions_file"],
        "markdown": params["markdown_file"],
        "output": params["output"],
    }
    inputs = [*params["sources"], kept_predictions, params["by_file"], params["prompts_file"]]
    check_files(files, inputs, overwrite=params["overwrite"])
    if params["resume"] and files["predictions"] is None:
        raise OptionError(
            "--resume goes on with a file of predictions", "name it with --predictions"
        )
    if kept_predictions is not None:
        answers = AnswerSet.read(kept_predictions)
        _check_metrics({row.task for row in answers.rows}, params["bert"])
    else:
        items = _read(params["sources"], params["images"], options)
        _check_metrics({item.question.task for item in items.items}, params["bert"])
        check_columns(
            ((item.pair, item.example.columns) for item in items.items),
            params["by"],
            params["by_file"],
        )
        answers = _collect(items, options, files["predictions"], resume=params["resume"])
    answers = replace(answers, rows=with_columns(answers.rows, params["by_file"]))
    scores, probes = _scores(answers, params)
    model_id = answers.head.identity["id"]
    sections = [*scores, *probes.sections]
    facts = _facts(answers, scores) | probes.to_dict()
    write_report(params, files, model_id, sections, facts, _in_words(answers, sections))


def _options(params: dict[str, Any]) -> ExampleOptions:
    known_fields = ExampleOptions.__dataclass_fields__
    values = asking_values(params)
    return ExampleOptions.from_dict(
        {name: value for name, value in values.items() if name in known_fields}
    )


def _check_metrics(tasks: set[Any], bert: Path | None) -> None:
    """Refuses what could not be scored, before the model is asked for an hour."""
    from geochg.evaluation.optional_metrics import bert_layers
    from geochg.evaluation.reports import TEXTS
    from geochg.evaluation.text_scores import check_packages

    if not tasks.isdisjoint(TEXTS):
        check_packages(with_bert=bert is not None)
        if bert is not None:
            bert_layers(bert)


def _read(sources: Sequence[Path], images: Path | None, options: ExampleOptions) -> ItemSet:
    from geochg.datasets.examples import read_examples
    from geochg.evaluation.items import item_set

    examples = [example for source in sources for example in read_examples(source, images)]
    return item_set(examples, options)


def _collect(
    items: ItemSet, options: ExampleOptions, target: Path | None, *, resume: bool
) -> AnswerSet:
    from geochg.evaluation.collect_answers import collect_answers

    from .progress import showing_progress

    with showing_progress() as listener:
        return collect_answers(items, options, target, resume=resume, listener=listener)


def _scores(answers: AnswerSet, params: dict[str, Any]) -> tuple[list[TaskScores], RowProbes]:
    from geochg.evaluation.optional_metrics import OptionalMetrics
    from geochg.evaluation.reports import task_scores
    from geochg.evaluation.row_probes import row_probes
    from geochg.evaluation.tables import published_scores

    with ExitStack() as stack:
        optional = OptionalMetrics.start(stack, params["bert"], meteor=params["meteor"])
        published = published_scores() if params["published"] else ()
        scores = task_scores(answers, optional, published)
        return scores, row_probes(answers, optional, params["by"])


def _facts(answers: AnswerSet, scores: Sequence[TaskScores]) -> dict[str, Any]:
    head = answers.head
    return {
        "model": dict(head.identity),
        "model_options": dict(head.model_options),
        **({"wording": dict(head.wording)} if head.wording else {}),
        "items": head.items,
        "unreadable": head.unreadable,
        "unasked": dict(head.unasked),
        "tasks": {of_task.name: of_task.to_dict() for of_task in scores},
    }


def _in_words(answers: AnswerSet, sections: Sequence[Section]) -> list[str]:
    from geochg.evaluation.tables import in_words

    head = answers.head
    lines = [f"{head.identity['id']}: {len({row.pair for row in answers.rows})} pairs"]
    if head.unasked:
        counts = ", ".join(f"{number} of {task}" for task, number in head.unasked.items())
        lines.append(f"not asked, because the model does not take them: {counts}")
    if head.unreadable:
        lines.append(f"{head.unreadable} rows left out: their own answers are outside the grammar")
    if missing := head.items - len(answers.rows):
        lines.append(f"{missing} of {head.items} answers are not in the file")
    return [*lines, *in_words(sections)]
