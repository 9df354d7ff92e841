"""Sheets of captioned features to be judged by eye: before, after, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from pictures import stretched
from PIL import Image
from shapely.geometry.base import BaseGeometry

from geochg import AnalyzeOptions, analyze
from geochg.datasets.ground_label import GroundLabel, bands_on, covered_by, read_label
from geochg.datasets.kinds import Kind, MaskedPair
from geochg.models.base import ChangeModel

CROP_PX = 256
PER_PAGE = 6
MARGIN = 0.6
"""What is shown around a feature, as a share of its longer side."""

LEAST_SIDE_PX = 48
OUTLINE = (255, 0, 255)


@dataclass(frozen=True, eq=False)
class Captioned:
    """A feature of a pair with a mask.

    Attributes:
        kind: Name of the kind.
        pair: The pair.
        shape: In the CRS of the mask.
        properties: Of the feature.
        changed_share: Of its pixels whose truth is known; None where it has none.
        place: Of its centre: shares of the mask's width from the west and of its height from the
            north.
    """

    kind: str
    pair: MaskedPair
    shape: BaseGeometry
    properties: dict[str, Any]
    changed_share: float | None
    place: tuple[float, float]


def sampled(
    kinds: Sequence[Kind],
    model: ChangeModel,
    count: int,
    say: Callable[[str], None],
    options: AnalyzeOptions,
) -> list[Captioned]:
    """As many features of each kind, drawn at random; fewer where a kind has fewer."""
    random = np.random.default_rng(0)
    share = -(-count // len(kinds))
    found: list[Captioned] = []
    for kind in kinds:
        every = [
            feature for pair in kind.pairs for feature in _features(kind, pair, model, say, options)
        ]
        picks = random.permutation(len(every))[:share]
        found += [every[pick] for pick in sorted(picks)]
    return found[:count]


def _features(
    kind: Kind,
    pair: MaskedPair,
    model: ChangeModel,
    say: Callable[[str], None],
    options: AnalyzeOptions,
) -> Iterator[Captioned]:
    say(f"captions of {kind.name}/{pair.name}")
    own = replace(options, classes=options.classes or kind.classes)
    layer = analyze(pair.before, pair.after, own, model=model).features
    label = read_label(pair.mask)
    layer = layer.to_crs(label.crs)
    for number in range(len(layer)):
        one = layer.iloc[number : number + 1]
        known = covered_by(one, label) & label.known
        share = float(label.changed[known].mean()) if known.any() else None
        properties = one.drop(columns="geometry").iloc[0].to_dict()
        shape = one.geometry.iloc[0]
        column, row = ~label.transform * (shape.centroid.x, shape.centroid.y)
        place = (column / label.shape[1], row / label.shape[0])
        yield Captioned(kind.name, pair, shape, properties, share, place)


# --- pictures ------------------------------------------------------------------------------------


def write_sheets(features: Sequence[Captioned], folder: Path) -> Path:
    """Writes pages of pictures and the sheet that goes with them; gives the sheet's path."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [HEAD]
    for start in range(0, len(features), PER_PAGE):
        page = features[start : start + PER_PAGE]
        name = f"page_{start // PER_PAGE + 1:02}.png"
        strips = [_strip(each, start + place + 1) for place, each in enumerate(page)]
        Image.fromarray(_page(strips)).save(folder / name)
        lines.append(f"\n![{name}]({name})\n")
        lines += [_entry(each, start + place + 1) for place, each in enumerate(page)]
    lines += [TRUTH_HEAD, *(_truth(each, number) for number, each in enumerate(features, 1))]
    sheet = folder / "captions.md"
    sheet.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return sheet


HEAD = (
    "# Captions to judge by eye\n\nEach feature: before, after, and both again with its outline. "
    "A caption is *true* where all that it says is so, *partly* where the change is there and a "
    "part of what is said is wrong, else *false*. What the masks say stands at the end.\n"
)
TRUTH_HEAD = (
    "\n## By the masks\n\n"
    "| Feature | Confidence | Share of its pixels that changed |\n|---|---|---|"
)


def _entry(feature: Captioned, number: int) -> str:
    said = feature.properties
    covers = f"{said.get('before_class') or '?'} to {said.get('after_class') or '?'}"
    east, south = feature.place
    return (
        f"- **{number}** ({feature.kind}/{feature.pair.name}, {said['class']} {said['change']}, "
        f"{covers}, {said['area_m2']:,.0f} m², centre {east:.0%} from the west edge and "
        f"{south:.0%} from the north edge): {said['caption']} -- true / partly / false"
    )


def _truth(feature: Captioned, number: int) -> str:
    share = "unknown" if feature.changed_share is None else f"{feature.changed_share:.0%}"
    return f"| {number} | {feature.properties['confidence']:.2f} | {share} |"


def _page(strips: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Two strips side by side, and the next two below."""
    blank = np.full_like(strips[0], 255)
    filled = [*strips, *([blank] * (len(strips) % 2))]
    rows = [np.hstack(filled[place : place + 2]) for place in range(0, len(filled), 2)]
    return np.vstack(rows)


def _strip(feature: Captioned, number: int) -> NDArray[np.uint8]:
    """Before and after, and below them both with the outline."""
    with rasterio.open(feature.pair.mask) as mask:
        shape, transform, crs = mask.shape, mask.transform, mask.crs
    known = np.ones(shape, bool)
    label = GroundLabel(known, known, transform, crs)
    top, left, side = _window(feature.shape, transform, shape)
    rings = [
        _ring(part.exterior.coords, transform, top, left, CROP_PX / side)
        for part in getattr(feature.shape, "geoms", [feature.shape])
    ]
    plain = [
        _crop(stretched(bands_on(path, label)), top, left, side)
        for path in (feature.pair.before, feature.pair.after)
    ]
    outlined = [cv2.polylines(crop.copy(), rings, True, OUTLINE, 1) for crop in plain]
    strip = np.vstack([np.hstack(plain), np.hstack(outlined)])
    cv2.putText(strip, str(number), (6, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (0, 0, 0), 5)
    cv2.putText(strip, str(number), (6, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 2)
    return np.asarray(
        cv2.copyMakeBorder(strip, 6, 6, 6, 6, cv2.BORDER_CONSTANT, value=(255, 255, 255)), np.uint8
    )


def _window(shape: BaseGeometry, transform: Any, size: tuple[int, int]) -> tuple[int, int, int]:  # noqa: ANN401
    """Top, left and side, in pixels, of a square around a feature; at an edge it is moved in."""
    west, south, east, north = shape.bounds
    corners = np.array([~transform * corner for corner in ((west, north), (east, south))])
    side = int(max((1 + 2 * MARGIN) * np.ptp(corners, axis=0).max(), LEAST_SIDE_PX))
    side = min(side, *size)
    column, row = corners.mean(axis=0) - side / 2
    top = int(np.clip(row, 0, size[0] - side))
    return top, int(np.clip(column, 0, size[1] - side)), side


def _ring(coordinates: Any, transform: Any, top: int, left: int, scale: float) -> NDArray[np.int32]:  # noqa: ANN401
    pixels = np.array([~transform * (x, y) for x, y, *_ in coordinates])
    return np.rint((pixels - (left, top)) * scale).astype(np.int32)


def _crop(image: NDArray[np.uint8], top: int, left: int, side: int) -> NDArray[np.uint8]:
    """A square of an image, `(CROP_PX, CROP_PX, 3)`."""
    part = image[top : top + side, left : left + side]
    return np.asarray(cv2.resize(part, (CROP_PX, CROP_PX), interpolation=cv2.INTER_CUBIC), np.uint8)
