"""Requests about samples of a change layer: drawn, and assessed once people judged them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from geochg.accuracy.options import SampleOptions
from geochg.events import Event, Listener
from geochg.worker.calls import Call
from geochg.worker.messages import WRONG_PARAMETERS, MessageError
from geochg.worker.parameters import check_known, flag_of, layer_of, text_of
from geochg.worker.paths import RequestFolder


def draw_sample(call: Call, listener: Listener) -> Mapping[str, Any]:
    """Draws a sample of a change layer, as it was reviewed, and writes it."""
    parameters = call.parameters
    check_known(parameters, ("features", "output", "sampling", "folder"))
    folder = RequestFolder.of(parameters)
    layer = layer_of(parameters, "features")
    output = Path(folder.file(text_of(parameters, "output")))
    options = _sample_options(parameters, folder)
    from geochg.accuracy.sample import draw_sample as draw

    def listen(event: Event) -> None:
        call.stop_if_cancelled()
        listener(event)

    sample = draw(layer, output, options, listener=listen)
    return {"sample": str(sample.path), "warnings": list(sample.warnings), "geochg": sample.facts}


def assess_sample(call: Call) -> Mapping[str, Any]:
    """Assesses a change layer by a sample that was judged, and writes that where it is wanted."""
    parameters = call.parameters
    check_known(parameters, ("sample", "features", "verdicts", "output", "overwrite", "folder"))
    folder = RequestFolder.of(parameters)
    sample, layer = layer_of(parameters, "sample"), layer_of(parameters, "features")
    verdicts, output = (
        Path(folder.file(text_of(parameters, name))) if parameters.get(name) is not None else None
        for name in ("verdicts", "output")
    )
    overwrite = flag_of(parameters, "overwrite")
    from geochg.accuracy.assess import assess_sample as assess
    from geochg.accuracy.written_assessment import check_assessment_file, write_assessment

    if output is not None:
        inputs = [sample, layer, *([] if verdicts is None else [str(verdicts)])]
        check_assessment_file(output, inputs, overwrite=overwrite)
    assessment = assess(sample, layer, verdicts=verdicts)
    call.stop_if_cancelled()
    if output is not None:
        write_assessment(assessment, output, overwrite=overwrite)
    return {"assessment": None if output is None else str(output), **assessment.to_dict()}


def _sample_options(parameters: Mapping[str, Any], folder: RequestFolder) -> SampleOptions:
    """How the sample is drawn; files in it have absolute paths."""
    values = parameters.get("sampling", {})
    if not isinstance(values, Mapping):
        raise MessageError(WRONG_PARAMETERS, "parameter 'sampling' does not fit", "give an object")
    options = SampleOptions.from_dict(values)
    rasters: dict[str, Any] = {
        name: folder.raster(value)
        for name in ("heatmap", "before", "after")
        if (value := getattr(options, name))
    }
    return replace(options, **rasters)
