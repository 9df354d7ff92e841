"""How well clip finds change: its maps, whole tiles and differencing.

    python benchmarks/clip.py [--encoder FOLDER] [--kinds FOLDER] [--steps 400] [--pairs 4]
        [--types siglip,clip]

Without `--encoder`, tiny encoders are trained on drawn ground, whole pictures against sentences,
and judged on other drawn pairs whose truth is exact: place, class and direction. With `--encoder`,
a CLIP or SigLIP is judged on pairs with masks (`--kinds`, as `geochg evaluate` takes them) beside
differencing. Thresholds of whole tiles and of differencing are the best of some, chosen with the
truth; the maps find theirs in the pair.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import drawn_ground
import kind_tables
import machine
import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy import ndimage

from geochg import AnalyzeOptions
from geochg.class_list import ClassList
from geochg.datasets.kinds import kinds_of
from geochg.errors import GeochgError
from geochg.evaluation.kind_scores import kinds_report
from geochg.models.clip.kinds import LandKinds
from geochg.models.clip.scoring import change_between
from geochg.models.registry import load_model
from geochg.pipeline.analyze import analyze
from geochg.records import Channel

SIDE_PX, PATCHES, CHANGED = 384, 20, 4
THRESHOLDS = (0.25, 0.5, 1.0, 1.5)
CHANNELS = LandKinds.of(drawn_ground.KINDS).channels()
HEAD = ("Method", "Pixel F1", "Class and direction right", "Of unchanged pairs called change")


@dataclass
class Tally:
    """Pixels of all pairs, of changed and of unchanged ones."""

    hits: int = 0
    found: int = 0
    true: int = 0
    named_right: int = 0
    false: int = 0
    unchanged: int = 0
    seconds: float = 0.0

    def add(self, truth: NDArray[np.intp], found: NDArray[np.intp]) -> None:
        """Counts a pair; channels from 1 on, 0 for no change, -1 for change without a name."""
        if not truth.any():
            self.false += int(np.count_nonzero(found))
            self.unchanged += truth.size
            return
        both = (truth > 0) & (found != 0)
        self.hits += int(both.sum())
        self.found += int(np.count_nonzero(found))
        self.true += int(np.count_nonzero(truth))
        self.named_right += int((truth == found)[both].sum())

    @property
    def f1(self) -> float:
        """Of pixels."""
        return 2 * self.hits / max(self.found + self.true, 1)

    def cells(self, named: bool = True) -> tuple[str, ...]:
        """The numbers as text."""
        right = f"{self.named_right / max(self.hits, 1):.3f}" if named else "-"
        return f"{self.f1:.3f}", right, f"{self.false / max(self.unchanged, 1):.3f}"


@dataclass
class DrawnPairs:
    """Drawn pairs as files, half of them unchanged."""

    folder: Path
    count: int
    scenes: list[drawn_ground.Scene] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(9)
        for number in range(self.count):
            changed = 0 if number % 2 else CHANGED
            self.scenes.append(drawn_ground.scene(rng, SIDE_PX, PATCHES, changed))
            for date, image in zip("ab", self.scenes[-1].images, strict=True):
                _write(self.folder / f"{number}{date}.tif", image)
        self.classes = self.folder / "drawn.toml"
        self.classes.write_text(_toml(drawn_ground.KINDS), "utf-8")

    def truth(self, number: int) -> NDArray[np.intp]:
        """`(side, side)` channel of each pixel, from 1 on."""
        table = np.array(
            [
                [
                    0 if old is new else 1 + CHANNELS.index(_channel(old, new))
                    for new in drawn_ground.KINDS
                ]
                for old in drawn_ground.KINDS
            ]
        )
        return table[self.scenes[number].kinds]

    def mapped(self, encoder: Path, **model_options: Any) -> Tally:  # noqa: ANN401
        """The features of `analyze` against the truth."""
        reference, tally = f"clip:{encoder}", Tally()
        chosen = {"classes": str(self.classes)} | model_options
        model = load_model(reference, chosen, "cpu")
        options = AnalyzeOptions(model=reference, model_options=chosen, align="off")
        start = time.perf_counter()
        for number in range(self.count):
            dates = (self.folder / f"{number}{date}.tif" for date in "ab")
            features = analyze(*dates, options, model=model).features
            shapes = [
                (shape, 1 + CHANNELS.index(Channel(name, change)))
                for shape, name, change in zip(
                    features.geometry, features["class"], features["change"], strict=True
                )
            ]
            found = rasterize(shapes, (SIDE_PX,) * 2, transform=_TRANSFORM) if shapes else 0
            tally.add(self.truth(number), np.broadcast_to(found, (SIDE_PX,) * 2).astype(np.intp))
        tally.seconds = time.perf_counter() - start
        return tally

    def differenced(self) -> Tally:
        """Differences of standardised colours, smoothed, at the threshold with the best F1."""
        strengths = [_difference(*scene.images) for scene in self.scenes]
        tallies = []
        for threshold in np.quantile(strengths, np.linspace(0.5, 0.99, 50)):
            tally = Tally()
            for number, strength in enumerate(strengths):
                tally.add(self.truth(number), -(strength > threshold).astype(np.intp))
            tallies.append(tally)
        return max(tallies, key=lambda tally: tally.f1)


_TRANSFORM = Affine(1, 0, 500_000, 0, -1, 5_000_000)


def _write(path: Path, image: NDArray[np.uint8]) -> None:
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "photometric": "RGB"}
    place = {"height": SIDE_PX, "width": SIDE_PX, "crs": "EPSG:32633", "transform": _TRANSFORM}
    with rasterio.open(path, "w", **profile, **place) as target:
        target.write(image)


def _toml(classes: Sequence[Any]) -> str:
    ClassList(tuple(classes))
    entries = (
        f'[[classes]]\nname = "{kind.name}"\nprompt = "{kind.phrase}"\nclass = "{kind.class_name}"'
        for kind in classes
    )
    return "complete = true\n" + "\n\n".join(entries) + "\n"


def _channel(old: Any, new: Any) -> Channel:  # noqa: ANN401
    return change_between(old.class_name, new.class_name)


def _difference(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The length of the difference of the bands, each date standardised."""
    first, second = (
        (date - date.mean((1, 2), keepdims=True)) / date.std((1, 2), keepdims=True)
        for date in (before, after)
    )
    change = ndimage.gaussian_filter(first - second, (0, 3, 3))
    return np.sqrt((change**2).sum(axis=0))


