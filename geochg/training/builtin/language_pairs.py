"""Pairs for the language stage, with questions and answers: made on disk ahead of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from geochg.datasets.captions.rows import IMAGES, answerable, instruction_rows
from geochg.datasets.captions.truth import MaskTruth
from geochg.datasets.ground.labelled import LabelledGround
from geochg.datasets.ground.series import shares_by_kind
from geochg.errors import InputError
from geochg.files.new_files import write_aside, write_text_aside
from geochg.files.same_run import refuse_another_run
from geochg.files.text_file import parsed_json, read_text
from geochg.models.model_files import saved_json
from geochg.training.builtin.pair_truth import pair_truth
from geochg.training.builtin.pairs import SIDE_PX, PairMaker
from geochg.training.checkpoints import REPEAT

_CHUNK = 50
"""Pairs made between two notes of how far the making is."""

_TRIES = 300
"""Pairs of labelled ground that are made until one can be described without error."""

_DATES = ("before", "after")
_TEXTS = {"counts": [str, str, int], "turns": [str, str, str]}
"""Texts of a pair, with the types of a row of each."""


class LanguagePair(NamedTuple):
    """A pair as the language stage takes it.

    Attributes:
        before: `(3, height, width)` uint8 red, green, blue.
        after: As `before`.
        counts: `(class name, direction, number)` of what changed.
        turns: Questions and answers of the instruction rows, as `(task, question, answer)`.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    counts: list[tuple[str, str, int]]
    turns: list[tuple[str, str, str]]


