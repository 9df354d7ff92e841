"""What the language stage learns: its answers about pairs of held-out ground.

    python benchmarks/language_stage.py --data DATA --work WORK

trains the language part anew behind the vision part that comes with geochg, and prints a row for
the model that comes with geochg and one for the new one. The answers are those of the language
model alone, as every model gives them that is tuned from `builtin`; `builtin` itself answers from
its map.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from geochg.datasets.ground.series import all_grounds, split_grounds
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration, PairEncoding
from geochg.models.deltavlm.processing import IGNORED, DeltaVLMProcessor
from geochg.models.deltavlm.sizes import compact_config, compact_generation
from geochg.records import Task
from geochg.tasks import SPECS
from geochg.tasks.base import NonsenseError
from geochg.training.builtin.language_pairs import LanguagePair, LanguagePairs, make_language_pairs
from geochg.training.builtin.language_stage import LanguageOptions, pairs_tokenizer, train_language
from geochg.training.builtin.recipe import load_vision
from geochg.training.builtin.text_batches import Row, rows_of

SHIPPED = Path(__file__).parents[1] / "geochg" / "models" / "builtin"
EXACT = (Task.PRESENCE, Task.COUNT, Task.LOCATE)

NOUNS = {
    "building": r"building|house|warehouse|factory|factories|store|greenhouse|block|area",
    "road": r"road|path|street|highway|parking lot|paved area",
    "vegetation": r"trees|woodland|plantation|vegetation|plants",
    "water": r"pond|water",
    "bare": r"bare|construction site|building site|levelled site|quarr|excavated",
}
VERBS = {
    "appeared": r"built|constructed|appears?|appeared|erected|planted|grown|formed|dug|added",
    "disappeared": r"removed|demolished|disappear\w*|torn|cut down|dried|drained|covered",
    "altered": r"replaced|rebuilt|widened|burnt|changed|reshaped",
}


def told_changes(caption: str) -> set[tuple[str, str]]:
    """Class and direction of each clause: the last noun before each verb."""
    told, start = set(), 0
    verb = re.compile("|".join(rf"\b(?P<{name}>{words})\b" for name, words in VERBS.items()))
    cleared = re.compile(r"\bcleared\b")
    matches = [(m.start(), m.end(), m.lastgroup) for m in verb.finditer(caption)]
    matches += [(m.start(), m.end(), "cleared") for m in cleared.finditer(caption)]
    for begin, end, direction in sorted(matches):
        clause, start = caption[start:begin], end
        found = [
            (noun.start(), noun.end(), name)
            for name, words in NOUNS.items()
            for noun in re.finditer(words, clause)
        ]
        if found:
            # "bare land" and "construction site" over the "area" or "building" they hold.
            name = max(found)[2] if not re.search(NOUNS["bare"], clause) else "bare"
            way = "appeared" if name == "bare" else "disappeared"
            told.add((name, way if direction == "cleared" else str(direction)))
    return told


def single_turns(pair: LanguagePair) -> Iterator[Row]:
    """The rows that are one question and one answer."""
    asked = {question for task, question, _ in pair.turns if Task(task) is not Task.DIALOGUE}
    yield from (row for row in rows_of(pair) if row.prompt in asked)


@torch.inference_mode()
def judged(
    model: DeltaVLMForConditionalGeneration, processor: DeltaVLMProcessor, pairs: LanguagePairs
) -> dict[str, float]:
    """Means over pairs: loss a character, shares of exact answers and of true captions."""
    model.eval()  # type: ignore[no-untyped-call]
    loss, characters = 0.0, 0
    right: dict[str, list[bool]] = {str(task): [] for task in (*EXACT, Task.CAPTION)}
    for index in range(len(pairs)):
        pair = pairs[index]
        encoding = model.encode_pair(
            processor.pixels([pair.before]), processor.pixels([pair.after])
        )
        loss += _loss(model, processor, encoding, rows_of(pair))
        characters += sum(len(row.answer) for row in rows_of(pair))
        rows = [row for row in single_turns(pair) if str(row.task) in right]
        for row, answer in zip(rows, _answers(model, processor, encoding, rows), strict=True):
            if row.task is not Task.CAPTION:
                right[str(row.task)].append(is_exact(row, answer))
            elif pair.counts:
                changes = told_changes(answer)
                right[str(row.task)].append(
                    bool(changes) and changes <= {entry[:2] for entry in pair.counts}
                )
    shares = {task: sum(answers) / max(len(answers), 1) for task, answers in right.items()}
    return {"loss": loss / characters, **shares}


def is_exact(row: Row, answer: str) -> bool:
    """Whether an answer means just what the truth means; nonsense means nothing."""
    try:
        return bool(SPECS[row.task].parse(answer) == SPECS[row.task].parse(row.answer))
    except NonsenseError:
        return False


def _loss(
    model: DeltaVLMForConditionalGeneration,
    processor: DeltaVLMProcessor,
    encoding: PairEncoding,
    rows: Sequence[Row],
) -> float:
    """Summed over the answers' tokens, in nats."""
    texts = processor.examples([row.prompt for row in rows], [row.answer for row in rows])
    places = torch.zeros(len(rows), dtype=torch.long)
    found = model(**texts.arguments(), pair_index=places, encoding=encoding)
    assert texts.labels is not None
    return float(found.loss) * int((texts.labels != IGNORED).sum())


def _answers(
    model: DeltaVLMForConditionalGeneration,
    processor: DeltaVLMProcessor,
    encoding: PairEncoding,
    rows: Sequence[Row],
) -> list[str]:
    texts = processor.questions([row.prompt for row in rows])
    places = torch.zeros(len(rows), dtype=torch.long)
    ids = model.generate(**texts.arguments(), pair_index=places, encoding=encoding)
    return processor.answers(ids)


def fresh(pairs: LanguagePairs) -> tuple[DeltaVLMForConditionalGeneration, DeltaVLMProcessor]:
    """A model with the shipped vision part and a language part that has learned nothing."""
    tokenizer = pairs_tokenizer(pairs, 2000)
    torch.manual_seed(0)
    model = DeltaVLMForConditionalGeneration(compact_config(2000))
    model.generation_config = compact_generation()
    load_vision(model, SHIPPED / "model.safetensors")
    return model, DeltaVLMProcessor(model.config, tokenizer, tokenizer)


def main() -> None:
    """Trains, judges and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled imagery")
    parser.add_argument("--work", type=Path, required=True, help="folder for pairs and checkpoints")
    parser.add_argument("--train-pairs", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--batch", type=int, default=16, help="pairs in a batch")
    parser.add_argument("--test-pairs", type=int, default=120)
    given = parser.parse_args()
    torch.set_num_threads(1)
    learned, held_out = split_grounds(all_grounds(given.data))
    test = make_language_pairs(given.work / "test", given.test_pairs, held_out, seed=1)
    train = make_language_pairs(given.work / "train", given.train_pairs, learned)
    model, processor = fresh(train)
    stage = LanguageOptions(steps=given.steps, pairs_per_batch=given.batch)
    train_language(model, processor, train, given.work / "language", stage)
    shipped = DeltaVLMForConditionalGeneration.from_pretrained(SHIPPED, dtype=torch.float32)
    models = {"as it comes": (shipped, DeltaVLMProcessor.from_pretrained(SHIPPED))}
    models["anew"] = (model, processor)
    for name, (network, texts) in models.items():
        scores = judged(network, texts, test)
        print(name, *(f"{key} {value:.3f}" for key, value in scores.items()), sep=" | ", flush=True)


if __name__ == "__main__":
    main()
