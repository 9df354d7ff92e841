"""How much a few verdicts help: learned on some pairs, applied to others of their kind.

    python benchmarks/learn.py FOLDER [--cache FOLDER] [--verdicts 50] [--sensitivity normal]
    python benchmarks/learn.py FOLDER/KIND --applying HEAD

FOLDER holds kinds, as `geochg evaluate` takes them: folders of pairs with `before.tif`,
`after.tif` and `mask.tif`. The verdicts are simulated: a change of the built-in's layer is
accepted where more than half of its known pixels changed by the mask. Two pairs are held out,
verdicts are drawn from the others, a head is fitted to them as `geochg learn` does, and the
changes of the held-out pairs are ranked by it and, beside, by the layer's own confidence. It
prints the precision at recall 0.6 of both, with 95 % intervals of a bootstrap over the pairs that
are held out, over all choices of these and several draws; how often a head falls short; and what
fitting and applying take.

`geochg learn` asks for 20 verdicts of each kind, of which some of these kinds have fewer: then the
head is fitted to what there is, and the line says of how many.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from threading import Event as Flag
from typing import Any, NamedTuple
from unittest.mock import patch

import machine
import numpy as np
import shapely
from numpy.typing import NDArray

from geochg.datasets.georeferenced_mask import numbers_on, read_mask
from geochg.errors import GeochgError
from geochg.evaluation.reliability import RIGHT_SHARE
from geochg.events import ignore
from geochg.features.judging import ChangeFacts, Judgement
from geochg.features.tile_results import TileResult
from geochg.learning.fitting import fit_head
from geochg.learning.head import HeadJudge
from geochg.learning.scores import precision_at_recall, roc_auc
from geochg.learning.training import place_numbers
from geochg.models.base import ChangeModel
from geochg.models.loading import load_configured_model
from geochg.options import AnalyzeOptions
from geochg.pipeline.analyze import analyze
from geochg.pipeline.examples import LearnOptions, described_changes
from geochg.pipeline.judging import described_result
from geochg.pipeline.outputs import Outputs
from geochg.pipeline.verdicts import read_reviewed_layer

RECALL = 0.6
HELD_OUT = 2
DRAWS = 4
RESAMPLES = 2_000


class JudgedPair(NamedTuple):
    """The changes of a pair.

    Attributes:
        names: Names of the features.
        values: `(n, columns)` float32.
        right: `(n,)` bool, as the mask says.
        confidence: `(n,)`, the layer's own.
        lonlat: `(n, 2)` a point in each.
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]
    right: NDArray[np.bool_]
    confidence: NDArray[np.float64]
    lonlat: NDArray[np.float64]


class Trial(NamedTuple):
    """One head, applied to held-out pairs.

    Attributes:
        pairs: Numbers of the held-out pairs.
        verdicts: Number of verdicts it was fitted to.
        accepted: Number of those that were accepted.
        own: Precision at recall 0.6 of the layer's own ranking.
        learned: Precision at recall 0.6 of the head's ranking.
        own_auc: How often the layer puts a right change before a wrong one.
        learned_auc: How often the head does.
        fit_s: Seconds of fitting.
    """

    pairs: tuple[int, ...]
    verdicts: int
    accepted: int
    own: float
    learned: float
    own_auc: float
    learned_auc: float
    fit_s: float


def judged_pair(folder: Path, options: AnalyzeOptions, model: ChangeModel) -> JudgedPair:
    """Analyses a pair, and makes features and truth of its changes."""
    with tempfile.TemporaryDirectory() as work:
        layer = Path(work) / "changes.gpkg"
        images = [str(folder / name) for name in ("before.tif", "after.tif")]
        result = analyze(*images, options, model=model, outputs=Outputs(features=layer))
        mask = read_mask(folder / "mask.tif")
        reviewed = read_reviewed_layer(str(layer))
        owners = numbers_on(reviewed.frame, mask)
        count = len(reviewed)
        known_px = np.bincount(owners[mask.known], minlength=count + 1)[1:]
        changed_px = np.bincount(owners[mask.known & mask.changed], minlength=count + 1)[1:]
        wanted = known_px > 0
        described = described_changes(reviewed, wanted, LearnOptions(), model, ignore, Flag())
        points = shapely.get_coordinates(shapely.point_on_surface(reviewed.lonlat[wanted]))
        assert len(result.features) == count
        return JudgedPair(
            described.table.names,
            described.table.values,
            (changed_px > RIGHT_SHARE * known_px)[wanted],
            reviewed.frame["confidence"].to_numpy(np.float64)[wanted],
            points,
        )


