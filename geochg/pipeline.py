"""The whole way from two files to a layer: joins the stages and says how far it is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

from geochg import __version__
from geochg.cells import CellSettings, tile_result
from geochg.errors import CancelledRunError, TilesFailedError
from geochg.events import Listener, Notice, Progress, ignore
from geochg.features.changes import FeatureSettings, change_features
from geochg.features.tiles import tile_features
from geochg.journal import Journal, journal_path
from geochg.models.base import ChangeModel
from geochg.models.registry import load_model
from geochg.options import AnalyzeOptions
from geochg.records import PixelWindow, Question, Task, Tile, TileFailure, TileResult
from geochg.tasks import ask
from geochg.tiling.layout import Layout
from geochg.tiling.pair import RasterPair, align, nothing_valid, open_pair, reading_plan
from geochg.tiling.read import ReadPlan, read_ahead
from geochg.writers.heatmap import HEATMAP_SUFFIXES, write_heatmap
from geochg.writers.layers import LAYER_SUFFIXES, write_features
from geochg.writers.staging import Output, Staging, check_outputs

if TYPE_CHECKING:
    import geopandas as gpd
    import numpy as np
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

SURVEY_TILES = 256
"""Most tiles a model is shown before the first is answered."""

BATCH_TILES = 16
"""Tiles answered in one call unless the options say otherwise."""

MAPPED_TASKS = (Task.PRESENCE, Task.LOCATE, Task.COUNT, Task.CAPTION)
"""The tasks whose answers become features, in the order they are asked."""


@dataclass(frozen=True)
class Outputs:
    """The files a run writes; each is optional.

    Attributes:
        features: The change layer; its suffix chooses the format.
        tiles: A layer of one feature a tile.
        heatmap: The probability of change on the grid, a Cloud-Optimised GeoTIFF.
    """

    features: Path | None = None
    tiles: Path | None = None
    heatmap: Path | None = None

    def paths(self) -> list[Path]:
        """Those that were asked for."""
        return [path for path in (self.features, self.tiles, self.heatmap) if path is not None]


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
        cancel: When set, the run stops at the next batch of tiles.

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
    _check_outputs(outputs, (os.fspath(before), os.fspath(after)))
    model = load_model(options.model, options.model_options, options.device)
    pair = open_pair(before, after, options, model.capabilities.bands)
    layout = pair.layout(options)
    run = _Run(options, outputs, model, layout, listener, cancel or Flag())
    fingerprint = run.fingerprint(pair)
    journal_file = journal_path(outputs.paths()[0]) if outputs.paths() else None
    with Journal.begin(journal_file, layout, fingerprint, resume=options.resume) as journal:
        pair = run.align(pair)
        failures = run.answer_tiles(pair, journal)
        if not failures and not any(True for _ in journal.results()):
            journal.remove()
            raise nothing_valid(pair)
        run.refuse_failures(failures)
        result = run.finish(pair, journal, failures)
        journal.remove()
    return result


def mapped_questions(model: ChangeModel) -> list[Question]:
    """What a model is asked about every tile: the tasks that become features and that it knows."""
    return [ask(task) for task in MAPPED_TASKS if task in model.capabilities.tasks]


def reading_threads(options: AnalyzeOptions) -> int:
    """Threads that read ahead of the model."""
    return options.workers or min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class _Run:
    """What every step of one run needs."""

    options: AnalyzeOptions
    outputs: Outputs
    model: ChangeModel
    layout: Layout
    listener: Listener
    cancel: Flag

    def fingerprint(self, pair: RasterPair) -> dict[str, Any]:
        """What a journal must have in common with this run to be resumed."""
        return {
            "version": __version__,
            "before": _file_state(pair.before.path),
            "after": _file_state(pair.after.path),
            "model": _model_facts(self.model),
            "options": self.options.provenance(),
            "area of interest": _file_state(self.options.aoi or ""),
            "heatmap": self.outputs.heatmap is not None,
        }

    def align(self, pair: RasterPair) -> RasterPair:
        """The pair with its residual shift measured, and said."""
        if pair.bands.note:
            self.listener(Notice(pair.bands.note, warning=True))
        pair = align(pair, self.options.align)
        if pair.shift is not None and pair.shift.worth_correcting:
            done = "corrected" if pair.corrected else "not corrected"
            text = f"the dates lie {pair.shift.magnitude_px:.1f} px apart ({done})"
            self.listener(Notice(text, warning=not pair.corrected))
        return pair

    def answer_tiles(self, pair: RasterPair, journal: Journal) -> list[TileFailure]:
        """Reads and answers the tiles the journal does not hold; gives those that failed."""
        done = journal.done()
        windows = [window for window in self.layout if window.index not in done]
        if not windows:
            return []
        plan = reading_plan(pair, self.model.capabilities.pixels, self.options.match)
        self._survey(pair, plan)
        failures: list[TileFailure] = []
        finished = len(done)
        self.listener(Progress("tiles", finished, len(self.layout)))
        read = read_ahead(plan, windows, reading_threads(self.options))
        try:
            for batch in _batches(read, self.options.batch_size or BATCH_TILES):
                self._stop_if_cancelled()
                failures += self._answer_batch(batch, journal)
                finished += len(batch)
                self.listener(Progress("tiles", finished, len(self.layout)))
        finally:
            read.close()
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

    def finish(
        self, pair: RasterPair, journal: Journal, failures: Sequence[TileFailure]
    ) -> ChangeResult:
        """Merges the finished tiles into layers and writes them."""
        self.listener(Progress("write", 0, 1))
        settings = FeatureSettings(
            self.options.geometry, self.options.min_confidence, self.options.min_area_m2
        )
        features = change_features(journal.results(), pair.grid, settings)
        metadata = self._metadata(pair, journal, failures)
        with Staging() as staging:
            if self.outputs.features is not None:
                with staging.write(self.outputs.features) as path:
                    write_features(features, path, metadata)
            if self.outputs.tiles is not None:
                skipped = journal.skipped()
                tiles = tile_features(
                    journal.results(), pair.grid, failures=failures, skipped=skipped
                )
                with staging.write(self.outputs.tiles) as path:
                    write_features(tiles, path, metadata, layer="tiles")
            if self.outputs.heatmap is not None:
                with staging.write(self.outputs.heatmap) as path:
                    write_heatmap(_heat_blocks(journal), pair.grid, path, metadata)
            staging.commit()
        self.listener(Progress("write", 1, 1))
        return ChangeResult(features, metadata, self.outputs)

    def _survey(self, pair: RasterPair, plan: ReadPlan) -> None:
        windows = self.layout.spread(SURVEY_TILES) if self.model.capabilities.surveys else []
        read = read_ahead(plan, windows, reading_threads(self.options))
        try:
            self.model.survey(pair.facts, self._survey_tiles(read, len(windows)))
        finally:
            read.close()

    def _survey_tiles(self, read: Iterable[Tile | TileFailure], total: int) -> Iterator[Tile]:
        for done, tile in enumerate(read):
            self._stop_if_cancelled()
            self.listener(Progress("survey", done, total))
            if isinstance(tile, Tile) and tile.valid.any():
                yield tile

    def _answer_batch(
        self, batch: Sequence[Tile | TileFailure], journal: Journal
    ) -> list[TileFailure]:
        """Answers one batch and commits it; failures stay out of the journal, to be retried."""
        failures = [tile for tile in batch if isinstance(tile, TileFailure)]
        read = [tile for tile in batch if isinstance(tile, Tile)]
        asked = [tile for tile in read if _has_core(tile)]
        skipped = [tile.window for tile in read if not _has_core(tile)]
        results: list[TileResult] = []
        answers = self.model.answer(asked, mapped_questions(self.model)) if asked else []
        for tile, answer in zip(asked, answers, strict=True):
            if isinstance(answer, TileFailure):
                failures.append(answer)
            else:
                results.append(tile_result(tile, answer, self._cell_settings()))
        journal.add(results, skipped)
        return failures

    def _cell_settings(self) -> CellSettings:
        return CellSettings(
            geometry=self.options.geometry,
            classes=self.options.classes,
            heat=self.outputs.heatmap is not None,
        )

    def _stop_if_cancelled(self) -> None:
        if self.cancel.is_set():
            raise CancelledRunError("cancelled", "run again with --resume to go on")

    def _metadata(
        self, pair: RasterPair, journal: Journal, failures: Sequence[TileFailure]
    ) -> dict[str, Any]:
        """The `geochg` member of the outputs; nothing in it differs between equal runs."""
        results = list(_without_pixels(journal.results()))
        return {
            "version": __version__,
            "model": _model_facts(self.model),
            "questions": {
                question.task: question.text for question in mapped_questions(self.model)
            },
            "sources": {"before": pair.before.to_dict(), "after": pair.after.to_dict()},
            "options": self.options.provenance(),
            "bands": list(pair.bands.names),
            "grid": _grid_facts(pair.grid),
            "alignment": pair.alignment(),
            "tiles": {
                "total": len(self.layout),
                "read": len(results),
                "changed": sum(changed for changed, _ in results),
                "unparsed": sum(unparsed for _, unparsed in results),
                "skipped": len(journal.skipped()),
                "failed": len(failures),
            },
            "failed_tiles": {failure.window.name: failure.reason for failure in failures},
        }


def _check_outputs(outputs: Outputs, inputs: Iterable[str]) -> None:
    layers = [path for path in (outputs.features, outputs.tiles) if path is not None]
    rasters = [outputs.heatmap] if outputs.heatmap is not None else []
    check_outputs(
        [
            *(Output(path, LAYER_SUFFIXES) for path in layers),
            *(Output(path, HEATMAP_SUFFIXES) for path in rasters),
        ],
        [Path(name) for name in inputs],
    )


def _file_state(name: str) -> dict[str, Any]:
    """What tells that a file is still the same; only the name when it is no local file."""
    try:
        state = Path(name).stat()
    except (OSError, ValueError):
        return {"path": name}
    return {"path": name, "size_bytes": state.st_size, "modified_ns": state.st_mtime_ns}


def _model_facts(model: ChangeModel) -> dict[str, Any]:
    return asdict(model.identity)


def _grid_facts(grid: GeoBox) -> dict[str, Any]:
    height_px, width_px = grid.shape
    return {
        "crs": str(grid.crs),
        "transform": list(grid.transform[:6]),
        "width_px": width_px,
        "height_px": height_px,
    }


def _has_core(tile: Tile) -> bool:
    return bool(tile.valid[tile.window.core.slices_within(tile.window.read)].any())


def _batches(tiles: Iterable[Tile | TileFailure], size: int) -> Iterator[list[Tile | TileFailure]]:
    iterator = iter(tiles)
    while batch := list(islice(iterator, size)):
        yield batch


def _heat_blocks(journal: Journal) -> Iterator[tuple[PixelWindow, NDArray[np.uint8]]]:
    for result in journal.results():
        if result.heat is not None:
            yield result.window.core, result.heat


def _without_pixels(results: Iterable[TileResult]) -> Iterator[tuple[bool, bool]]:
    """Whether each tile changed and whether an answer of it made no sense."""
    return ((result.changed, bool(result.unparsed)) for result in results)
