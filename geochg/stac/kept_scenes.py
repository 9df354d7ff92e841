"""Scenes that are kept in a folder, so that a search fetches them once."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING

from geochg.errors import InputError
from geochg.events import Listener, Notice, ignore
from geochg.stac.fetch import FetchedScene, fetch_scene

if TYPE_CHECKING:
    from geochg.stac.date_window import DateWindow
    from geochg.stac.options import FetchOptions
    from geochg.stac.search import FoundScenes
    from geochg.stac.search_area import SearchArea

_AREA_DIGITS = 7  # of a degree: a centimetre
_KEY_DIGITS = 10


def scene_path(folder: Path, area: SearchArea, window: DateWindow, options: FetchOptions) -> Path:
    """Where the scene of a search is kept; searches that may give other pixels have other names.

    Args:
        folder: The folder.
        area: The area.
        window: The days.
        options: Collection, catalogue, composite, bands and grid.

    Raises:
        InputError: If the catalogue is neither known nor an address nor a file.
    """
    from shapely import to_wkt

    from geochg.stac.known import read_known_catalogs

    search = {
        **options.shaping(),
        "catalog": read_known_catalogs().catalog(options.catalog).url,
        "window": window.interval,
        "area": to_wkt(area.polygon.normalize(), rounding_precision=_AREA_DIGITS),
    }
    text = json.dumps(search, sort_keys=True)
    key = hashlib.sha256(text.encode("utf-8")).hexdigest()[:_KEY_DIGITS]
    collection = re.sub(r"[^A-Za-z0-9]+", "-", options.collection).strip("-")[:40]
    return folder / f"{collection}_{window.first}_{window.last}_{key}.tif"


def keep_scene(
    folder: Path,
    area: SearchArea,
    window: DateWindow,
    options: FetchOptions,
    *,
    like: Path | None = None,
    scenes: FoundScenes | None = None,
    listener: Listener = ignore,
    cancel: Flag | None = None,
) -> FetchedScene:
    """The scene of a search: that which is in the folder, else fetched into it.

    Args:
        folder: The folder, which exists.
        area: The area.
        window: The days.
        options: Collection, catalogue, composite, bands and grid.
        like: A scene of the same search at another time, whose grid is taken.
        scenes: The scenes of area and window that `search_scenes` found; searched when None.
        listener: Is told the progress, warnings, and whether a scene is used again.
        cancel: A flag; once it is set, fetching stops.

    Raises:
        GeochgError: As `fetch_scene` does.
    """
    path = scene_path(folder, area, window, options)
    if (scene := read_scene(path)) is not None:
        listener(Notice(f"{path} is there: it is used again, and nothing is fetched for {window}"))
        for warning in scene.warnings:
            listener(Notice(warning, warning=True))
        return scene
    if like is not None and options.like is None:
        options = replace(options, like=str(like), crs=None, resolution=None)
    return fetch_scene(area, window, path, options, scenes=scenes, listener=listener, cancel=cancel)


def read_scene(path: Path) -> FetchedScene | None:
    """A fetched scene as its file tells of it; None where there is none, or it is damaged."""
    import rasterio
    from rasterio.errors import RasterioError

    from geochg.tiling.scene_tags import tag_members

    if not path.is_file():
        return None
    try:
        with rasterio.open(path, driver="GTiff") as dataset:
            members = tag_members(dataset.tags())
    except RasterioError:
        return None
    try:
        scenes = [dict(scene) for scene in members["scenes"]]
        return FetchedScene(
            path=path,
            dates=tuple(sorted({str(scene["datetime"])[:10] for scene in scenes})),
            items=tuple(sorted(str(scene["id"]) for scene in scenes)),
            hidden_share=float(members["hidden_share"]),
            warnings=tuple(map(str, members["warnings"])),
            metadata=members,
        )
    except (KeyError, TypeError, ValueError):
        return None


def make_folder(folder: Path) -> Path:
    """Makes the folder that scenes are kept in, where it is not there.

    Raises:
        InputError: If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is no folder" if folder.exists() else error.strerror
        raise InputError(
            f"scenes cannot be kept in {folder}: {reason}", "name another folder with --scenes"
        ) from error
    return folder
