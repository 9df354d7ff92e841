"""From the journal of a run to its layers and files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochg.classes import CLASSES
from geochg.events import Notice, Progress
from geochg.features.changes import Changes, FeatureSettings, changes_of, layer_caption
from geochg.features.layer import ChangePeriod, FeatureLayer
from geochg.features.tiles import tile_features
from geochg.features.voting import voted_heat, voted_results
from geochg.features.zone_table import ZoneTable
from geochg.features.zones import Zones
from geochg.geometry.placement import table_column
from geochg.pipeline.journal import Journal, Tallies
from geochg.pipeline.journal_file import journal_path
from geochg.pipeline.journal_kinds import CHANGES, CHANGES_OF_OUTLINES, RecordKind, ResultT
from geochg.pipeline.judging import judged_facts
from geochg.pipeline.outputs import Outputs
from geochg.pipeline.provenance import fingerprint, metadata, series_facts, span_facts
from geochg.pipeline.run import Run, kept_preparation
from geochg.pipeline.tokens import token_facts
from geochg.pipeline.zones import zones_seen
from geochg.records import Span, TileFailure
from geochg.report.of_run import contents_of_run
from geochg.report.page import report_page
from geochg.tiling.pair import RasterPair, nothing_valid
from geochg.tiling.preparation import Preparation
from geochg.tiling.series_dates import date_of
from geochg.tiling.source import RasterSource
from geochg.writers.heatmap import write_heatmap
from geochg.writers.layers import write_frames
from geochg.writers.staging import Staging
from geochg.writers.tables import write_table

if TYPE_CHECKING:
    import geopandas as gpd

    from geochg.report.contents import ReportContents


@dataclass(frozen=True)
class ChangeResult:
    """The result of a run.

    Attributes:
        layer: The features, which are not in memory as long as nobody asks for them.
        metadata: The `geochg` member that goes into the outputs: version, model, sources,
            options, alignment, counts of tiles.
        outputs: The files written.
        zones: The zones that changes are summed up in; None where none were named.
    """

    layer: FeatureLayer
    metadata: dict[str, Any]
    outputs: Outputs
    zones: Zones | None = None

    @cached_property
    def sums(self) -> ZoneTable:
        """Numbers and areas of the features, by zone where there are zones."""
        return zone_table(self.layer, self.zones)

    @cached_property
    def features(self) -> gpd.GeoDataFrame:
        """The change layer in the grid's CRS, with the properties of the output contract."""
        return self.layer.frame()


@dataclass(frozen=True)
class AnsweredSpan:
    """Two dates of a run, all of whose tiles were answered, or failed.

    Attributes:
        run: The run of the two dates.
        span: Their numbers.
        journal: Their part of the journal.
        failures: Tiles that failed.
        step: Number of the step of a series, from 1; None for the whole, and for a pair.
    """

    run: Run
    span: Span
    journal: Journal
    failures: Sequence[TileFailure]
    step: int | None = None

    @cached_property
    def tallies(self) -> Tallies:
        """Counts of its tiles."""
        return self.journal.tallies()

    @property
    def period(self) -> ChangePeriod:
        """Its dates, as far as they are known."""
        return period_of_pair(self.run.pair, self.step)

    def facts(self) -> dict[str, Any]:
        """What was measured, read and answered, as plain JSON values."""
        preparation = kept_preparation(self.journal) or Preparation()
        return span_facts(self.run.pair, preparation, self.tallies, self.failures)


def period_of_pair(pair: RasterPair, step: int | None = None) -> ChangePeriod:
    """The dates of a pair, as far as they are known."""
    before, after = (date_of(source).text or None for source in (pair.before, pair.after))
    return ChangePeriod(before, after, step)


def begin_journal(run: Run, between: Sequence[RasterSource] = (), parts: int = 1) -> Journal:
    """The journal of a run, new or gone on with.

    Args:
        run: The run, of the first and the last date.
        between: The dates between these.
        parts: Number of spans that are answered about.

    Raises:
        InputError: If there is one that cannot be gone on with, or a head that does not fit.
        OptionError: If there is one of another run.
    """
    _ = run.judge  # one that does not fit is refused before anything is kept
    able = run.model.capabilities
    classes = {*CLASSES, *able.classes, *run.options.wanted_classes}
    kind = CHANGES_OF_OUTLINES if able.location == "mask" else CHANGES
    return begin_journal_of(run, kind, classes, between, parts)