def drawn_rows(steps: int, pairs: int, types: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The table of drawn pairs."""
    from tiny_encoder import trained_folder

    with tempfile.TemporaryDirectory(prefix="geochg-") as temporary:
        folder = Path(temporary)
        drawn = DrawnPairs(folder, pairs)
        yield "differencing, best threshold", *drawn.differenced().cells(named=False)
        for kind in types:
            encoder = trained_folder(kind, steps, folder / kind)
            yield f"{kind}, maps", *drawn.mapped(encoder).cells()
            whole_tallies = [
                drawn.mapped(encoder, look="whole", threshold=value) for value in THRESHOLDS
            ]
            best = max(whole_tallies, key=lambda tally: tally.f1)
            yield f"{kind}, whole tiles, best threshold", *best.cells()


def kind_rows(encoder: Path, kinds: Path) -> Iterator[tuple[str, ...]]:
    """The table of pairs with masks, by the code of `geochg evaluate`."""
    reference = f"clip:{encoder}"
    looks: Mapping[str, Mapping[str, Any]] = {"clip, maps": {}, "clip, whole": {"look": "whole"}}
    reports = [
        kinds_report(
            kinds_of(kinds),
            AnalyzeOptions(model=reference, model_options=dict(options)),
            lambda event: None,
        )
        for options in looks.values()
    ]
    yield from kind_tables.rows(list(looks), reports)


def main(arguments: argparse.Namespace) -> None:
    """Prints a table."""
    if (arguments.encoder is None) != (arguments.kinds is None):
        raise SystemExit("give --encoder and --kinds together, or none of them")
    try:
        if arguments.encoder is None:
            types = arguments.types.split(",")
            head, rows = HEAD, drawn_rows(arguments.steps, arguments.pairs, types)
        else:
            head, rows = kind_tables.HEAD, kind_rows(arguments.encoder, arguments.kinds)
        print(f"{machine.describe()}\n\n| {' | '.join(head)} |\n{'|---' * len(head)}|")
        for row in rows:
            print(f"| {' | '.join(row)} |", flush=True)
    except GeochgError as error:
        raise SystemExit(f"{error.message}; {error.hint}") from error


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--kinds", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--types", default="siglip,clip")
    main(parser.parse_args())
