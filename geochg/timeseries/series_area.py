"""A series of scenes that a catalogue has of an area: fetched one after the other, then watched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event as Flag

import numpy as np

from geochg.errors import CancelledRunError, InputError, OptionError
from geochg.events import Event, Listener, Notice, ignore
from geochg.geometry.vector_file import file_of
from geochg.stac.area_scenes import fetch_options_of, scene_in_words, scenes_folder
from geochg.stac.asset_reader import NothingSeenError
from geochg.stac.date_window import DateWindow
from geochg.stac.fetch import FetchedScene
from geochg.stac.kept_scenes import keep_scene, make_folder, read_scene, scene_path
from geochg.stac.options import Composite, FetchOptions, SeriesSearch
from geochg.stac.scene_windows import windows_with_scenes
from geochg.stac.search import FoundScenes, refuse_none, search_scenes
from geochg.stac.search_area import SearchArea
from geochg.timeseries.date_covers import cover_model
from geochg.timeseries.options import SeriesOptions
from geochg.timeseries.outputs import SeriesOutputs
from geochg.timeseries.series import SeriesResult, refuse_short, series


@dataclass(frozen=True)
class AreaSeries:
    """A series of an area.

    Attributes:
        result: The result of the series.
        scenes: Its scenes, the earliest first.
        left_out: Of each window that has no scene although the catalogue has some, why, in words.
    """

    result: SeriesResult
    scenes: tuple[FetchedScene, ...]
    left_out: tuple[str, ...]


def series_area(
    area: str,
    start: str,
    end: str,
    options: SeriesOptions | None = None,
    fetching: FetchOptions | None = None,
    search: SeriesSearch | None = None,
    *,
    scenes: Path | str | None = None,
    outputs: SeriesOutputs | None = None,
    listener: Listener = ignore,
    cancel: Flag | None = None,
) -> AreaSeries:
    """Finds the places of an area that left their usual course, in scenes of a catalogue.

    The catalogue is asked on the network unless it is a file. All scenes lie on one grid and are
    kept: a run that was interrupted, or asks the same again, fetches only what is missing. Windows
    all of whose scenes are cloudy or cannot be read are left out.

    Args:
        area: As of `analyze_area`.
        start: The first year, month or day, such as `2019`.
        end: The last one.
        options: Options of the series; the defaults when None. Those that `fetching` has, too,
            such as `bands` and `crs`, count for both unless they are set there.
        fetching: Collection, catalogue and composite; the defaults when None.
        search: Days of which one scene is taken, and the most scenes; the defaults when None.
        scenes: The folder that the scenes are kept in; `NAME_scenes` beside the output when None.
        outputs: Files to write, as for `series`.
        listener: A function that is called on the calling thread with progress and notices.
        cancel: A flag; once it is set, the run stops at the next block or step.

    Returns:
        The result, whose metadata name the scenes, their dates and licences; and the scenes.

    Raises:
        OptionError: If a date is none, or they are the wrong way round.
        InputError: If the area or the catalogue cannot be used, or has too few scenes or too many.
        GeochgError: Otherwise as `series` and `fetch_scene`.
    """
    options, outputs = replace(options or SeriesOptions(), aoi=area), outputs or SeriesOutputs()
    fetching = fetch_options_of(options, fetching or FetchOptions())
    cancel = cancel or Flag()
    window = _span(start, end)
    _refuse_options(options, fetching)
    folder = scenes_folder(scenes, outputs.paths())
    outputs.check([file_of(text) for text in (area, options.zones) if text], options)
    ground = SearchArea.of(area, allow_remote=options.allow_remote)
    if options.land_cover:
        # What is wrong with the model is said before scenes are fetched.
        cover_model(options)
    known_scenes = search_scenes(ground, window, fetching, listener=listener)
    refuse_none(known_scenes, ground, window, fetching)
    windows = windows_with_scenes(known_scenes, window, search or SeriesSearch())
    _refuse_few(windows, options)
    fetch = _SeriesFetch(make_folder(folder), ground, fetching, known_scenes, listener, cancel)
    fetch.keep(windows)
    return fetch.watch(options, outputs)


def _span(start: str, end: str) -> DateWindow:
    """All days of the series.

    Raises:
        OptionError: If one is no date, is missing, or they are the wrong way round.
    """
    if not start.strip() or not end.strip():
        missing = "--to" if start.strip() else "--from"
        raise OptionError(
            f"a series has two ends, and {missing} is missing", "give both: --from 2019 --to 2023"
        )
    return DateWindow.of(start, end)


def _refuse_options(options: SeriesOptions, fetching: FetchOptions) -> None:
    """Refuses options that make no sense for scenes that are fetched."""
    if options.dates:
        raise OptionError(
            "--dates are for images, and scenes that are fetched tell theirs", "leave --dates out"
        )
    if fetching.like:
        raise OptionError(
            "the scenes of a series take their grid from the area", "leave --like out"
        )


def _refuse_few(windows: Sequence[DateWindow], options: SeriesOptions) -> None:
    """Refuses windows that are too few for a series if each of them has a scene.

    Raises:
        InputError: If they are; nothing was fetched yet.
    """
    noun = "date" if len(windows) == 1 else "dates"
    days = np.array([window.middle.date() for window in windows], "datetime64[D]")
    try:
        refuse_short(days, options)
    except InputError as error:
        raise InputError(
            f"the catalogue has scenes for {len(windows)} {noun}: {error.message}",
            "give an earlier --from, a later --to, or a shorter --every; nothing was fetched",
        ) from error


def _dates(scenes: Sequence[FetchedScene], fetching: FetchOptions) -> tuple[str, ...]:
    """The dates of scenes, where their own tags would not tell medians of one month apart."""
    if fetching.composite != Composite.MEDIAN:
        return ()
    spans = [(np.datetime64(scene.dates[0]), np.datetime64(scene.dates[-1])) for scene in scenes]
    return tuple(str(first + (last - first) // 2) for first, last in spans)


@dataclass
class _SeriesFetch:
    """The fetching of a series, scene by scene.

    Attributes:
        folder: Where the scenes are kept.
        area: The area.
        fetching: Collection, catalogue, composite, bands and grid.
        known_scenes: The scenes that the catalogue has.
        listener: Is told progress and notices; what many scenes share, once.
        cancel: A flag that stops it.
        scenes: What was fetched, or was there.
        left_out: Why windows have no scene.
    """

    folder: Path
    area: SearchArea
    fetching: FetchOptions
    known_scenes: FoundScenes
    listener: Listener
    cancel: Flag
    scenes: list[FetchedScene] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    _warnings: set[str] = field(default_factory=set)

    def keep(self, windows: Sequence[DateWindow]) -> None:
        """Fetches what is not in the folder; windows without a scene are told and left out.

        Raises:
            InputError: If no window has one.
            CancelledRunError: If it was cancelled.
        """
        paths = {w: scene_path(self.folder, self.area, w, self.fetching) for w in windows}
        kept_scenes = {w: scene for w, path in paths.items() if (scene := read_scene(path))}
        if kept_scenes:
            self.listener(
                Notice(f"{len(kept_scenes)} of {len(windows)} scenes are in {self.folder} and used")
            )
        for number, window in enumerate(windows, start=1):
            if self.cancel.is_set():
                raise CancelledRunError("cancelled", "scenes that were fetched are kept")
            if (scene := kept_scenes.get(window)) is not None:
                self.scenes.append(scene)
                for warning in scene.warnings:
                    self._tell(Notice(warning, warning=True))
                continue
            try:
                scene = self._fetch(window)
            except NothingSeenError as error:
                self.left_out.append(error.message)
                self.listener(Notice(f"left out: {error.message}", warning=True))
                continue
            self.scenes.append(scene)
            self.listener(Notice(f"{number} of {len(windows)}, {window}: {scene_in_words(scene)}"))
        if not self.scenes:
            raise InputError(
                f"none of {len(windows)} dates has a scene that shows the area: {self.left_out[0]}",
                "try again later, or choose another --catalog, --collection or area",
            )

    def watch(self, options: SeriesOptions, outputs: SeriesOutputs) -> AreaSeries:
        """Watches the scenes, which lie on the grid that was asked for."""
        dates = _dates(self.scenes, self.fetching)
        result = series(
            [str(scene.path) for scene in self.scenes],
            replace(options, crs=None, resolution=None, dates=dates),
            outputs=outputs,
            listener=self.listener,
            cancel=self.cancel,
        )
        return AreaSeries(result, tuple(self.scenes), tuple(self.left_out))

    def _fetch(self, window: DateWindow) -> FetchedScene:
        return keep_scene(
            self.folder,
            self.area,
            window,
            self.fetching,
            like=self.scenes[0].path if self.scenes else None,
            scenes=self.known_scenes.within(window),
            listener=self._tell,
            cancel=self.cancel,
        )

    def _tell(self, event: Event) -> None:
        """Passes an event on; a warning that another scene had already is not said again."""
        if isinstance(event, Notice) and event.warning:
            if event.message in self._warnings:
                return
            self._warnings.add(event.message)
        self.listener(event)