def judged_pairs(kind: Path, options: AnalyzeOptions, cache: Path | None) -> list[JudgedPair]:
    """The pairs of a kind, which are kept between runs where there is a folder for that."""
    model: ChangeModel | None = None
    pairs = []
    for folder in sorted(path for path in kind.iterdir() if (path / "mask.tif").is_file()):
        name = f"{kind.name}_{folder.name}_{options.sensitivity}.npz"
        file = None if cache is None else cache / name
        if file is not None and file.is_file():
            kept = np.load(file)
            pairs.append(JudgedPair(tuple(kept["names"].tolist()), *(kept[n] for n in _ARRAYS)))
            continue
        model = model or load_configured_model(options)
        pair = judged_pair(folder, options, model)
        pairs.append(pair)
        if file is not None:
            np.savez(file, **{**pair._asdict(), "names": np.array(pair.names)})
    return [pair for pair in pairs if len(pair.right)]


_ARRAYS = ("values", "right", "confidence", "lonlat")


def trials(pairs: Sequence[JudgedPair], verdicts: int, seed: int = 0) -> Iterator[Trial]:
    """A head for each choice of held-out pairs and each draw of verdicts."""
    rng = np.random.default_rng(seed)
    # Pairs lie in invented places: those of different pairs are kept apart.
    shifted = [pair.lonlat + np.array((number, 0)) for number, pair in enumerate(pairs)]
    for held_out in combinations(range(len(pairs)), HELD_OUT):
        seen = [number for number in range(len(pairs)) if number not in held_out]
        values, right, lonlat = (
            np.concatenate([part[number] for number in seen])
            for part in ([p.values for p in pairs], [p.right for p in pairs], shifted)
        )
        truth = np.concatenate([pairs[number].right for number in held_out])
        if truth.all() or not truth.any():
            continue
        own = np.concatenate([pairs[number].confidence for number in held_out])
        held_values = np.concatenate([pairs[number].values for number in held_out])
        for _ in range(DRAWS if len(right) > verdicts else 1):
            rows = rng.choice(len(right), min(verdicts, len(right)), replace=False)
            if right[rows].all() or not right[rows].any():
                continue
            begin = time.perf_counter()
            place = place_numbers(lonlat[rows])
            head = fit_head(pairs[0].names, values[rows], right[rows], place)
            fit_s = time.perf_counter() - begin
            score = head.probability(held_values)
            yield Trial(
                held_out,
                len(rows),
                int(right[rows].sum()),
                precision_at_recall(own, truth, RECALL),
                precision_at_recall(score, truth, RECALL),
                roc_auc(own, truth),
                roc_auc(score, truth),
                fit_s,
            )


