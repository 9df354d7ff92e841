"""A layer against an image: from the files to the layer with a verdict for each polygon."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import numpy as np

from geochg import __version__
from geochg.errors import CancelledRunError, OptionError
from geochg.events import Listener, Notice, Progress, ignore
from geochg.files.sidecars import files_behind
from geochg.geometry.vector_file import file_of
from geochg.land_cover import COVERS
from geochg.layer_check.answer_file import AnswerFile, answer_path
from geochg.layer_check.by_evidence import EvidenceCheck
from geochg.layer_check.by_questions import QuestionCheck
from geochg.layer_check.column_checks import check_columns
from geochg.layer_check.findings import Findings
from geochg.layer_check.input_layer import (
    BEFORE,
    PROBABILITY,
    VERDICT,
    InputLayer,
    on_lattice,
    read_input_layer,
)
from geochg.layer_check.judgement import PolygonVerdict, verdicts
from geochg.layer_check.options import VERDICT_LAYER, CheckOptions
from geochg.layer_check.verdict_layer import verdict_frame
from geochg.models.base import ChangeModel
from geochg.models.date_cover import CoverLogitsModel
from geochg.models.loading import load_configured_model
from geochg.models.registry import models_of_any_words, models_of_one_image
from geochg.pipeline.imagery import pair_for
from geochg.records import Task
from geochg.safety.untrusted_text import storable
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.image import place_image
from geochg.tiling.pair import PlacedPair, RasterPair
from geochg.tiling.series_dates import date_of
from geochg.writers.checks import Output, check_outputs
from geochg.writers.layer_metadata import grid_facts
from geochg.writers.layers import LAYER_SUFFIXES, NAMED_SUFFIXES, write_features
from geochg.writers.staging import write_output

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from numpy.typing import NDArray

    from geochg.tiling.raster_input import RasterLike


@dataclass(frozen=True)
class LayerCheck:
    """The result of a check.

    Attributes:
        features: The layer's features with their columns, `verdict` and `probability`, and last
            what is missing; in the layer's CRS.
        metadata: The `geochg` member of the output.
        output: The file that was written; None where none was wanted.
    """

    features: GeoDataFrame
    metadata: dict[str, Any]
    output: Path | None


def check_layer(
    layer: str | os.PathLike[str],
    image: RasterLike,
    options: CheckOptions | None = None,
    *,
    before: RasterLike | None = None,
    output: Path | None = None,
    listener: Listener = ignore,
    cancel: Flag | None = None,
    model: ChangeModel | None = None,
) -> LayerCheck:
    """Tells which polygons of a layer an image bears out, and what is missing in the layer.

    Args:
        layer: A vector file of polygons in any CRS; `FILE|layername=NAME` where it has several
            layers.
        image: The raster, as `analyze` takes it.
        options: The options; the defaults when None.
        before: An earlier image: what was not seen there either is not called gone.
        output: The file to write, whole or not at all.
        listener: A function that is called on the calling thread with progress and notices.
        cancel: A flag; once it is set, the run stops at its next step.
        model: The model that the options name; loaded when None.

    Returns:
        The features and the facts about the run.

    Raises:
        InputError: If layer, image or output cannot be used, or lie in different places.
        OptionError: If an option makes no sense, or the model does not know the class.
        ModelError: If the model is unknown or broken.
        RunError: If the run fails otherwise.
        CancelledRunError: If it was cancelled.
    """
    options = options or CheckOptions()
    text = os.fspath(layer)
    columns = (VERDICT, PROBABILITY, *((BEFORE,) if before is not None else ()))
    _check_output(output, text, [image, before], options)
    input_layer = read_input_layer(text, columns, allow_remote=options.allow_remote)
    if output is not None:
        check_columns(input_layer.frame, input_layer.label, output.suffix)
    with gdal_settings():
        placed_images = [
            place_image(i, options.reading()) for i in (image, before) if i is not None
        ]
        # What lies elsewhere is refused before a model is loaded.
        for item, name in zip(placed_images, ("image", "earlier image"), strict=False):
            on_lattice(input_layer, item.grid, 1.0, name)
    model = model or load_configured_model(options.reading())
    _check_class(model, options.class_name)
    with gdal_settings():
        run = _CheckRun(input_layer, text, options, model, listener, cancel or Flag(), output)
        return run.finish(placed_images)


@dataclass(frozen=True)
class _CheckRun:
    """One check: images judged, a layer written."""

    layer: InputLayer
    layer_text: str
    options: CheckOptions
    model: ChangeModel
    listener: Listener
    cancel: Flag
    output: Path | None

    def finish(self, placed_images: list[PlacedPair]) -> LayerCheck:
        """Judges and writes."""
        for text in self.layer.remarks:
            self.listener(Notice(text, warning=True))
        pairs = [pair_for(item, self.options.reading(), self.model) for item in placed_images]
        for remark in pairs[0].remarks:
            self.listener(remark.notice())
        findings, *answer_files = self._findings(pairs[0], self.output)
        before = None
        if len(pairs) > 1:
            further = self.output and self.output.with_name(f"{self.output.name}.before")
            earlier, *kept_before = self._findings(pairs[1], further, with_missing=False)
            before, answer_files = earlier.present, [*answer_files, *kept_before]
        names = verdicts(findings.present, self.options.gone_to, self.options.present_from)
        if before is not None:
            names = _held_against(names, before)
        self._tell(findings)
        frame = verdict_frame(self.layer, names, findings, before, pairs[0].grid)
        metadata = self._metadata(pairs, findings, frame)
        self._write(frame, metadata)
        for answers in answer_files:
            answers.remove()
        return LayerCheck(frame, metadata, self.output)

    def _findings(
        self, pair: RasterPair, output: Path | None, *, with_missing: bool | None = None
    ) -> tuple[Findings, *tuple[AnswerFile, ...]]:
        """What an image tells, and files of answers that are to go when all is written."""
        finds_missing = self.options.missing if with_missing is None else with_missing
        stop = self._stop_if_cancelled
        if _is_asked(self.model):
            path = None if output is None else answer_path(output)
            questions = QuestionCheck(
                *(pair, self.layer, self.layer_text, self.model, self.options),
                *(path, self.listener, stop),
            )
            return questions.findings(with_missing=finds_missing)
        check = EvidenceCheck(pair, self.layer, self.model, self.options, self.listener, stop)
        return (check.findings(with_missing=finds_missing),)

    def _tell(self, findings: Findings) -> None:
        untold = {reason: count for reason, count in findings.reasons.items() if count}
        if untold:
            parts = ", ".join(f"{count:,} {reason}" for reason, count in untold.items())
            self.listener(Notice(f"polygons that cannot be told: {parts}", warning=True))
        shift_m = findings.facts.get("shift_m")
        if shift_m:
            text = f"the layer lies {shift_m:g} m off the image, which is taken into account"
            self.listener(Notice(text, warning=False))

    def _metadata(
        self, pairs: list[RasterPair], findings: Findings, frame: GeoDataFrame
    ) -> dict[str, Any]:
        counts = Counter(frame[VERDICT].tolist())
        sources = [
            {**pair.before.to_dict(), "date": date_of(pair.before).text or None} for pair in pairs
        ]
        facts: dict[str, Any] = storable(
            {
                "version": __version__,
                "model": asdict(self.model.identity),
                "check": {
                    "layer": Path(self.layer.label).name,
                    "class": self.options.class_name,
                    "classes": list(self.model.capabilities.classes),
                    "counts": {str(name): counts[name] for name in PolygonVerdict},
                    "untold": findings.reasons,
                    **findings.facts,
                },
                "sources": {
                    **({"before": sources[1]} if len(sources) > 1 else {}),
                    "image": sources[0],
                },
                "options": self.options.shaping(),
                "grid": grid_facts(pairs[0].grid),
                "bands": list(pairs[0].bands.names),
            }
        )
        # Where readers of other layers look, too.
        facts["shift_m"] = findings.facts.get("shift_m")
        return facts

    def _write(self, frame: GeoDataFrame, metadata: dict[str, Any]) -> None:
        if self.output is None:
            return
        self.listener(Progress("write", 0, 1))
        self._stop_if_cancelled()
        name = self.options.output_layer
        write_output(
            self.output,
            lambda path: write_features(frame, path, metadata, layer=name, in_order=True),
            overwrite=self.options.overwrite,
            layer=name,
        )
        self.listener(Progress("write", 1, 1))

    def _stop_if_cancelled(self) -> None:
        if self.cancel.is_set():
            hint = "run again with --resume to go on"
            if not _is_asked(self.model):
                hint = "nothing was written; run it again"
            raise CancelledRunError("cancelled", hint)


def _held_against(names: list[str], before: NDArray[np.float64]) -> list[str]:
    """Verdicts where an earlier image is known: what was not seen there is not called gone."""
    return [
        PolygonVerdict.CANNOT_TELL if name == PolygonVerdict.GONE and not likely >= 0.5 else name
        for name, likely in zip(names, before.tolist(), strict=True)
    ]


def _is_asked(model: ChangeModel) -> bool:
    """Whether a model is asked about each polygon; others tell the land cover of all ground."""
    return Task.PRESENCE in model.capabilities.tasks_of_one


def _check_class(model: ChangeModel, class_name: str) -> None:
    """Refuses a class that the model does not know, and models that tell no single image."""
    able, others = model.capabilities, ", ".join(_models_that_are_asked()) or "none"
    if _is_asked(model):
        return
    if not isinstance(model, CoverLogitsModel) or able.location != "mask":
        raise OptionError(
            f"the model {model.name} tells nothing of one image",
            f"choose builtin, or one that takes any words: {others}",
        )
    known_classes = [name for name in able.classes if name in COVERS]
    if class_name not in known_classes:
        raise OptionError(
            f"{model.name} knows no class {class_name!r}",
            f"its classes: {', '.join(known_classes)}; models that take any words: {others}",
        )


def _models_that_are_asked() -> list[str]:
    """Names of the models that take any words and answer about one image."""
    names_of_asked = models_of_one_image()
    return [name for name in models_of_any_words() if name in names_of_asked]


def _check_output(
    output: Path | None, layer: str, images: list[RasterLike | None], options: CheckOptions
) -> None:
    if output is None:
        return
    inputs = [Path(file) for file in files_behind(file_of(layer))]
    inputs += [Path(image) for image in images if isinstance(image, str | os.PathLike)]
    check_outputs(
        [Output(output, LAYER_SUFFIXES, options.output_layer)], inputs, overwrite=options.overwrite
    )
    if options.output_layer != VERDICT_LAYER and output.suffix.lower() not in NAMED_SUFFIXES:
        raise OptionError(
            f"there is no place for the layer name {options.output_layer!r}",
            f"leave it out, or write a layer of {' or '.join(NAMED_SUFFIXES)}",
        )
