"""How well `geochg check` tells polygons that are gone, and finds what is missing.

Layers of labelled building imagery are spoilt: a tenth of the polygons is moved to ground without
buildings, a tenth is deleted. What was moved is gone where it lies now; what was deleted, or moved
away, is missing where it was. Places that the shipped weights were not trained on are told apart
from those that they were. From the root of the repository:

    .venv/bin/python benchmarks/check.py --data FOLDER [--times]
"""

# ruff: noqa: ANN401
import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from rasterio.features import geometry_mask, rasterize, shapes
from scipy import ndimage

from geochg.datasets.ground.labelled import MASKED_FOLDERS, Cover, LabelledGround, map_tiles
from geochg.datasets.ground.series import split_grounds
from geochg.layer_check.check import check_layer
from geochg.layer_check.options import CheckOptions
from geochg.models.loading import load_configured_model

SEEDS = 3
SHARE = 0.1
LEAST_POLYGONS = 8
FOUND_SHARE = 0.3
"""Share of a missing building that found outlines must cover, and of an outline that must lie on
missing buildings."""
BOOTSTRAPS = 1000
FOLDERS = ("rio_buildings", "spacenet_buildings", "massachusetts_buildings", "spacenet_atlanta")


@dataclass(frozen=True)
class Place:
    """Labelled imagery of one place.

    Attributes:
        group: Where it belongs in the table.
        name: Its name.
        image: `(3, height, width)` uint8.
        mask: `(height, width)` bool: buildings.
        resolution_m: Side of a pixel.
        is_learned: Whether the shipped weights were trained on it.
    """

    group: str
    name: str
    image: Any
    mask: Any
    resolution_m: float
    is_learned: bool


def places(data: Path) -> Iterator[Place]:
    """All places; those of Inria were not trained on, of the others the last sixth was not."""
    for path in sorted((data / "inria_buildings" / "images").glob("*.tif")):
        mask_path = path.parents[1] / "masks" / path.name
        with rasterio.open(path) as image, rasterio.open(mask_path) as mask:
            yield Place("inria_buildings", path.stem, image.read(), mask.read(1) > 0, 0.3, False)
    grounds: list[LabelledGround] = list(map_tiles(data))
    for folder in MASKED_FOLDERS:
        if folder.name in FOLDERS:
            grounds += folder.grounds(data)
    _, held_out = split_grounds(grounds)
    for number, ground in enumerate(grounds):
        yield Place(
            {"oam": "oam_tiles", "rio": "rio_buildings"}.get(ground.kind, ground.kind),
            ground.name or str(number),
            np.moveaxis(ground.images[0], -1, 0)[:3].astype(np.uint8),
            ground.covers[0] == int(Cover.BUILDING),
            ground.resolution_m,
            not any(ground is other for other in held_out),
        )


def outlines(place: Place) -> list[Any]:
    """The buildings as polygons in pixels; specks are left out."""
    found = shapes(place.mask.astype(np.uint8), mask=place.mask, connectivity=4)
    polygons = [shapely.geometry.shape(shape) for shape, _ in found]
    least_px = max(12 / place.resolution_m**2, 6)
    return [p.simplify(1.0) for p in polygons if p.area >= least_px]


@dataclass(frozen=True)
class Spoilt:
    """A spoilt layer: its polygons, which of them are gone, and what is missing."""

    polygons: list[Any]
    gone: Any
    missing: list[Any]


def spoil(place: Place, seed: int) -> Spoilt | None:
    """Moves a tenth of the polygons away and deletes a tenth."""
    rng = np.random.default_rng(seed)
    polygons = outlines(place)
    if len(polygons) < LEAST_POLYGONS:
        return None
    count = max(1, round(SHARE * len(polygons)))
    order = rng.permutation(len(polygons)).tolist()
    moved, deleted = set(order[:count]), set(order[count : 2 * count])
    kept, gone, missing = [], [], []
    valid = place.image.sum(axis=0) > 0
    for number, polygon in enumerate(polygons):
        if number in deleted:
            missing.append(polygon)
            continue
        other = moved_away(polygon, place.mask, valid, rng) if number in moved else None
        kept.append(other or polygon)
        gone.append(other is not None)
        if other is not None:
            missing.append(polygon)
    return Spoilt(kept, np.array(gone), missing)


