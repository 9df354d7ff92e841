"""A single raster described tile by tile: from the file to a layer of labels, counts and words."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

from odc.geo.geobox import GeoBox

from geochg.errors import OptionError
from geochg.events import Listener, Progress, ignore
from geochg.features.scene_layer import SceneLayer
from geochg.features.scene_results import SceneResult, scene_result
from geochg.features.scenes import merge_scenes, scene_tiles
from geochg.geometry.vector_file import file_of
from geochg.models.base import ChangeModel, backend_errors
from geochg.models.loading import check_classes, check_tells_of_one, load_configured_model
from geochg.options import CHANGES_LAYER, AlignMode, AnalyzeOptions
from geochg.pipeline.finish import begin_journal_of, write_outputs
from geochg.pipeline.imagery import pair_for
from geochg.pipeline.journal import Journal, Tallies
from geochg.pipeline.outputs import Outputs
from geochg.pipeline.provenance import metadata, span_facts
from geochg.pipeline.run import Run, kept_preparation
from geochg.pipeline.scene_records import SCENES
from geochg.pipeline.tokens import token_facts
from geochg.records import SceneAnswers, SceneQuestions, Task, Tile, TileAnswers, TileFailure
from geochg.report.of_run import contents_of_run
from geochg.tasks.scene import scene_questions, usual_labels
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.image import place_image
from geochg.tiling.pair import nothing_valid, tiles_of
from geochg.tiling.preparation import Preparation
from geochg.tiling.series_dates import date_of

if TYPE_CHECKING:
    import geopandas as gpd

    from geochg.tiling.raster_input import RasterLike

SCENES_LAYER = "scenes"
"""The name of the layer of features, where no other is given."""

_FOR_PAIRS = (
    *("clue", "clue_model", "refine", "vote", "in_turn", "min_confidence", "match"),
    *("zones", "zone_name", "regularize", "regularize_share"),
)
"""Options that say something of pairs only."""


@dataclass(frozen=True)
class LabelledScene:
    """The description of a single image.

    Attributes:
        layer: The features, which are not in memory as long as nobody asks for them.
        metadata: The `geochg` member that goes into the outputs.
        outputs: The files written.
    """

    layer: SceneLayer
    metadata: dict[str, Any]
    outputs: Outputs

    @cached_property
    def features(self) -> gpd.GeoDataFrame:
        """The features in the grid's CRS; see `SceneLayer.frame`."""
        return self.layer.frame()


@dataclass(frozen=True)
class SceneRun(Run):
    """A run about a single image, which stands for both dates of its pair."""

    @cached_property
    def scene_questions(self) -> SceneQuestions:
        """What is asked about each tile."""
        labels = self.options.class_list or usual_labels()
        if self.options.classes_file and self.options.classes:
            labels = labels.of_outputs(self.options.classes, self.options.classes_file)
        able = self.model.capabilities.tasks_of_one
        return scene_questions(labels, able, self.options.prompts)

    def _survey(self, plan: object, journal: object) -> None:
        """Single images need no survey."""

    def _ask(self, tiles: Sequence[Tile]) -> list[TileAnswers]:
        with backend_errors(self.model):
            return self.model.describe(tiles, self.scene_questions)

    def _result(self, tile: Tile, answers: TileAnswers) -> SceneResult | TileFailure:
        if isinstance(answers, TileFailure):
            return answers
        with backend_errors(self.model):
            (answer,) = answers
            if not isinstance(answer, SceneAnswers):
                raise TypeError(f"an answer about one image cannot be {answer!r}")
        return scene_result(tile, answer)


