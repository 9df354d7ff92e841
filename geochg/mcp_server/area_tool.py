"""The tool that fetches scenes of an area at two times and maps what changed between them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geochg.errors import InputError, OptionError
from geochg.mcp_server.arguments import OfferedOptions, flag_of, map_options, options_of, text_of
from geochg.mcp_server.calls import ToolCall
from geochg.mcp_server.grants import Grants
from geochg.mcp_server.map_tools import PICTURE, answer_of_changes, outputs_of, writing_arguments
from geochg.mcp_server.tool import Session, Tool, ToolAnswer, answer_schema, object_schema
from geochg.safety.untrusted_text import cleaned
from geochg.stac.options import FetchOptions

_FETCHING = frozenset(("collection", "max_cloud", "composite", "clouds"))
_OF_IMAGES = ("dates", "dates_as_given", "in_turn")
"""Options that images have and scenes that are fetched settle themselves."""


def area_tool(grants: Grants) -> Tool:
    """`analyze_area`: asks catalogues on the network, which the server was allowed at start."""
    from geochg.stac.known import DEFAULT_CATALOG, read_known_catalogs

    time_text = "A year, a month or a day, such as 2020-06, or from one to another, 2020-06/2020-08"
    options = map_options("analyze").schemas(grants)
    properties = {
        "before": {"type": "string", "description": f"The earlier time. {time_text}."},
        "after": {"type": "string", "description": f"The later time. {time_text}."},
        **{name: schema for name, schema in options.items() if name not in _OF_IMAGES},
        **_fetching().schemas(grants),
        "catalog": {
            "type": "string",
            "enum": list(read_known_catalogs().catalogs),
            "default": DEFAULT_CATALOG,
            "description": "The catalogue that is asked, on the network.",
        },
        **writing_arguments(),
        "picture": PICTURE,
    }
    return Tool(
        "analyze_area",
        "Fetch scenes and map what changed",
        "Fetch a scene of an area (aoi) from each of two times out of a catalogue of satellite"
        " images, and map what changed between them as analyze does. The scenes are kept in a"
        " folder beside the output. This asks servers on the network, and may take minutes.",
        object_schema(properties, ("aoi", "before", "after", "output")),
        answer_schema({"outputs": {"type": "object"}, "features": {"type": "object"}}),
        _answer_area,
        writes=True,
        reaches_out=True,
    )


def _fetching() -> OfferedOptions[FetchOptions]:
    return OfferedOptions(FetchOptions, "fetch", _FETCHING)


def _answer_area(session: Session, call: ToolCall, arguments: Mapping[str, Any]) -> ToolAnswer:
    grants = session.grants
    options = options_of(arguments, "analyze", grants)
    fetching = _fetching().values(arguments, grants)
    if "catalog" in arguments:
        fetching["catalog"] = _catalog(text_of(arguments, "catalog"))
    before, after = text_of(arguments, "before"), text_of(arguments, "after")
    has_picture = flag_of(arguments, "picture", default=True)
    outputs = outputs_of(arguments, grants)
    from geochg.stac.analyze_area import analyze_area
    from geochg.stac.area_scenes import scenes_folder

    folder = scenes_folder(None, outputs.paths())
    _check_folder(folder, grants)
    changes = analyze_area(
        str(options.aoi),
        before,
        after,
        options,
        FetchOptions.from_dict(fetching),
        scenes=folder,
        outputs=outputs,
        listener=call.listen,
        cancel=call.cancel,
        model=session.model.model_for(options),
    )
    scenes = (changes.before, changes.after)
    return answer_of_changes(
        call,
        changes.result,
        [str(scene.path) for scene in scenes],
        options,
        has_picture=has_picture,
        scenes=[scene.to_dict() for scene in scenes],
    )


def _catalog(name: str) -> str:
    """A catalogue that is known by name: calls name no addresses."""
    from geochg.stac.known import read_known_catalogs

    if name not in (names := list(read_known_catalogs().catalogs)):
        raise OptionError(
            f"{cleaned(name, 60)!r} is no catalogue that is known",
            f"catalogues: {', '.join(names)}",
        )
    return name


def _check_folder(folder: Path, grants: Grants) -> None:
    """Refuses a folder of scenes that leads out of the folders, or holds what does.

    Raises:
        InputError: If it is one.
    """
    paths = [folder, *(folder.iterdir() if folder.is_dir() else ())]
    if not all(map(grants.folders.holds, paths)):
        raise InputError(f"{folder} leads out of the folders of the server", "name another output")
