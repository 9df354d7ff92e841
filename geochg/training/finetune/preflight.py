"""What to know of a run before it begins."""

from __future__ import annotations

from collections.abc import Iterator

from geochg.datasets.splits import SPLITS
from geochg.events import Notice
from geochg.training.finetune.change_masks import has_masks
from geochg.training.finetune.options import Metric
from geochg.training.finetune.plan import Plan
from geochg.training.finetune.training_set import seen_before


def remarks(what: Plan) -> list[Notice]:
    """What makes a run other than it looks; those that spoil it are warnings."""
    return [*_left_out(what), *_leaks(what), *_metric_without_rows(what), *_lack_of_masks(what)]


def _left_out(what: Plan) -> Iterator[Notice]:
    left = what.parts.left_out
    if left:
        told = ", ".join(f"{number} of {part!r}" for part, number in sorted(left.items()))
        yield Notice(
            f"rows of parts that are neither learned from nor held out: {told}",
            warning=not left.keys() <= set(SPLITS),
        )


def _leaks(what: Plan) -> Iterator[Notice]:
    if known := seen_before(what.parts):
        yield Notice(
            f"{known} of {len(what.parts.validation)} validation rows show a picture or a location "
            "that is learned from, which flatters their scores; leave such rows out of either file",
            warning=True,
        )


def _metric_without_rows(what: Plan) -> Iterator[Notice]:
    metric = what.options.metric
    if metric is not Metric.LOSS and what.parts.validation and not what.exam.items:
        yield Notice(
            f"no held-out row asks for what --metric {metric} scores, so the loss decides",
            warning=True,
        )


def _lack_of_masks(what: Plan) -> Iterator[Notice]:
    """Where something is asked for that only masks can teach, and no row has any."""
    options = what.options
    wanted = [
        name
        for name, asked in (
            ("the dense head", "dense" in (*options.lora, *options.full)),
            ("crops and turns", not what.framing.is_off),
        )
        if asked
    ]
    if wanted and not any(map(has_masks, what.parts.training)):
        yield Notice(
            f"no row has masks, which {' and '.join(wanted)} would need: they belong into label/ "
            "beside the folder of the earlier pictures, under their names",
            warning=True,
        )
