"""The whole way from two files to a layer: joins the stages and says how far it is."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

from geochg.answering import answered_ahead, has_core, to_ask
from geochg.cells import CellSettings, tile_result
from geochg.errors import CancelledRunError, OptionError, RunError, TilesFailedError
from geochg.events import Listener, Notice, Progress, ignore
from geochg.features.changes import FeatureSettings, change_features
from geochg.features.tiles import tile_features
from geochg.journal import Journal, journal_path
from geochg.models.base import ChangeModel, naming
from geochg.models.clue import CluedModel
from geochg.models.refine import RefinedModel
from geochg.models.registry import load_model
from geochg.options import AnalyzeOptions
from geochg.outputs import Outputs
from geochg.provenance import fingerprint, metadata
from geochg.records import Question, Task, Tile, TileAnswers, TileFailure, TileResult, TileWindow
from geochg.tasks import ask
from geochg.tasks.wording import CLUE, check_wording
from geochg.tiling.layout import Layout, evenly
from geochg.tiling.pair import RasterPair, nothing_valid, open_pair
from geochg.tiling.preparation import Preparation, Step, prepare
from geochg.tiling.read import ReadPlan, read_ahead
from geochg.tiling.source import gdal_settings
from geochg.voting import voted, voted_heat
from geochg.writers.heatmap import write_heatmap
from geochg.writers.layers import write_features
from geochg.writers.staging import Staging

if TYPE_CHECKING:
    import geopandas as gpd

SURVEY_TILES = 256
"""Most tiles a model is shown before the first is answered."""

SURVEY_BATCH_TILES = 16
"""Further tiles tried at once where those chosen show nothing."""

MAPPED_TASKS = (Task.PRESENCE, Task.LOCATE, Task.COUNT, Task.CAPTION)
"""The tasks whose answers become features, in the order they are asked."""


@dataclass(frozen=True)
class ChangeResult:
    """What a run found.

    Attributes:
        features: The change layer in the grid's CRS, with the properties of the output contract.
        metadata: The `geochg` member that goes into the outputs: version, model, sources,
            options, alignment, counts of tiles.
        outputs: The files written.
    """

    features: gpd.GeoDataFrame
    metadata: dict[str, Any]
    outputs: Outputs


def analyze(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    options: AnalyzeOptions | None = None,
    *,
    outputs: Outputs | None = None,
    listener: Listener = ignore,
    cancel: Flag | None = None,
) -> ChangeResult:
    """Finds what changed between two rasters of one place.

    Args:
        before: The earlier raster: anything GDAL opens, with a CRS.
        after: The later raster.
        options: What to do; the defaults when None.
        outputs: Files to write. They appear whole when the run is complete; until then a journal
            beside the first of them holds the finished tiles, for `options.resume`.
        listener: Told of progress and of what the user should know, on the calling thread.
        cancel: When set, the run stops at the next tile.

    Returns:
        The features, in memory, and what is known about the run.

    Raises:
        InputError: If a raster, the area or an output cannot be used.
        OptionError: If an option makes no sense for the pair.
        ModelError: If the model is unknown, broken or does not fit the pair.
        TilesFailedError: If tiles could not be read or answered and the options do not allow it;
            nothing is written, the journal is kept.
        RunError: If the run fails otherwise.
        CancelledRunError: If it was cancelled; the journal is kept.
    """
    options = options or AnalyzeOptions()
    outputs = outputs or Outputs()
    outputs.check([os.fspath(before), os.fspath(after), *([options.aoi] if options.aoi else [])])
    model = load_models(options)
    _check_classes(options, model)
    with gdal_settings():
        pair = open_pair(before, after, options, model.capabilities.bands)
        outputs.check(pair.files())
        run = _Run(pair, options, outputs, model, listener, cancel or Flag())
        with _journal(run) as journal:
            failures = run.answer_tiles(journal)
            run.refuse_failures(failures)
            result = run.finish(journal, failures)
            journal.remove()
    return result


def load_models(options: AnalyzeOptions) -> ChangeModel:
    """The model of the options, with clues and closer looks where they ask for that.

    Raises:
        ModelError: As `load_model`, or if two models do not go together.
        OptionError: As `load_model`, if a prompt makes no sense or would not be asked, or if the
            model does not answer by the 3x3 grid and `refine` or `vote` need that.
    """
    check_wording(options.prompts)
    model = _with_clues(load_model(options.model, options.model_options, options.device), options)
    _check_grid(options, model)
    if not options.refine:
        return model
    return RefinedModel(model, options.refine, options.classes, options.batch_size)


def _with_clues(model: ChangeModel, options: AnalyzeOptions) -> ChangeModel:
    has_clue = options.clue or bool(options.clue_model)
    _check_prompts(options.prompts, model, has_clue=has_clue)
    if not has_clue:
        return model
    if not options.clue_model:
        return CluedModel(model, model, options.prompts)
    teller = load_model(options.clue_model, options.clue_options, options.device)
    return CluedModel(model, teller, options.prompts)


def mapped_questions(model: ChangeModel, wording: Mapping[str, str]) -> list[Question]:
    """What a model is asked about every tile: the tasks that become features and that it knows.

    Args:
        model: Which is asked.
        wording: Prompts in one's own words, by task.
    """
    known = [task for task in MAPPED_TASKS if task in model.capabilities.tasks]
    return [ask(task, wording.get(task)) for task in known]


def reading_threads(options: AnalyzeOptions) -> int:
    """Threads that read ahead of the model."""
    return options.workers or min(4, os.cpu_count() or 1)


def _check_prompts(prompts: Mapping[str, str], model: ChangeModel, *, has_clue: bool) -> None:
    """Refuses prompts that would be noted but never asked."""
    asked = model.capabilities.asked_in_words
    idle = [name for name in prompts if name != CLUE and name not in asked]
    if idle:
        raise OptionError(
            f"{model.name} is not asked about {idle[0]} in words",
            f"it is asked about {', '.join(sorted(asked)) or 'nothing'}; leave out the rest",
        )
    if CLUE in prompts and not has_clue:
        raise OptionError("there is a prompt 'clue', but no clue", "add --clue or --clue-model")


def _check_grid(options: AnalyzeOptions, model: ChangeModel) -> None:
    """Refuses to divide or to vote on what is not told in cells."""
    flags = [
        flag for flag, given in (("--refine", options.refine), ("--vote", options.vote)) if given
    ]
    if not flags:
        return
    hint = f"leave out {' and '.join(flags)}"
    if model.capabilities.location == "mask":
        raise OptionError(f"{model.name} outlines already", hint)
    if Task.LOCATE not in model.capabilities.tasks:
        raise OptionError(f"{model.name} does not say where something changed", hint)


def _check_classes(options: AnalyzeOptions, model: ChangeModel) -> None:
    known = model.capabilities.classes
    if unknown := [name for name in options.classes if name not in known]:
        raise OptionError(
            f"{model.name} knows no class {', '.join(map(repr, unknown))}",
            f"its classes: {', '.join(known)}",
        )


def _journal(run: _Run) -> Journal:
    paths = run.outputs.paths()
    facts = fingerprint(run.pair, run.options, run.model, heatmap=run.outputs.heatmap is not None)
    path = journal_path(paths[0]) if paths else None
    return Journal.begin(path, run.layout, facts, resume=run.options.resume)


@dataclass(frozen=True)
class _Run:
    """What every step of one run needs."""

    pair: RasterPair
    options: AnalyzeOptions
    outputs: Outputs
    model: ChangeModel
    listener: Listener
    cancel: Flag

    @cached_property
    def layout(self) -> Layout:
        """The tiles."""
        return self.pair.layout(self.options)

    @cached_property
    def questions(self) -> list[Question]:
        """What is asked about each."""
        return mapped_questions(self.model, self.options.prompts)

    def answer_tiles(self, journal: Journal) -> list[TileFailure]:
        """Reads and answers the tiles the journal does not hold; gives those that failed."""
        done = journal.done()
        if len(done) == len(self.layout):
            return []
        preparation = self._preparation(journal)
        plan = preparation.plan(self.pair)
        self._survey(plan, journal)
        failures: list[TileFailure] = []
        finished = len(done)
        self.listener(Progress("tiles", finished, len(self.layout)))
        wanted = (window for window in self.layout if window.index not in done)
        with (
            closing(self._read(plan, wanted)) as tiles,
            closing(answered_ahead(tiles, self._batch_tiles(), self._ask)) as answered,
        ):
            for batch, answers in answered:
                failures += self._keep(batch, answers, journal)
                finished += len(batch)
                self.listener(Progress("tiles", finished, len(self.layout)))
        return failures

    def refuse_failures(self, failures: Sequence[TileFailure]) -> None:
        """Raises unless every tile was answered or the options allow failures."""
        if not failures:
            return
        names = ", ".join(failure.window.name for failure in failures[:10])
        more = f" and {len(failures) - 10} more" if len(failures) > 10 else ""
        text = (
            f"{len(failures)} of {len(self.layout)} tiles failed: {names}{more} "
            f"({failures[0].reason})"
        )
        if not self.options.allow_failed_tiles:
            raise TilesFailedError(
                text,
                "run again with --resume to retry them, and with --allow-failed-tiles to "
                "write the rest without them",
            )
        self.listener(Notice(text, warning=True))

    def finish(self, journal: Journal, failures: Sequence[TileFailure]) -> ChangeResult:
        """Merges the finished tiles into layers and writes them.

        Raises:
            InputError: If no tile had a valid pixel.
            RunError: If an output cannot be written.
        """
        tallies = journal.tallies()
        if not tallies.read and not failures:
            raise nothing_valid(self.pair)
        facts = metadata(
            self.pair,
            self.options,
            self.model,
            self.questions,
            Preparation.from_dict(journal.measured("preparation") or Preparation().to_dict()),
            tallies,
            failures,
        )
        self.listener(Progress("write", 0, 1))
        settings = FeatureSettings(
            self.options.geometry, self.options.min_confidence, self.options.min_area_m2
        )
        results = journal.results()
        features = change_features(
            voted(results) if self.options.vote else results, self.pair.grid, settings
        )
        with Staging() as staging:
            self._stop_if_cancelled()
            if self.outputs.features is not None:
                with staging.write(self.outputs.features) as path:
                    write_features(features, path, facts)
            if self.outputs.tiles is not None:
                tiles = tile_features(
                    journal.results(),
                    self.pair.grid,
                    failures=failures,
                    skipped=journal.skipped(),
                )
                with staging.write(self.outputs.tiles) as path:
                    write_features(tiles, path, facts, layer="tiles")
            if self.outputs.heatmap is not None:
                vote = self.options.vote
                heat = voted_heat(journal.results()) if vote else journal.heat()
                with staging.write(self.outputs.heatmap) as path:
                    write_heatmap(heat, self.pair.grid, path, facts)
            self._stop_if_cancelled()
            staging.commit()
        self.listener(Progress("write", 1, 1))
        return ChangeResult(features, facts, self.outputs)

    def _preparation(self, journal: Journal) -> Preparation:
        """The measurements of this run: made once, kept in the journal, said."""
        known = journal.measured("preparation")
        if known is not None:
            return Preparation.from_dict(known)
        if self.pair.bands.note:
            self.listener(Notice(self.pair.bands.note, warning=True))
        found = prepare(
            self.pair,
            self.options.align,
            pixels=self.model.capabilities.pixels,
            match=self.options.match,
            step=self._step("shift"),
        )
        self._say(found)
        journal.keep_measured("preparation", found.to_dict())
        return found

    def _say(self, found: Preparation) -> None:
        if found.shift is not None and found.shift.worth_correcting:
            done = "corrected" if found.corrected else "not corrected"
            text = f"the images lie {found.shift.magnitude_px:.1f} px apart ({done})"
            self.listener(Notice(text, warning=not found.corrected))
        if found.match is not None and not found.matched:
            text = "the dates are too unlike to match their values; they are left as they are"
            self.listener(Notice(text, warning=True))

    def _survey(self, plan: ReadPlan, journal: Journal) -> None:
        """Shows the model tiles of the pair: always the same ones within a run and its resumes."""
        if not self.model.capabilities.surveys:
            with naming(self.model):
                self.model.survey(self.pair.facts, [])
            return
        kept = journal.measured("survey")
        if kept is None:
            first = self._survey_windows()
            survey = _SurveyTiles(self, plan, first, self.layout)
        else:
            known = [self.layout[index] for index in kept["tiles"]]
            survey = _SurveyTiles(self, plan, known, [], must_read=True)
        with naming(self.model):
            self.model.survey(self.pair.facts, survey)
        if kept is None:
            journal.keep_measured("survey", {"tiles": survey.used})

    def _survey_windows(self) -> list[TileWindow]:
        """Tiles spread evenly over the area of interest."""
        area = self.pair.area
        if area is None:
            return self.layout.spread(SURVEY_TILES)
        inside = [window for window in self.layout if area.touches(window.core)]
        return [inside[index] for index in evenly(len(inside), SURVEY_TILES)]

    def _read(
        self, plan: ReadPlan, windows: Iterable[TileWindow]
    ) -> Generator[Tile | TileFailure, None, None]:
        """Tiles read ahead, until cancelled."""
        with closing(read_ahead(plan, windows, reading_threads(self.options))) as read:
            for tile in read:
                self._stop_if_cancelled()
                yield tile

    def _keep(
        self,
        batch: Sequence[Tile | TileFailure],
        answers: Sequence[TileAnswers],
        journal: Journal,
    ) -> list[TileFailure]:
        """Commits one batch; failures stay out of the journal, to be retried."""
        failures = [tile for tile in batch if isinstance(tile, TileFailure)]
        asked = to_ask(batch)
        skipped = [tile.window for tile in batch if isinstance(tile, Tile) and not has_core(tile)]
        results: list[TileResult] = []
        for tile, given in zip(asked, answers, strict=True):
            if isinstance(given, TileFailure):
                failures.append(given)
            else:
                results.append(tile_result(tile, given, self._cell_settings()))
        journal.add(results, skipped)
        return failures

    def _batch_tiles(self) -> int:
        """Tiles asked about at once: as given, or what suits the model and this size of tile."""
        if self.options.batch_size is not None:
            return self.options.batch_size
        return self.model.capabilities.tiles_at_once(self.options.tile_size_px)

    def _ask(self, tiles: Sequence[Tile]) -> list[TileAnswers]:
        with naming(self.model):
            return self.model.answer(tiles, self.questions)

    def _cell_settings(self) -> CellSettings:
        return CellSettings(
            geometry=self.options.geometry,
            classes=self.options.classes,
            heat=self.outputs.heatmap is not None and not self.options.vote,
            ballot=self.options.vote,
        )

    def _step(self, stage: str) -> Step:
        def step(done: int, total: int) -> None:
            self._stop_if_cancelled()
            self.listener(Progress(stage, done, total))

        return step

    def _stop_if_cancelled(self) -> None:
        if self.cancel.is_set():
            raise CancelledRunError("cancelled", "run again with --resume to go on")


class _SurveyTiles:
    """The tiles a model surveys, read as it asks for them.

    Attributes:
        used: Indexes of the tiles it was given so far.
    """

    def __init__(
        self,
        run: _Run,
        plan: ReadPlan,
        first: Sequence[TileWindow],
        others: Iterable[TileWindow],
        *,
        must_read: bool = False,
    ) -> None:
        self._run = run
        self._plan = plan
        self._first = first
        self._others = others
        self._must_read = must_read
        self._failures: list[TileFailure] = []
        self.used: list[int] = []

    def __iter__(self) -> Iterator[Tile]:
        yield from self._usable(self._first)
        if not self.used:
            # The data lie between the tiles that were looked at; a few that have some will do.
            yield from islice(self._usable(self._others), SURVEY_BATCH_TILES)
        if self._failures and (self._must_read or not self.used):
            failure = self._failures[0]
            raise RunError(
                f"cannot read tile {failure.window.name}: {failure.reason}",
                "the file may be damaged: copy or download it again",
            )
        if not self.used:
            raise nothing_valid(self._run.pair)

    def _usable(self, windows: Iterable[TileWindow]) -> Iterator[Tile]:
        with closing(self._run._read(self._plan, windows)) as read:
            for done, tile in enumerate(read):
                self._run.listener(Progress("survey", done, len(self._first)))
                if isinstance(tile, TileFailure):
                    self._failures.append(tile)
                elif has_core(tile):
                    self.used.append(tile.window.index)
                    yield tile
