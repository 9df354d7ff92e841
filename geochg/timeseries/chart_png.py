"""The charts of places as PNG files, by matplotlib."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from geochg.safety.untrusted_text import cleaned
from geochg.timeseries.charts import PlaceChart
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
        chart.curve_days, chart.lower, chart.upper, color="tab:blue", alpha=0.15, lw=0
    )
    axes.plot(chart.curve_days, chart.fitted, color="tab:blue", lw=1.3, label="usual course")
    is_off = chart.is_off
    if chart.break_days is not None:
        start, end = date2num(chart.break_days)  # type: ignore[no-untyped-call]
        axes.axvspan(start, end, color="tab:red", alpha=0.25, lw=0, label="break")
    axes.plot(chart.days[~is_off], chart.values[~is_off], "o", ms=3.5, color="0.2", label="seen")
    axes.plot(chart.days[is_off], chart.values[is_off], "o", ms=3.5, color="tab:red")
    _limit_values(axes, chart)
    # A dollar sign would begin a formula.
    axes.set_title(cleaned(chart.title, 90).replace("$", r"\$"), loc="left", fontsize=10)
    axes.set_ylabel(cleaned(chart.column, 40).replace("$", r"\$"))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="upper right")
    metadata = {METADATA_KEY: version, "Software": None}
    figure.savefig(path, dpi=_DPI, metadata=metadata)


def _limit_values(axes: object, chart: PlaceChart) -> None:
    """Shows what was seen, and not all of a band that is wide where little was known."""
    seen_values = chart.values[np.isfinite(chart.values)]
    if not len(seen_values):
        return
    low, high = float(seen_values.min()), float(seen_values.max())
    room = 0.6 * ((high - low) or max(abs(low), 1.0) * 0.1)
    axes.set_ylim(low - room, high + room)  # type: ignore[attr-defined]