def moved_away(polygon: Any, mask: Any, valid: Any, rng: Any) -> Any:
    """The polygon on ground without buildings; None where it finds no room."""
    height, width = mask.shape
    left, top, right, bottom = polygon.bounds
    for _ in range(300):
        x = rng.uniform(-left, width - right) if right - left < width else 0
        y = rng.uniform(-top, height - bottom) if bottom - top < height else 0
        other = shapely.affinity.translate(polygon, x, y)
        inside = ~geometry_mask([other], mask.shape, rasterio.Affine.identity())
        if inside.any() and mask[inside].mean() < 0.1 and valid[inside].all():
            return other
    return None


@dataclass
class Tally:
    """Right and wrong answers."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def add(self, other: "Tally") -> None:
        """Adds those of another."""
        self.right += other.right
        self.wrong += other.wrong
        self.missed += other.missed

    @property
    def f1(self) -> float:
        """F1; 1 where there was nothing to find and nothing was found."""
        total = 2 * self.right + self.wrong + self.missed
        return 2 * self.right / total if total else float("nan")


def gone_tally(told: Any, truth: Any) -> Tally:
    """Polygons told to be gone, held against those that are."""
    return Tally(int((told & truth).sum()), int((told & ~truth).sum()), int((~told & truth).sum()))


def missing_tally(found: Any, truth: list[Any], shape: Any) -> Tally:
    """Buildings found by the outlines on them, and outlines that lie on no missing building.

    Several outlines on one building count as one that is right.
    """
    found_mask, truth_mask = burnt(found, shape), burnt(truth, shape)
    wrong = sum(share_in(shape_, truth_mask) < FOUND_SHARE for shape_ in found)
    is_found = [share_in(shape_, found_mask) >= FOUND_SHARE for shape_ in truth]
    return Tally(sum(is_found), wrong, len(truth) - sum(is_found))


def burnt(polygons: Any, shape: Any) -> Any:
    """Where polygons lie."""
    if not len(polygons):
        return np.zeros(shape, bool)
    return rasterize([(p, 1) for p in polygons], shape, dtype="uint8") > 0


def share_in(polygon: Any, mask: Any) -> float:
    """Share of a polygon's pixels that a mask holds."""
    inside = ~geometry_mask([polygon], mask.shape, rasterio.Affine.identity(), all_touched=True)
    return float(mask[inside].mean()) if inside.any() else 0.0


def brightness(place: Place, spoilt: Spoilt) -> Any:
    """The baseline of each polygon: how unlike the brightness inside is to that around."""
    gray = place.image.mean(axis=0)
    mapped = burnt(spoilt.polygons, gray.shape)
    around_px = max(2, round(3 / place.resolution_m))
    scores = []
    for polygon in spoilt.polygons:
        inside = ~geometry_mask([polygon], gray.shape, rasterio.Affine.identity(), all_touched=True)
        rows, cols = np.nonzero(inside)
        part = (
            slice(max(rows.min() - around_px, 0), rows.max() + around_px + 1),
            slice(max(cols.min() - around_px, 0), cols.max() + around_px + 1),
        )
        ring = ndimage.binary_dilation(inside[part], iterations=around_px) & ~mapped[part]
        around = gray[part][ring].mean() if ring.any() else gray.mean()
        scores.append(abs(gray[inside].mean() - around))
    return np.array(scores)


def bright_ground(place: Place, spoilt: Spoilt, cut: float) -> list[Any]:
    """The baseline of what is missing: unmapped ground as far above the median brightness."""
    gray = ndimage.gaussian_filter(place.image.mean(axis=0), 1 / place.resolution_m)
    unlike = np.abs(gray - np.median(gray)) > cut
    unlike &= ~ndimage.binary_dilation(
        burnt(spoilt.polygons, gray.shape), iterations=max(1, round(1 / place.resolution_m))
    )
    areas = [p.area for p in spoilt.polygons]
    found = shapes(unlike.astype(np.uint8), mask=unlike, connectivity=4)
    polygons = [shapely.geometry.shape(shape) for shape, _ in found]
    return [p for p in polygons if p.area >= np.median(areas) / 3]


def write_place(place: Place, spoilt: Spoilt, folder: Path) -> tuple[Path, Path]:
    """Image and layer as files, in a CRS of metres."""
    height, width = place.mask.shape
    transform = rasterio.Affine(place.resolution_m, 0, 500_000, 0, -place.resolution_m, 5_000_000)
    image, layer = folder / "image.tif", folder / "layer.gpkg"
    with rasterio.open(
        image,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=3,
        dtype="uint8",
        crs="EPSG:32633",
        transform=transform,
        nodata=None,
        photometric="RGB",
    ) as target:
        target.write(place.image)
    a, b, c, d, e, f = transform[:6]
    ground = [shapely.affinity.affine_transform(p, [a, b, d, e, c, f]) for p in spoilt.polygons]
    frame = gpd.GeoDataFrame({"number": range(len(ground))}, geometry=ground, crs="EPSG:32633")
    frame.to_file(layer, layer="layer")
    return image, layer