@dataclass(frozen=True)
class LanguagePairs:
    """The pairs of a folder that `make_language_pairs` filled, read from disk one at a time."""

    folder: Path

    def __len__(self) -> int:
        return _count_pairs(self.folder)

    def __reduce__(self) -> tuple[Any, ...]:
        # Not its open arrays: a process that is spawned would get all pairs through a pipe.
        return LanguagePairs, (self.folder,)

    @cached_property
    def _arrays(self) -> list[NDArray[np.uint8]]:
        return [np.load(self.folder / f"{name}.npy", mmap_mode="r") for name in _DATES]

    def __getitem__(self, index: int) -> LanguagePair:
        before, after = (np.array(array[index]) for array in self._arrays)
        text = self._text(index)
        counts, turns = ([(*entry,) for entry in text[name]] for name in ("counts", "turns"))
        return LanguagePair(before, after, counts, turns)

    def has_changed(self, index: int) -> bool:
        """Whether anything changed in a pair; without reading its images."""
        return bool(self._text(index)["counts"])

    def _text(self, index: int) -> dict[str, Any]:
        return _texts(self.folder, index // _CHUNK)[index % _CHUNK]


def make_language_pairs(
    folder: Path, count: int, grounds: Sequence[LabelledGround], *, seed: int = 0, workers: int = 0
) -> LanguagePairs:
    """Makes pairs of labelled ground in a folder, going on where an earlier call stopped.

    Args:
        folder: The folder, which is made when it is not there.
        count: Pairs wanted in all.
        grounds: Grounds to make them of; the same as before when the folder is not empty.
        seed: Seed of the pairs.
        workers: Processes that make pairs; 0 for none beside this one.

    Raises:
        OptionError: If the folder holds pairs of other grounds, seed or number.
        InputError: If it holds damaged pairs, or if hardly any pair of these grounds can be
            described without error.
    """
    (folder / "texts").mkdir(parents=True, exist_ok=True)
    facts = {"count": count, "seed": seed, "grounds": len(grounds)}
    _check_same(folder, {**facts, "shares": shares_by_kind(grounds)})
    pair_count = _count_pairs(folder)
    for chunk in range(-(-pair_count // _CHUNK)):
        _texts(folder, chunk)
    source = _Samples(grounds, seed, range(pair_count, count))
    samples = iter(DataLoader(source, batch_size=None, num_workers=workers, collate_fn=_as_it_is))
    arrays = {name: _array(folder / f"{name}.npy", count, is_new=not pair_count) for name in _DATES}
    for start in range(source.numbers.start, count, _CHUNK):
        texts = []
        for index in range(start, min(start + _CHUNK, count)):
            pair = next(samples)
            if pair is None:
                raise InputError(
                    "hardly any pair of this imagery can be described without error",
                    "add labels of buildings or of land cover; docs/training.md lists them",
                )
            for name, array in arrays.items():
                array[index] = getattr(pair, name)
            texts.append({"counts": pair.counts, "turns": pair.turns})
        for array in arrays.values():
            array.flush()
        # Its being there says that the pairs are.
        write_text_aside(folder / "texts" / f"{start // _CHUNK}.json", json.dumps(texts))
    return LanguagePairs(folder)


class _Samples(Dataset[LanguagePair | None]):
    """Pairs by their number, so that neither workers nor an interruption change them."""

    def __init__(self, grounds: Sequence[LabelledGround], seed: int, numbers: range) -> None:
        self.maker, self.seed, self.numbers = PairMaker(grounds), seed, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> LanguagePair | None:
        """The first pair that can be described without error; None if none of `_TRIES` can."""
        rng = np.random.default_rng((self.seed, self.numbers[index]))
        for _ in range(_TRIES):
            pair = self.maker.pair(rng)
            truth = pair_truth(pair, int(rng.integers(1 << 31)))
            if truth is not None:
                before, after = (_bytes(image) for image in (pair.before, pair.after))
                return LanguagePair(before, after, list(_counts(truth)), list(_turns(truth)))
        return None


def _bytes(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Red, green and blue first, without the near infrared."""
    return np.rint(255 * image[..., :3].transpose(2, 0, 1)).astype(np.uint8)


def _counts(truth: MaskTruth) -> Iterator[tuple[str, str, int]]:
    for (class_name, change), number in truth.counts.items():
        yield class_name, str(change), number


def _turns(truth: MaskTruth) -> Iterator[tuple[str, str, str]]:
    """Question and answer of each row; those of a dialogue are joined into one text each."""
    for task, row in zip(answerable(truth), instruction_rows(truth, ("", "")), strict=True):
        turns = [turn["value"].removeprefix(IMAGES) for turn in row["conversations"]]
        yield str(task), "\n".join(turns[0::2]), "\n".join(turns[1::2])


def _as_it_is(pair: Any) -> Any:  # noqa: ANN401
    """A sample that is not put into a batch: PyTorch's own function knows no such type."""
    return pair


# --- the folder ----------------------------------------------------------------------------------


def _count_pairs(folder: Path) -> int:
    """Pairs that are whole: a chunk counts once its texts are written."""
    facts = saved_json(folder / "facts.json", _anew(folder))
    chunks = 0
    while (folder / "texts" / f"{chunks}.json").exists():
        chunks += 1
    return int(min(chunks * _CHUNK, facts["count"]))


@lru_cache(maxsize=2048)
def _texts(folder: Path, chunk: int) -> list[dict[str, Any]]:
    """Texts of the pairs of a chunk; kept, since training comes back to them."""
    file = folder / "texts" / f"{chunk}.json"
    try:
        texts = parsed_json(read_text(file))
    except ValueError as error:
        raise InputError(f"{file} is damaged: {error}", _anew(folder)) from error
    pairs = min(_CHUNK, _count_pairs(folder) - chunk * _CHUNK)
    if not isinstance(texts, list) or len(texts) != pairs or not all(map(_is_text, texts)):
        raise InputError(f"{file} is damaged: it holds no texts of {pairs} pairs", _anew(folder))
    return texts


def _is_text(text: object) -> bool:
    """Whether these are the texts of a pair."""
    if not isinstance(text, dict) or not all(isinstance(text.get(n), list) for n in _TEXTS):
        return False
    rows = [(row, types) for name, types in _TEXTS.items() for row in text[name]]
    return bool(text["turns"]) and all(
        isinstance(row, list) and [type(value) for value in row] == types for row, types in rows
    )


def _anew(folder: Path) -> str:
    return f"remove {folder}, and {REPEAT}"


def _check_same(folder: Path, facts: dict[str, Any]) -> None:
    file = folder / "facts.json"
    if not file.exists() and any((folder / "texts").iterdir()):
        raise InputError(f"there is no {file} that tells of which pairs these are", _anew(folder))
    if not file.exists():
        write_text_aside(file, json.dumps(facts))
    else:
        refuse_another_run(saved_json(file, _anew(folder)), facts, folder)


def _array(path: Path, count: int, is_new: bool) -> np.memmap[Any, Any]:
    shape = (count, 3, SIDE_PX, SIDE_PX)
    if is_new and not path.exists():
        with write_aside(path) as new_file:
            open_memmap(new_file, mode="w+", dtype=np.uint8, shape=shape).flush()
    try:
        # Opened for writing at once, a file that was cut short would be filled up with zeros.
        open_memmap(path, mode="r")
        array = open_memmap(path, mode="r+")
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{path} is damaged: {error}", _anew(path.parent)) from error
    if array.shape != shape or array.dtype != np.uint8:
        raise InputError(f"{path} is damaged: it holds other pictures", _anew(path.parent))
    return array
