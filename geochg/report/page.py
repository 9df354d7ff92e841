"""The page of a report: one HTML file that holds all it shows and asks nobody for more."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import shapely
from markupsafe import Markup, escape
from PIL import Image, ImageDraw

from geochg import __version__
from geochg.report.changes import ChangeTable, ListedChange, change_table
from geochg.report.citation import citation
from geochg.report.contents import DatedPicture, ReportContents
from geochg.report.metadata_text import options_text, provenance_of, warnings_of
from geochg.report.sections import (
    ClassKey,
    class_keys,
    columns_of,
    details_of,
    directions_of,
    figures_of,
    histogram_of,
    kinds_of,
    numbers_of,
    place_text,
    row_of,
    zone_rows,
)
from geochg.report.sprites import COLUMNS, Sprites, picture_address, sprites_of
from geochg.report.views import DateView, Pixels, ViewSize, overview
from geochg.safety.untrusted_text import LONGEST_TEXT, cleaned
from geochg.tiling.footprints import lonlat_box
from geochg.tiling.gdal import gdal_settings

if TYPE_CHECKING:
    import numpy as np
    from jinja2 import Template

_DATE = re.compile(r"\d{4}-\d\d(?:-\d\d)?")
_OVERVIEW_PX = 400
_OVERVIEW_QUALITY = 70


def report_page(contents: ReportContents, step: Callable[[], None] = lambda: None) -> bytes:
    """Makes the page.

    Args:
        contents: What it shows.
        step: Called between parts of the work; may raise to stop.

    Raises:
        InputError: If an image has gone or changed its kind.
    """
    size = ViewSize.of(contents.grid, len(contents.pictures))
    step()
    table = change_table(contents.frames(), contents.grid, size)
    notes = list(contents.notes)
    with ExitStack() as stack:
        stack.enter_context(gdal_settings())
        views, addresses = _views(contents, size, stack, step)
        sprites = sprites_of(
            table.listed, views, lambda change: dates_of(change, contents.pictures), size, step
        )
        notes += [
            f"Not all of {picture.name} could be read: parts of its pictures are empty."
            for picture, view in zip(contents.pictures, views, strict=True)
            if not view.is_complete
        ]
        classes = class_keys(table, contents.zones, contents.metadata)
        small = _overview(views[-1].pixels if views else None, size, table, classes)
    step()
    values = _values(contents, table, size, classes, sprites, addresses, notes)
    return _page_bytes({**values, "overview": small})


def _views(
    contents: ReportContents, size: ViewSize, stack: ExitStack, step: Callable[[], None]
) -> tuple[list[DateView], list[str]]:
    """The dates and their pictures, two at a time; the stack closes them."""

    def view_of(picture: DatedPicture) -> tuple[DateView, str]:
        view = DateView(picture, contents.grid, size)
        stack.callback(view.close)
        return view, picture_address(view.pixels)

    views, addresses = [], []
    with ThreadPoolExecutor(2) as pool:
        for view, address in pool.map(view_of, contents.pictures):
            step()
            views.append(view)
            addresses.append(address)
    return views, addresses


def dates_of(change: ListedChange, pictures: Sequence[DatedPicture]) -> tuple[int, int]:
    """The numbers of the pictures between which a change came about.

    Of a step of a series its two dates; of a break the dates beside it; else the first and the
    last.
    """
    last = len(pictures) - 1
    if change.step is not None and 0 < change.step <= last:
        return change.step - 1, change.step
    if (start := change.facts.get("break_from")) and (end := change.facts.get("break_to")):
        days = [picture.date for picture in pictures]
        earlier_dates = [n for n, day in enumerate(days) if day and day <= start]
        later_dates = [n for n, day in enumerate(days) if day and day >= end]
        if earlier_dates and later_dates:
            return earlier_dates[-1], later_dates[0]
    return 0, max(0, last)


def _values(
    contents: ReportContents,
    table: ChangeTable,
    size: ViewSize,
    classes: Sequence[ClassKey],
    sprites: Sprites,
    addresses: Sequence[str],
    notes: Sequence[str],
) -> dict[str, Any]:
    """All that the template shows, but for the overview."""
    metadata, keys = contents.metadata, {row.name: row.key for row in classes}
    noun = _noun(metadata)
    nouns = f"{noun}s"
    rows = [
        row_of(change, keys, [sprites.cell(number, n) for n in range(sprites.per_change)])
        for number, change in enumerate(table.listed)
    ]
    return {
        "title": cleaned(contents.title, 200),
        "eyebrow": "Change report" if noun == "change" else "Scene report",
        "version": __version__,
        "noun": noun,
        "nouns": nouns,
        "a_noun": f"a {noun}",
        "caption": cleaned(metadata.get("caption") or "", LONGEST_TEXT),
        "numbers": list(numbers_of(table, nouns, size.pixel_m)),
        "warnings": [*notes, *warnings_of(metadata, table, noun)],
        "width": size.width_px,
        "height": size.height_px,
        "pictures": [
            {**_picture(picture), "address": address}
            for picture, address in zip(contents.pictures, addresses, strict=True)
        ],
        "place": place_text(lonlat_box(contents.grid)),
        "classes": [row for row in classes if row.changes],
        "directions": directions_of(table),
        "has_confidence": any(table.confidences),
        "steps": [(str(step), f"Step {step}{_step_dates(table, step)}") for step in table.steps],
        "reviews": _reviews(table),
        "changes": rows,
        "kinds": kinds_of(table, keys),
        "histogram": histogram_of(table, nouns),
        "zones": list(zone_rows(contents.zones, keys)),
        "figures": list(figures_of(contents.figures)),
        "provenance": list(provenance_of(metadata)),
        "options": options_text(metadata),
        "citation": citation(cleaned(metadata.get("version") or __version__, 40)),
        "data": Markup(_json(_script_data(contents, table, size, keys, addresses))),
        "own_style": _own_style(classes, size),
        "sprite_style": _sprite_style(sprites),
    }


def _script_data(
    contents: ReportContents,
    table: ChangeTable,
    size: ViewSize,
    keys: Mapping[str, str],
    addresses: Sequence[str],
) -> dict[str, Any]:
    """What the script knows of the changes and pictures, as plain JSON values."""
    columns, last = columns_of(table), len(addresses) - 1
    return {
        "width": size.width_px,
        "height": size.height_px,
        "pixel_m": size.pixel_m,
        "columns": columns,
        "classes": [int(keys[change.kind.class_name][1:]) for change in table.listed],
        "boxes": [_box(change, size) for change in table.listed],
        "dates": [dates_of(change, contents.pictures) for change in table.listed],
        "labels": details_of(columns),
        "file": f"{_noun(contents.metadata)}s.csv",
        # The first and the last are in the page already.
        "pictures": [
            {**_picture(picture), "address": "" if n in (0, last) else address}
            for n, (picture, address) in enumerate(zip(contents.pictures, addresses, strict=True))
        ],
    }


def _noun(metadata: Mapping[str, Any]) -> str:
    """What the features of a layer are called: those of a single image are places."""
    return "place" if "labels" in metadata else "change"


def _picture(picture: DatedPicture) -> dict[str, str]:
    name, date = cleaned(picture.name, 120), cleaned(picture.date, 40)
    return {"label": date or name, "when": f"on {date} ({name})" if date else f"in {name}"}


def _step_dates(table: ChangeTable, step: int) -> str:
    """The dates of a step, behind its number."""
    change = next((change for change in table.listed if change.step == step), None)
    return f": {change.dates[0]} to {change.dates[1]}" if change and all(change.dates) else ""


def _reviews(table: ChangeTable) -> list[tuple[str, str]]:
    """The states of a review; none where nobody decided on anything."""
    names = sorted(name for name in table.reviews if name)
    undecided = [("none", f"undecided ({table.reviews['']:,})")] if table.reviews[""] else []
    return [*((n, f"{n} ({table.reviews[n]:,})") for n in names), *undecided] if names else []


def _box(change: ListedChange, size: ViewSize) -> list[float]:
    """Left, top, right and bottom in pixels of the view."""
    left, top, right, bottom = change.bounds_px
    per_col, per_row = size.per_col, size.per_row
    return [round(v, 1) for v in (left * per_col, top * per_row, right * per_col, bottom * per_row)]


def _overview(
    pixels: Pixels | None, size: ViewSize, table: ChangeTable, classes: Sequence[ClassKey]
) -> str:
    """The whole area in small, with all listed changes in their colors."""
    import numpy as np

    if pixels is None:
        pixels = np.zeros((size.height_px, size.width_px, 4), np.uint8)
    small = overview(pixels, _OVERVIEW_PX)
    picture = Image.fromarray(small, "RGBA")
    draw = ImageDraw.Draw(picture)
    scale = small.shape[1] / size.width_px
    colors = {row.name: row.color for row in classes}
    for change in table.listed:
        if change.step is not None:
            continue
        color = colors[change.kind.class_name]
        for part in shapely.get_parts(change.outline):
            points: np.ndarray[Any, Any] = shapely.get_coordinates(part.exterior) * scale
            left, top = points.min(axis=0).tolist()
            right, bottom = points.max(axis=0).tolist()
            if max(right - left, bottom - top) < 3:  # too small to be seen as it is
                x, y = (left + right) / 2, (top + bottom) / 2
                draw.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=color)
            else:
                draw.polygon([*map(tuple, points.tolist())], fill=color)
    return picture_address(np.asarray(picture), _OVERVIEW_QUALITY)


# --- the file ------------------------------------------------------------------------------------


def _page_bytes(values: dict[str, Any]) -> bytes:
    """The page with its style, script and what a browser may do with it."""
    style = _template_file("report.css") + values["own_style"]
    sprite_style, script = values["sprite_style"], _template_file("report.js")
    styles = [text for text in (style, sprite_style) if text]
    # Whatever else a text of the page might bring with it does not run and is not fetched.
    policy = "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src {' '.join(map(_hash, styles))}",
            f"script-src {_hash(script)}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    page = _template().render(
        {
            **values,
            "policy": policy,
            "style": Markup(style),
            "sprite_style": Markup(sprite_style),
            "script": Markup(script),
        }
    )
    return page.encode()


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["unbroken"] = _with_whole_dates
    return environment.from_string(_template_file("report.html"))


def _with_whole_dates(text: str) -> Markup:
    """A text in HTML in which no line ends within a date."""
    return Markup(_DATE.sub(r'<span class="unbroken">\g<0></span>', str(escape(text))))


def _template_file(name: str) -> str:
    """A part of the page, its lines ended as HTML counts them for checksums."""
    text = (files("geochg.report") / "template" / name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _json(value: object) -> str:
    """JSON that ends no element of HTML and begins none."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _own_style(classes: Sequence[ClassKey], size: ViewSize) -> str:
    """The shape of this map and the colors of its classes."""
    shape = f".viewer,.overview{{--shape:{size.width_px}/{size.height_px}}}"
    return "\n".join([shape, *(f".{row.key}{{--k:{row.color}}}" for row in classes), ""])


def _sprite_style(sprites: Sprites) -> str:
    """Where each cutout lies; by shares of a sheet, so that it can be shown in any size."""
    if not sprites.sheets:
        return ""
    rules = [f".t{{background-size:{100 * COLUMNS}% {100 * sprites.rows}%}}"]
    for number in range(COLUMNS):
        rules.append(f".x{number}{{background-position-x:{_share(number, COLUMNS)}%}}")
    for number in range(sprites.rows):
        rules.append(f".y{number}{{background-position-y:{_share(number, sprites.rows)}%}}")
    for number, address in enumerate(sprites.sheets):
        rules.append(f".s{number}{{background-image:url({address})}}")
    return "\n".join(["", *rules, ""])


def _share(number: int, count: int) -> float:
    return round(100 * number / (count - 1), 4) if count > 1 else 0.0
