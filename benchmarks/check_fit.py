"""Fits what `geochg check` makes of scores: on places that the built-in model was trained on only.

Prints `polygon_odds.WEIGHTS` with `CONSTANT`, and `missing_ground.MISSING_WEIGHTS` with
`MISSING_CONSTANT`, and for each cut the F1 on these places. From the root of the repository:

    .venv/bin/python benchmarks/check_fit.py --data FOLDER
"""

# ruff: noqa: ANN401
import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from check import FOUND_SHARE, Place, Spoilt, burnt, places, share_in, spoil, write_place
from sklearn.linear_model import LogisticRegression

from geochg.layer_check import by_evidence, judgement
from geochg.layer_check.check import check_layer
from geochg.layer_check.options import CheckOptions
from geochg.layer_check.polygon_odds import ScoreScale, measure_columns
from geochg.models.loading import load_configured_model

SEEDS = 2
CUTS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


@contextmanager
def noted() -> Iterator[dict[str, Any]]:
    """Notes what the weights are multiplied with, and has every piece told as missing."""
    notes: dict[str, Any] = {}
    log_odds, missing = judgement.log_odds, by_evidence.missing_probability

    def note_polygons(measures: Any, scale: ScoreScale) -> Any:
        notes["polygons"] = measure_columns(measures, scale)
        return log_odds(measures, scale)

    def note_missing(scores: Any, sizes: Any, scale: ScoreScale) -> Any:
        middle = scale.place(scores) - 0.5
        size = np.clip(np.log2(np.maximum(sizes, 1e-3)), -2, 1)
        notes["missing"] = np.stack([middle * scale.spreads, middle, size], axis=1)
        return np.ones(len(scores))

    judgement.log_odds, by_evidence.missing_probability = note_polygons, note_missing
    try:
        yield notes
    finally:
        judgement.log_odds, by_evidence.missing_probability = log_odds, missing


def rows_of(place: Place, spoilt: Spoilt, model: Any) -> tuple[Any, Any, Any, Any]:
    """Columns of the polygons and whether each is right, columns of the pieces and likewise."""
    with tempfile.TemporaryDirectory() as folder, noted() as notes:
        image, layer = write_place(place, spoilt, Path(folder))
        frame = check_layer(layer, image, CheckOptions(), model=model).features
        with rasterio.open(image) as source:
            a, b, c, d, e, f = (~source.transform)[:6]
    is_missing = (frame["verdict"] == "missing").to_numpy()
    is_told = frame["probability"].notna().to_numpy()[~is_missing]
    truth = burnt(spoilt.missing, place.mask.shape)
    pieces = [
        shapely.affinity.affine_transform(p, [a, b, d, e, c, f]) for p in frame.geometry[is_missing]
    ]
    is_right = np.array([share_in(piece, truth) >= FOUND_SHARE for piece in pieces], bool)
    return notes["polygons"], ~spoilt.gone[is_told], notes["missing"], is_right


def print_fit(name: str, columns: Any, is_right: Any, weights: Any, *, of_wrong: bool) -> None:
    """The weights, and the F1 of each cut for what is wrong (gone) or right (missing)."""
    model = LogisticRegression(C=10, max_iter=1000)
    model.fit(columns, is_right, sample_weight=weights)
    print(name, model.coef_.round(2).tolist(), model.intercept_.round(2).tolist())
    likely = model.predict_proba(columns)[:, 1]
    for cut in CUTS:
        told, truth = (likely <= cut, ~is_right) if of_wrong else (likely >= cut, is_right)
        f1 = 2 * (told & truth).sum() / (told.sum() + truth.sum())
        print(f"  {'up to' if of_wrong else 'from'} {cut}: F1 {f1:.3f}")


def main() -> None:
    """Fits and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    model = load_configured_model(CheckOptions().reading())
    learned = [place for place in places(data) if place.is_learned]
    spoilt_layers = [(p, s) for p in learned for n in range(SEEDS) if (s := spoil(p, n))]
    rows = [rows_of(place, spoilt, model) for place, spoilt in spoilt_layers]
    polygons, is_present, pieces, is_found = (
        np.concatenate([row[n] for row in rows]) for n in range(4)
    )
    # Large layers do not drown small ones.
    mass = np.concatenate([np.full(len(row[1]), len(row[1]) ** -0.5) for row in rows])
    print_fit("WEIGHTS", polygons, is_present, mass / mass.mean(), of_wrong=True)
    print_fit("MISSING_WEIGHTS", pieces, is_found, np.ones(len(pieces)), of_wrong=False)


if __name__ == "__main__":
    main()