def begin_journal_of(
    run: Run,
    kind: RecordKind[ResultT],
    classes: Collection[str],
    between: Sequence[RasterSource] = (),
    parts: int = 1,
) -> Journal[ResultT]:
    """The journal of a run whose results are of some kind; see `begin_journal`.

    Args:
        run: The run.
        kind: How results are kept and looked at.
        classes: The classes that its model can name.
        between: As for `begin_journal`.
        parts: As for `begin_journal`.

    Raises:
        InputError: As `begin_journal`.
        OptionError: As `begin_journal`.
    """
    paths = run.outputs.paths()
    has_heat = run.outputs.heatmap is not None
    facts = fingerprint(run.pair, run.options, run.model, heatmap=has_heat, between=between)
    path = journal_path(paths[0]) if paths else None
    journal: Journal[ResultT] = Journal.begin(
        path, run.layout, facts, resume=run.options.resume, classes=classes, parts=parts, kind=kind
    )
    if not journal.has_locks:
        text = f"the folder of {path} has no file locks: start no other run with this output"
        run.listener(Notice(text, warning=True))
    return journal


def finish(
    spans: Sequence[AnsweredSpan],
    sources: Sequence[RasterSource],
    *,
    zones: Zones | None = None,
    together: bool = False,
) -> ChangeResult:
    """Merges the finished tiles into layers and writes them.

    Args:
        spans: What was answered; the last is the pair, or the whole series.
        sources: The images, the earliest first.
        zones: Zones that changes are summed up in.
        together: Whether the model was shown all dates at once.

    Raises:
        InputError: If two dates have no valid pixel in common.
        GeochgError: If a file cannot be written, or the run was cancelled.
    """
    for span in spans:
        if not span.tallies.read and not span.failures:
            raise nothing_valid(span.run.pair)
        span.run.tell_gaps(span.tallies)
    run = spans[-1].run
    run.listener(Progress("write", 0, 1))
    layer = _new_layer(spans)
    changes = [_changes(span, layer, number) for number, span in enumerate(spans)]
    facts = metadata(run.pair, run.options, run.model, run.questions, spans[-1].facts())
    facts["caption"] = layer_caption(layer, facts["not_seen_m2"])
    facts |= squared_facts(changes[-1])
    facts |= token_facts(span.journal for span in spans)
    facts |= judged_facts(span.run.judge for span in spans)
    if unmeasured := run.tell_unmeasured(layer):
        facts["confidence"] = unmeasured
    if len(sources) > 2:
        facts["series"] = series_facts(
            sources, _step_facts(spans, layer, changes), together=together
        )
    if zones is not None:
        zones = _zones_of_spans(spans, zones)
        facts["zones"] = zones.facts
    result = ChangeResult(layer, facts, run.outputs, zones)
    write_outputs(
        run,
        facts,
        layer.frames(),
        lambda: _tiles(spans, changes),
        lambda path: _write_heatmap(run, spans[-1].journal, path, facts),
        lambda: contents_of_run(
            layer.frames,
            facts,
            sources,
            run.pair.grid,
            run.options,
            None if zones is None else result.sums.rows(),
        ),
        lambda: result.sums,
    )
    run.listener(Progress("write", 1, 1))
    return result


def zone_table(layer: FeatureLayer, zones: Zones | None = None) -> ZoneTable:
    """Numbers and areas of the features of a layer, by zone where there are zones."""
    table = ZoneTable(zones, layer.periods)
    for frame in layer.frames():
        table.add(frame)
    return table


def _zones_of_spans(spans: Sequence[AnsweredSpan], zones: Zones) -> Zones:
    """The zones of which some was seen in a span; others are told to be left out."""
    unseen = [
        {tile.index: tile for tile in span.journal.skipped_tiles()}
        | {failure.window.index: failure.window for failure in span.failures}
        for span in spans
    ]
    indices = set(unseen[0]).intersection(*unseen[1:])
    run = spans[-1].run
    tiles = [unseen[0][index] for index in sorted(indices)]
    zones = zones_seen(zones, run.pair.grid, run.pair.area, tiles)
    for remark in zones.remarks:
        run.listener(Notice(remark, warning=True))
    return zones


def _new_layer(spans: Sequence[AnsweredSpan]) -> FeatureLayer:
    """A layer for the features of all spans."""
    run, periods = spans[-1].run, [span.period for span in spans]
    return FeatureLayer(run.pair.grid, periods, is_judged=run.judge is not None)


def _changes(span: AnsweredSpan, layer: FeatureLayer, number: int) -> Changes:
    run = span.run
    settings = FeatureSettings.of(
        run.options,
        run.pair.facts.pixel_area_m2,
        keeps_names=run.model.capabilities.keeps_names,
        judge=run.judge,
    )
    results = run.until_cancelled(span.journal.results())
    results = voted_results(results) if run.options.vote else results
    changes = changes_of(results, run.pair.grid, settings, layer, number)
    features = sum(total.features for total in layer.totals(number))
    run.tell_dropped(span.tallies, features)
    if run.options.regularize and run.model.capabilities.location != "mask":
        text = "--regularize squares outlines, and this model gives none, but cells of a grid"
        run.listener(Notice(text, warning=True))
    return changes


