"""The windows of days of each of which a series has one scene."""

from __future__ import annotations

from datetime import date, timedelta

from geochg.errors import InputError
from geochg.stac.date_window import DateWindow
from geochg.stac.options import SeriesSearch
from geochg.stac.search import FoundScenes


def windows_with_scenes(
    scenes: FoundScenes, window: DateWindow, search: SeriesSearch
) -> list[DateWindow]:
    """The windows of a longer one in which scenes were found, the earliest first.

    The last one ends with the newest scene: once there are later ones, it is another window, whose
    scene is chosen anew.

    Args:
        scenes: The scenes that were found in all of it.
        window: All of it.
        search: How long each window is, and how many there may be.

    Raises:
        InputError: If there are more than there may be.
    """
    newest = window.first
    parts: set[DateWindow] = set()
    for item in scenes.items:
        day = item.taken.date()
        newest = max(newest, day)
        parts.add(_window_at(day, window, search.step_days))
    windows = sorted(parts, key=lambda part: part.first)
    if len(windows) > search.max_scenes:
        raise InputError(
            f"{scenes.collection_id} has scenes for {len(windows)} dates from {window}, and "
            f"--max-scenes is {search.max_scenes}",
            f"give --max-scenes {len(windows)}, a longer --every than {search.every}, or fewer "
            "years",
        )
    if windows:
        windows[-1] = DateWindow(windows[-1].first, newest)
    return windows


def _window_at(day: date, window: DateWindow, step_days: int | None) -> DateWindow:
    """The month, or the days counted from the first of the window, in which a day lies."""
    if step_days is None:
        month = DateWindow.of(f"{day:%Y-%m}")
        return DateWindow(max(month.first, window.first), min(month.last, window.last))
    first = day - timedelta(days=(day - window.first).days % step_days)
    return DateWindow(first, min(first + timedelta(days=step_days - 1), window.last))
