"""The tool about many dates: the places that left their usual course, and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from geochg.mcp_server.arguments import OfferedOptions, Schema, new_files_of, texts_of
from geochg.mcp_server.calls import ToolCall
from geochg.mcp_server.change_answers import largest_rows
from geochg.mcp_server.grants import Grants
from geochg.mcp_server.tool import (
    Session,
    Tool,
    ToolAnswer,
    answer_schema,
    object_schema,
    output_argument,
)
from geochg.timeseries.options import SeriesOptions

if TYPE_CHECKING:
    from geochg.timeseries.series import SeriesResult

_OUTPUTS = {"features": "output", "observations": "observations"}
"""Arguments by the outputs that they name."""

MOST_BREAKS = 30
"""Breaks that an answer lists, the largest."""

_NAMES = frozenset(
    """
    dates method confidence consecutive monitor_from block zones zone_name bands watch least_valid
    land_cover model resolution crs aoi nodata keep_collars min_area_m2 layer
    """.split()
)
_TOLD = (
    *("id", "zone", "class", "change", "before_class", "after_class", "break_date", "break_from"),
    *("break_to", "watched", "difference", "strength", "persistence", "caption", "area_m2"),
)


def series_tool(grants: Grants) -> Tool:
    """`series`: finds breaks in a series of images."""
    images: Schema = {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
        "description": "Rasters of one place, one a date, in any order: paths within the folders"
        " of the server. The more dates, the better; some methods need more than a year of them.",
    }
    properties = {
        "images": images,
        "output": output_argument(
            "The layer of breaks to write: .geojson, .gpkg, .fgb or .parquet"
        ),
        "observations": output_argument(
            "Also write what was observed at each place and date (.csv, .parquet)"
        ),
        **offered_options().schemas(grants),
    }
    return Tool(
        "series",
        "Find when places changed",
        "Find the places that left their usual course in a series of many dates, and when. Each"
        " block of pixels, or each zone, is watched by its indices, bands or land cover; the"
        " answer tells how many broke, the largest with their dates, and how good each date is.",
        object_schema(properties, ("images", "output")),
        answer_schema(
            {
                "outputs": {"type": "object"},
                "status": {"type": "object"},
                "breaks": {"type": "array"},
                "notices": {"type": "array"},
            }
        ),
        _answer_series,
        writes=True,
    )


def offered_options() -> OfferedOptions[SeriesOptions]:
    """The options of `series` that calls may set."""
    return OfferedOptions(SeriesOptions, "series", _NAMES)


def _answer_series(session: Session, call: ToolCall, arguments: Mapping[str, Any]) -> ToolAnswer:
    grants = session.grants
    images = [grants.raster(name) for name in texts_of(arguments, "images")]
    values = offered_options().values(arguments, grants)
    options = SeriesOptions.from_dict({"device": grants.options.device, **values})
    from geochg.timeseries.outputs import SeriesOutputs
    from geochg.timeseries.series import series

    outputs = SeriesOutputs(**new_files_of(arguments, _OUTPUTS, grants))
    result = series(images, options, outputs=outputs, listener=call.listen, cancel=call.cancel)
    facts = series_values(result)
    return ToolAnswer("\n".join(_words(facts)), {**facts, "notices": call.notices})


def series_values(result: SeriesResult) -> dict[str, Any]:
    """Files, numbers, dates and the largest breaks of a series, as plain JSON values."""
    facts = result.metadata["series"]
    frame = result.features[result.features["status"] == "break"]
    return {
        "outputs": result.outputs.to_dict(),
        "status": facts["status"],
        "watched": facts["watched"],
        "method": facts["method"],
        "coverage": facts["scores"]["coverage"],
        "dates": facts["dates"],
        "breaks": largest_rows([frame], _TOLD, MOST_BREAKS),
    }


def _words(facts: Mapping[str, Any]) -> Iterator[str]:
    dates, status = facts["dates"], facts["status"]
    yield (
        f"{len(dates)} dates, {dates[0]['date']} to {dates[-1]['date']}, watched by"
        f" {', '.join(facts['watched'])}; written to {', '.join(facts['outputs'].values())}"
    )
    yield "; ".join(f"{count:,} places: {name}" for name, count in status.items())
    for row in facts["breaks"][:5]:
        place = f"zone {row['zone']}" if row.get("zone") else f"{row['lon']:.5f}, {row['lat']:.5f}"
        yield f"break: {row.get('break_date')} at {place}"
