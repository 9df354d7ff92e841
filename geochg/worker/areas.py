"""Requests about an area and two times, of which scenes are fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from geochg.events import Listener
from geochg.options import AnalyzeOptions
from geochg.stac.options import FetchOptions
from geochg.worker.calls import Call
from geochg.worker.messages import WRONG_PARAMETERS, MessageError
from geochg.worker.parameters import check_known, text_of
from geochg.worker.paths import RequestFolder

_NAMES = ("area", "before", "after", "fetching", "scenes", "folder")


@dataclass(frozen=True)
class AreaParameters:
    """What a request about an area and two times carries.

    Attributes:
        area: The area, a file in it with an absolute path.
        before: The earlier time.
        after: The later time.
        scenes: The folder that scenes are kept in; None where none is named.
        fetching: How scenes are fetched; files in it have absolute paths.
    """

    area: str
    before: str
    after: str
    scenes: Path | None
    fetching: FetchOptions

    @classmethod
    def of(cls, parameters: Mapping[str, Any], *others: str) -> Self:
        """Reads them.

        Args:
            parameters: The parameters of the request.
            *others: Names of parameters that the method knows besides.

        Raises:
            MessageError: If one is missing, unknown or of another type, or a path is relative and
                no folder is named that it starts from.
            OptionError: If the options of fetching make no sense.
        """
        check_known(parameters, (*_NAMES, *others))
        folder = RequestFolder.of(parameters)
        area = folder.options(AnalyzeOptions(aoi=text_of(parameters, "area"))).aoi
        is_named = parameters.get("scenes") is not None
        scenes = Path(folder.file(text_of(parameters, "scenes"))) if is_named else None
        times = text_of(parameters, "before"), text_of(parameters, "after")
        return cls(area or "", *times, scenes, _fetch_options(parameters, folder))

    @property
    def place_and_times(self) -> tuple[str, str, str]:
        """The area, the earlier and the later time."""
        return self.area, self.before, self.after


def scene_collections(call: Call) -> Mapping[str, Any]:
    """The catalogues and collections that are known, and how scenes can be fetched."""
    check_known(call.parameters, ())
    from geochg.stac.known import DEFAULT_CATALOG, read_known_catalogs

    tables = read_known_catalogs()
    return {
        "default": DEFAULT_CATALOG,
        "catalogs": [
            {"name": entry.name, "url": entry.url, "about": entry.about}
            for entry in tables.catalogs.values()
        ],
        "collections": [
            {
                "catalog": collection.catalog,
                "id": collection.id,
                "title": collection.title,
                "bands": list(collection.bands),
                "resolution_m": collection.resolution_m,
            }
            for collection in tables.collections
        ],
        "options": [spec.to_dict() for spec in FetchOptions.specs()],
    }


def fetch_pair(call: Call, listener: Listener) -> Mapping[str, Any]:
    """Fetches the two scenes of an area and two times, and keeps them."""
    parameters = AreaParameters.of(call.parameters)
    if parameters.scenes is None:
        raise MessageError(
            WRONG_PARAMETERS, "there is no folder for the scenes", "name one as 'scenes'"
        )
    from geochg.stac.analyze_area import fetch_pair as fetch

    before, after = fetch(
        *parameters.place_and_times,
        parameters.scenes,
        parameters.fetching,
        listener=listener,
        cancel=call.cancel,
    )
    return {"before": before.to_dict(), "after": after.to_dict()}


def _fetch_options(parameters: Mapping[str, Any], folder: RequestFolder) -> FetchOptions:
    values = parameters.get("fetching", {})
    if not isinstance(values, Mapping):
        raise MessageError(WRONG_PARAMETERS, "parameter 'fetching' does not fit", "give an object")
    options = FetchOptions.from_dict(values)
    return replace(
        options,
        catalog=folder.file_that_exists(options.catalog),
        like=options.like and folder.file(options.like),
    )