def describe(
    image: RasterLike,
    options: AnalyzeOptions | None = None,
    *,
    geobox: GeoBox | None = None,
    outputs: Outputs | None = None,
    listener: Listener = ignore,
    cancel: Flag | None = None,
    model: ChangeModel | None = None,
) -> LabelledScene:
    """Tells what a single raster shows: labels, counts and words, tile by tile.

    Each label of `options.classes` or `options.classes_file` is asked about by yes or no; without
    either, those of geochg's own classes that say what ground they are of. Tiles that share an
    edge and have the same labels become one feature.

    Args:
        image: The raster, as `analyze` takes it.
        options: The options of the run; what is about two dates must be left out.
        geobox: Grid of a numpy array.
        outputs: Files to write, as for `analyze`; there is no heatmap.
        listener: A function that is called on the calling thread with progress and notices.
        cancel: A flag; once it is set, the run stops at the next tile.
        model: The model that `load_configured_model` gives for these options; loaded when None.

    Returns:
        The features and the facts about the run.

    Raises:
        InputError: If the raster, the area or an output cannot be used.
        OptionError: If an option makes no sense, or the model compares two images only.
        GeochgError: Otherwise as `analyze` does.
    """
    options, outputs = _options_of_one(options or AnalyzeOptions()), outputs or Outputs()
    if outputs.heatmap is not None:
        raise OptionError("there is no heatmap of one image", "leave it out")
    if outputs.table is not None or outputs.zones_table is not None:
        raise OptionError("there is no table of changes of one image", "leave it out")
    area = [file_of(options.aoi)] if options.aoi else []
    names = [os.fspath(image)] if isinstance(image, str | os.PathLike) else []
    outputs.check([*names, *area], options, SCENES_LAYER)
    with gdal_settings():
        # What is wrong with the image is said before a model is loaded or asked.
        placed_image = place_image(image, options, geobox=geobox)
        tiles_of(placed_image.grid, options)
    model = model or load_configured_model(_without_prompts(options))
    check_tells_of_one(model, Task.PRESENCE)
    check_classes(options, model)
    with gdal_settings():
        pair = pair_for(placed_image, options, model)
        run = SceneRun(pair, options, outputs, model, listener, cancel or Flag())
        outputs.check(pair.before.files, options, SCENES_LAYER)
        with _begin_journal(run) as journal:
            failures = run.answer_tiles(journal)
            run.refuse_failures(failures)
            scene = _finish(run, journal, failures)
            journal.remove()
    return scene


def _options_of_one(options: AnalyzeOptions) -> AnalyzeOptions:
    """The options as they are for one image.

    Raises:
        OptionError: If one is about two dates.
    """
    for spec in options.specs():
        if spec.name in _FOR_PAIRS and getattr(options, spec.name) != spec.default:
            raise OptionError(f"{spec.flag} is for two dates", "leave it out for one image")
    layer = SCENES_LAYER if options.layer == CHANGES_LAYER else options.layer
    return replace(options, align=AlignMode.OFF, layer=layer)


def _without_prompts(options: AnalyzeOptions) -> AnalyzeOptions:
    """For loading: prompts about one image have other fields than those about two."""
    return replace(options, prompts={})


def _begin_journal(run: SceneRun) -> Journal[SceneResult]:
    return begin_journal_of(run, SCENES, {label.name for label in run.scene_questions.labels})


def _finish(
    run: SceneRun, journal: Journal[SceneResult], failures: Sequence[TileFailure]
) -> LabelledScene:
    """Merges the finished tiles into a layer and writes it."""
    tallies = journal.tallies()
    if not tallies.read and not failures:
        raise nothing_valid(run.pair)
    run.tell_gaps(tallies)
    run.listener(Progress("write", 0, 1))
    layer = SceneLayer(run.pair.grid, date_of(run.pair.before).text or None)
    results = run.until_cancelled(journal.results())
    merge_scenes(results, run.pair.grid, layer, run.options.min_area_m2 or 0.0)
    facts = _facts(run, journal, tallies, failures)
    write_outputs(
        run,
        facts,
        layer.frames(),
        lambda: _tiles(run, journal, failures),
        report=lambda: contents_of_run(
            layer.frames, facts, [run.pair.before], run.pair.grid, run.options
        ),
    )
    run.listener(Progress("write", 1, 1))
    return LabelledScene(layer, facts, run.outputs)


def _facts(
    run: SceneRun,
    journal: Journal[SceneResult],
    tallies: Tallies,
    failures: Sequence[TileFailure],
) -> dict[str, Any]:
    """The `geochg` member of the outputs."""
    preparation = kept_preparation(journal) or Preparation()
    span = span_facts(run.pair, preparation, tallies, failures)
    for name in ("alignment", "matching", "not_seen_m2"):
        del span[name]
    # A tile in which a label is present counts as one that changed elsewhere.
    span["tiles"]["labelled"] = span["tiles"].pop("changed")
    for name in ("not_seen", "incomplete"):
        del span["tiles"][name]
    questions = run.scene_questions
    prompts = {
        Task.PRESENCE: questions.presence,
        Task.COUNT: questions.count,
        Task.CAPTION: questions.caption,
    }
    facts = metadata(run.pair, run.options, run.model, (), span)
    facts["questions"] = {str(task): prompt for task, prompt in prompts.items() if prompt}
    facts |= token_facts([journal])
    facts["labels"] = [label.name for label in questions.labels]
    return facts


def _tiles(
    run: SceneRun, journal: Journal[SceneResult], failures: Sequence[TileFailure]
) -> gpd.GeoDataFrame:
    """One feature a tile."""
    skipped = journal.skipped_tiles()
    return scene_tiles(journal.results(), run.pair.grid, failures=failures, skipped=skipped)
