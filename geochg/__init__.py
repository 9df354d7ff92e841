"""Ask what changed between two georeferenced rasters and get the answer as map features."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from geochg.safety.remote_code import prevent_fetched_code
from geochg.safety.telemetry import switch_telemetry_off

if TYPE_CHECKING:
    from geochg import errors as errors
    from geochg import events as events
    from geochg import records as records
    from geochg.batch.batch_options import BatchOptions as BatchOptions
    from geochg.batch.run import BatchResult as BatchResult
    from geochg.batch.run import analyze_batch as analyze_batch
    from geochg.layer_check.check import LayerCheck as LayerCheck
    from geochg.layer_check.check import check_layer as check_layer
    from geochg.layer_check.options import CheckOptions as CheckOptions
    from geochg.models.base import ChangeModel as ChangeModel
    from geochg.models.loading import load_configured_model as load_configured_model
    from geochg.models.registry import load_model as load_model
    from geochg.options import AnalyzeOptions as AnalyzeOptions
    from geochg.pipeline.analyze import ChangeResult as ChangeResult
    from geochg.pipeline.analyze import analyze as analyze
    from geochg.pipeline.analyze import analyze_series as analyze_series
    from geochg.pipeline.dialogue import PairDialogue as PairDialogue
    from geochg.pipeline.dialogue import open_dialogue as open_dialogue
    from geochg.pipeline.dialogue import open_image_dialogue as open_image_dialogue
    from geochg.pipeline.outputs import Outputs as Outputs
    from geochg.pipeline.run import read_tiles as read_tiles
    from geochg.pipeline.scenes import LabelledScene as LabelledScene
    from geochg.pipeline.scenes import describe as describe
    from geochg.records import Question as Question
    from geochg.records import Task as Task
    from geochg.records import Tile as Tile
    from geochg.records import TileFailure as TileFailure
    from geochg.stac.analyze_area import AreaChanges as AreaChanges
    from geochg.stac.analyze_area import analyze_area as analyze_area
    from geochg.stac.options import FetchOptions as FetchOptions
    from geochg.stac.options import SeriesSearch as SeriesSearch
    from geochg.tasks import ask as ask
    from geochg.tiling.pair import RasterPair as RasterPair
    from geochg.tiling.pair import open_pair as open_pair
    from geochg.timeseries.options import SeriesOptions as SeriesOptions
    from geochg.timeseries.outputs import SeriesOutputs as SeriesOutputs
    from geochg.timeseries.series import SeriesResult as SeriesResult
    from geochg.timeseries.series import series as series
    from geochg.timeseries.series_area import AreaSeries as AreaSeries
    from geochg.timeseries.series_area import series_area as series_area

switch_telemetry_off()
prevent_fetched_code()
__version__ = version("geochg")

_HOMES = {
    "AnalyzeOptions": "options",
    "AreaChanges": "stac.analyze_area",
    "AreaSeries": "timeseries.series_area",
    "BatchOptions": "batch.batch_options",
    "BatchResult": "batch.run",
    "ChangeModel": "models.base",
    "CheckOptions": "layer_check.options",
    "ChangeResult": "pipeline.analyze",
    "FetchOptions": "stac.options",
    "LayerCheck": "layer_check.check",
    "LabelledScene": "pipeline.scenes",
    "Outputs": "pipeline.outputs",
    "PairDialogue": "pipeline.dialogue",
    "Question": "records",
    "RasterPair": "tiling.pair",
    "SeriesOptions": "timeseries.options",
    "SeriesOutputs": "timeseries.outputs",
    "SeriesResult": "timeseries.series",
    "SeriesSearch": "stac.options",
    "Task": "records",
    "Tile": "records",
    "TileFailure": "records",
    "analyze": "pipeline.analyze",
    "analyze_area": "stac.analyze_area",
    "analyze_batch": "batch.run",
    "analyze_series": "pipeline.analyze",
    "ask": "tasks",
    "check_layer": "layer_check.check",
    "describe": "pipeline.scenes",
    "load_configured_model": "models.loading",
    "load_model": "models.registry",
    "open_dialogue": "pipeline.dialogue",
    "open_image_dialogue": "pipeline.dialogue",
    "open_pair": "tiling.pair",
    "read_tiles": "pipeline.run",
    "series": "timeseries.series",
    "series_area": "timeseries.series_area",
}
_MODULES = ("errors", "events", "records")
__all__ = [
    "AnalyzeOptions",
    "AreaChanges",
    "AreaSeries",
    "BatchOptions",
    "BatchResult",
    "ChangeModel",
    "ChangeResult",
    "CheckOptions",
    "FetchOptions",
    "LabelledScene",
    "LayerCheck",
    "Outputs",
    "PairDialogue",
    "Question",
    "RasterPair",
    "SeriesOptions",
    "SeriesOutputs",
    "SeriesResult",
    "SeriesSearch",
    "Task",
    "Tile",
    "TileFailure",
    "__version__",
    "analyze",
    "analyze_area",
    "analyze_batch",
    "analyze_series",
    "ask",
    "check_layer",
    "describe",
    "errors",
    "events",
    "load_configured_model",
    "load_model",
    "open_dialogue",
    "open_image_dialogue",
    "open_pair",
    "read_tiles",
    "records",
    "series",
    "series_area",
]
"""The whole public surface; what backends of others need besides is in docs/models.md."""


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Loads the public names on first use, so that `import geochg` stays light (PEP 562)."""
    if name in _MODULES:
        return import_module(f"geochg.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'geochg' has no attribute {name!r}")
    return getattr(import_module(f"geochg.{_HOMES[name]}"), name)
