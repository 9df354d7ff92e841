"""`geochg info`: what a pair or a series is, before it is analysed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from .pair_options import options_of, pair_options
from .shared_options import json_option
from .terminal import echo


@click.command()
@pair_options("info")
@json_option("the description")
@click.pass_context
def info(ctx: click.Context, /, images: tuple[str, ...], as_json: bool, **_: Any) -> None:  # noqa: ANN401
    """Tell what the pair BEFORE and AFTER is: grid, overlap, dates, bands, shift, tiles, time.

    Of three images or more it tells all dates, and the shift of each step. The time is estimated by
    running the model on a few tiles.

    \b
    Examples:
      geochg info before.tif after.tif
      geochg info before.tif after.tif --resolution 2 --aoi district.gpkg --json
    """
    from geochg.pipeline.describe import describe_series

    facts = describe_series(images, options_of(ctx)).to_dict()
    echo(json.dumps(facts, allow_nan=False) if as_json else "\n".join(_in_words(facts)))


def _in_words(facts: Mapping[str, Any]) -> Iterator[str]:
    from geochg.tasks.quantities import area_in_words

    images = facts.get("images", ())
    for number, image in enumerate(images, start=1):
        yield from _source_in_words(f"image {number}", image)
    for date in ("before", "after") if not images else ():
        yield from _source_in_words(date, facts[date])
    grid = facts["grid"]
    km2 = grid["overlap_km2"]
    overlap = f"{km2:g} km²" if km2 >= 0.01 else area_in_words(km2 * 1e6)
    yield (
        f"common grid  {grid['width_px']} x {grid['height_px']} px of {grid['pixel_m']:g} m, "
        f"{overlap}, {grid['crs']}"
    )
    yield f"bands        {', '.join(facts['bands'])}"
    for remark in facts["remarks"]:
        kind = "refused" if remark["refused"] else "warning" if remark["warning"] else "note"
        yield f"{kind:12} {remark['message']}"
        if remark["hint"]:
            yield f"             {remark['hint']}"
    for span in facts.get("spans", ()):
        name = f"step {span['step']}" if span["step"] else "the whole"
        dates = f"{span['from_date'] or 'unknown'} to {span['to_date'] or 'unknown'}"
        yield f"{name:12} {dates}; shift {_shift_in_words(span['alignment'])}"
    if not images:
        yield f"shift        {_shift_in_words(facts['alignment'])}"
    seconds = facts["seconds"]
    time = "unknown: the tiles looked at have no data" if seconds is None else f"{seconds:g} s"
    yield f"tiles        {facts['tiles']}, estimated time {time}"


def _source_in_words(date: str, source: Mapping[str, Any]) -> Iterator[str]:
    yield f"{date:12} {source['path']} ({source['driver']})"
    yield (
        f"             {source['width_px']} x {source['height_px']} px, {source['dtype']}, "
        f"bands {', '.join(source['bands'])}; {source['crs'].splitlines()[0]}"
    )
    holes = "" if source["validity"] == "none" else f"; holes by {source['validity']}"
    acquired = source["acquired"] or source.get("date")
    yield f"             acquired {acquired or 'unknown'}{holes}"


def _shift_in_words(shift: Mapping[str, Any] | None) -> str:
    if shift is None:
        return "not measured, or nothing to measure it on"
    text = (
        f"{shift['magnitude_px']:.2f} px (x {shift['dx_px']:+.2f}, y {shift['dy_px']:+.2f}, "
        f"spread {shift['spread_px']:.2f}), {shift['windows_used']} of {shift['windows_tried']} "
        "windows agree"
    )
    if (field := shift["field"]) is not None:
        return _field_in_words(field, corrected=shift["corrected"])
    if not shift["clear"]:
        return f"{text}: not clear, not corrected"
    if not shift["worth_correcting"]:
        return f"{text}: too small to correct"
    return f"{text}: {'corrected' if shift['corrected'] else 'not corrected'}"


def _field_in_words(field: Mapping[str, Any], *, corrected: bool) -> str:
    text = (
        f"a field of {field['least_px']:.2f} to {field['greatest_px']:.2f} px (median x "
        f"{field['median_dx_px']:+.2f}, y {field['median_dy_px']:+.2f}, spread "
        f"{field['spread_px']:.2f} px or {field['spread_m']:.3g} m), borne out by "
        f"{field['windows_used']} of {field['windows_tried']} windows to "
        f"{field['residual_px']:.2f} px ({field['shift_residual_px']:.2f} px with one shift)"
    )
    return f"{text}: {'corrected' if corrected else 'not corrected'}"
