"""What the images show of the changes of a layer, read anew where verdicts are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geochg.errors import InputError, OptionError
from geochg.events import Event, Listener, Progress
from geochg.features.descriptors import AROUND_PX, PIXEL_SUMS, Descriptors, descriptors
from geochg.models.base import ChangeModel, backend_errors
from geochg.options import AnalyzeOptions
from geochg.pipeline.finish import begin_journal
from geochg.pipeline.outputs import Outputs
from geochg.pipeline.run import Run
from geochg.pipeline.series import placed_dates, runs_of
from geochg.pipeline.verdicts import ReviewedLayer
from geochg.records import Outlines, Question, Task, Tile, TileFailure, TileWindow
from geochg.report.layer_images import LayerImages
from geochg.tasks import ask
from geochg.tiling.gdal import gdal_settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HOW_READ = (
    *("bands", "resolution", "crs", "aoi", "align", "match", "tile_size_px", "overlap_px"),
    *("nodata", "keep_collars", "dates", "sensitivity", "geometry"),
)
"""Options of a run that say how its images are read; its model is named by whoever learns."""


def run_options(
    layer: ReviewedLayer, model: str, model_options: Mapping[str, Any]
) -> AnalyzeOptions:
    """The options with which the images of a layer are read as its run read them.

    Args:
        layer: The layer.
        model: The model, as `--model` takes it.
        model_options: Its own options.

    Raises:
        InputError: If the layer's options make no sense.
    """
    values = layer.metadata.get("options")
    values = values if isinstance(values, Mapping) else {}
    reading_values = {name: values[name] for name in _HOW_READ if values.get(name) is not None}
    try:
        # Whatever their dates say, the run has taken them in this order.
        given_values = {"model": model, "model_options": model_options, "dates_as_given": True}
        return AnalyzeOptions.from_dict({**reading_values, **given_values})
    except OptionError as error:
        raise InputError(
            f"{layer.label} tells options that make no sense: {error.message}",
            "give a layer as geochg wrote it",
        ) from error


def layer_descriptors(
    layer: ReviewedLayer,
    chosen_rows: NDArray[np.bool_],
    options: AnalyzeOptions,
    model: ChangeModel,
    listener: Listener,
    cancel: Flag,
) -> Descriptors:
    """What the images of a layer show of its changes; only tiles that hold wanted ones are read.

    Args:
        layer: The layer.
        chosen_rows: `(n,)` bool, the changes that are wanted.
        options: What `run_options` gave.
        model: The model.
        listener: Called with progress.
        cancel: A flag that stops the work.

    Raises:
        InputError: If an image is gone or another one, or the grid is not that of the run.
        CancelledRunError: If it was cancelled.
    """
    names = _image_names(layer, options)
    with gdal_settings():
        series = placed_dates(names, options, None)
        if series.grid != layer.grid:
            raise InputError(
                f"the images of {layer.label} have another grid than its run had",
                "run geochg analyze on them again, and review that layer",
            )
        quiet = _Quiet(listener)
        runs = runs_of(series, options, Outputs(), model, quiet, cancel)
        polygons = _on_pixels(layer)
        span_of = _spans(layer, len(runs))
        parts: list[tuple[NDArray[np.intp], Descriptors]] = []
        for number, run in enumerate(runs):
            rows = np.flatnonzero(span_of == number)
            if chosen_rows[rows].any():
                parts.append((rows, _of_run(run, polygons[rows], chosen_rows[rows], listener)))
    return _joined(parts, len(layer))


def _image_names(layer: ReviewedLayer, options: AnalyzeOptions) -> list[str]:
    images = LayerImages(layer.metadata, Path(layer.name.file), layer.grid, {}, lambda name: True)
    with gdal_settings():
        sources = images.sources(options)
    found_sources = [source for source in sources if source is not None]
    if len(found_sources) < len(sources) or len(found_sources) < 2:
        reason = images.notes[0].rstrip(".") if images.notes else "it does not name its images"
        raise InputError(
            f"{layer.label} cannot be learned from: {reason}",
            "put the images back where they were, or beside the layer",
        )
    return [source.path for source in found_sources]


def _on_pixels(layer: ReviewedLayer) -> NDArray[np.object_]:
    """`(n,)` the changes in pixels of the grid."""
    inverse = ~layer.grid.affine
    polygons = layer.frame.geometry.to_numpy()
    return np.asarray(
        shapely.transform(
            polygons,
            lambda points: np.column_stack(inverse * (points[:, 0], points[:, 1])),
        ),
        dtype=object,
    )


def _spans(layer: ReviewedLayer, runs: int) -> NDArray[np.int64]:
    """`(n,)` number of the run that each change is of: its step, else the whole."""
    if "step" not in layer.frame or runs == 1:
        return np.full(len(layer), runs - 1, np.int64)
    steps = layer.frame["step"].astype("Float64").fillna(runs).to_numpy(np.float64)
    numbers: NDArray[np.int64] = np.clip(steps.astype(np.int64) - 1, 0, runs - 1)
    return numbers


def _of_run(
    run: Run, polygons: NDArray[np.object_], chosen_rows: NDArray[np.bool_], listener: Listener
) -> Descriptors:
    """The descriptors of the changes between two dates."""
    needs_model = run.model.capabilities.gives_features
    journal = begin_journal(run)
    plan = run.measure(journal) if needs_model else run.prepare(journal).plan(run.pair)
    tree = shapely.STRtree(polygons)
    bounds = shapely.bounds(polygons)
    # A change comes over one that lies around it.
    drawing_order = np.argsort(-shapely.area(polygons), kind="stable")
    windows = [window for window in run.layout if _holds(window, bounds[chosen_rows])]
    total: Descriptors | None = None
    tiles_read = 0
    with closing(run.read_windows(plan, windows)) as tiles:
        for tile in tiles:
            tiles_read += 1
            listener(Progress("tiles", tiles_read, len(windows)))
            if isinstance(tile, TileFailure) or not tile.valid.any():
                continue
            core = tile.window.core
            box = shapely.box(core.col_start, core.row_start, core.col_stop, core.row_stop)
            is_near = np.zeros(len(polygons), bool)
            is_near[tree.query(box)] = True
            rows = np.array([row for row in drawing_order.tolist() if is_near[row]], np.intp)
            features = _dense_features(run, tile) if needs_model else None
            part = descriptors(tile, polygons[rows].tolist(), features)
            total = _joined([(rows, part)], len(polygons), total)
    return total or _joined([], len(polygons))


def _dense_features(run: Run, tile: Tile) -> Any:  # noqa: ANN401
    question: Question = ask(Task.LOCATE)
    question_of_map = Question(question.task, question.text, with_features=True)
    with backend_errors(run.model):
        (answers,) = run.model.answer([tile], [question_of_map])
    if isinstance(answers, TileFailure):
        return None
    outlines = next((answer for answer in answers if isinstance(answer, Outlines)), None)
    return outlines.features() if outlines is not None and outlines.features else None


def _holds(window: TileWindow, bounds: NDArray[np.float64]) -> bool:
    """Whether the core of a tile holds some of what is within bounds, or of what is around it."""
    core, reach = window.core, max(AROUND_PX)
    left, top, right, bottom = bounds.T
    return bool(
        (
            (left - reach < core.col_stop)
            & (right + reach > core.col_start)
            & (top - reach < core.row_stop)
            & (bottom + reach > core.row_start)
        ).any()
    )


def _joined(
    parts: Iterable[tuple[NDArray[np.intp], Descriptors]],
    count: int,
    total: Descriptors | None = None,
) -> Descriptors:
    """Descriptors of some of `count` changes, added to those of all."""
    for rows, part in parts:
        if total is None or total.within.shape[1] < part.within.shape[1]:
            total = Descriptors(*(np.zeros((count, sums.shape[1])) for sums in part))
        if part.within.shape[1] == total.within.shape[1]:
            for sums, added in zip(total, part, strict=True):
                sums[rows] += added
    empty = np.zeros((count, PIXEL_SUMS))
    return total or Descriptors(empty, empty.copy(), np.zeros((count, 0)))


class _Quiet:
    """Passes progress on, but not what analyze has told of the images already."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._listener(event)
