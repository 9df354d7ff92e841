"""The whole way from two files to a layer: joins the stages and says how far it is."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

from geochg.answering import answered_ahead, has_core, to_ask
from geochg.cells import CellSettings, lacking, tile_result
from geochg.errors import CancelledRunError, RunError, TilesFailedError
from geochg.events import Listener, Notice, Progress, ignore
from geochg.features.changes import FeatureSettings, changes_of, layer_caption
from geochg.features.tiles import tile_features
from geochg.foreign_text import without_secrets
from geochg.geometry.changed import least_size_px
from geochg.geometry.vector_file import file_of
from geochg.journal import Journal, Tallies, journal_path
from geochg.models.base import ChangeModel, naming
from geochg.models.chosen import check_classes, check_sensitivity, load_chosen, mapped_questions
from geochg.options import AnalyzeOptions
from geochg.outputs import Outputs
from geochg.provenance import fingerprint, metadata
from geochg.records import (
    CLASSES,
    Question,
    Tile,
    TileAnswers,
    TileFailure,
    TileResult,
    TileWindow,
)
from geochg.surveying import SurveyTiles
from geochg.tiling.addresses import is_signed, refusal
from geochg.tiling.layout import Layout
from geochg.tiling.pair import RasterPair, nothing_valid, place_pair, tiles_of
from geochg.tiling.preparation import Preparation, Step, prepare
from geochg.tiling.read import ReadPlan, read_ahead
from geochg.tiling.source import gdal_settings
from geochg.voting import voted, voted_heat
from geochg.writers.heatmap import write_heatmap
from geochg.writers.layers import write_features
from geochg.writers.staging import Staging

if TYPE_CHECKING:
    import geopandas as gpd


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
    model: ChangeModel | None = None,
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
        model: What `load_chosen` gave for these options, to be used for several pairs one after
            another; loaded when None.

    Returns:
        The features, in memory, and what is known about the run.

    Raises:
        InputError: If a raster, the area or an output cannot be used.
        OptionError: If an option makes no sense for the pair.
        ModelError: If the model is unknown, broken or does not fit the pair.
        TilesFailedError: If tiles could not be read or answered and the options do not allow it,
            or too many in a row fail for good; nothing is written, the journal is kept.
        RunError: If the run fails otherwise.
        CancelledRunError: If it was cancelled; the journal is kept.
    """
    options = options or AnalyzeOptions()
    outputs = outputs or Outputs()
    area = [file_of(options.aoi)] if options.aoi else []
    outputs.check([os.fspath(before), os.fspath(after), *area], options)
    with gdal_settings():
        # What is wrong with the images is said before a model is loaded or asked.
        placed = place_pair(before, after, options)
        tiles_of(placed.grid, options)
    if model is None:
        model = load_chosen(options)
    check_classes(options, model)
    check_sensitivity(options, model)
    with gdal_settings():
        pair = placed.with_bands(options, model.capabilities.bands)
        outputs.check(pair.files(), options)
        run = _Run(pair, options, outputs, model, listener, cancel or Flag())
        with _journal(run) as journal:
            failures = run.answer_tiles(journal)
            run.refuse_failures(failures)
            result = run.finish(journal, failures)
            journal.remove()
    return result


def reading_threads(options: AnalyzeOptions) -> int:
    """Threads that read ahead of the model."""
    return options.workers or min(4, os.cpu_count() or 1)


