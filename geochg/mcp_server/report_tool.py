"""The tool that makes a page of a change layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geochg.errors import GeochgError
from geochg.mcp_server.arguments import AFTER, BEFORE, LATER, flag_of, images_of, text_of
from geochg.mcp_server.calls import ToolCall
from geochg.mcp_server.grants import Grants
from geochg.mcp_server.tool import (
    Session,
    Tool,
    ToolAnswer,
    answer_schema,
    object_schema,
    output_argument,
)
from geochg.safety.untrusted_text import cleaned


def report_tool(grants: Grants) -> Tool:
    """`report`: makes a page of a layer that geochg wrote."""
    properties = {
        "changes": {
            "type": "string",
            "description": "A layer that geochg wrote, within the folders of the server;"
            " FILE|layername=NAME where its file has several.",
        },
        "output": output_argument("The report to write, .html"),
        "before": {**BEFORE, "description": "The earlier raster, where it was moved or renamed."},
        "after": {**AFTER, "description": "The later raster, likewise."},
        "later": LATER,
        "title": {"type": "string", "description": "The heading; by default the dates."},
        "without_rejected": {
            "type": "boolean",
            "default": False,
            "description": "Leave out what a reviewer rejected in QGIS.",
        },
    }
    return Tool(
        "report",
        "Make a report",
        "Make one page of a layer of changes, to open in a browser without a network: the changes"
        " on both images with a swipe, a list, areas, confidence and where the result came from."
        " The images are looked for where the layer says they are, within the folders.",
        object_schema(properties, ("changes", "output")),
        answer_schema(
            {
                "report": {"type": "string"},
                "features": {"type": "integer"},
                "pictures": {"type": "integer"},
                "notes": {"type": "array"},
            }
        ),
        _answer_report,
        writes=True,
    )


def _answer_report(session: Session, call: ToolCall, arguments: Mapping[str, Any]) -> ToolAnswer:
    grants = session.grants
    layer = grants.shapes(text_of(arguments, "changes"))
    output = grants.folders.new_file(text_of(arguments, "output"))
    images = dict(enumerate(images_of(arguments, grants)))
    if "before" not in arguments and "after" in arguments:
        images = {-1: images[0]}
    title = text_of(arguments, "title") if "title" in arguments else ""
    from geochg.report.of_layer import report_layer

    result = report_layer(
        layer,
        output,
        images=images,
        title=title,
        with_rejected=not flag_of(arguments, "without_rejected", default=False),
        step=call.stop_if_cancelled,
        may_read=lambda name: _may_read(grants, name),
    )
    notes = [f"note: {cleaned(note)}" for note in result.notes]
    count = f"{result.features} features, {result.pictures} pictures"
    return ToolAnswer("\n".join([f"{result.path}: {count}", *notes]), result.to_dict())


def _may_read(grants: Grants, name: str) -> bool:
    """Whether calls may read a raster that a layer names."""
    try:
        grants.raster(name)
    except GeochgError:
        return False
    return True