def squared_facts(changes: Changes) -> dict[str, Any]:
    """What the outputs say of buildings that were squared, where they were to be."""
    return {} if changes.squared is None else {"regularized": changes.squared.facts()}


def _step_facts(
    spans: Sequence[AnsweredSpan], layer: FeatureLayer, changes: Sequence[Changes]
) -> Iterator[dict[str, Any]]:
    """The facts of each step of a series."""
    for number, span in enumerate(spans[:-1]):
        facts = span.facts()
        caption = layer_caption(layer, facts["not_seen_m2"], number)
        squared = squared_facts(changes[number])
        yield {**span.period._asdict(), **facts, "caption": caption, **squared}


def write_outputs(
    run: Run,
    facts: Mapping[str, Any],
    frames: Iterable[gpd.GeoDataFrame],
    tiles: Callable[[], gpd.GeoDataFrame],
    write_heat: Callable[[Path], None] | None = None,
    report: Callable[[], ReportContents] | None = None,
    sums: Callable[[], ZoneTable] | None = None,
) -> None:
    """Writes the files of a run, all or none.

    Args:
        run: The run.
        facts: The `geochg` member of the files.
        frames: The layer of features, table by table.
        tiles: A function that makes the layer of tiles.
        write_heat: A function that writes the heatmap, if there is one.
        report: A function that puts together what the report shows.
        sums: A function that sums the features up, if tables may be wanted.

    Raises:
        GeochgError: If a file cannot be written, or the run was cancelled.
    """
    options, outputs = run.options, run.outputs
    with Staging(overwrite=options.overwrite) as staging:
        run.stop_if_cancelled()
        if outputs.features is not None:
            with staging.write(outputs.features, options.layer) as path:
                write_frames(run.until_cancelled(frames), path, facts, layer=options.layer)
        if outputs.tiles is not None:
            with staging.write(outputs.tiles, options.tiles_layer) as path:
                write_frames([tiles()], path, facts, layer=options.tiles_layer)
        if outputs.heatmap is not None and write_heat is not None:
            with staging.write(outputs.heatmap) as path:
                write_heat(path)
        if outputs.report is not None and report is not None:
            page = report_page(report(), run.stop_if_cancelled)
            with staging.write(outputs.report) as path:
                path.write_bytes(page)
        if sums is not None:
            _write_tables(run, staging, sums)
        run.stop_if_cancelled()
        staging.commit()


def _write_tables(run: Run, staging: Staging, sums: Callable[[], ZoneTable]) -> None:
    """Writes the tables of numbers and areas that are wanted."""
    if run.outputs.table is not None:
        with staging.write(run.outputs.table) as path:
            write_table(sums().from_to(), path)
    if run.outputs.zones_table is not None:
        with staging.write(run.outputs.zones_table) as path:
            write_table(sums().rows(), path)


def _tiles(spans: Sequence[AnsweredSpan], changes: Sequence[Changes]) -> gpd.GeoDataFrame:
    """One feature a tile; of a series one for each span, which then stands in it."""
    frames = [
        tile_features(
            span.journal.results(),
            span.run.pair.grid,
            failures=span.failures,
            skipped=span.journal.skipped_tiles(),
            in_tiles=span_changes.in_tiles,
        )
        for span, span_changes in zip(spans, changes, strict=True)
    ]
    return frames[0] if len(frames) == 1 else joined_tiles(frames, changes[-1].layer.periods)


def joined_tiles(
    frames: Sequence[gpd.GeoDataFrame], periods: Sequence[ChangePeriod]
) -> gpd.GeoDataFrame:
    """The tiles of all spans of a series in one table.

    Columns: those of `tile_features`, with `from_date`, `to_date` and `step` behind `tile`.
    """
    import pandas as pd

    dtypes = {"from_date": "string", "to_date": "string", "step": "Int64"}
    for frame, period in zip(frames, periods, strict=True):
        for place, (name, dtype) in enumerate(dtypes.items(), start=1):
            values = [getattr(period, name)] * len(frame)
            frame.insert(place, name, table_column(values, dtype))
    counts = sorted({name for frame in frames for name in frame if name.startswith("count_")})
    for frame in frames:
        for name in counts:
            if name not in frame:
                frame[name] = table_column([None] * len(frame), "Int64")
    others = [name for name in frames[0] if name not in (*counts, "geometry")]
    columns = [*others, *counts, "geometry"]
    return pd.concat([frame[columns] for frame in frames], ignore_index=True)


def _write_heatmap(run: Run, journal: Journal, path: Path, facts: Mapping[str, Any]) -> None:
    """Writes the heatmap as the before raster lies, so that it lies pixel on pixel on it."""
    heat = voted_heat(journal.results()) if run.options.vote else journal.heat()
    turn, grid = run.pair.turn_to_before, run.pair.grid
    height_px, width_px = grid.shape
    write_heatmap(turn.blocks(heat, (height_px, width_px)), turn.grid(grid), path, facts)