def _journal(run: _Run) -> Journal:
    paths = run.outputs.paths()
    facts = fingerprint(run.pair, run.options, run.model, heatmap=run.outputs.heatmap is not None)
    path = journal_path(paths[0]) if paths else None
    classes = {*CLASSES, *run.model.capabilities.classes}
    resume = run.options.resume
    journal = Journal.begin(path, run.layout, facts, resume=resume, classes=classes)
    if not journal.has_locks:
        text = f"the folder of {path} has no file locks: start no other run with this output"
        run.listener(Notice(text, warning=True))
    return journal


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
        self._say_gaps(tallies)
        self.listener(Progress("write", 0, 1))
        settings = FeatureSettings(
            self.options.geometry,
            self.options.min_confidence,
            self.options.min_area_m2,
            least_size_px(self.pair.facts.pixel_area_m2),
            self.options.classes,
        )
        results = journal.results()
        features, in_tiles = changes_of(
            voted(results) if self.options.vote else results, self.pair.grid, settings
        )
        facts = metadata(
            self.pair,
            self.options,
            self.model,
            self.questions,
            _kept_preparation(journal) or Preparation(),
            tallies,
            failures,
        )
        facts["caption"] = layer_caption(features, facts["not_seen_m2"])
        with Staging(overwrite=self.options.overwrite) as staging:
            self._stop_if_cancelled()
            if self.outputs.features is not None:
                layer = self.options.layer
                with staging.write(self.outputs.features, layer) as path:
                    write_features(features, path, facts, layer=layer)
            if self.outputs.tiles is not None:
                tiles = tile_features(
                    journal.results(),
                    self.pair.grid,
                    failures=failures,
                    skipped=journal.skipped(),
                    in_tiles=in_tiles,
                )
                layer = self.options.tiles_layer
                with staging.write(self.outputs.tiles, layer) as path:
                    write_features(tiles, path, facts, layer=layer)
            if self.outputs.heatmap is not None:
                self._write_heatmap(journal, staging, facts)
            self._stop_if_cancelled()
            staging.commit()
        self.listener(Progress("write", 1, 1))
        return ChangeResult(features, facts, self.outputs)

    def _write_heatmap(self, journal: Journal, staging: Staging, facts: Mapping[str, Any]) -> None:
        """Writes the heatmap as the before raster lies, so that it lies pixel on pixel on it."""
        if self.outputs.heatmap is None:
            return
        heat = voted_heat(journal.results()) if self.options.vote else journal.heat()
        turn, grid = self.pair.turn_to_before, self.pair.grid
        height_px, width_px = grid.shape
        blocks = turn.blocks(heat, (height_px, width_px))
        with staging.write(self.outputs.heatmap) as path:
            write_heatmap(blocks, turn.grid(grid), path, facts)

    def _say_gaps(self, tallies: Tallies) -> None:
        """Tells of tiles that were answered only in part, or in words that make no sense."""
        gaps = {
            "no answer came to one of the questions": tallies.incomplete,
            "an answer made no sense": tallies.unparsed,
        }
        for gap, count in gaps.items():
            if count:
                text = f"in {count} of {tallies.read} tiles {gap}; --tiles FILE tells which"
                self.listener(Notice(text, warning=True))

    def _preparation(self, journal: Journal) -> Preparation:
        """The measurements of this run: made once, kept in the journal, said."""
        known = _kept_preparation(journal)
        if known is not None:
            return known
        for remark in self.pair.remarks:
            self.listener(remark.notice())
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
        for remark in found.remarks():
            self.listener(remark.notice())
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
        known = None if kept is None else _tile_numbers(kept, journal, len(self.layout))
        read = partial(self._read, plan)
        most = self.model.capabilities.survey_tiles
        survey = SurveyTiles(self.pair, self.layout, read, self.listener, known, most)
        with naming(self.model):
            self.model.survey(self.pair.facts, survey)
        if kept is None:
            journal.keep_measured("survey", {"tiles": survey.used})

    def _read(
        self, plan: ReadPlan, windows: Iterable[TileWindow]
    ) -> Generator[Tile | TileFailure, None, None]:
        """Tiles read ahead, until cancelled."""
        with closing(read_ahead(plan, windows, reading_threads(self.options))) as read:
            for tile in read:
                self._stop_if_cancelled()
                if isinstance(tile, TileFailure):
                    self._stop_if_expired()
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
            elif failure := lacking(tile, given):
                failures.append(failure)
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
        pixel_area_m2 = self.pair.facts.pixel_area_m2
        return CellSettings(
            geometry=self.options.geometry,
            classes=self.options.classes,
            heat=self.outputs.heatmap is not None and not self.options.vote,
            ballot=self.options.vote,
            sensitivity=self.options.sensitivity,
            # A least area that was given is held against whole features only.
            least_px=least_size_px(pixel_area_m2) if self.options.min_area_m2 is None else 0,
            pixel_area_m2=pixel_area_m2,
        )

    def _step(self, stage: str) -> Step:
        def step(done: int, total: int) -> None:
            self._stop_if_cancelled()
            self.listener(Progress(stage, done, total))

        return step

    def _stop_if_expired(self) -> None:
        """Ends the run where no tile can be read any more.

        Raises:
            RunError: If a signed address is not taken any more.
        """
        for source in (self.pair.before, self.pair.after):
            if is_signed(source.path) and (code := refusal(source.path)):
                raise RunError(
                    f"the server takes the signed address of {without_secrets(source.path)} no"
                    f" more (HTTP {code}): it has most likely expired",
                    "sign it anew, and run again with the fresh address and --resume; what is"
                    " done is kept",
                )

    def _stop_if_cancelled(self) -> None:
        if self.cancel.is_set():
            raise CancelledRunError("cancelled", "run again with --resume to go on")


def _kept_preparation(journal: Journal) -> Preparation | None:
    """What was measured before the first tile; None where nothing was yet.

    Raises:
        InputError: If the journal is damaged.
    """
    known = journal.measured("preparation")
    try:
        return None if known is None else Preparation.from_dict(known)
    except ValueError as error:
        raise journal.damaged(str(error)) from error


def _tile_numbers(kept: Mapping[str, Any], journal: Journal, total: int) -> list[int]:
    """The tiles that a model surveyed.

    Raises:
        InputError: If the journal is damaged.
    """
    tiles = kept.get("tiles")
    if not isinstance(tiles, list) or not all(type(n) is int and 0 <= n < total for n in tiles):
        raise journal.damaged("it does not say which tiles were surveyed")
    return tiles
