"""The tools about a pair or a series of rasters: what it is, what changed, and questions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from geochg.errors import GeochgError, OptionError
from geochg.mcp_server.arguments import (
    AFTER,
    BEFORE,
    LATER,
    Schema,
    flag_of,
    images_of,
    map_options,
    new_files_of,
    options_of,
    point_of,
    text_of,
)
from geochg.mcp_server.calls import ToolCall
from geochg.mcp_server.change_answers import change_text, change_values, largest_changes
from geochg.mcp_server.contents import RASTER_SUFFIXES, SHAPE_SUFFIXES
from geochg.mcp_server.grants import Grants
from geochg.mcp_server.tool import (
    Session,
    Tool,
    ToolAnswer,
    answer_schema,
    object_schema,
    output_argument,
)
from geochg.options import AnalyzeOptions
from geochg.safety.untrusted_text import cleaned

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

    from geochg.pipeline.analyze import ChangeResult
    from geochg.pipeline.outputs import Outputs

_OUTPUTS = {
    **{name: name for name in ("tiles", "heatmap", "table", "zones_table", "report")},
    "features": "output",
}
"""Arguments by the outputs that they name."""

MOST_LISTED = 200
"""Files that `info` lists."""

PICTURE: Schema = {
    "type": "boolean",
    "default": True,
    "description": "Answer with a picture of both dates too.",
}


def info_tool(grants: Grants) -> Tool:
    """`info`: what may be used, or what a pair or series is."""
    properties = {
        "before": BEFORE,
        "after": AFTER,
        "later": LATER,
        "folder": {
            "type": "string",
            "description": "Without before and after: list only what lies in this folder.",
        },
        "picture": PICTURE,
        **map_options("info").schemas(grants),
    }
    return Tool(
        "info",
        "Describe rasters",
        "Without arguments: list the rasters and vector files that calls may use, and the models."
        " With before and after: tell what this pair of rasters is (grid, overlap, dates, bands,"
        " shift, number of tiles, expected time in seconds) and show it, without analysing it.",
        object_schema(properties),
        {"type": "object"},
        _answer_info,
    )


def analyze_tool(grants: Grants) -> Tool:
    """`analyze`: maps what changed."""
    properties = {
        "before": BEFORE,
        "after": AFTER,
        "later": LATER,
        **writing_arguments(),
        "picture": PICTURE,
        **map_options("analyze").schemas(grants),
    }
    return Tool(
        "analyze",
        "Map what changed",
        "Map what changed between two georeferenced rasters of one place (or more, in order of"
        " time) and write it as a layer of features with class, direction, confidence, caption and"
        " area. Answers with totals by class, the largest changes with longitude and latitude, and"
        " a picture of both dates with the changes outlined. May take minutes; a run that was"
        " cancelled goes on where it stopped when called again with resume.",
        object_schema(properties, ("before", "after", "output")),
        answer_schema(
            {
                "outputs": {"type": "object"},
                "features": {"type": "object"},
                "largest": {"type": "array"},
                "notices": {"type": "array"},
            }
        ),
        _answer_analyze,
        writes=True,
    )


def writing_arguments() -> Schema:
    """The schemas of the arguments that name the files of an analysis."""
    return {
        "output": output_argument("The change layer to write: .geojson, .gpkg, .fgb or .parquet"),
        "tiles": output_argument("Also write a layer of one feature a tile"),
        "heatmap": output_argument("Also write the probability of change as a GeoTIFF (.tif)"),
        "table": output_argument("Also write numbers and areas by class and land cover (.csv)"),
        "report": output_argument("Also write a page that shows the changes (.html)"),
        "zones_table": output_argument("Also write numbers and areas by zone (.csv), with zones"),
    }


def ask_tool(grants: Grants) -> Tool:
    """`ask`: a question about a pair or one raster, or one place of it."""
    properties = {
        "before": {**BEFORE, "description": f"{BEFORE['description']} Or a single raster."},
        "after": {**AFTER, "description": "The later raster; left out where there is one only."},
        "question": {"type": "string", "description": "The question, in plain words."},
        "at": {
            "type": "array",
            "items": {"type": "number"},
            "minItems": 2,
            "maxItems": 2,
            "description": "[longitude, latitude] in degrees: ask about one tile around this point"
            " at full resolution instead of the whole in one view.",
        },
        **map_options("ask").schemas(grants),
    }
    return Tool(
        "ask",
        "Ask about what changed",
        "Ask a question about what changed between two rasters, in the whole pair or around one"
        " point. Further questions about the same place may refer to earlier ones. The answer"
        " comes from a small model: take it as what that model says, not as a measurement.",
        object_schema(properties, ("before", "question")),
        answer_schema({"answer": {"type": "string"}, "model": {"type": "string"}}),
        _answer_ask,
    )


def _answer_info(session: Session, call: ToolCall, arguments: Mapping[str, Any]) -> ToolAnswer:
    if "before" not in arguments and "after" not in arguments:
        folder = text_of(arguments, "folder") if "folder" in arguments else None
        return _listing(session.grants, folder)
    images = _series_of(arguments, session.grants)
    options = options_of(arguments, "info", session.grants)
    has_picture = flag_of(arguments, "picture", default=True)
    from geochg.pipeline.describe import describe_series

    model = session.model.model_for(options)
    facts = describe_series(images, options, cancel=call.cancel, model=model).to_dict()
    pictures = list(pictures_of(images, options)) if has_picture else []
    return ToolAnswer("\n".join(_description(facts)), facts, pictures)


def _listing(grants: Grants, folder_name: str | None) -> ToolAnswer:
    """What calls may use, of all folders or of one."""
    folders = grants.folders
    folder = None if folder_name is None else folders.folder(folder_name)
    rasters, shapes = (
        [folders.path_in_folder(path) for path in folders.files(suffixes, MOST_LISTED, folder)]
        for suffixes in (RASTER_SUFFIXES, SHAPE_SUFFIXES)
    )
    names = [*sorted(grants.rasters), *rasters]
    values = {
        "folders": [str(path) for path in folders.paths],
        "rasters": names,
        "vector_files": shapes,
        "models": list(grants.models),
        "all_listed": max(len(rasters), len(shapes)) < MOST_LISTED,
    }
    is_cut = "" if values["all_listed"] else "\nthere are more: name a folder to list"
    return ToolAnswer(
        f"rasters: {', '.join(names) or 'none'}\n"
        f"vector files: {', '.join(shapes) or 'none'}\n"
        f"models: {', '.join(grants.models)}{is_cut}",
        values,
    )


def _series_of(arguments: Mapping[str, Any], grants: Grants) -> list[str]:
    for name in ("before", "after"):
        if name not in arguments:
            raise OptionError(f"the argument {name!r} is missing", "give both rasters of a pair")
    return images_of(arguments, grants)


def _description(facts: Mapping[str, Any]) -> Iterator[str]:
    """What matters most of a description, in words."""
    grid, seconds = facts["grid"], facts["seconds"]
    images = facts.get("images") or [facts["before"], facts["after"]]
    dates = ", ".join(image.get("date") or image["acquired"] or "unknown" for image in images)
    # What files say stays on its line, so that it cannot pass for one of ours.
    yield cleaned(f"dates: {dates}")
    yield cleaned(
        f"common grid: {grid['width_px']} x {grid['height_px']} px of {grid['pixel_m']:g} m,"
        f" {grid['overlap_km2']:g} km², {grid['crs']}; bands {', '.join(facts['bands'])}"
    )
    for remark in facts["remarks"]:
        yield cleaned(f"{'refused' if remark['refused'] else 'note'}: {remark['message']}")
    time_text = "unknown" if seconds is None else f"{seconds:g} s"
    yield f"tiles: {facts['tiles']}; expected time: {time_text}"


def _answer_analyze(session: Session, call: ToolCall, arguments: Mapping[str, Any]) -> ToolAnswer:
    grants = session.grants
    images = _series_of(arguments, grants)
    options = options_of(arguments, "analyze", grants)
    has_picture = flag_of(arguments, "picture", default=True)
    from geochg.pipeline.analyze import analyze_series

    outputs = outputs_of(arguments, grants)
    # What is wrong with the outputs is said before a model is loaded.
    outputs.check(images, options)
    result = analyze_series(
        images,
        options,
        outputs=outputs,
        listener=call.listen,
        cancel=call.cancel,
        model=session.model.model_for(options),
    )
    return answer_of_changes(call, result, images, options, has_picture=has_picture)


def answer_of_changes(
    call: ToolCall,
    result: ChangeResult,
    images: Sequence[str],
    options: AnalyzeOptions,
    *,
    has_picture: bool,
    **more_values: object,
) -> ToolAnswer:
    """What a run found, in words, values and where it is wanted a picture.

    Args:
        call: The call, with its notices.
        result: What the run found.
        images: The rasters that were compared, the earliest first.
        options: The options of the run.
        has_picture: Whether a picture is wanted.
        **more_values: What else the values tell.
    """
    values = {
        **change_values(result),
        "largest": largest_changes(result.layer.frames()),
        "notices": call.notices,
        **more_values,
    }
    pictures = list(pictures_of(images, options, result.layer.frames())) if has_picture else []
    return ToolAnswer(change_text(values), values, pictures)


def outputs_of(arguments: Mapping[str, Any], grants: Grants) -> Outputs:
    """The files that a call wants written.

    Raises:
        OptionError: If one is no text.
        InputError: If calls may not write one.
    """
    from geochg.pipeline.outputs import Outputs

    return Outputs(**new_files_of(arguments, _OUTPUTS, grants))


def pictures_of(
    images: Sequence[str], options: AnalyzeOptions, frames: Iterable[GeoDataFrame] = ()
) -> Iterator[bytes]:
    """The picture of the first and the last date; none where they make none."""
    from geochg.pipeline.preview import pair_preview

    dates = options.dates and (options.dates[0], options.dates[-1])
    nodata = options.nodata[:1] + options.nodata[-1:] if len(options.nodata) > 2 else options.nodata
    try:
        yield pair_preview(
            images[0], images[-1], replace(options, dates=dates, nodata=nodata), frames
        )
    except GeochgError:  # the answer is worth more than its picture
        return


def _answer_ask(session: Session, call: ToolCall, arguments: Mapping[str, Any]) -> ToolAnswer:
    images = images_of(arguments, session.grants)
    options, at = options_of(arguments, "ask", session.grants), point_of(arguments, "at")
    question = text_of(arguments, "question")
    from geochg.pipeline.dialogue import open_dialogue, open_image_dialogue

    model = session.model.model_for(options)
    call.stop_if_cancelled()
    if len(images) == 1:
        dialogue = open_image_dialogue(images[0], options, at=at, model=model)
    else:
        dialogue = open_dialogue(images[0], images[1], options, at=at, model=model)
    exchanges = session.exchanges_about(str((images, options, at)))
    dialogue.exchanges[:] = exchanges
    pieces = []
    for piece in dialogue.ask(question):
        call.stop_if_cancelled()
        pieces.append(piece)
    exchanges[:] = dialogue.exchanges
    answer = "".join(pieces).strip()
    values = {
        "answer": answer,
        "model": dialogue.model.identity.id,
        "outline": [list(lonlat) for lonlat in dialogue.outline],
        "notices": [remark.text for remark in dialogue.pair.remarks],
    }
    return ToolAnswer(answer, values)
