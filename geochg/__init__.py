"""Ask what changed between two georeferenced rasters and get the answer as map features."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from geochg.safety.remote_code import prevent_fetched_code
from geochg.safety.telemetry import switch_telemetry_off

if TYPE_CHECKING:
    from geochg.options import AnalyzeOptions as AnalyzeOptions
    from geochg.pipeline.analyze import ChangeResult as ChangeResult
    from geochg.pipeline.analyze import analyze as analyze
    from geochg.pipeline.dialogue import open_dialogue as open_dialogue
    from geochg.pipeline.outputs import Outputs as Outputs

switch_telemetry_off()
prevent_fetched_code()
__version__ = version("geochg")
__all__ = ["AnalyzeOptions", "ChangeResult", "Outputs", "__version__", "analyze", "open_dialogue"]

_HOMES = {
    "AnalyzeOptions": "geochg.options",
    "ChangeResult": "geochg.pipeline.analyze",
    "Outputs": "geochg.pipeline.outputs",
    "analyze": "geochg.pipeline.analyze",
    "open_dialogue": "geochg.pipeline.dialogue",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Loads the public names on first use, so that `import geochg` stays light (PEP 562)."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'geochg' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
