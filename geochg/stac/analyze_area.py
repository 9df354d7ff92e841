"""What changed in an area between two times: scenes of both are fetched, then analysed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING

from geochg.errors import CancelledRunError, OptionError
from geochg.events import Listener, Notice, ignore
from geochg.geometry.vector_file import file_of
from geochg.options import AnalyzeOptions
from geochg.pipeline.outputs import Outputs
from geochg.stac.area_scenes import fetch_options_of, scene_in_words, scenes_folder
from geochg.stac.date_window import DateWindow
from geochg.stac.options import FetchOptions

if TYPE_CHECKING:
    from geochg.models.base import ChangeModel
    from geochg.pipeline.finish import ChangeResult
    from geochg.stac.fetch import FetchedScene
    from geochg.stac.search_area import SearchArea


@dataclass(frozen=True)
class AreaChanges:
    """Changes of an area between two times.

    Attributes:
        result: The result of the analysis.
        before: The earlier scene.
        after: The later scene.
    """

    result: ChangeResult
    before: FetchedScene
    after: FetchedScene


def analyze_area(
    area: str,
    before: str,
    after: str,
    options: AnalyzeOptions | None = None,
    fetching: FetchOptions | None = None,
    *,
    scenes: Path | str | None = None,
    outputs: Outputs | None = None,
    listener: Listener = ignore,
    cancel: Flag | None = None,
    model: ChangeModel | None = None,
) -> AreaChanges:
    """Finds what changed in an area between two times, in scenes that a catalogue has of it.

    The catalogue is asked on the network unless it is a file. Both scenes lie on one grid and are
    kept: a run that was interrupted, or asks the same again, fetches only what is missing.

    Args:
        area: A vector file, `west,south,east,north` or WKT; in longitude and latitude unless a CRS
            stands before it.
        before: The earlier time: a year, a month or a day, such as `2020-06`, or from one to
            another, `2020-06/2020-08`.
        after: The later time.
        options: Options of the analysis; the defaults when None. Those that `fetching` has, too,
            such as `bands` and `crs`, count for both unless they are set there.
        fetching: Collection, catalogue and composite; the defaults when None.
        scenes: The folder that the scenes are kept in; `NAME_scenes` beside the output when None.
        outputs: Files to write, as for `analyze`.
        listener: A function that is called on the calling thread with progress and notices.
        cancel: A flag; once it is set, the run stops at the next block or tile.
        model: The model that `load_configured_model` gives; loaded when None.

    Returns:
        The result, whose metadata name the scenes, their dates and licences, and both scenes.

    Raises:
        OptionError: If a time is none, or the times overlap or are the wrong way round.
        InputError: If the area or the catalogue cannot be used, or has no scene of a time.
        GeochgError: Otherwise as `analyze` and `fetch_scene`.
    """
    from geochg.pipeline.analyze import analyze_series
    from geochg.stac.kept_scenes import make_folder
    from geochg.stac.search_area import SearchArea

    windows, outputs = windows_of(before, after), outputs or Outputs()
    options = replace(options or AnalyzeOptions(), aoi=area)
    fetching = fetch_options_of(options, fetching or FetchOptions())
    folder = scenes_folder(scenes, outputs.paths())
    outputs.check([file_of(text) for text in (area, options.zones) if text], options)
    ground = SearchArea.of(area, allow_remote=options.allow_remote)
    model = _checked_model(options, model)
    pair = _scenes_of(ground, windows, make_folder(folder), fetching, listener, cancel or Flag())
    images = [str(scene.path) for scene in pair]
    # The scenes lie on the grid that was asked for.
    options = replace(options, crs=None, resolution=None)
    result = analyze_series(
        images, options, outputs=outputs, listener=listener, cancel=cancel, model=model
    )
    return AreaChanges(result, *pair)


def fetch_pair(
    area: str,
    before: str,
    after: str,
    scenes: Path | str,
    fetching: FetchOptions | None = None,
    *,
    listener: Listener = ignore,
    cancel: Flag | None = None,
) -> tuple[FetchedScene, FetchedScene]:
    """Fetches the two scenes that `analyze_area` would analyse.

    Args:
        area: As of `analyze_area`.
        before: The earlier time.
        after: The later time.
        scenes: The folder that the scenes are kept in.
        fetching: Collection, catalogue, composite, bands and grid; the defaults when None.
        listener: A function that is called on the calling thread with progress and notices.
        cancel: A flag; once it is set, fetching stops at the next block.

    Raises:
        GeochgError: As `analyze_area`.
    """
    from geochg.stac.kept_scenes import make_folder
    from geochg.stac.search_area import SearchArea

    windows, fetching = windows_of(before, after), fetching or FetchOptions()
    ground = SearchArea.of(area, allow_remote=fetching.allow_remote)
    folder = make_folder(Path(scenes))
    early, late = _scenes_of(ground, windows, folder, fetching, listener, cancel or Flag())
    return early, late


def _checked_model(options: AnalyzeOptions, model: ChangeModel | None) -> ChangeModel:
    """The model: what is wrong with it is said before scenes are fetched."""
    from geochg.models.loading import check_classes, check_sensitivity, load_configured_model

    model = model or load_configured_model(options)
    check_classes(options, model)
    check_sensitivity(options, model)
    return model


def windows_of(before: str, after: str) -> tuple[DateWindow, DateWindow]:
    """The days of the earlier and of the later time.

    Raises:
        OptionError: If one is no time, or they overlap or are the wrong way round.
    """
    if not before.strip() or not after.strip():
        missing = "later" if before.strip() else "earlier"
        raise OptionError(
            f"there is no {missing} time", "give both, such as --before 2020-06 --after 2024-06"
        )
    early, late = DateWindow.of(before), DateWindow.of(after)
    if late.last < early.first:
        raise OptionError(
            f"{before} lies after {after}",
            f"give the earlier time first: --before {after} --after {before}",
        )
    if late.first <= early.last:
        raise OptionError(
            f"{before} ({early}) and {after} ({late}) have days in common",
            "give two times that do not overlap",
        )
    return early, late


def _scenes_of(
    area: SearchArea,
    windows: Collection[DateWindow],
    folder: Path,
    fetching: FetchOptions,
    listener: Listener,
    cancel: Flag,
) -> list[FetchedScene]:
    """The scenes of both times, the second on the grid of the first."""
    from geochg.stac.kept_scenes import keep_scene

    scenes: list[FetchedScene] = []
    for window in windows:
        if cancel.is_set():
            raise CancelledRunError("cancelled", "scenes that were fetched are kept")
        scene = keep_scene(
            folder,
            area,
            window,
            fetching,
            like=scenes[0].path if scenes else None,
            listener=listener,
            cancel=cancel,
        )
        listener(Notice(f"{window}: {scene_in_words(scene)}"))
        scenes.append(scene)
    return scenes
