"""How many captions of features are true of the ground, judged by eye.

    python benchmarks/captions_by_eye.py draw --kinds FOLDER --data FOLDER --out FOLDER
        [--count 90] [--seed 0] [--model builtin|deltavlm:FOLDER]
    python benchmarks/captions_by_eye.py tally FILE.csv ...

`draw` analyses pairs with the defaults of `geochg analyze`: those of `--kinds`, as `geochg
evaluate` takes them (their masks are not looked at), and of `--data`, real imagery as
docs/training.md lays it out: series, and pairs that were not trained on. It draws features at
random, one of each kind in turn and at most three of a pair, and writes pictures of them (before,
after, and both again with the outline) and `captions.csv`. Somebody who looks at the pictures
enters there what each caption is:

- `true`: all that it says is so;
- `partly`: the ground changed there as is said, but how many, how large, what was there before or
  what lies beside it is wrong;
- `false`: the ground did not change there, or something else came or went;

and why, where it is not true: `no change`, `class`, `direction`, `cover`, `count`, `size`, `place`.
Haze, cloud and shadow are no change of the ground, nor are ships and cars; crops are one. `tally`
prints the shares with their 95 % intervals (Wilson 1927), by kind and by cause.
"""

from __future__ import annotations

import argparse
import csv
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, zip_longest
from math import sqrt
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import ponds
import rasterio
from numpy.typing import NDArray
from pictures import stretched
from PIL import Image
from shapely.geometry.base import BaseGeometry

from geochg import AnalyzeOptions, analyze
from geochg.datasets.georeferenced_mask import GeoreferencedMask, bands_on
from geochg.datasets.ground.series import SAVANNA_LEARNED, floods, savanna_plots, split_grounds
from geochg.datasets.kinds import kinds_of
from geochg.models.base import ChangeModel
from geochg.models.registry import load_model

MOST_OF_A_PAIR = 3
EACH_YEAR = 2
"""Of a series, each second date is taken."""

EACH_FLOOD = 5
"""Of the held-out floods, each fifth is taken."""

CROP_PX = 256
PER_PAGE = 6
ACROSS = 3
MARGIN = 0.6
"""What is shown around a feature, as a share of its longer side."""

LEAST_SIDE_PX = 48
OUTLINE = (255, 0, 255)
CAPTION_HEIGHT_PX = 84
CAPTION_WIDTH = 66
VERDICTS = ("true", "partly", "false")
TOLD = ("class", "change", "before_class", "after_class", "count", "area_m2", "confidence")
COLUMNS = ("number", "kind", "pair", *TOLD, "caption", "verdict", "cause")
Z = 1.96
"""Standard normal quantile of 95 % intervals."""


@dataclass(frozen=True)
class Pair:
    """Two dates of a place.

    Attributes:
        kind: Name of its kind of imagery.
        name: Unlike that of any other pair of the kind.
        before: The earlier raster.
        after: The later raster.
    """

    kind: str
    name: str
    before: Path
    after: Path


@dataclass(frozen=True, eq=False)
class Captioned:
    """A feature.

    Attributes:
        pair: Its pair.
        shape: In the CRS of the before raster.
        properties: Of the feature.
    """

    pair: Pair
    shape: BaseGeometry
    properties: dict[str, Any]


# --- pairs ---------------------------------------------------------------------------------------


def pairs_of(kinds: Path, data: Path) -> list[Pair]:
    """The pairs of all kinds, and the others whose imagery is there."""
    masked = [
        Pair(kind.name, pair.name, pair.before, pair.after)
        for kind in kinds_of(kinds)
        for pair in kind.pairs
    ]
    return [*masked, *_others(data)]


def _others(data: Path) -> Iterator[Pair]:
    """Pairs of series, and pairs that were not trained on."""
    examples = ponds.EXAMPLES
    yield Pair("series_5m", "ponds", ponds.BEFORE, ponds.AFTER)
    yield Pair("cities_10m", "dubai", examples / "dubai_2015.tif", examples / "dubai_2018.tif")
    for kind, name in (("series_5m", "naip_series_nd"), ("landsat", "landsat_pucallpa")):
        years = sorted((data / name).glob("*.tif"), key=lambda path: path.stem[-8:])
        for before, after in pairwise(years[::EACH_YEAR]):
            yield Pair(kind, f"{before.stem[-8:]} to {after.stem[-8:]}", before, after)
    for before, after in savanna_plots(data)[SAVANNA_LEARNED:]:
        yield Pair("savanna_0.1m", before.stem, before, after)
    dates = [data / "floods_s2" / date for date in ("before", "after")]
    for ground in split_grounds(list(floods(data)))[1][::EACH_FLOOD]:
        before, after = (folder / f"{ground.name}.tif" for folder in dates)
        yield Pair("floods_held_out", ground.name, before, after)


