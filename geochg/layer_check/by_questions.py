"""A layer judged by a model that is asked in words: once for each polygon, by yes or no."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geochg.class_list import ClassList
from geochg.errors import RunError
from geochg.events import Listener, Progress
from geochg.files.digest import sha256_of
from geochg.files.sidecars import file_states, files_behind
from geochg.geometry.grid_cells import grid_box
from geochg.geometry.vector_file import file_of
from geochg.layer_check.answer_file import AnswerFile
from geochg.layer_check.crops import SIDE_PX, shown_crop
from geochg.layer_check.findings import Findings, objects_of
from geochg.layer_check.input_layer import InputLayer, on_lattice
from geochg.layer_check.options import CheckOptions
from geochg.models.base import ChangeModel, backend_errors
from geochg.models.devices import processors
from geochg.options import AlignMode
from geochg.records import (
    GRID_CELLS,
    Label,
    PixelWindow,
    SceneAnswers,
    SceneQuestions,
    Tile,
    TileFailure,
    TileWindow,
)
from geochg.tasks.scene import PRESENCE_PROMPT
from geochg.tiling.layout import Layout
from geochg.tiling.pair import RasterPair, nothing_valid
from geochg.tiling.preparation import prepare
from geochg.tiling.read import ReadPlan, read_ahead
from geochg.tiling.sample import sample_values

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

OUTLINE_PROMPT = (
    "A red outline marks a place in this aerial image. Does the place inside the red outline show "
    "any {things}? Please answer yes or no."
)
"""The question about a polygon."""

CONTEXT = 2.0
"""Side of the crop around a polygon by the longest side of the polygon, for models that are asked
in words; others are shown little else than the polygon."""

_TIGHT = 1.2
_LEAST_CROP_PX, _MOST_CROP_PX = 32, 2048
_LEAST_PX = 4.0
_LEAST_SHARE = 0.6
_GRID_PX = 256


class _Place(NamedTuple):
    """A place that is asked about.

    Attributes:
        key: What its answer is kept under.
        window: What is read.
        polygon: What is outlined, in pixels of the grid; None where all of the crop is meant.
    """

    key: str
    window: PixelWindow
    polygon: BaseGeometry | None


@dataclass(frozen=True)
class QuestionCheck:
    """A layer and an image, of which a model is asked.

    Attributes:
        pair: The image as a pair that is read once.
        layer: The layer.
        layer_text: The name of its file.
        model: A model that answers about single images.
        options: The options of the check.
        answer_path: Where answers are kept until the check is complete; None for nowhere.
        listener: Hears of the progress.
        stop_if_cancelled: Raises where the run was cancelled.
    """

    pair: RasterPair
    layer: InputLayer
    layer_text: str
    model: ChangeModel
    options: CheckOptions
    answer_path: Path | None
    listener: Listener
    stop_if_cancelled: Callable[[], None]

    def findings(self, *, with_missing: bool) -> tuple[Findings, AnswerFile]:
        """What the image tells, and the file of answers, to be removed when all is written.

        Args:
            with_missing: Whether to ask about ground without polygons.

        Raises:
            InputError: If answers of another check are there.
            RunError: If the model gives no answers any more.
        """
        polygons = on_lattice(self.layer, self.pair.grid, 1.0)
        answers = AnswerFile.open(self.answer_path, self._fingerprint(), resume=self.options.resume)
        try:
            is_untold, reasons = self._untold(polygons)
            places = [
                self._place_of(number, polygons[number])
                for number in np.flatnonzero(~is_untold).tolist()
            ]
            self._ask_all(places, answers, self._polygon_questions, "polygons")
            cells = list(self._cells(polygons)) if with_missing else []
            self._ask_all(cells, answers, self._questions(PRESENCE_PROMPT), "tiles")
        finally:
            answers.close()
        labels = [answers.answers.get(f"p{number}", Label(None)) for number in range(len(polygons))]
        reasons["no answer that makes sense"] = sum(
            label.present is None
            for label, untold in zip(labels, is_untold, strict=True)
            if not untold
        )
        missing, likely = self._missing_cells(cells, answers)
        facts = {
            "shift_m": None,
            "shift": None,
            "questions": {"polygon": self._polygon_questions.presence, "cell": PRESENCE_PROMPT},
        }
        probability = np.array([_probability_of(label) for label in labels], np.float64)
        present = np.array([_present(label) for label in labels], np.float64)
        return Findings(present, probability, reasons, missing, likely, facts), answers

    # --- what is asked ----------------------------------------------------------------------------

    @cached_property
    def _is_worded(self) -> bool:
        """Whether the model understands that an outline is meant."""
        return bool(self.model.capabilities.asked_in_words)

    @cached_property
    def _polygon_questions(self) -> SceneQuestions:
        return self._questions(OUTLINE_PROMPT if self._is_worded else PRESENCE_PROMPT)

    def _questions(self, prompt: str) -> SceneQuestions:
        labels = ClassList.of_names((self.options.class_name,), "--class").asked_classes()
        return SceneQuestions(labels, prompt)

    def _place_of(self, number: int, polygon: BaseGeometry) -> _Place:
        """The crop around a polygon, a square."""
        left, top, right, bottom = polygon.bounds
        open_places = max(right - left, bottom - top) * (CONTEXT if self._is_worded else _TIGHT)
        side = math.ceil(min(max(open_places, _LEAST_CROP_PX), _MOST_CROP_PX))
        row, col = (
            math.floor((low + high - side) / 2) for low, high in ((top, bottom), (left, right))
        )
        window = PixelWindow(row, row + side, col, col + side)
        return _Place(f"p{number}", window, polygon if self._is_worded else None)

    def _cells(self, polygons: NDArray[np.object_]) -> Iterator[_Place]:
        """The cells of the 3x3 grids of tiles in which no polygon lies."""
        import shapely

        tree = shapely.STRtree(polygons)
        height_px, width_px = self.pair.grid.shape
        image_window = PixelWindow(0, height_px, 0, width_px)
        for tile in Layout(height_px, width_px, _GRID_PX, 0):
            for number, cell in enumerate(GRID_CELLS):
                window = grid_box(tile.core, cell).cut_to(image_window)
                if window is None:
                    continue
                if len(tree.query(_box(window), predicate="intersects")) == 0:
                    yield _Place(f"c{tile.index}.{number}", window, None)

    def _untold(self, polygons: NDArray[np.object_]) -> tuple[NDArray[np.bool_], dict[str, int]]:
        """Which polygons nothing is asked about, and why, as far as their shapes tell."""
        import shapely

        height_px, width_px = self.pair.grid.shape
        areas = shapely.area(polygons)
        inside = shapely.area(
            shapely.intersection(polygons, shapely.box(0, 0, width_px, height_px))
        )
        is_untold = np.zeros(len(polygons), np.bool_)
        reasons = {}
        for reason, applies in {
            "without a shape, or far off the image": areas == 0,
            "off the image, in whole or in part": inside < _LEAST_SHARE * areas,
            "too small for the pixels": areas < _LEAST_PX,
        }.items():
            reasons[reason] = int(np.count_nonzero(applies & ~is_untold))
            is_untold |= applies
        return is_untold, reasons

    # --- asking -----------------------------------------------------------------------------------

    def _ask_all(
        self, places: Sequence[_Place], answers: AnswerFile, questions: SceneQuestions, stage: str
    ) -> None:
        """Asks about the places that have no answer yet, and keeps batch by batch."""
        open_places = [place for place in places if place.key not in answers.answers]
        finished = len(places) - len(open_places)
        self.listener(Progress(stage, finished, len(places)))
        size = self.model.capabilities.tiles_at_once(SIDE_PX)
        pending: list[tuple[str, Tile]] = []
        with closing(self._crops(open_places)) as crops:
            for number, (place, tile) in enumerate(zip(open_places, crops, strict=True), 1):
                self.stop_if_cancelled()
                if tile is not None:
                    pending.append((place.key, tile))
                else:
                    answers.add({place.key: Label(None)})
                if len(pending) == size or (pending and number == len(open_places)):
                    answers.add(self._answers(pending, questions))
                    pending = []
                self.listener(Progress(stage, finished + number, len(places)))
        if pending:
            answers.add(self._answers(pending, questions))

    def _answers(
        self, pending: Sequence[tuple[str, Tile]], questions: SceneQuestions
    ) -> dict[str, Label]:
        """The answers about some places; those that failed are left out, to be asked again."""
        tiles = [tile for _, tile in pending]
        with backend_errors(self.model):
            replies = self.model.describe(tiles, questions)
        new_answers = {}
        for (key, _), reply in zip(pending, replies, strict=True):
            if isinstance(reply, TileFailure):
                if reply.is_permanent:
                    raise RunError(
                        f"the model gives no answer: {reply.reason}",
                        "what was done is kept: run again with --resume",
                    )
                continue
            (answer,) = reply
            assert isinstance(answer, SceneAnswers)
            new_answers[key] = answer.labels[self.options.class_name]
        return new_answers

    def _crops(self, places: Sequence[_Place]) -> Generator[Tile | None, None, None]:
        """What is shown of each place; None where too little of it has data."""
        windows = [
            TileWindow(number, 0, number, place.window, place.window)
            for number, place in enumerate(places)
        ]
        with closing(read_ahead(self._plan, windows, min(4, processors()))) as tiles:
            for place, tile in zip(places, tiles, strict=True):
                if isinstance(tile, TileFailure):
                    raise RunError(
                        f"a part of the image cannot be read: {tile.reason}",
                        "repair the image, then run again with --resume",
                    )
                yield shown_crop(tile, place.polygon)

    @cached_property
    def _plan(self) -> ReadPlan:
        if set(self.pair.dtypes) != {"uint8"} and not sample_values(self.pair.plan())[0].size:
            raise nothing_valid(self.pair)
        return prepare(self.pair, AlignMode.OFF, pixels="display").plan(self.pair)

    # --- what comes of it -------------------------------------------------------------------------

    def _missing_cells(
        self, cells: Sequence[_Place], answers: AnswerFile
    ) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
        """Cells that show the class, joined where they touch, and the mean of what was measured."""
        import shapely

        cell_labels = [
            (_box(place.window), answers.answers.get(place.key, Label(None))) for place in cells
        ]
        shown_cells = [
            (box, label)
            for box, label in cell_labels
            if _present(label) >= self.options.present_from
        ]
        if not shown_cells:
            return objects_of([]), np.zeros(0)
        boxes = objects_of([box for box, _ in shown_cells])
        joined = list(shapely.get_parts(shapely.union_all(boxes)))
        tree = shapely.STRtree(joined)
        owner, part = tree.query(shapely.centroid(boxes), predicate="within")
        values = np.array([_probability_of(label) for _, label in shown_cells])
        likely = np.full(len(joined), np.nan)
        for number in range(len(joined)):
            cell_values = values[owner[part == number]]
            likely[number] = (
                cell_values.mean()
                if len(cell_values) and not np.isnan(cell_values).any()
                else np.nan
            )
        return objects_of(joined), likely

    def _fingerprint(self) -> str:
        """What tells this check from others whose answers may lie in the same place."""
        source = self.pair.before
        checksum = source.raster.checksum if source.raster is not None else ""
        layer_files = files_behind(file_of(self.layer_text))
        values = {
            "layer": sha256_of(layer_files) if layer_files else self.layer_text,
            "name": self.layer_text.partition("|")[2],
            "image": checksum or file_states(source.files),
            "model": asdict(self.model.identity),
            "class": self.options.class_name,
            "bands": list(self.pair.bands.names),
            "questions": self._polygon_questions.presence,
            "nodata": list(self.options.nodata),
            "keep_collars": self.options.keep_collars,
        }
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _box(window: PixelWindow) -> BaseGeometry:
    import shapely

    return shapely.box(window.col_start, window.row_start, window.col_stop, window.row_stop)


def _probability_of(label: Label) -> float:
    return math.nan if label.probability is None else label.probability


def _present(label: Label) -> float:
    """The probability, or 1 for yes and 0 for no where none was measured."""
    if label.present is None:
        return math.nan
    return float(label.present) if label.probability is None else label.probability
