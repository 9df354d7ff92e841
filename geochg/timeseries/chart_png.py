"""The charts of places as PNG files, by matplotlib."""

from __future__ import annotations

import re
from pathlib import Path

from geochg.safety.untrusted_text import cleaned
from geochg.timeseries.charts import (
    BREAK_COLOR,
    COURSE_COLOR,
    MOST_TITLE,
    SEEN_COLOR,
    PlaceChart,
)
from geochg.writers.recognition import METADATA_KEY

_SIZE_IN = (9.0, 3.4)
_DPI = 110
_LONGEST_NAME = 60


def chart_file(number: int, chart: PlaceChart) -> str:
    """The name of the file of a chart: its number, and of its title what every disk takes."""
    words = re.sub(r"[^A-Za-z0-9]+", "_", chart.title).strip("_")[:_LONGEST_NAME]
    return f"{number:04d}_{words or 'place'}.png"


def write_chart(path: Path, chart: PlaceChart, version: str) -> None:
    """Draws a chart.

    Args:
        path: Where to write.
        chart: What is drawn.
        version: The version of geochg, which the file is marked with.

    Raises:
        OSError: If the file cannot be written.
    """
    from matplotlib.dates import date2num
    from matplotlib.figure import Figure

    # Without pyplot there is no state that threads share, and no window.
    figure = Figure(figsize=_SIZE_IN, layout="constrained")
    axes = figure.add_subplot()
    axes.fill_between(
        chart.curve_days, chart.lower, chart.upper, color=COURSE_COLOR, alpha=0.15, lw=0
    )
    axes.plot(chart.curve_days, chart.fitted, color=COURSE_COLOR, lw=1.3, label="usual course")
    is_off = chart.is_off
    if chart.break_days is not None:
        start, end = date2num(chart.break_days)  # type: ignore[no-untyped-call]
        axes.axvspan(start, end, color=BREAK_COLOR, alpha=0.25, lw=0, label="break")
    axes.plot(
        chart.days[~is_off], chart.values[~is_off], "o", ms=3.5, color=SEEN_COLOR, label="seen"
    )
    axes.plot(chart.days[is_off], chart.values[is_off], "o", ms=3.5, color=BREAK_COLOR)
    axes.set_ylim(*chart.value_range)
    # A dollar sign would begin a formula.
    axes.set_title(cleaned(chart.title, MOST_TITLE).replace("$", r"\$"), loc="left", fontsize=10)
    axes.set_ylabel(cleaned(chart.column, 40).replace("$", r"\$"))
    axes.grid(alpha=0.3)
    figure.legend(fontsize=8, frameon=False, ncols=3, loc="outside lower right")
    metadata = {METADATA_KEY: version, "Software": None}
    figure.savefig(path, dpi=_DPI, metadata=metadata)