def judged(place: Place, seed: int, model: Any, options: CheckOptions, keep: Path | None) -> Any:
    """The tallies of one spoilt layer, and the scores of the baseline; None for too few."""
    spoilt = spoil(place, seed)
    if spoilt is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        image, layer = write_place(place, spoilt, Path(folder))
        result = check_layer(layer, image, options, model=model)
        with rasterio.open(image) as source:
            back = ~source.transform
    frame = result.features
    a, b, c, d, e, f = back[:6]
    is_missing = (frame["verdict"] == "missing").to_numpy()
    found = [
        shapely.affinity.affine_transform(p, [a, b, d, e, c, f]) for p in frame.geometry[is_missing]
    ]
    told = (frame["verdict"] == "gone").to_numpy()[~is_missing]
    likely = frame["probability"].to_numpy()[~is_missing]
    if keep is not None:
        draw(place, spoilt, frame["verdict"].tolist(), found, keep / f"{place.name}_{seed}.png")
    return {
        "group": place.group,
        "learned": place.is_learned,
        "name": place.name,
        "gone": gone_tally(told, spoilt.gone),
        "missing": missing_tally(found, spoilt.missing, place.mask.shape),
        "truth": spoilt.gone,
        "likely": likely,
        "verdicts": frame["verdict"].tolist(),
        "bright": brightness(place, spoilt),
        "place": place,
        "spoilt": spoilt,
        "shift_m": result.metadata["shift_m"],
    }


