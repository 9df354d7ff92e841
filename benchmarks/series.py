"""Scores of the methods of `geochg series` on real and drawn series, as in docs/series.md.

    python benchmarks/series.py FOLDER [--slow-places N] [--markdown FILE]

FOLDER holds NDVI.npy, CLM.npy (1 where cloudy) and timestamps.json of one place. Coverage is the
share of observations inside the 95 % interval that was forecast for them from earlier observations
alone. The baselines take one place after the other and see the first N places of each kind only.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import machine
import numpy as np
from numpy.typing import NDArray

from geochg.timeseries.breaks import BREAK_METHODS, BreakRules, find_breaks

STABLE_PLACES, BROKEN_PLACES = 1000, 500
YEAR = 365.25
NOISE = 0.05


@dataclass(frozen=True)
class Kind:
    """Series of one kind.

    Attributes:
        name: What they are.
        dates: (T,).
        values: (N, T, F).
        break_at: Index of the first date after the break; None where there is none.
    """

    name: str
    dates: NDArray[np.datetime64]
    values: NDArray[np.float64]
    break_at: int | None = None


def real(folder: Path) -> Iterator[Kind]:
    """NDVI of pixels, and of blocks of 5 x 5 pixels of which half are clear."""
    dates = np.array(json.loads((folder / "timestamps.json").read_text()), "datetime64[D]")
    ndvi = np.load(folder / "NDVI.npy")[..., 0].astype(np.float64)
    ndvi[np.load(folder / "CLM.npy")[..., 0] > 0] = np.nan
    yield Kind("NDVI of pixels", dates, ndvi.reshape(len(dates), -1).T[:, :, None])
    size = 5
    rows, cols = (length // size for length in ndvi.shape[1:])
    blocks = ndvi[:, : rows * size, : cols * size].reshape(len(dates), rows, size, cols, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        means = np.nanmean(blocks, axis=(2, 4))
    means[np.isfinite(blocks).mean(axis=(2, 4)) < 0.5] = np.nan
    yield Kind("NDVI of 5 x 5 blocks", dates, means.reshape(len(dates), -1).T[:, :, None])


def drawn(
    places: int, *, correlation: float = 0.0, features: int = 1, seen: float = 0.6, seed: int = 0
) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    """Three years of dates 5 to 25 days apart; a season of .05 to .3, noise of .05.

    The correlation is that of noise ten days apart.
    """
    generator = np.random.default_rng(seed)
    days = np.cumsum(generator.integers(5, 26, 73))
    amplitude = generator.uniform(0.05, 0.3, (places, 1, features))
    phase = generator.uniform(0, 2 * np.pi, (places, 1, features))
    errors = generator.normal(0, 1, (places, len(days), features))
    for date in range(1, len(days)):
        kept = correlation ** ((days[date] - days[date - 1]) / 10)
        errors[:, date] = kept * errors[:, date - 1] + np.sqrt(1 - kept**2) * errors[:, date]
    season = amplitude * np.sin(2 * np.pi * days[:, None] / YEAR + phase)
    values = 0.4 + season + NOISE * errors
    values[generator.random(values.shape[:2]) >= seen] = np.nan
    return np.datetime64("2018-01-01") + days, values


def stable() -> Iterator[Kind]:
    """Drawn series that never leave their course."""
    for correlation in (0.0, 0.5, 0.8, 0.9):
        dates, values = drawn(STABLE_PLACES, correlation=correlation, seed=1)
        yield Kind(f"noise correlated {correlation:g}", dates, values)
    dates, values = drawn(STABLE_PLACES, features=5, correlation=0.5, seed=2)
    yield Kind("five features, correlated 0.5", dates, values)
    dates, values = drawn(STABLE_PLACES, seed=3)
    values[np.random.default_rng(4).random(values.shape[:2]) < 0.08] += 0.4
    yield Kind("8 % outliers of .4", dates, values)
    dates, values = drawn(STABLE_PLACES, seed=5)
    years = (dates - dates[0]).astype(float) / YEAR
    yield Kind("trend of .05 a year", dates, values + 0.05 * years[:, None])
    dates, values = annual()
    yield Kind("ten dates of one season, four features", dates, values)


def annual() -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    """Ten summers."""
    generator = np.random.default_rng(6)
    days = (YEAR * np.arange(10)).astype(int) + generator.integers(-20, 20, 10)
    noise = generator.normal(0, NOISE, (STABLE_PLACES, 10, 4))
    return np.datetime64("2009-07-20") + days, 0.4 + noise


def broken() -> Iterator[Kind]:
    """Drawn series with one break each."""
    for size in (4, 6, 8):
        for at in (12, 36, 64):
            dates, values = drawn(BROKEN_PLACES, seed=7)
            values[:, at:] += size * NOISE
            yield Kind(f"shift of {size} deviations at date {at + 1} of 73", dates, values, at)
    dates, values = drawn(BROKEN_PLACES, seed=8)
    values -= 6 * NOISE * np.clip((np.arange(73) - 40) / 15, 0, 1)[:, None]
    yield Kind("slope to 6 deviations over 15 dates from date 41", dates, values, 40)
    dates, values = drawn(BROKEN_PLACES, seed=9)
    mean = np.nanmean(values, axis=1, keepdims=True)
    generator = np.random.default_rng(10)
    flat = mean + generator.normal(0, NOISE, values[:, 45:].shape)
    values[:, 45:] = np.where(np.isnan(values[:, 45:]), np.nan, flat)
    yield Kind("season ends at date 46", dates, values, 45)
    dates, values = annual()
    values[:, 6:, 0] += 8 * NOISE
    yield Kind("8 deviations at date 7 of ten, one of four features", dates, values, 6)


def score_line(kind: Kind, method: str, places: int) -> list[str]:
    """Breaks, coverage, RMSE, AIC, width of the interval and time of a method on some series."""
    values = kind.values[:places]
    start = time.perf_counter()
    rules = BreakRules(method)
    breaks = find_breaks(kind.dates, values, rules, interval_dates=np.unique(kind.dates))
    seconds = time.perf_counter() - start
    monitored = np.isin(breaks.status, ("stable", "break"))
    interval = breaks.interval
    half = float(np.nanmedian(interval.upper - interval.lower)) / 2 if interval else 0
    return [
        kind.name,
        method,
        str(int(monitored.sum())),
        f"{(breaks.status[monitored] == 'break').mean():.1%}",
        f"{breaks.mean_coverage:.1%}",
        f"{np.nanmean(breaks.rmse):.3f}",
        f"{np.nanmean(breaks.aic):.0f}",
        f"{half:.3f}",
        f"{1000 * seconds / len(values):.1f}",
    ]


def detection_line(kind: Kind, method: str, places: int) -> list[str]:
    """How many breaks a method finds, dates right, and how late it dates them."""
    values = kind.values[:places]
    breaks = find_breaks(kind.dates, values, BreakRules(method))
    found = breaks.status == "break"
    assert kind.break_at is not None
    seen = np.isfinite(values).all(axis=2)
    after = np.arange(len(kind.dates)) >= kind.break_at
    first = kind.dates[(seen & after).argmax(axis=1)]
    delay = (breaks.break_date - first)[found].astype(float)
    late = f"{np.median(delay):.0f}" if found.any() else ""
    early = (delay < -30).sum() / len(values)
    exact = (delay == 0).sum() / len(values)
    return [kind.name, method, f"{found.mean():.0%}", f"{exact:.0%}", f"{early:.0%}", late]


def full_size() -> str:
    """The time of the default method for 10,100 places, 68 dates and six features."""
    dates, values = drawn(10_100, features=6, correlation=0.5, seed=11)
    start, used = time.perf_counter(), time.process_time()
    find_breaks(dates[:68], values[:, :68])
    seconds, used = time.perf_counter() - start, time.process_time() - used
    return (
        f"10,100 places, 68 dates, 6 features, `harmonic`: {seconds:.1f} s "
        f"({used:.1f} s of processor time)"
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table as Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def report(folder: Path, slow_places: int) -> str:
    """All tables, and the machine they were measured on."""
    places = dict.fromkeys(BREAK_METHODS, slow_places) | {"harmonic": 10**6}
    head = ["Series", "Method", "Places", "Broken", "Coverage", "RMSE", "AIC", "Half width"]
    scored = [
        score_line(kind, method, places[method])
        for kind in [*real(folder), *stable()]
        for method in BREAK_METHODS
        if method != "seasonal-trend" or len(kind.dates) > 10
    ]
    detected = [
        detection_line(kind, method, places[method])
        for kind in broken()
        for method in BREAK_METHODS
        if method != "seasonal-trend" or len(kind.dates) > 10
    ]
    columns = ["Break", "Method", "Found", "Right date", "30 days early", "Median delay (days)"]
    return "\n".join(
        [
            table([*head, "ms a place"], scored),
            table(columns, detected),
            full_size(),
            machine.describe(),
        ]
    )


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the real series")
    parser.add_argument("--slow-places", type=int, default=60, help="places for the baselines")
    parser.add_argument("--markdown", type=Path, help="file for the tables")
    arguments = parser.parse_args()
    text = report(arguments.folder, arguments.slow_places)
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
