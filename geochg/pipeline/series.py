"""Three dates or more: each step from a date to the next is answered, and the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Event as Flag
from typing import TYPE_CHECKING

from odc.geo.geobox import GeoBox

from geochg.errors import OptionError
from geochg.events import Event, Listener, Notice, Progress
from geochg.models.base import ChangeModel
from geochg.options import AnalyzeOptions
from geochg.pipeline.finish import AnsweredSpan
from geochg.pipeline.imagery import pair_for
from geochg.pipeline.journal import Journal
from geochg.pipeline.outputs import Outputs
from geochg.pipeline.run import Run
from geochg.pipeline.together import SeriesRun
from geochg.records import Span, TileFailure
from geochg.tiling.pair import RasterPair, place_pair
from geochg.tiling.series import PlacedSeries, place_series

if TYPE_CHECKING:
    from geochg.models.base import Capabilities
    from geochg.tiling.raster_input import RasterLike

MOST_DATES = 100
"""Most dates of a series, whose files are open at once where a model takes them together."""


def placed_dates(
    images: Sequence[RasterLike], options: AnalyzeOptions, geobox: GeoBox | None
) -> PlacedSeries:
    """Two rasters or more on their common grid; see `place_pair` and `place_series`.

    Raises:
        InputError: If a raster cannot be used, or they do not overlap or go together.
        OptionError: If an option does not fit.
    """
    if len(images) > 2:
        return place_series(images, options, geobox=geobox)
    pair = place_pair(images[0], images[1], options, geobox=geobox)
    return PlacedSeries((pair.before, pair.after), pair.grid, pair.area, pair.remarks)


def check_count(images: Sequence[object]) -> None:
    """Refuses fewer images than a pair, and more than a series may have.

    Raises:
        OptionError: If there are too few or too many.
    """
    if len(images) < 2:
        number = "one image shows" if images else "no image shows"
        raise OptionError(
            f"{number} no change",
            "give two images of one place, or more; `geochg describe` tells what one shows",
        )
    if len(images) > MOST_DATES:
        raise OptionError(
            f"{len(images)} images, and a series has at most {MOST_DATES}",
            "analyse them in parts: the last image of a part is the first of the next",
        )


def is_shown_together(count: int, capabilities: Capabilities, options: AnalyzeOptions) -> bool:
    """Whether a model is shown all dates of a series at once, and not in pairs.

    Raises:
        OptionError: If it takes more than two dates, but not as many.
    """
    # Clues, closer looks and heads are about one pair.
    is_wrapped = options.refine or options.clue or options.clue_model or options.learned
    if count == 2 or options.in_turn or is_wrapped or capabilities.most_dates <= 2:
        return False
    if count > capabilities.most_dates:
        raise OptionError(
            f"{count} dates, and the model takes at most {capabilities.most_dates} at once",
            "give fewer, or add --in-turn to show it the dates in pairs, one step after the other",
        )
    return True


def runs_of(
    series: PlacedSeries,
    options: AnalyzeOptions,
    outputs: Outputs,
    model: ChangeModel,
    listener: Listener,
    cancel: Flag,
) -> list[Run]:
    """A run for each span, the last of the pair or the whole; only that one has a heatmap.

    Raises:
        InputError: If the bands of two dates do not go together, or the model refuses such
            imagery.
        OptionError: If a band that is wanted is not there.
    """
    count = len(series.spans)
    if count == 1:
        pair = pair_for(series.pair(series.spans[0], series.remarks), options, model)
        return [Run(pair, options, outputs, model, listener, cancel)]
    without_heatmap = replace(outputs, heatmap=None)
    return [
        Run(
            pair,
            options,
            outputs if number == count - 1 else without_heatmap,
            model,
            SpanListener(listener, span_name(number, count), number, count),
            cancel,
        )
        for number, pair in enumerate(pairs_of(series, options, model))
    ]


def pairs_of(
    series: PlacedSeries, options: AnalyzeOptions, model: ChangeModel, *, refusing: bool = True
) -> Iterator[RasterPair]:
    """The pair of each span of three dates or more; see `pair_for`.

    What is remarkable about an image is told with the first pair that it is in.
    """
    known_remarks = set(series.remarks)
    for span in series.spans:
        pair = pair_for(series.pair(span), options, model, refusing=refusing)
        remarks = tuple(remark for remark in pair.remarks if remark not in known_remarks)
        known_remarks.update(remarks)
        yield replace(pair, remarks=remarks)


def span_name(number: int, count: int) -> str:
    """The name of one of so many spans, numbered from 0, of three dates or more."""
    return "the whole" if number == count - 1 else f"step {number + 1}"


@dataclass(frozen=True)
class SpanListener:
    """Tells of one span as a part of a run.

    Attributes:
        listener: The listener of the run.
        name: Name of the span, which notices begin with.
        number: Number of the span, from 0.
        spans: Number of spans.
    """

    listener: Listener
    name: str
    number: int
    spans: int

    def __call__(self, event: Event) -> None:
        """Passes an event on."""
        if isinstance(event, Notice):
            event = replace(event, message=f"{self.name}: {event.message}")
        elif isinstance(event, Progress) and event.stage == "tiles":
            before = self.number * event.total
            event = Progress(event.stage, before + event.done, self.spans * event.total)
        self.listener(event)


def tell_series(
    series: PlacedSeries, model: ChangeModel, listener: Listener, *, together: bool
) -> None:
    """Tells what is remarkable about a series, and how it is shown."""
    for remark in series.remarks:
        listener(remark.notice())
    if not together:
        steps = len(series.sources) - 1
        text = f"the model {model.name} is shown the dates in pairs: {steps} steps, and the whole"
        listener(Notice(text, warning=False))


AnswerTiles = Callable[[Run, Journal], list[TileFailure]]
"""Answers the tiles of a run that its journal does not hold; see `Run.answer_tiles`."""


def answer_spans(
    series: PlacedSeries,
    runs: Sequence[Run],
    journal: Journal,
    answer_tiles: AnswerTiles = Run.answer_tiles,
    *,
    together: bool,
) -> list[AnsweredSpan]:
    """Answers about one span after the other, each as a pair, or about all of them at once.

    Args:
        series: The dates.
        runs: A run for each span.
        journal: The journal, with a part for each span.
        answer_tiles: Answers the tiles of a run.
        together: Whether the model is shown all dates at once.

    Raises:
        TilesFailedError: If tiles fail and the options do not allow it.
    """
    spans = []
    if together:
        series_run = _series_run(series, runs)
        failures = answer_tiles(series_run, journal)
        series_run.refuse_failures(failures)
    for number, (span, run) in enumerate(zip(series.spans, runs, strict=True)):
        part = journal.part(number)
        if not together:
            failures = answer_tiles(run, part)
            run.refuse_failures(failures)
        step = None if number == len(runs) - 1 else number + 1
        spans.append(AnsweredSpan(run, span, part, failures, step))
    return spans


def _series_run(series: PlacedSeries, runs: Sequence[Run]) -> SeriesRun:
    """One run of all dates, from the runs of the spans."""
    last_run = runs[-1]
    bands = last_run.model.capabilities.bands
    later_runs = []
    for number, run in enumerate(runs[:-1], start=1):
        pair = series.pair(Span(0, number)).with_bands(run.options, bands)
        # What is remarkable about the images is told with the spans.
        later_runs.append(replace(run, pair=replace(pair, remarks=run.pair.remarks)))
    listener = last_run.listener
    if isinstance(listener, SpanListener):
        listener = listener.listener
    return SeriesRun(
        last_run.pair,
        last_run.options,
        last_run.outputs,
        last_run.model,
        listener,
        last_run.cancel,
        series.spans,
        tuple(later_runs),
    )
