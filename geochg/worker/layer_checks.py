"""Requests that hold a layer against an image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geochg.events import Listener
from geochg.layer_check.options import CheckOptions
from geochg.options import AnalyzeOptions
from geochg.worker.calls import Call
from geochg.worker.messages import WRONG_PARAMETERS, MessageError
from geochg.worker.parameters import check_known, raster_of, text_of
from geochg.worker.paths import RequestFolder

_NAMES = ("layer", "image", "before", "output", "options", "folder")


def check(call: Call, listener: Listener) -> Mapping[str, Any]:
    """Holds a layer of polygons against an image, and writes it with verdicts."""
    parameters = call.parameters
    check_known(parameters, _NAMES)
    folder = RequestFolder.of(parameters)
    file, mark, name = text_of(parameters, "layer").partition("|")
    layer = f"{folder.file(file)}{mark}{name}"
    image = raster_of(parameters.get("image"), "image", folder)
    before = None
    if parameters.get("before") is not None:
        before = raster_of(parameters["before"], "before", folder)
    output = Path(folder.file(text_of(parameters, "output")))
    options = _options(parameters, folder)
    from geochg.layer_check.check import check_layer

    result = check_layer(
        layer,
        image,
        options,
        before=before,
        output=output,
        listener=listener,
        cancel=call.cancel,
    )
    return {"output": str(output), "geochg": result.metadata}


def _options(parameters: Mapping[str, Any], folder: RequestFolder) -> CheckOptions:
    """The options; folders of models in them have absolute paths."""
    values = parameters.get("options", {})
    if not isinstance(values, Mapping):
        raise MessageError(WRONG_PARAMETERS, "parameter 'options' does not fit", "give an object")
    options = CheckOptions.from_dict(values)
    named_options = folder.options(
        AnalyzeOptions(model=options.model, model_options=options.model_options)
    )
    changed = {
        **options.to_dict(),
        "model": named_options.model,
        "model_options": named_options.model_options,
    }
    return CheckOptions.from_dict(changed)
