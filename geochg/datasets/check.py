"""Problems of a data set, before anything is trained on it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from geochg.datasets.example import Example
from geochg.datasets.frames import load_pair
from geochg.datasets.question_tasks import answer_fault, answers_change
from geochg.errors import InputError
from geochg.events import Listener, Progress, ignore
from geochg.records import PixelWindow, Task

SHOWN = 5
"""Number of findings of each kind that a report names."""

SMALL_PX = 16
"""Side to which pictures are shrunk to be compared."""

MOST_BITS = 6
"""Pictures whose fingerprints of 256 bits differ in no more are taken for the same."""

FLAT = 3.0
"""Pictures whose shrunken greys vary less (standard deviation) have no fingerprint."""

MESSAGES = {
    "missing": "files that are not there",
    "outside": "images whose names lead out of the folder, so that the set cannot be moved",
    "unreadable": "images that cannot be read",
    "sizes": "pairs whose images differ in size",
    "grammar": "answers outside the grammar of their task",
    "flags": "answers against the row's changeflag",
    "duplicate_ids": "ids that stand for several rows",
    "leaks": "images of one split that are in another",
    "near_leaks": "images of one split that look like one of another",
    "window_leaks": "tiles of one split that overlap those of another",
    "location_leaks": "locations of one split that are in another",
    "empty": "splits without rows",
}
"""What each kind of problem is, by its name in the report."""


@dataclass(frozen=True, slots=True)
class DatasetProblem:
    """One kind of problem.

    Attributes:
        kind: A key of `MESSAGES`.
        count: Number of findings.
        shown: The first few findings, in words.
    """

    kind: str
    count: int
    shown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """The problems of a data set, and its size.

    Attributes:
        splits: For each split its rows, pairs, rows by task, and pairs by what is known of them:
            changed, unchanged or neither.
        problems: Problems in the order of `MESSAGES`; empty when nothing is wrong.
    """

    splits: dict[str, dict[str, Any]]
    problems: tuple[DatasetProblem, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {
            "ok": not self.problems,
            "splits": self.splits,
            "troubles": {
                problem.kind: {
                    "what": MESSAGES[problem.kind],
                    "count": problem.count,
                    "first": list(problem.shown),
                }
                for problem in self.problems
            },
        }


def check_examples(
    splits: Mapping[str, Sequence[Example]],
    *,
    pixels: bool = True,
    outside_names: Iterable[str] = (),
    listener: Listener = ignore,
) -> DatasetReport:
    """Looks at every row, and at every picture once.

    Args:
        splits: The examples of each split.
        pixels: Whether to open the pictures: without, unreadable ones, sizes and look-alikes are
            not found.
        outside_names: Names of pictures that lead out of the folder; see `iter_examples`.
        listener: Receives the progress in pairs.
    """
    findings = _Findings()
    for name in outside_names:
        findings.add("outside", name)
    for split, examples in splits.items():
        if not examples:
            findings.add("empty", split)
        _check_rows(examples, findings)
    pairs = {
        split: list({example.paths: example for example in examples}.values())
        for split, examples in splits.items()
    }
    full_pairs = {
        split: [example for example in split_pairs if _has_files(example, findings)]
        for split, split_pairs in pairs.items()
    }
    _check_shared("leaks", full_pairs, lambda e: [path.resolve() for path in e.paths], findings)
    _check_windows(pairs, findings)
    _check_shared("location_leaks", pairs, _location_name, findings)
    if pixels:
        _check_pictures(full_pairs, findings, listener)
    return DatasetReport(
        {split: _balance(splits[split], pairs[split]) for split in splits}, findings.all()
    )


_Print = tuple[str, np.ndarray | None, Example]
"""Checksum and fingerprint of a picture, and its example."""


class _Findings:
    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._shown: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, words: str) -> None:
        self._counts[kind] += 1
        if len(self._shown[kind]) < SHOWN:
            self._shown[kind].append(words)

    def all(self) -> tuple[DatasetProblem, ...]:
        return tuple(
            DatasetProblem(kind, self._counts[kind], tuple(self._shown[kind]))
            for kind in MESSAGES
            if self._counts[kind]
        )


# --- rows ----------------------------------------------------------------------------------------


def _check_rows(examples: Iterable[Example], findings: _Findings) -> None:
    ids: Counter[tuple[Path | None, str]] = Counter()
    for example in examples:
        _check_answers(example, findings)
        if example.origin is not None and example.origin.id:
            key = (example.origin.file, example.origin.id)
            ids[key] += 1
            # An id is reported once, however often it is repeated.
            if ids[key] == 2:
                findings.add("duplicate_ids", example.display_name)


def _check_answers(example: Example, findings: _Findings) -> None:
    task = example.task or Task.QUESTION
    questions = [turn.question for turn in example.turns]
    dialogues = [[turn.answer for turn in example.turns]]
    if example.references:
        dialogues = [[reference] for reference in example.references]
    for answers in dialogues:
        if fault := answer_fault(task, answers, questions):
            findings.add("grammar", f"{example.display_name}: {task}: {fault}")
            return
    if task is Task.PRESENCE and example.changed is not None:
        if answers_change(task, dialogues[0]) != example.changed:
            findings.add("flags", example.display_name)


# --- files ---------------------------------------------------------------------------------------


def _has_files(example: Example, findings: _Findings) -> bool:
    missing = [path for path in example.paths if not path.exists()]
    for path in missing:
        findings.add("missing", f"{example.display_name}: {path}")
    return not missing


def _check_shared(
    kind: str,
    pairs: Mapping[str, Sequence[Example]],
    names_of: Callable[[Example], Sequence[Path | str]],
    findings: _Findings,
) -> None:
    """What stands in two splits: the same file, by path, or the same location, by its id."""
    owner: dict[Path | str, str] = {}
    for split, examples in pairs.items():
        for name in dict.fromkeys(name for example in examples for name in names_of(example)):
            if name in owner:
                findings.add(kind, f"{name} in {owner[name]} and {split}")
            owner.setdefault(name, split)


def _location_name(example: Example) -> list[str]:
    return [repr(example.location)] if example.location else []


def _check_windows(pairs: dict[str, list[Example]], findings: _Findings) -> None:
    """Tiles of one scene in two splits that have pixels in common."""
    import shapely

    scenes: defaultdict[tuple[Path | None, str], list[tuple[str, Example]]] = defaultdict(list)
    for split, examples in pairs.items():
        for example in examples:
            if example.scene_window is not None:
                folder = example.origin.file.parent if example.origin is not None else None
                scenes[folder, example.scene_window.scene].append((split, example))
    for members in scenes.values():
        boxes = [_box(example) for _, example in members]
        tree = shapely.STRtree(boxes)
        for number, (split, example) in enumerate(members):
            for other in sorted(tree.query(boxes[number], "intersects").tolist()):
                if other > number and members[other][0] != split:
                    findings.add(
                        "window_leaks",
                        f"{example.display_name} and {members[other][1].display_name}",
                    )


def _box(example: Example) -> Any:  # noqa: ANN401
    import shapely

    assert example.scene_window is not None
    window: PixelWindow = example.scene_window.window
    box = shapely.box(window.col_start, window.row_start, window.col_stop, window.row_stop)
    # Tiles that share an edge share no pixel.
    return box.buffer(-0.25, join_style="mitre")


# --- pictures ------------------------------------------------------------------------------------


def _check_pictures(
    pairs: dict[str, list[Example]], findings: _Findings, listener: Listener
) -> None:
    total, done_count = sum(map(len, pairs.values())), 0
    prints: dict[str, list[_Print]] = {}
    for split, examples in pairs.items():
        split_prints = prints.setdefault(split, [])
        for example in examples:
            try:
                for pixels in load_pair(example):
                    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
                    split_prints.append((digest, _fingerprint(pixels), example))
            except InputError as error:
                kind = "sizes" if "one size" in error.hint else "unreadable"
                findings.add(kind, f"{example.display_name}: {error.message}")
            done_count += 1
            listener(Progress("looked", done_count, total))
    for first, second in combinations(prints, 2):
        _compare_splits(first, prints[first], second, prints[second], findings)


def _fingerprint(pixels: np.ndarray) -> np.ndarray | None:
    """256 bits that tell which parts of a picture are brighter than its middle grey.

    The same for a picture that was compressed, scaled or brightened a little; None for a picture
    without structure, which would look like any other.
    """
    from PIL import Image

    image = Image.fromarray(np.moveaxis(pixels, 0, -1)).convert("L")
    small = np.asarray(image.resize((SMALL_PX, SMALL_PX), Image.Resampling.BOX), float)
    if small.std() < FLAT:
        return None
    return np.packbits((small > np.median(small)).ravel())


def _compare_splits(
    split: str, prints: list[_Print], other: str, other_prints: list[_Print], findings: _Findings
) -> None:
    by_digest = {digest: example for digest, _, example in other_prints}
    with_bits = [(bits, example) for _, bits, example in other_prints if bits is not None]
    table = np.array([bits for bits, _ in with_bits], np.uint8)
    reported: set[tuple[str, str]] = set()
    for digest, bits, example in prints:
        twin: Example | None = by_digest.get(digest)
        if twin is None and bits is not None and len(table):
            distances = np.bitwise_count(table ^ bits).sum(1)
            nearest = int(distances.argmin())
            twin = with_bits[nearest][1] if distances[nearest] <= MOST_BITS else None
        if twin is None or not set(twin.paths).isdisjoint(example.paths):
            continue
        if (example.display_name, twin.display_name) not in reported:
            reported.add((example.display_name, twin.display_name))
            findings.add(
                "near_leaks", f"{example.display_name} ({split}) and {twin.display_name} ({other})"
            )


# --- balance -------------------------------------------------------------------------------------


def _balance(examples: Sequence[Example], pairs: Sequence[Example]) -> dict[str, Any]:
    flags: dict[tuple[Path, ...], bool | None] = {}
    for example in examples:
        if flags.get(example.paths) is None:
            flags[example.paths] = example.changed
    counts = Counter(flags.values())
    return {
        "rows": len(examples),
        "pairs": len(pairs),
        "changed": counts[True],
        "unchanged": counts[False],
        "not_known": counts[None],
        "tasks": dict(sorted(Counter(str(example.task) for example in examples).items())),
    }
