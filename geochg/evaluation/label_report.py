"""A model's labels of single images beside the true ones: asked, scored, and in tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geochg.class_list import ClassList
from geochg.datasets.frames import picture
from geochg.datasets.labelled_images import LabelledImage
from geochg.errors import RunError
from geochg.evaluation.label_metrics import (
    Labels,
    LabelScores,
    LabelSetScores,
    class_confusion,
    label_set_scores,
)
from geochg.evaluation.tables import ScoreLine, ScoreTable, TextTable, lines_to_dict
from geochg.events import Listener, Progress, ignore
from geochg.models.base import ChangeModel, backend_errors
from geochg.records import Label, SceneAnswers, SceneQuestions, Task, Tile, TileFailure
from geochg.safety.finite import finite_answers
from geochg.tasks.scene import scene_questions

_AVERAGES = ("precision", "recall", "f1")


@dataclass(frozen=True)
class CountTable:
    """Numbers of images under a title."""

    group: str
    items: int
    rows: Sequence[Sequence[str]]
    detail: str = ""

    def cells(self) -> list[list[str]]:
        """The heading and the lines as text."""
        return [list(row) for row in self.rows]


@dataclass(frozen=True)
class LabelReport:
    """The scores of the labels that a model gives to images.

    Attributes:
        identity: The model.
        names: The labels.
        scores: Scores of the model.
        baselines: Scores of answers that need no model, by their names.
        items: Number of images that were answered.
        unparsed: Number of labels of images to which an answer made no sense; they count as wrong.
        failed: Images without an answer, by why; they are in no score.
        accuracy: Share of images whose likeliest label is theirs, where each has one.
        confusion: `(labels, labels)` images by their label, then by the likeliest; likewise.
    """

    identity: Mapping[str, Any]
    names: Sequence[str]
    scores: LabelSetScores
    baselines: Mapping[str, LabelSetScores]
    items: int
    unparsed: int
    failed: Mapping[str, str]
    accuracy: float | None = None
    confusion: NDArray[np.int64] | None = None

    @property
    def name(self) -> str:
        """Name of what was scored."""
        return "labels"

    @property
    def heading(self) -> str:
        """The name as the heading of a section."""
        return "Labels of single images"

    @property
    def summary(self) -> str:
        """What was scored, on one line."""
        failed = f", {len(self.failed)} without an answer left out" if self.failed else ""
        senseless = f", {self.unparsed} labels answered without sense" if self.unparsed else ""
        return f"{self.items} images, {len(self.names)} labels{senseless}{failed}"

    @property
    def tables(self) -> Sequence[TextTable]:
        """Averages, whole sets, each label, and who is taken for whom."""
        return (*self._score_tables(), self._counts(), *self._confusions())

    @property
    def notes(self) -> Sequence[str]:
        """Sentences on how the scores were made."""
        notes = [
            "micro is over all labels of all images together, macro the mean over labels, samples"
            " the mean over images; what divides by nothing is left out of means",
            "a label to which an answer made no sense counts as wrong",
        ]
        if self.scores.mean_average_precision is None:
            notes.append("there is no average precision, as not all labels have a probability")
        return notes

    def to_dict(self) -> dict[str, Any]:
        """The scores as plain JSON values, as fractions."""
        return {
            "items": self.items,
            "unparsed": self.unparsed,
            "failed": dict(self.failed),
            "scores": self.scores.to_dict(),
            "baselines": {name: scores.to_dict() for name, scores in self.baselines.items()},
            "tables": [
                {"group": table.group, "scores": lines_to_dict(table)}
                for table in self._score_tables()
            ],
            "top_1": None
            if self.confusion is None
            else {"accuracy": self.accuracy, "confusion": self.confusion.tolist()},
        }

    def _score_tables(self) -> Iterator[ScoreTable]:
        model_name = str(self.identity["id"])
        systems = {model_name: self.scores, **self.baselines}
        for average in ("micro", "macro", "samples"):
            lines = [ScoreLine(n, _values(getattr(s, average))) for n, s in systems.items()]
            yield ScoreTable(average, self.items, _AVERAGES, lines)
        set_lines = [
            ScoreLine(
                name,
                {
                    "set_accuracy": scores.set_accuracy,
                    "mean_average_precision": scores.mean_average_precision,
                    "accuracy": self.accuracy if name == model_name else None,
                },
            )
            for name, scores in systems.items()
        ]
        columns = ["set_accuracy", "mean_average_precision"]
        columns += ["accuracy"] if self.accuracy is not None else []
        yield ScoreTable("whole images", self.items, columns, set_lines)
        lines = [ScoreLine(label.name, _values(label)) for label in self.scores.labels]
        yield ScoreTable("each label", self.items, (*_AVERAGES, "average_precision"), lines)

    def _counts(self) -> CountTable:
        """Numbers of images of each label, by truth and answer."""
        rows = [["", "both", "answered only", "true only", "neither"]]
        for name, ((neither, answer_only), (truth_only, hits)) in zip(
            self.names, self.scores.confusion.tolist(), strict=True
        ):
            rows.append([name, *map(str, (hits, answer_only, truth_only, neither))])
        return CountTable("images by truth and answer", self.items, rows)

    def _confusions(self) -> Iterator[CountTable]:
        if self.confusion is None:
            return
        rows = [["", *self.names]]
        for name, counts in zip(self.names, self.confusion.tolist(), strict=True):
            rows.append([name, *map(str, counts)])
        yield CountTable("true label by row, likeliest by column", self.items, rows)


def _values(scores: LabelScores) -> dict[str, float | None]:
    names = (*_AVERAGES, "average_precision")
    return {name: getattr(scores, name) for name in names}


def label_report(
    images: Sequence[tuple[LabelledImage, frozenset[str]]],
    labels: ClassList,
    model: ChangeModel,
    *,
    prompts: Mapping[str, str] | None = None,
    batch_size: int | None = None,
    listener: Listener = ignore,
) -> LabelReport:
    """Asks a model about each label of each image, and scores its answers.

    Args:
        images: Images and their labels, as `known_labels` gives them.
        labels: The labels that are asked about.
        model: A model that tells of one image.
        prompts: Prompts in the user's own words, by task.
        batch_size: Images in one call; None for as many as suit the model.
        listener: Called with progress.

    Raises:
        InputError: If a picture cannot be read.
        RunError: If the model fails, or answers about no image.
    """
    questions = scene_questions(labels, {Task.PRESENCE}, prompts)
    names = labels.names
    answered_truth: list[list[bool]] = []
    answers: list[Mapping[str, Label]] = []
    failed: dict[str, str] = {}
    size = batch_size or model.capabilities.batch_tiles
    for start in range(0, len(images), size):
        listener(Progress("images", start, len(images)))
        part = images[start : start + size]
        for (image, truth), answer in zip(part, _answers(part, model, questions), strict=True):
            if isinstance(answer, TileFailure):
                failed[str(image.path)] = answer.reason
            else:
                answered_truth.append([name in truth for name in names])
                answers.append(answer.labels)
    listener(Progress("images", len(images), len(images)))
    if not answers:
        reason = next(iter(failed.values()), "no image")
        raise RunError(f"the model answered about no image: {reason}", "mend that, and run again")
    truth_table = np.array(answered_truth, bool)
    return _scored(asdict(model.identity), names, truth_table, answers, failed)


def _answers(
    part: Sequence[tuple[LabelledImage, frozenset[str]]],
    model: ChangeModel,
    questions: SceneQuestions,
) -> list[SceneAnswers | TileFailure]:
    """The answers about some images; those of one size go to the model together."""
    dtype = np.float32 if model.capabilities.pixels == "values" else np.uint8
    tiles = [
        Tile.of_image(picture(image.path).astype(dtype), index=number)
        for number, (image, _) in enumerate(part)
    ]
    answers: dict[int, SceneAnswers | TileFailure] = {}
    for shape in dict.fromkeys(tile.valid.shape for tile in tiles):
        alike = [tile for tile in tiles if tile.valid.shape == shape]
        with backend_errors(model):
            rows = model.describe(alike, questions)
            for tile, row in zip(alike, rows, strict=True):
                checked = finite_answers(tile, row)
                if isinstance(checked, TileFailure):
                    answers[tile.window.index] = checked
                    continue
                (answer,) = checked
                if not isinstance(answer, SceneAnswers):
                    raise TypeError(f"an answer about one image cannot be {answer!r}")
                answers[tile.window.index] = answer
    return [answers[number] for number in range(len(tiles))]


def _scored(
    identity: Mapping[str, Any],
    names: Sequence[str],
    truth: Labels,
    answers: Sequence[Mapping[str, Label]],
    failed: Mapping[str, str],
) -> LabelReport:
    rows = [[labels.get(name, Label(None)) for name in names] for labels in answers]
    senseless = np.array([[label.present is None for label in row] for row in rows])
    answer_table = np.array([[bool(label.present) for label in row] for row in rows])
    answer_table = np.where(senseless, ~truth, answer_table)  # wrong, whatever is true
    probabilities = None
    if all(label.probability is not None for row in rows for label in row):
        probabilities = np.array([[label.probability for label in row] for row in rows], np.float64)
    accuracy, confusion = None, None
    if probabilities is not None and (np.count_nonzero(truth, axis=1) == 1).all():
        likeliest = np.zeros_like(truth)
        likeliest[np.arange(len(truth)), probabilities.argmax(axis=1)] = True
        confusion = class_confusion(truth, likeliest)
        accuracy = float(np.trace(confusion) / confusion.sum())
    return LabelReport(
        identity,
        names,
        label_set_scores(names, truth, answer_table, probabilities),
        _baselines(names, truth),
        len(truth),
        int(np.count_nonzero(senseless)),
        failed,
        accuracy,
        confusion,
    )


def _baselines(names: Sequence[str], truth: Labels) -> dict[str, LabelSetScores]:
    """The scores of answers that are the same for every image."""
    commonest = np.zeros_like(truth)
    commonest[:, int(np.count_nonzero(truth, axis=0).argmax())] = True
    return {
        "every label": label_set_scores(names, truth, np.ones_like(truth)),
        "the commonest label": label_set_scores(names, truth, commonest),
    }
