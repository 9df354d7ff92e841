"""The plan of a run: all it needs, read from the project before it begins, and what it resumes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsProject,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QStandardPaths

from geochg_qgis.i18n import tr
from geochg_qgis.interrupted_runs import InterruptedRun, interrupted_runs, time_now
from geochg_qgis.layers.class_colors import colors_of_result
from geochg_qgis.layers.image_identity import ImageIdentity, images_in_project
from geochg_qgis.layers.layer_source import LayerSource, RasterAccess, RasterOpener
from geochg_qgis.layers.raster_export import EXPORTS, RasterExport
from geochg_qgis.layers.result_layers import ResultOrigin, open_heatmap, open_result
from geochg_qgis.layers.temporal import pair_times
from geochg_qgis.link.errors import LinkError
from geochg_qgis.link.output_paths import (
    free_path,
    path_apart_from,
    path_without_journal,
    result_path,
)
from geochg_qgis.run_estimates import RunExpectation
from geochg_qgis.tasks import BackgroundTask

LAYER, HEATMAP, TIMES = "layer", "heatmap_layer", "times"
"""Keys under which a result holds the layers made of it, and the times of the pair."""


def options_folder() -> str:
    """The folder that files in the options start from: the project's, or the user's."""
    return QgsProject.instance().homePath() or str(Path.home())


@dataclass(frozen=True)
class RunPlan:
    """All that a run needs, read from the project.

    Attributes:
        before: Earlier image.
        after: Later image.
        before_id: Id of the earlier image's layer; empty where it is not in the project.
        after_id: Id of the later image's layer; likewise.
        images: How the two images are known again, the earlier first.
        options: Options of the worker.
        output: Path of the layer to write.
        heatmap: Path of the heatmap to write, or None.
        folder: Folder that files in the options start from.
        notice: Notice for the user before the run begins; may be empty.
        may_exist: Whether the run adds to an output that is there, or replaces it.
        expectation: Time that the run was expected to take; None where that was not known.
        is_project_closed: Whether the project that it was read from was closed.
    """

    before: LayerSource
    after: LayerSource
    before_id: str
    after_id: str
    images: tuple[ImageIdentity, ImageIdentity]
    options: Mapping[str, Any]
    output: Path
    heatmap: Path | None = None
    folder: str = field(default_factory=options_folder)
    notice: str = ""
    may_exist: bool = False
    expectation: RunExpectation | None = None
    is_project_closed: bool = False

    @property
    def title(self) -> str:
        """What it is, for the user."""
        names = " → ".join(image.name for image in self.images)
        return f"{self.output.name}: {names}, {self.options.get('model', '')}"

    def is_like(self, other: RunPlan) -> bool:
        """Whether another run has the same images and options, and would give the same result."""
        mine, others = (
            (
                plan.before.path,
                plan.after.path,
                plan.images,
                {key: value for key, value in plan.options.items() if key != "resume"},
                plan.heatmap is None,
            )
            for plan in (self, other)
        )
        return mine == others

    def apart_from(self, outputs: Iterable[Path]) -> RunPlan:
        """The plan, writing to a path that is none of those of other runs."""
        path = path_apart_from(self.output, outputs)
        return self if path == self.output else replace(self, output=path)

    def interrupted(self, opener: RasterOpener) -> InterruptedRun:
        """The run as it is recorded until it is done."""
        options = {key: value for key, value in self.options.items() if key != "resume"}
        rasters = self.before.identity(opener), self.after.identity(opener)
        return InterruptedRun(
            self.output,
            self.heatmap,
            self.may_exist,
            any(raster[1] == EXPORTS.session for raster in rasters),
            self.images,
            rasters,
            json.loads(json.dumps(options)),
            self.folder,
            time_now(),
        )

    def waiting(self, opener: RasterOpener) -> InterruptedRun:
        """The run as it is kept while it waits, of which nothing is done."""
        return replace(self.interrupted(opener), begin_time="")

    @classmethod
    def of_interrupted(cls, run: InterruptedRun) -> RunPlan:
        """The plan that goes on with a run; its images are added to the project if they are not.

        Raises:
            LinkError: If an image is not where it was.
        """
        layers = [_layer_of(image, raster) for image, raster in zip(run.images, run.rasters)]
        sources = [
            LayerSource(image.name, path, crs, _no_export)
            for image, (path, crs) in zip(run.images, run.rasters)
        ]
        ids, options = [layer.id() for layer in layers], dict(run.options)
        output, may_exist = run.output, run.may_exist
        return cls(
            *sources, *ids, run.images, options, output, run.heatmap, run.folder, "", may_exist
        )

    def with_resume(self, opener: RasterOpener) -> RunPlan:
        """The plan, resuming the last unfinished run with its images and options, if any."""
        signature = self.interrupted(opener).signature
        runs = [run for run in interrupted_runs() if run.signature == signature]
        # The one that was chosen, where several are alike.
        runs.sort(key=lambda run: run.output != self.output)
        if not runs:
            return self._with_free_output(self.output)
        path, heatmap, may_exist = runs[0].output, runs[0].heatmap, runs[0].may_exist
        if path.exists() and not may_exist:
            # Another file is where the unfinished run would write: neither is touched.
            return self._with_free_output(path)
        is_heatmap_taken = heatmap is not None and heatmap.exists() and not may_exist
        notice = "" if path == self.output else tr("An unfinished run is resumed: {}").format(path)
        return replace(
            self,
            output=path,
            heatmap=self._heatmap_beside(path) if is_heatmap_taken else heatmap,
            options={**self.options, "resume": True},
            notice=notice,
            may_exist=may_exist,
        )

    def _with_free_output(self, path: Path) -> RunPlan:
        """The plan, writing to a free path, with a notice where that is another one."""
        free = path_without_journal(path)
        notice = ""
        if path.exists():
            notice = tr("{0} is there already: this run writes {1}").format(path, free.name)
        elif free != path:
            notice = tr(
                "An unfinished run of other images or options lies at {0}: this run writes {1}"
            ).format(path, free.name)
        return replace(self, output=free, heatmap=self._heatmap_beside(free), notice=notice)

    def parameters(self, task: BackgroundTask, opener: RasterOpener) -> dict[str, Any]:
        """The worker's parameters; exports layers that it cannot open."""
        outputs = {"features": str(self.output)}
        if self.heatmap is not None:
            outputs["heatmap"] = str(self.heatmap)
        access = RasterAccess(opener, task, task.isCanceled, task.warn)
        return {
            "before": self.before.worker_parameter(access),
            "after": self.after.worker_parameter(access),
            "options": dict(self.options),
            "outputs": outputs,
            "folder": self.folder,
        }

    def open_layers(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Opens the layers of the worker's result; for the task's thread.

        Raises:
            LinkError: If they cannot be opened.
        """
        times = pair_times(self.before.name, self.after.name, result)
        origin = ResultOrigin(*self.images, self.options, times, colors_of_result(result))
        name = self.output.stem.replace("_", " ")
        layer = open_result(self._source(), name, origin)
        layer.moveToThread(QgsApplication.instance().thread())
        heatmap_name = tr("probability of change")
        heatmap = open_heatmap(self.heatmap, heatmap_name) if self.heatmap is not None else None
        return {LAYER: layer, HEATMAP: heatmap, TIMES: times}

    def _source(self) -> str:
        """Source of the layer that the worker writes."""
        if self.output.suffix.lower() != ".gpkg":
            return str(self.output)
        return f"{self.output}|layername={self.options.get('layer') or 'changes'}"

    def _heatmap_beside(self, output: Path) -> Path | None:
        if self.heatmap is None:
            return None
        return free_path(output.with_name(f"{output.stem}_probability.tif"))


def default_output(before: LayerSource, after: LayerSource) -> Path:
    """A path beside the after image, else the before image, the project, or in Documents.

    Raises:
        LinkError: If none of these folders can be written to.
    """
    folders = [after.folder(), before.folder(), *user_folders()]
    path = result_path(after.name, [folder for folder in folders if folder is not None])
    if path is None:
        raise LinkError(
            tr("There is no folder to write the result to"),
            tr("name a file under More options, Save as"),
        )
    return path


def user_folders() -> list[Path]:
    """The folders of the project, of the user's documents, and the user's own."""
    home = QgsProject.instance().homePath()
    documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
    user = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.HomeLocation)
    return [Path(text) for text in (home, documents, user) if text]


def _layer_of(image: ImageIdentity, raster: Sequence[str]) -> QgsRasterLayer:
    """The layer of an image of an unfinished run, which is added where the project lacks it."""
    layer = image.layer_among(images_in_project())
    if layer is not None:
        return layer
    path, crs = raster
    layer = QgsRasterLayer(path, image.name)
    if not layer.isValid():
        raise LinkError(
            tr("{0} is not at {1} any more").format(image.name, path),
            tr("put it back there, or begin the run anew"),
        )
    if crs:
        is_code = crs.startswith("EPSG:")
        layer.setCrs(QgsCoordinateReferenceSystem(crs if is_code else f"WKT:{crs}"))
    QgsProject.instance().addMapLayer(layer)
    return layer


def _no_export() -> RasterExport:
    raise LinkError(
        tr("geochg does not open an image of this run any more"), tr("begin the run anew")
    )
