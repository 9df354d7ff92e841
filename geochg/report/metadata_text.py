"""What the reader of a report must bear in mind, in sentences, and where the result came from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from geochg.features.review import REJECTED
from geochg.report.changes import ChangeTable
from geochg.safety.untrusted_text import LONGEST_TEXT, cleaned
from geochg.tasks.quantities import area_in_words

_MOST_TILES = 12
_UNKNOWN = "not known"


def warnings_of(metadata: Mapping[str, Any], table: ChangeTable, noun: str) -> Iterator[str]:
    """What may mislead the reader, as the metadata and the changes tell it.

    Args:
        metadata: The `geochg` member of the layer.
        table: The changes.
        noun: What the layer holds: `change` or `place`.
    """
    yield from _alignment(metadata.get("alignment"))
    for number, step in enumerate(_steps(metadata), start=1):
        yield from (f"Step {number}: {text}" for text in _alignment(step.get("alignment")))
    not_seen_m2 = metadata.get("not_seen_m2")
    if isinstance(not_seen_m2, int | float) and not_seen_m2 > 0:
        yield (
            f"Cloud, shadow or snow hid {area_in_words(not_seen_m2)}: nothing is said of what "
            "changed there."
        )
    yield from _tiles(metadata)
    if table.unmeasured and any(table.confidences):
        yield f"{_count_text(table.unmeasured, noun)} without a measure of confidence."
    if rejected := table.reviews.get(REJECTED, 0):
        yield (
            f"{_count_text(rejected, noun)} that a reviewer rejected: listed and struck through, "
            "and not counted in the areas."
        )
    if table.unplaced:
        yield f"{_count_text(table.unplaced, noun)} without a place on the map, not listed."
    unlisted_count = table.count - table.unplaced - len(table.listed)
    if unlisted_count > 0:
        yield (
            f"The {len(table.listed):,} largest of {_count_text(table.count, noun)} are listed and "
            "drawn; numbers and areas are those of all. The layer holds the others."
        )


def _steps(metadata: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    series = metadata.get("series")
    steps = series.get("steps") if isinstance(series, Mapping) else None
    return [step for step in steps or () if isinstance(step, Mapping)]


def _alignment(alignment: object) -> Iterator[str]:
    if not isinstance(alignment, Mapping) or not alignment.get("worth_correcting"):
        return
    try:
        distance = f"{float(alignment['magnitude_px']):.1f} px"
    except (KeyError, TypeError, ValueError):
        return
    if alignment.get("method") == "field":
        distance = f"about {distance}, differently from place to place"
    if alignment.get("corrected"):
        yield f"The dates lie {distance} apart; this was corrected."
    else:
        yield (
            f"The dates lie {distance} apart, and this was not corrected: edges of things that "
            "stayed may be told as changes."
        )


def _tiles(metadata: Mapping[str, Any]) -> Iterator[str]:
    tiles = metadata.get("tiles")
    if not isinstance(tiles, Mapping):
        return
    total = _number(tiles, "total")
    if failed := _number(tiles, "failed"):
        names = metadata.get("failed_tiles")
        tile_names = [cleaned(name, 40) for name in names] if isinstance(names, Mapping) else []
        unnamed = len(tile_names) - _MOST_TILES
        further = f" and {unnamed} more" if unnamed > 0 else ""
        name_text = f" ({', '.join(tile_names[:_MOST_TILES])}{further})" if tile_names else ""
        yield (
            f"{failed:,} of {total:,} tiles failed{name_text}: nothing is said of what changed "
            "there."
        )
    if incomplete := _number(tiles, "incomplete"):
        yield f"{incomplete:,} of {total:,} tiles were answered in part only."
    if unparsed := _number(tiles, "unparsed"):
        yield f"{unparsed:,} of {total:,} tiles had answers without sense, which count for nothing."


def _number(counts: Mapping[str, Any], name: str) -> int:
    """A number of tiles; 0 where none is told."""
    value = counts.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _count_text(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def provenance_of(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values of where the result came from, in their order."""
    yield "Program", f"geochg {cleaned(metadata.get('version', _UNKNOWN), 40)}"
    model = metadata.get("model")
    if isinstance(model, Mapping):
        for key, name in (
            *(("id", "Model"), ("checksum", "Checksum of the model")),
            *(("adapter", "Adapter"), ("precision", "Precision")),
        ):
            if model.get(key):
                yield name, cleaned(model[key], 300)
    for name, source in sources_of(metadata):
        yield name, _source(source)
    grid = metadata.get("grid")
    if isinstance(grid, Mapping):
        yield "Grid", _grid(grid)
    if isinstance(bands := metadata.get("bands"), list) and bands:
        yield "Bands", cleaned(", ".join(map(str, bands)), 300)
    if (alignment := metadata.get("alignment")) and isinstance(alignment, Mapping):
        yield "Shift between the dates", _shift(alignment)
    if isinstance(tiles := metadata.get("tiles"), Mapping):
        counts = {cleaned(key, 40): _number(tiles, key) for key in tiles}
        lines = [f"{name} {number:,}" for name, number in counts.items() if number]
        yield "Tiles", ", ".join(lines).replace("_", " ")


def sources_of(metadata: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The images that a layer names, the earliest first, and what each is called."""
    series = metadata.get("series")
    dates = series.get("dates") if isinstance(series, Mapping) else None
    if isinstance(dates, list) and dates:
        images = [(f"Image {number}", source) for number, source in enumerate(dates, start=1)]
    else:
        sources = metadata.get("sources")
        names = {"before": "Image before", "after": "Image after", "image": "Image"}
        images_by_key = sources if isinstance(sources, Mapping) else {}
        images = [(names[key], images_by_key[key]) for key in names if key in images_by_key]
    return [(name, source) for name, source in images if isinstance(source, Mapping)]


def options_text(metadata: Mapping[str, Any]) -> str:
    """Options and questions of the run, as JSON for people."""
    facts = {key: metadata[key] for key in ("options", "questions", "classes") if key in metadata}
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    return cleaned(text, 20 * LONGEST_TEXT, keep_lines=True)


def _source(source: Mapping[str, Any]) -> str:
    lines = [cleaned(source.get("path", _UNKNOWN), 400)]
    facts = []
    if date := source.get("date") or source.get("acquired"):
        facts.append(f"taken {cleaned(date, 40)}")
    if isinstance(size := source.get("size_bytes"), int):
        facts.append(f"{size:,} bytes")
    if crs := source.get("crs"):
        facts.append(cleaned(crs, 80))
    return "\n".join([*lines, *([", ".join(facts)] if facts else [])])


def _grid(grid: Mapping[str, Any]) -> str:
    crs = cleaned(grid.get("crs", _UNKNOWN), 80)
    try:
        size = f"{grid['width_px']:,} x {grid['height_px']:,} px"
        return f"{size} of {abs(grid['transform'][0]):g}, {crs}"
    except (KeyError, TypeError, ValueError, IndexError):
        return crs


def _shift(alignment: Mapping[str, Any]) -> str:
    try:
        text = f"{alignment['dx_px']:.2f}, {alignment['dy_px']:.2f} px"
    except (KeyError, TypeError, ValueError):
        return _UNKNOWN
    if alignment.get("corrected"):
        return f"{text}, corrected"
    return f"{text}, {'not corrected' if alignment.get('worth_correcting') else 'as good as none'}"
