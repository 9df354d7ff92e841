"""The chart of a place as SVG, by text alone: it needs no package and holds no ids."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from geochg.safety.untrusted_text import cleaned
from geochg.timeseries.charts import (
    BREAK_COLOR,
    COURSE_COLOR,
    MOST_TITLE,
    SEEN_COLOR,
    PlaceChart,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH, HEIGHT = 720, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 30, 30
_TICKS = 5
_MOST_YEARS = 12


def course_svg(chart: PlaceChart) -> str:
    """A document of SVG: dots for what was seen, a line and a band for the usual course.

    The days between which the place left it are shaded. Text is escaped; there is no script, no
    style sheet and no id.

    Args:
        chart: What is drawn.
    """
    low, high = chart.value_range
    first, last = chart.days[0], chart.days[-1]
    span = max(int((last - first).astype(int)), 1)

    def x_of(days: NDArray[np.datetime64]) -> NDArray[np.float64]:
        share = (days - first).astype(np.float64) / span
        return np.asarray(_LEFT + share * (WIDTH - _LEFT - _RIGHT), np.float64)

    def y_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
        share = (np.clip(values, low, high) - low) / (high - low)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)

    title = cleaned(chart.title, MOST_TITLE)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="11">',
        f"<title>{escape(title)}: {escape(cleaned(chart.column))}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        *_axes(low, high, first, last, x_of, y_of),
        *_break_span(chart, x_of),
        *_band(chart, x_of, y_of),
        *_line(x_of(chart.curve_days), y_of(chart.fitted), np.isfinite(chart.fitted)),
        *_dots(chart, x_of, y_of),
        f'<text x="{_LEFT}" y="18" font-size="13" fill="#111111">{escape(title)}: '
        f"{escape(cleaned(chart.column))}</text>",
        "</svg>",
    ]
    return "\n".join(parts)


_Scale = Callable[["NDArray"], "NDArray[np.float64]"]  # type: ignore[type-arg]


def _axes(
    low: float,
    high: float,
    first: np.datetime64,
    last: np.datetime64,
    x_of: _Scale,
    y_of: _Scale,
) -> Iterator[str]:
    for value in _ticks(low, high):
        y = float(y_of(np.array([value]))[0])
        yield (
            f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
        )
        yield (
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#444444">'
            f"{value:.4g}</text>"
        )
    for day, text in _date_ticks(first, last):
        x = float(x_of(np.array([day]))[0])
        yield (
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{HEIGHT - _BOTTOM}" y2="{HEIGHT - _BOTTOM + 4}" '
            'stroke="#444444"/>'
        )
        yield (
            f'<text x="{x:.1f}" y="{HEIGHT - 10}" text-anchor="middle" fill="#444444">{text}</text>'
        )


def _ticks(low: float, high: float) -> Sequence[float]:
    """Round numbers within a range."""
    step = 10.0 ** math.floor(math.log10((high - low) / _TICKS))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= _TICKS)
    count = math.floor(high / step) - math.ceil(low / step) + 1
    return [(math.ceil(low / step) + number) * step for number in range(count)]


def _date_ticks(first: np.datetime64, last: np.datetime64) -> list[tuple[np.datetime64, str]]:
    """The beginnings of years within the series; its ends where there are fewer than two."""
    start, end = (int(day.astype("datetime64[Y]").astype(int)) + 1970 for day in (first, last))
    step = max(1, -(-(end - start) // _MOST_YEARS))
    years = [
        (np.datetime64(f"{year}-01-01"), str(year)) for year in range(start + 1, end + 1, step)
    ]
    return years if len(years) > 1 else [(first, str(first)), (last, str(last))]


def _break_span(chart: PlaceChart, x_of: _Scale) -> Iterator[str]:
    if chart.break_days is None:
        return
    start, end = x_of(np.array(chart.break_days))
    yield (
        f'<rect x="{start:.1f}" y="{_TOP}" width="{max(end - start, 1):.1f}" '
        f'height="{HEIGHT - _TOP - _BOTTOM}" fill="{BREAK_COLOR}" fill-opacity="0.25"/>'
    )


def _band(chart: PlaceChart, x_of: _Scale, y_of: _Scale) -> Iterator[str]:
    is_finite = np.isfinite(chart.lower) & np.isfinite(chart.upper)
    if is_finite.any():
        xs = x_of(chart.curve_days[is_finite])
        upper, lower = y_of(chart.upper[is_finite]), y_of(chart.lower[is_finite])
        points = _points(np.concatenate([xs, xs[::-1]]), np.concatenate([upper, lower[::-1]]))
        yield f'<polygon points="{points}" fill="{COURSE_COLOR}" fill-opacity="0.15"/>'


def _line(
    xs: NDArray[np.float64], ys: NDArray[np.float64], is_finite: NDArray[np.bool_]
) -> Iterator[str]:
    if is_finite.any():
        points = _points(xs[is_finite], ys[is_finite])
        stroke = f'stroke="{COURSE_COLOR}" stroke-width="1.5"'
        yield f'<polyline points="{points}" fill="none" {stroke}/>'


def _dots(chart: PlaceChart, x_of: _Scale, y_of: _Scale) -> Iterator[str]:
    is_finite = np.isfinite(chart.values)
    is_off = chart.is_off
    xs, ys = x_of(chart.days[is_finite]), y_of(chart.values[is_finite])
    for x, y, is_after in zip(xs.tolist(), ys.tolist(), is_off[is_finite].tolist(), strict=True):
        color = BREAK_COLOR if is_after else SEEN_COLOR
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>'


def _points(xs: NDArray[np.float64], ys: NDArray[np.float64]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs.tolist(), ys.tolist(), strict=True))
