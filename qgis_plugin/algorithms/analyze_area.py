"""`geochg:analyze_area`: the change layer of an area between two months, of fetched scenes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qgis.core import (
    QgsGeometry,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputFile,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
    QgsRasterLayer,
)

from geochg_qgis.algorithms.analyze import AnalyzeAlgorithm
from geochg_qgis.algorithms.model_choice import model_parameter
from geochg_qgis.algorithms.pair_parameters import (
    AFTER,
    BEFORE,
    EXTENT,
    advanced_parameter,
    documented_parameter,
)
from geochg_qgis.i18n import tr
from geochg_qgis.layers.extents import aoi_parameter
from geochg_qgis.layers.image_identity import ImageIdentity
from geochg_qgis.layers.layer_source import RasterAccess
from geochg_qgis.layers.scene_layers import scene_name
from geochg_qgis.link.absolute_paths import absolute_path
from geochg_qgis.link.errors import LinkError

POLYGONS, COLLECTION, CATALOG = "POLYGONS", "COLLECTION", "CATALOG"
MAX_CLOUD, COMPOSITE, SCENES = "MAX_CLOUD", "COMPOSITE", "SCENES"
BEFORE_SCENE, AFTER_SCENE = "BEFORE_SCENE", "AFTER_SCENE"

_COMPOSITES = ("best", "median")
_NO_CLOUD_LIMIT = 100.0


class AnalyzeAreaAlgorithm(AnalyzeAlgorithm):
    """Fetches scenes of an area and two months, and maps what changed between them."""

    algorithm_name = method = "analyze_area"
    _request: dict[str, Any]

    def title_and_help(self) -> tuple[str, str]:
        """Title and help of the algorithm."""
        return tr("Map what changed in an area between two months"), tr(
            "Asks a catalogue of satellite scenes, on the network, for a scene of each month, "
            "without clouds, and maps what changed between them. The scenes are kept, so that the "
            "same run again fetches nothing. COUNT is the number of changes, AREA_M2 the area "
            "they cover, BEFORE_SCENE and AFTER_SCENE the files of the scenes."
        )

    def input_help(self) -> str:
        """A paragraph about the catalogue."""
        return tr(
            "The catalogue is the only one that is asked: earth-search is "
            "https://earth-search.aws.element84.com/v1, planetary-computer is "
            "https://planetarycomputer.microsoft.com/api/stac/v1, and the address of any other "
            "STAC catalogue can be written. The files that it names are read where they lie."
        )

    def input_parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        """The area, the months, and where scenes come from."""
        yield documented_parameter(
            QgsProcessingParameterExtent(EXTENT, tr("Area"), optional=True),
            tr("The area that scenes are fetched of; may be left empty where polygons are given."),
        )
        yield documented_parameter(
            QgsProcessingParameterFeatureSource(
                POLYGONS,
                tr("Polygons"),
                [QgsProcessing.SourceType.TypeVectorPolygon],
                optional=True,
            ),
            tr("Polygons that bound the area, in place of an extent."),
        )
        text = tr(
            "A year, a month or a day, such as 2020-06, or from one to another, 2020-06/2020-08."
        )
        for name, label in ((BEFORE, tr("Month before")), (AFTER, tr("Month after"))):
            yield documented_parameter(QgsProcessingParameterString(name, label), text)
        yield documented_parameter(
            QgsProcessingParameterString(COLLECTION, tr("Collection"), "sentinel-2-l2a"),
            tr("The collection of scenes, such as sentinel-2-l2a"),
        )
        yield documented_parameter(
            QgsProcessingParameterString(CATALOG, tr("Catalogue"), "earth-search"),
            tr("Who is asked for scenes: a name, or the address of a STAC catalogue"),
        )
        yield documented_parameter(
            model_parameter(),
            tr(
                "builtin (wants red, green and blue), irmad or cva (any bands), or NAME:SOURCE, "
                "such as deltavlm:FOLDER or openai:URL#NAME."
            ),
        )
        yield from self._scene_parameters()

    def _scene_parameters(self) -> Iterable[QgsProcessingParameterDefinition]:
        """How scenes are chosen and kept, among the advanced parameters."""
        numbers = QgsProcessingParameterNumber.Type
        yield advanced_parameter(
            QgsProcessingParameterNumber(
                MAX_CLOUD,
                tr("Clouds at most, %"),
                numbers.Double,
                _NO_CLOUD_LIMIT,
                minValue=0,
                maxValue=_NO_CLOUD_LIMIT,
            ),
            tr("Leaves out scenes of whose whole picture more is under clouds"),
        )
        texts = [tr("The clearest day"), tr("The median of all days")]
        yield advanced_parameter(
            QgsProcessingParameterEnum(COMPOSITE, tr("Image"), texts, defaultValue=0),
            tr("Which days of a month become the image"),
        )
        yield advanced_parameter(
            QgsProcessingParameterFile(
                SCENES,
                tr("Keep scenes in"),
                QgsProcessingParameterFile.Behavior.Folder,
                optional=True,
            ),
            tr("The folder of the scenes; when empty, one beside the layer."),
        )

    def output_definitions(self) -> Iterable[QgsProcessingOutputDefinition]:
        """The numbers, and the files of the scenes."""
        yield from super().output_definitions()
        yield QgsProcessingOutputFile(BEFORE_SCENE, tr("Image before"))
        yield QgsProcessingOutputFile(AFTER_SCENE, tr("Image after"))

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Refuses a run without an area before it begins."""
        is_valid, message = super().checkParameterValues(parameters, context)
        if is_valid and not (parameters.get(EXTENT) or parameters.get(POLYGONS)):
            return False, str(_no_area())
        return is_valid, message

    def is_one_image(self, parameters: dict[str, Any], context: QgsProcessingContext) -> bool:
        """There are no images yet."""
        return False

    def read_inputs(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Reads the area and the months."""
        fetching: dict[str, Any] = {
            "collection": self.parameterAsString(parameters, COLLECTION, context).strip(),
            "catalog": self.parameterAsString(parameters, CATALOG, context).strip(),
            "composite": _COMPOSITES[self.parameterAsEnum(parameters, COMPOSITE, context)],
        }
        max_cloud = self.parameterAsDouble(parameters, MAX_CLOUD, context)
        if max_cloud < _NO_CLOUD_LIMIT:
            fetching["max_cloud"] = max_cloud
        self._request = {
            "area": self._area(parameters, context),
            "before": self.parameterAsString(parameters, BEFORE, context).strip(),
            "after": self.parameterAsString(parameters, AFTER, context).strip(),
            "fetching": fetching,
        }
        if folder := self.parameterAsString(parameters, SCENES, context):
            self._request["scenes"] = absolute_path(folder)

    def inputs(self, access: RasterAccess) -> dict[str, Any]:
        """The worker's parameters of the area and the months."""
        return self._request

    def results(self, answer: Mapping[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The layer, which knows its scenes, the numbers, and the files of the scenes."""
        scenes = [answer["scenes"][date] for date in ("before", "after")]
        layers = [QgsRasterLayer(str(scene["path"]), scene_name(scene)) for scene in scenes]
        if all(layer.isValid() for layer in layers):
            self._images = ImageIdentity.of(layers[0]), ImageIdentity.of(layers[1])
        paths = {BEFORE_SCENE: scenes[0]["path"], AFTER_SCENE: scenes[1]["path"]}
        return {**super().results(answer, context), **paths}

    def _area(self, parameters: dict[str, Any], context: QgsProcessingContext) -> str:
        """The area as the worker takes it: the polygons, else the extent."""
        source = self.parameterAsSource(parameters, POLYGONS, context)
        if source is not None:
            shapes = [feature.geometry() for feature in source.getFeatures()]
            union = QgsGeometry.unaryUnion([shape for shape in shapes if not shape.isEmpty()])
            if union.isEmpty():
                raise LinkError(tr("The polygons are empty"), tr("choose another layer"))
            return aoi_parameter(union, source.sourceCrs())
        extent = self.parameterAsExtent(parameters, EXTENT, context)
        if extent.isEmpty():
            raise _no_area()
        crs = self.parameterAsExtentCrs(parameters, EXTENT, context)
        return aoi_parameter(QgsGeometry.fromRect(extent), crs)


def _no_area() -> LinkError:
    return LinkError(
        tr("There is no area to fetch scenes of"), tr("give an extent, or a layer of polygons")
    )
