"""What is chosen in the panel: pair, area and options, as runs and questions need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qgis.core import QgsRasterLayer, QgsVectorLayer

from geochg_qgis.connection import Connection
from geochg_qgis.i18n import tr
from geochg_qgis.layers.extents import shared_extent
from geochg_qgis.layers.image_identity import ImageIdentity, image_source
from geochg_qgis.layers.layer_source import LayerSource, RasterAccess, layer_source
from geochg_qgis.layers.result_layers import drawn_features, results_in_project
from geochg_qgis.link.errors import LinkError
from geochg_qgis.link.output_paths import with_suffix
from geochg_qgis.panel.area_widget import AreaWidget
from geochg_qgis.panel.dialogues import DialogueSubject
from geochg_qgis.panel.options_widget import OptionsWidget
from geochg_qgis.panel.pair_widget import PairWidget
from geochg_qgis.panel.run_plan import RunPlan, default_output, options_folder
from geochg_qgis.run_options import model_text
from geochg_qgis.tasks import BackgroundTask

ParameterMaker = Callable[[BackgroundTask], dict[str, Any]]
"""Makes the worker's parameters, on a task's thread."""


class PairChoice:
    """Reads the widgets of the pair, the area and the options.

    Args:
        connection: Connection to the worker.
        pair: Widget of the two images.
        area: Widget of the area.
        options: Widget of the options.
    """

    def __init__(
        self, connection: Connection, pair: PairWidget, area: AreaWidget, options: OptionsWidget
    ) -> None:
        self._connection = connection
        self._pair, self._area, self._options = pair, area, options

    def plan(self) -> RunPlan:
        """The run of what is chosen.

        Raises:
            LinkError: If a choice is missing or cannot be run.
        """
        before, after, aoi, options = self._choices()
        output = self._options.output.filePath().strip()
        path = with_suffix(output, ".gpkg") if output else default_output(before, after)
        if not path.is_absolute():
            path = default_output(before, after).parent / path
        if output and not path.parent.is_dir():
            raise LinkError(
                tr("There is no folder {}").format(path.parent),
                tr("choose another folder under Save as"),
            )
        layers = self._images()
        images = ImageIdentity.of(layers[0]), ImageIdentity.of(layers[1])
        heatmap = path.with_suffix(".tif") if self._options.heatmap.isChecked() else None
        return RunPlan(
            before,
            after,
            layers[0].id(),
            layers[1].id(),
            images,
            {**options, "aoi": aoi},
            path,
            heatmap,
        )

    def _choices(self) -> tuple[LayerSource, LayerSource, str | None, dict[str, Any]]:
        before, after = self._images()
        area = self._area.area(before, after)
        rasters = [layer_source(layer, area.bounds, area.crs) for layer in (before, after)]
        return rasters[0], rasters[1], area.aoi, self._options.options()

    def _images(self) -> tuple[QgsRasterLayer, QgsRasterLayer]:
        before, after = self._pair.both_layers()
        if image_source(before) == image_source(after):
            raise LinkError(
                tr("Before and after are the same image"), tr("choose two images of one place")
            )
        return before, after

    def pair_parameters(self) -> ParameterMaker:
        """A maker of the parameters of a request about the pair."""
        return self._parameter_maker(*self._choices())

    def ask_subject(self) -> DialogueSubject:
        """The chosen pair and model, which a question would be about.

        Raises:
            LinkError: If no pair or no model is chosen.
        """
        before, after = self._images()
        model = model_text(self._options.options())
        label = f"{before.name()} → {after.name()}, {model}"
        return DialogueSubject(image_source(before), image_source(after), model, label)

    def ask_parameters(self, listed_result: QgsVectorLayer | None) -> ParameterMaker:
        """A maker of the parameters of a question, which has a place and needs no area.

        Args:
            listed_result: Result whose changes are listed; None for none.
        """
        before, after = self._images()
        shared, crs = shared_extent(before, after), before.crs()
        rasters = [layer_source(layer, shared, crs) for layer in (before, after)]
        options = self._options.options()
        make = self._parameter_maker(rasters[0], rasters[1], None, options)
        # What is listed counts first: answers must agree with the map.
        results = [listed_result, *results_in_project()]
        features = drawn_features(results, before, after, model_text(options))
        return lambda task: {**make(task), **({"features": features} if features else {})}

    def _parameter_maker(
        self, before: LayerSource, after: LayerSource, aoi: str | None, options: Mapping[str, Any]
    ) -> ParameterMaker:
        folder = options_folder()

        def make(task: BackgroundTask) -> dict[str, Any]:
            allow_remote = options.get("allow_remote") is True
            access = RasterAccess(self._connection, task, task.isCanceled, task.warn, allow_remote)
            return {
                "before": before.worker_parameter(access),
                "after": after.worker_parameter(access),
                "options": {**options, "aoi": aoi},
                "folder": folder,
            }

        return make