def draw(place: Place, spoilt: Spoilt, verdicts: list[str], found: list[Any], path: Path) -> None:
    """The image with the verdicts: green present, red gone, grey cannot tell, yellow missing.

    A dot marks what is gone in truth; white outlines are buildings missing in truth.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    colors = {"present": "lime", "gone": "red", "cannot tell": "silver"}
    figure, axes = pyplot.subplots(figsize=(12, 12 * place.mask.shape[0] / place.mask.shape[1]))
    axes.imshow(np.moveaxis(place.image, 0, -1))
    for polygon, verdict, gone in zip(spoilt.polygons, verdicts, spoilt.gone, strict=False):
        axes.plot(*polygon.exterior.xy, color=colors[verdict], lw=1.5)
        if gone:
            axes.plot(*polygon.centroid.xy, "o", color="red")
    for polygon in spoilt.missing:
        axes.plot(*polygon.exterior.xy, color="white", lw=1)
    for polygon in found:
        axes.plot(*polygon.exterior.xy, color="yellow", lw=1.5)
    axes.set_axis_off()
    figure.savefig(path, dpi=70, bbox_inches="tight")
    pyplot.close(figure)


def interval(rows: list[Any], key: str) -> str:
    """F1 over all rows, with 95 % of the bootstrap samples of the places."""
    names = sorted({row["name"] for row in rows})
    rng = np.random.default_rng(0)

    def of(chosen: list[str]) -> float:
        total = Tally()
        for name in chosen:
            for row in rows:
                if row["name"] == name:
                    total.add(row[key])
        return total.f1

    draws = [of(rng.choice(names, len(names)).tolist()) for _ in range(BOOTSTRAPS)]
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return f"{of(names):.3f} ({low:.2f}-{high:.2f})"


def with_baselines(rows: list[Any]) -> None:
    """Adds the baseline, whose cuts are the best on the learned places."""
    learned = [row for row in rows if row["learned"]] or rows

    def cut_of(cuts: Any, tally: Any) -> float:
        def f1(cut: float) -> float:
            total = Tally()
            for row in learned:
                total.add(tally(row, cut))
            return total.f1

        return max(cuts, key=f1)

    def gone(row: Any, cut: float) -> Tally:
        return gone_tally(row["bright"] < cut, row["truth"])

    def missing(row: Any, cut: float) -> Tally:
        place, spoilt = row["place"], row["spoilt"]
        return missing_tally(bright_ground(place, spoilt, cut), spoilt.missing, place.mask.shape)

    gone_cut = cut_of(np.arange(1, 60, 1.0), gone)
    missing_cut = cut_of((20.0, 35.0, 50.0, 65.0, 80.0), missing)
    for row in rows:
        row["bright_gone"], row["bright_missing"] = gone(row, gone_cut), missing(row, missing_cut)


COLUMNS = {
    "gone": "gone: F1",
    "missing": "missing: F1",
    "bright_gone": "brightness: gone",
    "bright_missing": "brightness: missing",
}


def table(rows: list[Any]) -> Iterator[str]:
    """The numbers as Markdown."""
    columns = {key: title for key, title in COLUMNS.items() if key in rows[0]}
    yield f"| Places | Trained on | Polygons (gone) | {' | '.join(columns.values())} |"
    yield f"|{' --- |' * (3 + len(columns))}"
    for learned in (False, True):
        part = [row for row in rows if row["learned"] == learned]
        groups = sorted({row["group"] for row in part})
        for group in (*groups, "all") if part else ():
            own = [row for row in part if group in (row["group"], "all")]
            truth = np.concatenate([row["truth"] for row in own])
            count = len({row["name"] for row in own})
            values = " | ".join(interval(own, key) for key in columns)
            head = f"{group}, {count} | {'yes' if learned else 'no'}"
            yield f"| {head} | {len(truth)} ({int(truth.sum())}) | {values} |"


def timed_scene(count: int, folder: Path) -> tuple[Path, Path]:
    """An image with so many bright boxes, and the layer of them."""
    rng = np.random.default_rng(0)
    side = int(np.ceil(np.sqrt(count)))
    coarse = rng.integers(60, 160, (3, side * 3, side * 3))
    pixels = ndimage.zoom(coarse, (1, 20, 20), order=1)
    pixels = (pixels + rng.integers(0, 20, pixels.shape)).astype(np.uint8)
    transform = rasterio.Affine(0.3, 0, 500_000, 0, -0.3, 5_000_000)
    boxes = []
    for number in range(count):
        corner = np.array(divmod(number, side)) * 60 + rng.integers(5, 20, 2)
        (top, left), (high, wide) = corner.tolist(), rng.integers(18, 34, 2).tolist()
        pixels[:, top : top + high, left : left + wide] = rng.integers(170, 250, (3, 1, 1))
        box = shapely.box(left, top, left + wide, top + high)
        boxes.append(shapely.transform(box, lambda xy: np.stack(transform * xy.T, axis=1)))
    image, layer = folder / "image.tif", folder / "layer.gpkg"
    settings = {"driver": "GTiff", "count": 3, "dtype": "uint8", "crs": "EPSG:32633"}
    settings |= {"height": pixels.shape[1], "width": pixels.shape[2], "transform": transform}
    with rasterio.open(image, "w", tiled=True, photometric="RGB", **settings) as target:
        target.write(pixels)
    gpd.GeoDataFrame(geometry=boxes, crs="EPSG:32633").to_file(layer)
    return image, layer


def times(count: int) -> dict[str, Any]:
    """Time and peak memory of a check of so many polygons, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        # Also the scene is made in one: what this process takes would count as its children's.
        subprocess.run([sys.executable, __file__, "--scene", str(count), folder], check=True)
        files = [str(Path(folder) / name) for name in ("layer.gpkg", "image.tif", "v.gpkg")]
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", TIMED, *files], check=True, capture_output=True, text=True
        )
        seconds = time.perf_counter() - start
    used = json.loads(done.stdout.splitlines()[-1])
    return {"polygons": count, "seconds": round(seconds, 1), **used}


TIMED = """
import json, resource, sys
from geochg_cli.main import _run
layer, image, output = sys.argv[1:]
assert _run(["check", layer, image, "-o", output]) == 0
used = resource.getrusage(resource.RUSAGE_SELF)
seconds = round(used.ru_utime + used.ru_stime, 1)
print(json.dumps({"processor_seconds": seconds, "peak_mib": round(used.ru_maxrss / 1024)}))
"""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--only", default="", help="Only groups whose names hold this.")
    parser.add_argument("--keep", type=Path, help="A folder for pictures.")
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--scene", nargs=2, help="Number of boxes, and a folder for them.")
    parser.add_argument("--no-baseline", action="store_true")
    arguments = parser.parse_args()
    if arguments.scene:
        timed_scene(int(arguments.scene[0]), Path(arguments.scene[1]))
        return
    if arguments.times:
        for count in (1_000, 10_000):
            print(json.dumps(times(count)))
        return
    options = CheckOptions()
    model = load_configured_model(options.reading())
    rows = []
    for place in places(arguments.data):
        if arguments.only in place.group:
            for seed in range(arguments.seeds):
                row = judged(place, seed, model, options, arguments.keep if seed == 0 else None)
                rows += [] if row is None else [row]
    if not arguments.no_baseline:
        with_baselines(rows)
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