# --- features ------------------------------------------------------------------------------------


def sampled(
    pairs: Sequence[Pair], model: ChangeModel, options: AnalyzeOptions, count: int, seed: int
) -> list[Captioned]:
    """Features drawn at random, one of each kind in turn, as long as there are any."""
    random = np.random.default_rng(seed)
    of_kind: dict[str, list[Captioned]] = {}
    for pair in pairs:
        print(f"captions of {pair.kind}/{pair.name}", file=sys.stderr, flush=True)
        features = _features(pair, model, options)
        picks = random.permutation(len(features))[:MOST_OF_A_PAIR]
        of_kind.setdefault(pair.kind, []).extend(features[pick] for pick in picks)
    shuffled = [
        [features[pick] for pick in random.permutation(len(features))]
        for features in of_kind.values()
    ]
    turns = (each for turn in zip_longest(*shuffled) for each in turn if each is not None)
    return sorted(islice(turns, count), key=lambda each: (each.pair.kind, each.pair.name))


def _features(pair: Pair, model: ChangeModel, options: AnalyzeOptions) -> list[Captioned]:
    layer = analyze(pair.before, pair.after, options, model=model).features
    layer = layer.to_crs(_grid(pair).crs)
    properties = layer.drop(columns="geometry").to_dict("records")
    return [
        Captioned(pair, shape, each) for shape, each in zip(layer.geometry, properties, strict=True)
    ]


def _grid(pair: Pair) -> GeoreferencedMask:
    with rasterio.open(pair.before) as raster:
        known = np.ones(raster.shape, bool)
        return GeoreferencedMask(known, known, raster.transform, raster.crs)


def row_of(feature: Captioned, number: int) -> dict[str, Any]:
    """The line of a feature in the table, without a verdict."""
    told = {name: feature.properties[name] for name in (*TOLD, "caption")}
    known = {name: "" if pd.isna(value) else value for name, value in told.items()}
    return {"number": number, "kind": feature.pair.kind, "pair": feature.pair.name, **known}


# --- pictures ------------------------------------------------------------------------------------


def write_pages(features: Sequence[Captioned], folder: Path) -> None:
    """Writes pages of pictures and the table that goes with them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row_of(feature, number) for number, feature in enumerate(features, 1)]
    with (folder / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(rows)
    strips = [_strip(feature, row) for feature, row in zip(features, rows, strict=True)]
    for start in range(0, len(strips), PER_PAGE):
        page = _page(strips[start : start + PER_PAGE])
        Image.fromarray(page).save(folder / f"page_{start // PER_PAGE + 1:02}.png")


def _page(strips: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Three strips side by side, and the next three below."""
    blank = np.full_like(strips[0], 255)
    filled = [*strips, *([blank] * (-len(strips) % ACROSS))]
    rows = [np.hstack(filled[place : place + ACROSS]) for place in range(0, len(filled), ACROSS)]
    return np.vstack(rows)


def _strip(feature: Captioned, row: dict[str, Any]) -> NDArray[np.uint8]:
    """Before and after, below them both with the outline, and the caption."""
    grid = _grid(feature.pair)
    top, left, side = _window(feature.shape, grid)
    rings = [
        _ring(ring.coords, grid, top, left, CROP_PX / side)
        for part in getattr(feature.shape, "geoms", [feature.shape])
        for ring in (part.exterior, *part.interiors)
    ]
    plain = [
        _crop(stretched(bands_on(path, grid)), top, left, side)
        for path in (feature.pair.before, feature.pair.after)
    ]
    outlined = [cv2.polylines(crop.copy(), rings, True, OUTLINE, 1) for crop in plain]
    crops = np.vstack([np.hstack(plain), np.hstack(outlined)])
    strip = np.vstack([crops, _words(row, feature, grid, crops.shape[1])])
    return np.asarray(
        cv2.copyMakeBorder(strip, 6, 6, 6, 6, cv2.BORDER_CONSTANT, value=(255, 255, 255)), np.uint8
    )


