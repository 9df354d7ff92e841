"""A series whose dates a model is shown at once: each tile is read and encoded once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from geochg.errors import InputError
from geochg.features.cells import missing_answer, tile_result
from geochg.features.tile_results import TileResult
from geochg.pipeline.batching import has_core, tiles_to_ask
from geochg.pipeline.journal import Journal
from geochg.pipeline.run import Run
from geochg.pipeline.tokens import with_spent
from geochg.records import Question, Span, Tile, TileAnswers, TileFailure
from geochg.tiling.read import ReadPlan


@dataclass(frozen=True)
class SeriesRun(Run):
    """One run over tiles of all dates; `pair` is of the first and the last.

    Each part of its journal is about one span, as where the spans are answered in turn.

    Attributes:
        spans: What is asked about.
        later_runs: For each date but the first, a run of the pair of the first and this one, by
            which the date is aligned and stretched.
    """

    spans: tuple[Span, ...] = ()
    later_runs: tuple[Run, ...] = ()

    @cached_property
    def questions(self) -> list[Question]:
        """The questions about each tile: all of them about each span."""
        pair_questions = super().questions
        return [replace(question, span=span) for span in self.spans for question in pair_questions]

    def _finished_tiles(self, journal: Journal) -> set[int]:
        """Tiles that were answered about every span."""
        numbers = range(len(self.spans))
        return set.intersection(*(journal.part(n).finished_tiles() for n in numbers))

    def _plan(self, journal: Journal) -> ReadPlan:
        """The plan by which all dates are read; each is prepared against the first.

        Raises:
            InputError: If the first date's bands are not the same beside each other date.
        """
        if len({run.pair.bands.before for run in self.later_runs}) > 1:
            raise InputError(
                "not all dates have the same bands to compare", "name the bands to use by --bands"
            )
        plans = []
        for number, run in enumerate(self.later_runs):
            preparation = run.prepare(journal.part(number))
            plans.append(preparation.plan(run.pair))
        journal.part(len(self.spans) - 1).keep_measured("preparation", preparation.to_dict())
        return replace(plans[-1], between=tuple(plan.after for plan in plans[:-1]))

    def _keep_answers(
        self,
        batch: Sequence[Tile | TileFailure],
        answers: Sequence[TileAnswers],
        journal: Journal,
        spent: Mapping[str, int],
    ) -> list[TileFailure]:
        """Commits one batch; a tile that failed about one span has failed."""
        failures = [tile for tile in batch if isinstance(tile, TileFailure)]
        skipped = [tile.window for tile in batch if isinstance(tile, Tile) and not has_core(tile)]
        results: list[list[TileResult]] = [[] for _ in self.spans]
        for tile, tile_answers in zip(tiles_to_ask(batch), answers, strict=True):
            of_tile = self._results(tile, tile_answers)
            if isinstance(of_tile, TileFailure):
                failures.append(of_tile)
                continue
            for span_results, result in zip(results, of_tile, strict=True):
                span_results.append(result)
        # The tokens come with the last part, without which a tile is asked about again.
        for number, span_results in enumerate(results):
            part = journal.part(number)
            is_last = number == len(self.spans) - 1
            part.add(span_results, skipped, with_spent(part, spent if is_last else {}))
        return failures

    def _results(self, tile: Tile, answers: TileAnswers) -> list[TileResult] | TileFailure:
        """The result of a tile for each span."""
        if isinstance(answers, TileFailure):
            return answers
        count = len(self.questions) // len(self.spans)
        results = []
        for number, _ in enumerate(self.spans):
            span_answers = answers[number * count : (number + 1) * count]
            if failure := missing_answer(tile, span_answers):
                return failure
            is_whole = number == len(self.spans) - 1
            settings = replace(self._cell_settings, heat=self._cell_settings.heat and is_whole)
            results.append(tile_result(tile, span_answers, settings))
        return results
