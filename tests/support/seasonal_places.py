"""Series of places whose course, noise and breaks are known."""

import numpy as np

DATES = np.datetime64("2020-01-05") + 15 * np.arange(73)
YEARS = (DATES - DATES[0]).astype(float) / 365.25


def seasonal_places(
    places=200, features=1, *, noise=0.05, amplitude=0.2, correlation=0.0, seen=1.0, seed=0
):
    """Three years of two weeks each, (places, 73, features), with a season of its own for each.

    Args:
        places: How many.
        features: How many.
        noise: Deviation about the season.
        amplitude: Of the season.
        correlation: Of the noise at neighbouring dates.
        seen: Share of the dates at which a place is observed; all features together.
        seed: Of the generator.
    """
    generator = np.random.default_rng(seed)
    phase = generator.uniform(0, 2 * np.pi, (places, 1, features))
    errors = generator.normal(0, 1, (places, len(DATES), features))
    for date in range(1, len(DATES)):
        fresh = np.sqrt(1 - correlation**2) * errors[:, date]
        errors[:, date] = correlation * errors[:, date - 1] + fresh
    values = 0.4 + amplitude * np.sin(2 * np.pi * YEARS[:, None] + phase) + noise * errors
    values[generator.random((places, len(DATES))) >= seen] = np.nan
    return values


def with_outliers(values, share=0.08, size=0.5, seed=1):
    """Clouds that a mask missed: at a share of the dates all features are brighter."""
    generator = np.random.default_rng(seed)
    values = values.copy()
    values[generator.random(values.shape[:2]) < share] += size
    return values


def annual_series(places=200, years=12, noise=0.03, seed=0):
    """One date each summer: dates (years,) and values (places, years, 2)."""
    generator = np.random.default_rng(seed)
    days = generator.integers(-20, 20, years)
    dates = np.datetime64("2009-07-15") + (365.25 * np.arange(years)).astype(int) + days
    return dates, 0.3 + generator.normal(0, noise, (places, years, 2))