def interval(results: Sequence[Trial], pairs: int, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the mean lift, of a bootstrap over pairs.

    A trial counts as often as its held-out pairs were drawn together.
    """
    rng = np.random.default_rng(seed)
    lift = np.array([trial.learned - trial.own for trial in results])
    members = np.array([trial.pairs for trial in results])
    means = []
    for _ in range(RESAMPLES):
        times = np.bincount(rng.integers(0, pairs, pairs), minlength=pairs)
        weight = times[members].prod(axis=1)
        if weight.sum():
            means.append((weight @ lift) / weight.sum())
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def report(kind: Path, options: AnalyzeOptions, cache: Path | None, verdicts: int) -> list[float]:
    """Prints a row about a kind; gives the seconds of each fit."""
    pairs = judged_pairs(kind, options, cache)
    results = list(trials(pairs, verdicts))
    count, right = (sum(f(pair) for pair in pairs) for f in (len_of, right_of))
    if not results:
        print(f"| {kind.name} | {count} ({right}) | too few |")
        return []
    own, learned, own_auc, learned_auc, drawn, accepted = (
        float(np.mean([getattr(trial, name) for trial in results]))
        for name in ("own", "learned", "own_auc", "learned_auc", "verdicts", "accepted")
    )
    low, high = interval(results, len(pairs))
    shares = np.mean([trial.learned < trial.own for trial in results])
    print(
        f"| {kind.name} | {count} ({right}) | {drawn:.0f} ({accepted:.0f}) | {own:.2f} | "
        f"{learned:.2f} | {learned - own:+.2f} ({low:+.2f} to {high:+.2f}) | {shares:.0%} | "
        f"{own_auc:.2f} | {learned_auc:.2f} |"
    )
    return [trial.fit_s for trial in results]


def report_applying(kind: Path, head: Path) -> None:
    """Prints what a head takes in `analyze`, a pair: milliseconds a piece or a change.

    Describing is done for each piece of a tile, candidates among them; judging for each change.
    Both are of the thread that does them.
    """
    times = {"describing": 0.0, "judging": 0.0}
    counts = {"describing": 0, "judging": 0}

    def described(*arguments: Any) -> TileResult:  # noqa: ANN401
        begin = time.thread_time()
        result = described_result(*arguments)
        times["describing"] += time.thread_time() - begin
        counts["describing"] += len(result.cells)
        return result

    def judged(judge: HeadJudge, facts: ChangeFacts, *arguments: Any) -> Judgement:  # noqa: ANN401
        begin = time.thread_time()
        judgement = judge_changes(judge, facts, *arguments)
        times["judging"] += time.thread_time() - begin
        counts["judging"] += len(facts.kinds)
        return judgement

    judge_changes = HeadJudge.__call__
    options = AnalyzeOptions(learned=str(head))
    model = load_configured_model(options)
    with (
        patch("geochg.pipeline.run.described_result", described),
        patch.object(HeadJudge, "__call__", judged),
    ):
        for folder in sorted(path for path in kind.iterdir() if (path / "after.tif").is_file()):
            names = [str(folder / name) for name in ("before.tif", "after.tif")]
            analyze(*names, options, model=model)
    for name, seconds in times.items():
        print(f"{name}: {1000 * seconds / max(counts[name], 1):.2f} ms, {counts[name]} times")


def len_of(pair: JudgedPair) -> int:
    """Number of changes."""
    return len(pair.right)


def right_of(pair: JudgedPair) -> int:
    """Number of changes that are right."""
    return int(pair.right.sum())


def main() -> None:
    """Prints a row for each kind."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, help="keep features between runs")
    parser.add_argument("--verdicts", type=int, default=50)
    parser.add_argument("--sensitivity", default="normal")
    parser.add_argument("--kinds", nargs="*", help="names of folders; all when left out")
    parser.add_argument(
        "--applying", type=Path, metavar="HEAD", help="time a head on FOLDER's pairs"
    )
    arguments = parser.parse_args()
    print(machine.describe())
    if arguments.applying is not None:
        report_applying(arguments.folder, arguments.applying)
        return
    if arguments.cache is not None:
        arguments.cache.mkdir(parents=True, exist_ok=True)
    options = AnalyzeOptions(sensitivity=arguments.sensitivity)
    print(
        "| kind | changes (right) | verdicts (accepted) | own | learned | lift (95 %) | worse | "
        "own AUC | learned AUC |\n|---|---|---|---|---|---|---|---|---|"
    )
    fit_s: list[float] = []
    for kind in sorted(path for path in arguments.folder.iterdir() if path.is_dir()):
        if arguments.kinds and kind.name not in arguments.kinds:
            continue
        try:
            fit_s += report(kind, options, arguments.cache, arguments.verdicts)
        except GeochgError as error:  # radar, which the built-in does not take
            print(f"| {kind.name} | {error.message} |")
    if fit_s:
        print(f"fitting: median {np.median(fit_s):.2f} s, at most {max(fit_s):.2f} s")


if __name__ == "__main__":
    main()