def _words(
    row: dict[str, Any], feature: Captioned, grid: GeoreferencedMask, width_px: int
) -> NDArray[np.uint8]:
    """The caption, and what else there is to hold against the picture."""
    height_px, columns = grid.shape
    column, line = ~grid.transform * (feature.shape.centroid.x, feature.shape.centroid.y)
    covers = f"{row['before_class'] or '?'} to {row['after_class'] or '?'}"
    head = (
        f"{row['number']} {row['kind']} {row['class']} {row['change']}, {covers}, "
        f"{row['confidence']:.2f}, at {column / columns:.0%} east {line / height_px:.0%} south"
    )
    image = np.full((CAPTION_HEIGHT_PX, width_px, 3), 255, np.uint8)
    lines = [*textwrap.wrap(head, CAPTION_WIDTH), *textwrap.wrap(row["caption"], CAPTION_WIDTH)]
    for place, text in enumerate(lines):
        shown = text.replace("²", "2")
        at = (4, 14 + 16 * place)
        cv2.putText(image, shown, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return image


def _window(shape: BaseGeometry, grid: GeoreferencedMask) -> tuple[int, int, int]:
    """Top, left and side, in pixels, of a square around a feature; at an edge it is moved in."""
    west, south, east, north = shape.bounds
    corners = np.array([~grid.transform * corner for corner in ((west, north), (east, south))])
    side = int(max((1 + 2 * MARGIN) * np.ptp(corners, axis=0).max(), LEAST_SIDE_PX))
    side = min(side, *grid.shape)
    column, row = corners.mean(axis=0) - side / 2
    top = int(np.clip(row, 0, grid.shape[0] - side))
    return top, int(np.clip(column, 0, grid.shape[1] - side)), side


def _ring(
    coordinates: Iterable[tuple[float, ...]],
    grid: GeoreferencedMask,
    top: int,
    left: int,
    scale: float,
) -> NDArray[np.int32]:
    pixels = np.array([~grid.transform * (x, y) for x, y, *_ in coordinates])
    return np.rint((pixels - (left, top)) * scale).astype(np.int32)


def _crop(image: NDArray[np.uint8], top: int, left: int, side: int) -> NDArray[np.uint8]:
    """A square of an image, `(CROP_PX, CROP_PX, 3)`."""
    part = image[top : top + side, left : left + side]
    return np.asarray(cv2.resize(part, (CROP_PX, CROP_PX), interpolation=cv2.INTER_CUBIC), np.uint8)


# --- verdicts ------------------------------------------------------------------------------------


def tally(rows: Sequence[dict[str, str]]) -> str:
    """Tables of the verdicts, in all and by kind, and of the causes.

    Raises:
        ValueError: If a caption has no verdict.
    """
    for row in rows:
        if row["verdict"] not in VERDICTS:
            raise ValueError(f"feature {row['number']} has the verdict {row['verdict']!r}")
    lines = [f"| Kind | Captions | {' | '.join(VERDICTS)} |", "|---" * (len(VERDICTS) + 2) + "|"]
    lines += [
        _line(kind, [row for row in rows if row["kind"] == kind])
        for kind in sorted({row["kind"] for row in rows})
    ]
    lines += [_line("all", rows), "", "| Cause | Captions |", "|---|---|"]
    causes = Counter(row["cause"] for row in rows if row["verdict"] != "true")
    lines += [f"| {cause} | {count} |" for cause, count in causes.most_common()]
    return "\n".join(lines)


def _line(name: str, rows: Sequence[dict[str, str]]) -> str:
    counts = [sum(row["verdict"] == verdict for row in rows) for verdict in VERDICTS]
    cells = [f"{count} ({_interval(count, len(rows))})" for count in counts]
    return f"| {name} | {len(rows)} | {' | '.join(cells)} |"


def _interval(count: int, total: int) -> str:
    """Share of a count and its 95 % interval (Wilson 1927)."""
    share = count / total
    middle = (share + Z**2 / (2 * total)) / (1 + Z**2 / total)
    half = Z * sqrt(share * (1 - share) / total + Z**2 / (4 * total**2)) / (1 + Z**2 / total)
    return f"{share:.0%}, {max(middle - half, 0):.0%} to {min(middle + half, 1):.0%}"


# --- command line --------------------------------------------------------------------------------


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Captions judged by eye.")
    commands = parser.add_subparsers(dest="command", required=True)
    draw = commands.add_parser("draw", help="write pictures and a table to fill in")
    draw.add_argument("--kinds", type=Path, required=True, help="folder of pairs with masks")
    draw.add_argument("--data", type=Path, required=True, help="folder of real imagery")
    draw.add_argument("--out", type=Path, required=True, help="folder for pictures and table")
    draw.add_argument("--count", type=int, default=90, help="captions to draw")
    draw.add_argument("--seed", type=int, default=0, help="of the drawing")
    draw.add_argument("--model", default="builtin")
    tallies = commands.add_parser("tally", help="count the verdicts of filled tables")
    tallies.add_argument("tables", type=Path, nargs="+")
    arguments = parser.parse_args()
    if arguments.command == "draw":
        _draw(arguments)
        return
    for path in arguments.tables:
        with path.open(encoding="utf-8", newline="") as file:
            print(f"{path.name}\n\n{tally(list(csv.DictReader(file)))}\n")


def _draw(arguments: argparse.Namespace) -> None:
    pairs = pairs_of(arguments.kinds, arguments.data)
    options = AnalyzeOptions(model=arguments.model)
    model = load_model(arguments.model, {}, "auto")
    features = sampled(pairs, model, options, arguments.count, arguments.seed)
    write_pages(features, arguments.out)


if __name__ == "__main__":
    main()
