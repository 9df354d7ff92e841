"""The tiles of one run: read, shown to its model, answered, and kept in its journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from threading import Event as Flag
from typing import Any, Literal, TypeVar

from geochg.errors import CancelledRunError, RunError, TilesFailedError
from geochg.events import Listener, Notice, Progress
from geochg.features.cells import CellSettings, missing_answer, tile_result
from geochg.features.changes import FILTERS
from geochg.features.layer import FeatureLayer
from geochg.geometry.hysteresis import least_size_px
from geochg.learning.head import HeadJudge
from geochg.models.base import ChangeModel, backend_errors
from geochg.models.devices import processors
from geochg.models.loading import mapped_questions
from geochg.options import AlignMode, AnalyzeOptions
from geochg.pipeline.batching import answered_ahead, has_core, tiles_to_ask
from geochg.pipeline.journal import Journal, Tallies
from geochg.pipeline.judging import described_result, judge_of
from geochg.pipeline.outputs import Outputs
from geochg.pipeline.survey import SurveyTiles, tile_numbers
from geochg.pipeline.tokens import spent_between, with_spent
from geochg.records import Question, Tile, TileAnswers, TileFailure, TileWindow
from geochg.safety.untrusted_text import without_secrets
from geochg.tiling.alignment import Step
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.layout import Layout
from geochg.tiling.pair import RasterPair
from geochg.tiling.preparation import Preparation, prepare
from geochg.tiling.read import ReadPlan, read_ahead
from geochg.tiling.signed_addresses import is_signed, refusal

_Item = TypeVar("_Item")


def reading_threads(options: AnalyzeOptions) -> int:
    """Threads that read ahead of the model."""
    return options.workers or min(4, processors())


def read_tiles(
    pair: RasterPair,
    options: AnalyzeOptions | None = None,
    *,
    pixels: Literal["display", "values"] = "display",
) -> Generator[Tile | TileFailure, None, None]:
    """Measures a pair (shift, stretch, match) and reads its tiles in order, a few ahead.

    Memory stays flat, however large the pair, where the tiles are let go.

    Args:
        pair: The pair, as `open_pair` gives it.
        options: Size and overlap of the tiles, `align`, `match` and `workers` are taken from
            these; the defaults when None.
        pixels: Pixels that the model wants; see `Capabilities.pixels`.

    Yields:
        The tiles; for one that cannot be read, a `TileFailure` that says why.

    Raises:
        InputError: If the pair has too many tiles or cannot be measured.
    """
    options = options or AnalyzeOptions()
    layout = pair.layout(options)
    with gdal_settings():
        plan = prepare(pair, options.align, pixels=pixels, match=options.match).plan(pair)
    yield from read_ahead(plan, layout, reading_threads(options))


@dataclass(frozen=True)
class Run:
    """One run: its pair, options and model, and the way from tiles to answers in its journal."""

    pair: RasterPair
    options: AnalyzeOptions
    outputs: Outputs
    model: ChangeModel
    listener: Listener
    cancel: Flag

    @cached_property
    def layout(self) -> Layout:
        """The tiles of the run."""
        return self.pair.layout(self.options)

    @cached_property
    def questions(self) -> list[Question]:
        """The questions about each tile."""
        return mapped_questions(self.model, self.options)

    @cached_property
    def judge(self) -> HeadJudge | None:
        """The head that judges its changes; None where none was learned."""
        return judge_of(self.options, self.model)

    def answer_tiles(self, journal: Journal[Any]) -> list[TileFailure]:
        """Reads and answers the tiles the journal does not hold, and returns those that failed."""
        done_indices = self._finished_tiles(journal)
        if len(done_indices) == len(self.layout):
            return []
        plan = self.measure(journal)
        wanted_windows = (window for window in self.layout if window.index not in done_indices)
        return self.answer_windows(plan, wanted_windows, journal, len(done_indices))

    def measure(self, journal: Journal[Any]) -> ReadPlan:
        """What comes before the first tile: the pair is measured, and the model surveys it.

        Returns:
            How the tiles are read.
        """
        plan = self._plan(journal)
        self._survey(plan, journal)
        return plan

    def answer_windows(
        self,
        plan: ReadPlan,
        wanted_windows: Iterable[TileWindow],
        journal: Journal[Any],
        finished: int = 0,
    ) -> list[TileFailure]:
        """Reads and answers some tiles, after `measure`, and returns those that failed.

        Args:
            plan: What `measure` gave.
            wanted_windows: Windows of the tiles.
            journal: The journal that keeps the answers.
            finished: Number of tiles that were answered before.
        """
        failures: list[TileFailure] = []
        self.listener(Progress("tiles", finished, len(self.layout)))
        suitable = self.model.capabilities.tiles_at_once(self.options.tile_size_px)
        batch_tiles = self.options.batch_size or suitable
        with (
            closing(self.read_windows(plan, wanted_windows)) as tiles,
            closing(answered_ahead(tiles, batch_tiles, self._counted_answers)) as answered_batches,
        ):
            for batch, answers in answered_batches:
                spent = self._spent.popleft() if answers else {}
                failures += self._keep_answers(batch, answers, journal, spent)
                finished += len(batch)
                self.listener(Progress("tiles", finished, len(self.layout)))
        return failures

    def refuse_failures(self, failures: Sequence[TileFailure]) -> None:
        """Raises unless every tile was answered or the options allow failures.

        Raises:
            TilesFailedError: If a tile failed and none may.
        """
        if not failures:
            return
        names = ", ".join(failure.window.name for failure in failures[:10])
        further_text = f" and {len(failures) - 10} more" if len(failures) > 10 else ""
        text = (
            f"{len(failures)} of {len(self.layout)} tiles failed: {names}{further_text} "
            f"({failures[0].reason})"
        )
        if not self.options.allow_failed_tiles:
            raise TilesFailedError(
                text,
                "run again with --resume to retry them, and with --allow-failed-tiles to "
                "write the rest without them",
            )
        self.listener(Notice(text, warning=True))

    def tell_gaps(self, tallies: Tallies) -> None:
        """Tells of tiles that were answered only in part, or in words that make no sense."""
        gaps = {
            "no answer came to one of the questions": tallies.incomplete,
            "an answer made no sense": tallies.unparsed,
        }
        for gap, count in gaps.items():
            if count:
                text = f"in {count} of {tallies.read} tiles {gap}; --tiles FILE tells which"
                self.listener(Notice(text, warning=True))

    def tell_dropped(self, tallies: Tallies, feature_count: int) -> None:
        """Tells where changes were seen of which the options leave no feature."""
        flags = [
            spec.flag
            for spec in self.options.specs()
            if spec.name in FILTERS and getattr(self.options, spec.name) not in (spec.default, ())
        ]
        if tallies.changed and not feature_count and flags:
            text = (
                f"the model saw changes in {tallies.changed} of {tallies.read} tiles, but no "
                f"feature is left; see {', '.join(flags)}"
            )
            self.listener(Notice(text, warning=True))

    def tell_unmeasured(self, layer: FeatureLayer) -> str:
        """Tells where confidence was not measured; gives what the outputs say of it, or nothing."""
        if not layer.unmeasured:
            return ""
        filter_text = ""
        if self.options.min_confidence:
            filter_text = ", and are kept whatever --min-confidence says"
        self.listener(
            Notice(
                f"{layer.unmeasured} of {len(layer)} features have no confidence, as the model"
                f" gives no probability of them{filter_text}; with --vote, confidence is the share"
                " of the tiles that agree",
                warning=True,
            )
        )
        if layer.unmeasured == len(layer):
            return "not measured"
        return f"not measured for {layer.unmeasured} of {len(layer)} features"

    def _finished_tiles(self, journal: Journal[Any]) -> set[int]:
        """Indexes of the tiles that need not be read again."""
        return journal.finished_tiles()

    def _plan(self, journal: Journal[Any]) -> ReadPlan:
        """How its tiles are read."""
        return self.prepare(journal).plan(self.pair)

    def prepare(self, journal: Journal[Any]) -> Preparation:
        """The measurements of this run: made once, kept in the journal, and told."""
        known_preparation = kept_preparation(journal)
        if known_preparation is not None:
            return known_preparation
        for remark in self.pair.remarks:
            self.listener(remark.notice())
        preparation = prepare(
            self.pair,
            self.options.align,
            pixels=self.model.capabilities.pixels,
            match=self.options.match,
            step=self._step("shift"),
        )
        self._tell_preparation(preparation)
        journal.keep_measured("preparation", preparation.to_dict())
        return preparation

    def _tell_preparation(self, preparation: Preparation) -> None:
        for remark in preparation.remarks():
            self.listener(remark.notice())
        if distance := preparation.distance_in_words():
            state = "corrected" if preparation.corrected else "not corrected"
            text = f"the images lie {distance} ({state})"
            self.listener(Notice(text, warning=not preparation.corrected))
        if self.options.align is AlignMode.FIELD and preparation.field is None:
            text = "too few places agree with their neighbours for a field of shifts; one is taken"
            self.listener(Notice(text, warning=True))
        if preparation.match is not None and not preparation.matched:
            text = "the dates are too unlike to match their values; they are left as they are"
            self.listener(Notice(text, warning=True))

    def _survey(self, plan: ReadPlan, journal: Journal[Any]) -> None:
        """Shows the model tiles of the pair: always the same ones within a run and its resumes."""
        if not self.model.capabilities.surveys:
            with backend_errors(self.model):
                self.model.survey(self.pair.facts, [])
            return
        record = journal.measurement("survey")
        known_numbers = None if record is None else tile_numbers(record, journal, len(self.layout))
        read = partial(self.read_windows, plan)
        limit = self.model.capabilities.survey_tiles
        survey = SurveyTiles(self.pair, self.layout, read, self.listener, known_numbers, limit)
        with backend_errors(self.model):
            self.model.survey(self.pair.facts, survey)
        if record is None:
            journal.keep_measured("survey", {"tiles": survey.used})

    def read_windows(
        self, plan: ReadPlan, windows: Iterable[TileWindow]
    ) -> Generator[Tile | TileFailure, None, None]:
        """Tiles read ahead, until cancelled."""
        with closing(read_ahead(plan, windows, reading_threads(self.options))) as read:
            for tile in read:
                self.stop_if_cancelled()
                if isinstance(tile, TileFailure):
                    self._stop_if_expired()
                yield tile

    def _keep_answers(
        self,
        batch: Sequence[Tile | TileFailure],
        answers: Sequence[TileAnswers],
        journal: Journal[Any],
        spent: Mapping[str, int],
    ) -> list[TileFailure]:
        """Commits one batch and its tokens; failures stay out of the journal, to be retried."""
        failures = [tile for tile in batch if isinstance(tile, TileFailure)]
        asked_tiles = tiles_to_ask(batch)
        skipped = [tile.window for tile in batch if isinstance(tile, Tile) and not has_core(tile)]
        results: list[Any] = []
        for tile, given_answers in zip(asked_tiles, answers, strict=True):
            result = self._result(tile, given_answers)
            if isinstance(result, TileFailure):
                failures.append(result)
            else:
                results.append(result)
        journal.add(results, skipped, with_spent(journal, spent))
        return failures

    def _result(self, tile: Tile, answers: TileAnswers) -> Any:  # noqa: ANN401
        """What the journal keeps of a tile, or that it failed."""
        if isinstance(answers, TileFailure):
            return answers
        if failure := missing_answer(tile, answers):
            return failure
        result = tile_result(tile, answers, self._cell_settings)
        if self.judge is None:
            return result
        return described_result(tile, answers, result, self._cell_settings, self.judge)

    def _counted_answers(self, tiles: Sequence[Tile]) -> list[TileAnswers]:
        """The answers about a batch, whose tokens are noted; called on the model's thread."""
        before = self.model.tokens_so_far
        answers = self._ask(tiles)
        self._spent.append(spent_between(before, self.model.tokens_so_far))
        return answers

    @cached_property
    def _spent(self) -> deque[dict[str, int]]:
        """Tokens of the batches that were answered and are not kept yet, in order."""
        return deque()

    def _ask(self, tiles: Sequence[Tile]) -> list[TileAnswers]:
        with backend_errors(self.model):
            return self.model.answer(tiles, self.questions)

    @cached_property
    def _cell_settings(self) -> CellSettings:
        pixel_area_m2 = self.pair.facts.pixel_area_m2
        return CellSettings(
            geometry=self.options.geometry,
            classes=self.options.wanted_classes,
            heat=self.outputs.heatmap is not None and not self.options.vote,
            ballot=self.options.vote,
            sensitivity=self.options.sensitivity,
            # A least area that was given is held against whole features only.
            least_px=least_size_px(pixel_area_m2) if self.options.min_area_m2 is None else 0,
            pixel_area_m2=pixel_area_m2,
        )

    def _step(self, stage: str) -> Step:
        def step(done_count: int, total: int) -> None:
            self.stop_if_cancelled()
            self.listener(Progress(stage, done_count, total))

        return step

    def _stop_if_expired(self) -> None:
        """Ends the run where no tile can be read any more."""
        for source in (self.pair.before, self.pair.after):
            if is_signed(source.path) and (code := refusal(source.path)):
                raise RunError(
                    f"the server takes the signed address of {without_secrets(source.path)} no"
                    f" more (HTTP {code}): it has most likely expired",
                    "sign it anew, and run again with the fresh address and --resume; what is"
                    " done is kept",
                )

    def until_cancelled(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """The items one by one, as long as the run goes on.

        Raises:
            CancelledRunError: If it was cancelled.
        """
        for item in items:
            self.stop_if_cancelled()
            yield item

    def stop_if_cancelled(self) -> None:
        """Ends the run where its user wants that.

        Raises:
            CancelledRunError: If it was cancelled.
        """
        if self.cancel.is_set():
            raise CancelledRunError("cancelled", "run again with --resume to go on")


def kept_preparation(journal: Journal[Any]) -> Preparation | None:
    """What was measured before the first tile; None where nothing was yet.

    Raises:
        InputError: If the journal is damaged.
    """
    values = journal.measurement("preparation")
    try:
        return None if values is None else Preparation.from_dict(values)
    except ValueError as error:
        raise journal.damage(str(error)) from error
