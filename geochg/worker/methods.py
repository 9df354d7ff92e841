"""What the worker can be asked; one function a method."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from geochg import __version__
from geochg.accuracy.options import SampleOptions
from geochg.classes import CLASSES
from geochg.events import PROTOCOL_VERSION, Event, Listener, Progress
from geochg.layer_check.options import CheckOptions
from geochg.options import AnalyzeOptions
from geochg.pipeline.outputs import TABLES, Outputs
from geochg.tasks.quantities import rounded_value
from geochg.worker.accuracy import assess_sample, draw_sample
from geochg.worker.areas import AreaParameters, fetch_pair, scene_collections
from geochg.worker.calls import Call, Method
from geochg.worker.dialogues import OpenDialogues
from geochg.worker.layer_checks import check
from geochg.worker.parameters import (
    PairParameters,
    SeriesParameters,
    analyze_options_of,
    check_known,
    exchanges_of,
    flag_of,
    layer_of,
    outputs_of,
    point_of,
    text_of,
    texts_of,
)
from geochg.worker.paths import RequestFolder

if TYPE_CHECKING:
    from geochg.features.layer import FeatureLayer
    from geochg.pipeline.analyze import ChangeResult

_QUIET_S = 0.05  # least time between two reports of progress within a stage
_POLL_S = 0.1


def methods() -> dict[str, Method]:
    """The methods by name, for one worker."""
    turn, dialogues = Lock(), OpenDialogues()
    return {
        "hello": hello,
        "models": models,
        "devices": devices,
        "model_folder": model_folder,
        "opens": opens,
        "describe": describe,
        "analyze": lambda call: analyze(call, turn),
        "ask": lambda call: ask(call, dialogues),
        "tables": tables,
        "report": report,
        "draw_sample": lambda call: draw_sample(call, listener_of(call)),
        "assess_sample": assess_sample,
        "scene_collections": scene_collections,
        "fetch_pair": lambda call: fetch_pair(call, listener_of(call)),
        "analyze_area": lambda call: analyze_area(call, turn),
        "check": lambda call: check_in_turn(call, turn),
    }


def hello(call: Call) -> Mapping[str, Any]:
    """Who this is: versions, models, classes and the options that other methods take.

    What a client says of itself is not needed.
    """
    return {
        "protocol": PROTOCOL_VERSION,
        "geochg": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "pid": os.getpid(),
        "classes": list(CLASSES),
        "options": [spec.to_dict() for spec in AnalyzeOptions.specs()],
        "sample_options": [spec.to_dict() for spec in SampleOptions.specs()],
        "check_options": [spec.to_dict() for spec in CheckOptions.specs()],
        **_models(),
    }


def models(call: Call) -> Mapping[str, Any]:
    """The models that can be named."""
    check_known(call.parameters, ())
    return _models()


def devices(call: Call) -> Mapping[str, Any]:
    """Where models can run; takes seconds the first time, because torch is loaded."""
    check_known(call.parameters, ())
    from geochg.models.devices import devices_here

    return {"devices": devices_here()}


def model_folder(call: Call) -> Mapping[str, Any]:
    """What a folder with a model or an adapter holds and can do; loads no weights."""
    check_known(call.parameters, ("path", "folder"))
    path = Path(RequestFolder.of(call.parameters).file(text_of(call.parameters, "path")))
    from geochg.models.model_folder import inspect_model_folder

    return inspect_model_folder(path).to_dict()


def opens(call: Call) -> Mapping[str, Any]:
    """Which rasters the GDAL of this process opens; that of a client may know other formats."""
    check_known(call.parameters, ("rasters", "allow_remote", "folder"))
    folder = RequestFolder.of(call.parameters)
    names = [folder.raster(name) for name in texts_of(call.parameters, "rasters")]
    allow_remote = flag_of(call.parameters, "allow_remote")
    from geochg.pipeline.describe import can_open

    openings = []
    for name in names:
        call.stop_if_cancelled()
        openings.append(can_open(name, allow_remote=allow_remote))
    return {"opens": openings}


def describe(call: Call) -> Mapping[str, Any]:
    """What a pair or a series is."""
    series = SeriesParameters.of(call.parameters)
    from geochg.pipeline.describe import describe_series

    facts = describe_series(*series, cancel=call.cancel).to_dict()
    call.stop_if_cancelled()
    return facts


def analyze(call: Call, turn: Lock) -> Mapping[str, Any]:
    """Maps what changed; one run at a time, because two would only share what one can use."""
    series = SeriesParameters.of(call.parameters, "outputs")
    outputs = outputs_of(call.parameters)
    from geochg.pipeline.analyze import analyze_series as run

    with _taken(turn, call):
        result = run(*series, outputs=outputs, listener=listener_of(call), cancel=call.cancel)
    return _result_values(result)


def analyze_area(call: Call, turn: Lock) -> Mapping[str, Any]:
    """Fetches scenes of an area and two times, and maps what changed between them."""
    parameters = AreaParameters.of(call.parameters, "options", "outputs")
    options = analyze_options_of(call.parameters)
    outputs = outputs_of(call.parameters)
    from geochg.stac.analyze_area import analyze_area as run

    with _taken(turn, call):
        changes = run(
            *parameters.place_and_times,
            options,
            parameters.fetching,
            scenes=parameters.scenes,
            outputs=outputs,
            listener=listener_of(call),
            cancel=call.cancel,
        )
    scenes = {"before": changes.before.to_dict(), "after": changes.after.to_dict()}
    return {**_result_values(changes.result), "scenes": scenes}


def check_in_turn(call: Call, turn: Lock) -> Mapping[str, Any]:
    """Holds a layer against an image; one run at a time, as of `analyze`."""
    with _taken(turn, call):
        return check(call, listener_of(call))


@contextmanager
def _taken(turn: Lock, call: Call) -> Iterator[None]:
    """One turn of runs, of which one is under way at a time."""
    while not turn.acquire(timeout=_POLL_S):
        call.stop_if_cancelled()
    try:
        yield
    finally:
        turn.release()


def ask(call: Call, dialogues: OpenDialogues) -> Mapping[str, Any]:
    """Answers a question about a place, piece by piece."""
    parameters = call.parameters
    pair = PairParameters.of(parameters, "question", "at", "exchanges", "features")
    features = None if parameters.get("features") is None else layer_of(parameters, "features")
    question, at = text_of(parameters, "question"), point_of(parameters, "at")
    exchanges = exchanges_of(parameters, "exchanges")
    from geochg.pipeline.dialogue import open_dialogue
    from geochg.records import Exchange

    pieces: list[str] = []
    with dialogues.dialogue(pair, at, lambda: open_dialogue(*pair, at=at)) as dialogue:
        # The client keeps the dialogue: it outlives this process.
        dialogue.exchanges[:] = [Exchange(*texts) for texts in exchanges]
        outline = [list(lonlat) for lonlat in dialogue.outline]
        call.tell({"kind": "place", "outline": outline})
        call.stop_if_cancelled()
        for piece in dialogue.ask(question, features):
            call.stop_if_cancelled()
            pieces.append(piece)
            call.tell({"kind": "piece", "text": piece})
        answer, model = "".join(pieces).strip(), dialogue.model.identity.id
        return {"answer": answer, "model": model, "outline": outline}


def tables(call: Call) -> Mapping[str, Any]:
    """The tables of a change layer as it was reviewed, which are written where that is wanted."""
    parameters = call.parameters
    known_names = ("features", "zones", "zone_name", "outputs", "overwrite", "allow_remote")
    check_known(parameters, (*known_names, "folder"))
    folder = RequestFolder.of(parameters)
    layer = layer_of(parameters, "features")
    has_zones = parameters.get("zones") is not None
    zones = folder.area(text_of(parameters, "zones")) if has_zones else ""
    zone_name = text_of(parameters, "zone_name") if parameters.get("zone_name") else ""
    outputs = outputs_of(parameters, TABLES) if "outputs" in parameters else Outputs()
    allow_remote, overwrite = (flag_of(parameters, name) for name in ("allow_remote", "overwrite"))
    from geochg.pipeline.layer_tables import layer_tables, write_layer_tables

    sums = layer_tables(layer, zones, zone_name, allow_remote=allow_remote)
    call.stop_if_cancelled()
    paths = {name: getattr(outputs, name) for name in TABLES}
    write_layer_tables(sums, layer, zones, **paths, overwrite=overwrite)
    return sums.to_dict("split")


def report(call: Call) -> Mapping[str, Any]:
    """Writes a page that shows a layer, as it was reviewed."""
    parameters = call.parameters
    known_names = ("features", "output", "before", "after", "title", "rejected", "overwrite")
    check_known(parameters, (*known_names, "folder"))
    folder = RequestFolder.of(parameters)
    layer = layer_of(parameters, "features")
    output = Path(folder.file(text_of(parameters, "output")))
    images = {
        number: folder.raster(text_of(parameters, name))
        for number, name in ((0, "before"), (-1, "after"))
        if parameters.get(name) is not None
    }
    title = text_of(parameters, "title") if parameters.get("title") else ""
    with_rejected = flag_of({"rejected": True, **parameters}, "rejected")
    overwrite = flag_of(parameters, "overwrite")
    from geochg.report.of_layer import report_layer

    result = report_layer(
        layer,
        output,
        images=images,
        title=title,
        with_rejected=with_rejected,
        overwrite=overwrite,
        step=call.stop_if_cancelled,
    )
    return result.to_dict()


def _models() -> dict[str, Any]:
    from geochg.models.registry import backends

    return {"models": [backend.to_dict() for backend in backends()]}


def listener_of(call: Call) -> Listener:
    """Passes events on, and of progress within a stage no more than anyone can see."""
    reported_s: dict[str, float] = {}

    def listen(event: Event) -> None:
        if isinstance(event, Progress):
            now_s = time.monotonic()
            if event.done < event.total and now_s - reported_s.get(event.stage, -1.0) < _QUIET_S:
                return
            reported_s[event.stage] = now_s
        call.tell(event.to_dict())

    return listen


def _result_values(result: ChangeResult) -> dict[str, Any]:
    features = _feature_totals(result.layer, -1)
    if (steps := len(result.layer.periods) - 1) > 0:
        features["steps"] = [_feature_totals(result.layer, number) for number in range(steps)]
    return {"outputs": result.outputs.to_dict(), "features": features, "geochg": result.metadata}


def _feature_totals(layer: FeatureLayer, period: int) -> dict[str, Any]:
    """Numbers and area of the features of a pair, or of a period of a series."""
    totals = layer.totals(period)
    return {
        "count": sum(total.features for total in totals),
        "area_m2": rounded_value(sum(total.area_m2 for total in totals), 1),
        "kinds": [
            {"class": total.class_name, "change": total.change, "count": total.features}
            for total in totals
        ],
    }
