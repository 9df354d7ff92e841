"""The whole way from two files to a layer: joins the stages and says how far it is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

from odc.geo.geobox import GeoBox

from geochg.classes import CLASSES
from geochg.events import Listener, Notice, Progress, ignore
from geochg.features.changes import Changes, FeatureSettings, changes_of, layer_caption
from geochg.features.layer import FeatureLayer
from geochg.features.tiles import tile_features
from geochg.features.voting import voted_heat, voted_results
from geochg.geometry.vector_file import file_of
from geochg.models.base import ChangeModel
from geochg.models.loading import check_classes, check_sensitivity, load_configured_model
from geochg.options import AnalyzeOptions
from geochg.pipeline.imagery import pair_for
from geochg.pipeline.journal import Journal
from geochg.pipeline.journal_file import journal_path
from geochg.pipeline.outputs import Outputs
from geochg.pipeline.provenance import fingerprint, metadata
from geochg.pipeline.run import Run, kept_preparation
from geochg.records import TileFailure
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.pair import nothing_valid, place_pair, tiles_of
from geochg.tiling.preparation import Preparation
from geochg.writers.heatmap import write_heatmap
from geochg.writers.layers import write_frames
from geochg.writers.staging import Staging

if TYPE_CHECKING:
    import geopandas as gpd

    from geochg.tiling.raster_input import RasterLike


@dataclass(frozen=True)
class ChangeResult:
    """The result of a run.

    Attributes:
        layer: The features, which are not in memory as long as nobody asks for them.
        metadata: The `geochg` member that goes into the outputs: version, model, sources,
            options, alignment, counts of tiles.
        outputs: The files written.
    """

    layer: FeatureLayer
    metadata: dict[str, Any]
    outputs: Outputs

    @cached_property
    def features(self) -> gpd.GeoDataFrame:
        """The change layer in the grid's CRS, with the properties of the output contract."""
        return self.layer.frame()


def analyze(
    before: RasterLike,
    after: RasterLike,
    options: AnalyzeOptions | None = None,
    *,
    geobox: GeoBox | None = None,
    outputs: Outputs | None = None,
    listener: Listener = ignore,
    cancel: Flag | None = None,
    model: ChangeModel | None = None,
) -> ChangeResult:
    """Finds what changed between two rasters of one place.

    Args:
        before: The earlier raster: the name of anything that GDAL opens, with a CRS; an open
            rasterio dataset; a DataArray whose CRS and grid stand in its `spatial_ref`, as
            rioxarray and odc-geo write it; or a numpy array `(bands, y, x)`, whose masked pixels
            are not valid.
        after: The later raster.
        options: The options of the run; the defaults when None.
        geobox: Grid of the numpy arrays among the two.
        outputs: Files to write. They appear whole when the run is complete; until then a journal
            beside the first of them holds the finished tiles, for `options.resume`.
        listener: A function that is called on the calling thread with progress and notices.
        cancel: A flag; once it is set, the run stops at the next tile.
        model: The model that `load_configured_model` gives for these options; loaded when None.

    Returns:
        The features and the facts about the run.

    Raises:
        InputError: If a raster, the area or an output cannot be used.
        OptionError: If an option makes no sense for the pair.
        ModelError: If the model is unknown, broken or does not fit the pair.
        TilesFailedError: If tiles could not be read or answered and the options do not allow it,
            or too many in a row fail for good; nothing is written, the journal is kept.
        RunError: If the run fails otherwise.
        CancelledRunError: If it was cancelled; the journal is kept.
    """
    options, outputs = options or AnalyzeOptions(), outputs or Outputs()
    area = [file_of(options.aoi)] if options.aoi else []
    names = [os.fspath(date) for date in (before, after) if isinstance(date, str | os.PathLike)]
    outputs.check([*names, *area], options)
    with gdal_settings():
        # What is wrong with the images is said before a model is loaded or asked.
        placed_pair = place_pair(before, after, options, geobox=geobox)
        tiles_of(placed_pair.grid, options)
    model = model or load_configured_model(options)
    check_classes(options, model)
    check_sensitivity(options, model)
    with gdal_settings():
        pair = pair_for(placed_pair, options, model)
        outputs.check(pair.files(), options)
        run = Run(pair, options, outputs, model, listener, cancel or Flag())
        with _begin_journal(run) as journal:
            failures = run.answer_tiles(journal)
            run.refuse_failures(failures)
            result = _finish(run, journal, failures)
            journal.remove()
    return result


def _begin_journal(run: Run) -> Journal:
    paths = run.outputs.paths()
    facts = fingerprint(run.pair, run.options, run.model, heatmap=run.outputs.heatmap is not None)
    path = journal_path(paths[0]) if paths else None
    classes = {*CLASSES, *run.model.capabilities.classes}
    journal = Journal.begin(path, run.layout, facts, resume=run.options.resume, classes=classes)
    if not journal.has_locks:
        text = f"the folder of {path} has no file locks: start no other run with this output"
        run.listener(Notice(text, warning=True))
    return journal


def _finish(run: Run, journal: Journal, failures: Sequence[TileFailure]) -> ChangeResult:
    """Merges the finished tiles into layers and writes them."""
    tallies = journal.tallies()
    if not tallies.read and not failures:
        raise nothing_valid(run.pair)
    run.tell_gaps(tallies)
    run.listener(Progress("write", 0, 1))
    options, pair = run.options, run.pair
    settings = FeatureSettings.of(options, pair.facts.pixel_area_m2)
    results = run.until_cancelled(journal.results())
    changes = changes_of(voted_results(results) if options.vote else results, pair.grid, settings)
    run.tell_dropped(tallies, len(changes.layer))
    preparation = kept_preparation(journal) or Preparation()
    facts = metadata(pair, options, run.model, run.questions, preparation, tallies, failures)
    facts["caption"] = layer_caption(changes.layer, facts["not_seen_m2"])
    _write_outputs(run, journal, failures, changes, facts)
    run.listener(Progress("write", 1, 1))
    return ChangeResult(changes.layer, facts, run.outputs)


def _write_outputs(
    run: Run,
    journal: Journal,
    failures: Sequence[TileFailure],
    changes: Changes,
    facts: Mapping[str, Any],
) -> None:
    """Writes the files of a run, all or none."""
    options, outputs = run.options, run.outputs
    with Staging(overwrite=options.overwrite) as staging:
        run.stop_if_cancelled()
        if outputs.features is not None:
            with staging.write(outputs.features, options.layer) as path:
                frames = run.until_cancelled(changes.layer.frames())
                write_frames(frames, path, facts, layer=options.layer)
        if outputs.tiles is not None:
            tiles = tile_features(
                journal.results(),
                run.pair.grid,
                failures=failures,
                skipped=journal.skipped_tiles(),
                in_tiles=changes.in_tiles,
            )
            with staging.write(outputs.tiles, options.tiles_layer) as path:
                write_frames([tiles], path, facts, layer=options.tiles_layer)
        if outputs.heatmap is not None:
            with staging.write(outputs.heatmap) as path:
                _write_heatmap(run, journal, path, facts)
        run.stop_if_cancelled()
        staging.commit()


def _write_heatmap(run: Run, journal: Journal, path: Path, facts: Mapping[str, Any]) -> None:
    """Writes the heatmap as the before raster lies, so that it lies pixel on pixel on it."""
    heat = voted_heat(journal.results()) if run.options.vote else journal.heat()
    turn, grid = run.pair.turn_to_before, run.pair.grid
    height_px, width_px = grid.shape
    write_heatmap(turn.blocks(heat, (height_px, width_px)), turn.grid(grid), path, facts)
