"""Free questions and answers written by a model that is given the counted facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from geochg.datasets.captions.facts import Fact
from geochg.datasets.captions.truth import MaskTruth
from geochg.datasets.example import ExampleTurn
from geochg.errors import ModelError
from geochg.models.base import ChangeModel, backend_errors
from geochg.records import (
    Caption,
    Missing,
    PairFacts,
    Question,
    Reply,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)
from geochg.tasks import SPECS
from geochg.tasks.base import NonsenseError
from geochg.tasks.lexicon import ADJECTIVE, COUNTABLE
from geochg.tasks.mentions import mentions_in
from geochg.tasks.reply_text import plain_text, refusal, sentences
from geochg.tasks.statements import Verdict, verdict

ARROW = "=>"
"""Separator of question and answer in the model's text; labels such as "Answer:" would be taken
off."""

_KINDS = (
    "what has changed and where",
    "how the use of the land has changed",
    "what the changed places look like",
    "how the changes lie to one another or to what stood there before",
)
_LONGEST = 600
"""An answer of more letters has lost its way."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A tile to be asked about.

    Attributes:
        tile: The tile.
        scene_facts: Facts that hold for every tile of its scene.
        truth: Masks of the tile.
        facts: Facts read off the masks.
    """

    tile: Tile
    scene_facts: PairFacts
    truth: MaskTruth
    facts: tuple[Fact, ...]

    def goes_with(self, other: Subject) -> bool:
        """Whether both can be asked about in one call."""
        return (
            self.scene_facts == other.scene_facts
            and self.tile.before.shape == other.tile.before.shape
        )


class Captioner:
    """Asks a model for questions and answers, and keeps those that agree with the facts.

    Args:
        model: Model that takes free questions.

    Attributes:
        dropped: Number of answers left out, by reason.

    Raises:
        ModelError: If the model takes no free questions, or no display pixels.
    """

    def __init__(self, model: ChangeModel) -> None:
        able = model.capabilities
        if Task.QUESTION not in able.tasks or able.pixels != "display" or able.bands != "rgb":
            raise ModelError(
                f"the model {model.name} cannot write questions and answers",
                "choose one that takes free questions, see `geochg models`",
            )
        self.model = model
        self.dropped: Counter[str] = Counter()

    def turns(self, subjects: Sequence[Subject], count: int) -> list[list[ExampleTurn]]:
        """Questions with answers about each tile that agree with what is known of it.

        A model that reads clues is asked about many tiles at once, with the facts of each as its
        clue; another about one after the other.

        Raises:
            RunError: If the model fails.
        """
        turns = []
        for batch in self._batches(subjects):
            texts = [request(_KINDS[number % len(_KINDS)]) for number in range(count)]
            tiles = [subject.tile for subject in batch]
            if self._reads_clues:
                tiles = [replace(s.tile, clue=certain(s.truth, s.facts)) for s in batch]
            else:
                facts = certain(batch[0].truth, batch[0].facts)
                texts = [f"{facts} {text}" for text in texts]
            questions = [Question(Task.QUESTION, text) for text in texts]
            with backend_errors(self.model):
                self.model.survey(batch[0].scene_facts, self._sample(tiles))
                answers = self.model.answer(tiles, questions)
            turns += [
                self._kept_turns(of_tile, subject, count)
                for of_tile, subject in zip(answers, batch, strict=True)
            ]
        return turns

    @property
    def _reads_clues(self) -> bool:
        return self.model.capabilities.clues

    def _batches(self, subjects: Sequence[Subject]) -> Iterator[list[Subject]]:
        """Neighbours in order that can be asked about in one call."""
        at_once = self.model.capabilities.batch_tiles if self._reads_clues else 1
        batch: list[Subject] = []
        for subject in subjects:
            if batch and (len(batch) == at_once or not subject.goes_with(batch[0])):
                yield batch
                batch = []
            batch.append(subject)
        if batch:
            yield batch

    def _sample(self, tiles: Sequence[Tile]) -> Sequence[Tile]:
        return tiles if self.model.capabilities.surveys else []

    def _kept_turns(self, answers: TileAnswers, subject: Subject, count: int) -> list[ExampleTurn]:
        if isinstance(answers, TileFailure):
            self.dropped["no answer"] += count
            return []
        given_answers = [answer for answer in answers if not isinstance(answer, Missing)]
        if missing := len(answers) - len(given_answers):
            self.dropped["no answer"] += missing
        texts = [answer.text if isinstance(answer, Reply) else "" for answer in given_answers]
        turns = (self._true_turn(text, subject) for text in texts)
        return [turn for turn in turns if turn is not None]

    def _true_turn(self, text: str, subject: Subject) -> ExampleTurn | None:
        question, arrow, answer = (" ".join(part.split()) for part in text.partition(ARROW))
        if not arrow or not question.endswith("?") or not answer or len(answer) > _LONGEST:
            self.dropped["not a question and an answer"] += 1
            return None
        if reason := contradiction(answer, subject.truth, subject.facts):
            self.dropped[reason] += 1
            return None
        return ExampleTurn(question, answer)


def request(kind: str) -> str:
    """The question to the model; the facts come with it."""
    return (
        f"The two images show one place at two dates. Write one question about {kind}, and its "
        "answer in one or two sentences. The answer must agree with what was measured, give no "
        "other numbers, and say only what the images show. Write both on one line, the question "
        f"first, then {ARROW}, then the answer."
    )


def certain(truth: MaskTruth, stated_facts: Sequence[Fact]) -> str:
    """The counted facts in words."""
    facts = " ".join(_fact(fact) for fact in stated_facts) or "Nothing has changed."
    others = ", ".join(COUNTABLE[name][1] for name in truth.known)
    return f"This was measured and is certain: {facts} Of {others} nothing else has changed."


def _fact(fact: Fact) -> str:
    singular, plural = COUNTABLE[fact.class_name]
    change = "changed" if fact.change is None else ADJECTIVE[fact.change]
    cells_text = ", ".join(cell.name for cell in fact.cells) or "small spots only"
    return f"{fact.number} {change} {singular if fact.number == 1 else plural} (in: {cells_text})."


def contradiction(answer: str, truth: MaskTruth, facts: Sequence[Fact]) -> str:
    """Why an answer cannot be true; empty where nothing speaks against it."""
    body = plain_text(answer)
    if refusal(body):
        return "declined"
    caption = SPECS[Task.CAPTION].parse(answer)
    if isinstance(caption, Caption) and caption.changed != truth.changed:
        return "says that something changed, or that nothing did, against the mask"
    try:
        # Whether a plain "nothing has changed" is true was seen above; it counts nothing.
        stated = [s for s in sentences(body) if verdict(s) is not Verdict.UNCHANGED]
        mentions = [mention for sentence in stated for mention in mentions_in(sentence)]
    except NonsenseError:
        return "numbers that cannot be checked"
    for mention in mentions:
        if mention.number is None or mention.class_name not in truth.known:
            continue
        numbers = [fact.number for fact in facts if fact.class_name == mention.class_name]
        directed = [
            fact.number
            for fact in facts
            if fact.class_name == mention.class_name and fact.change in mention.directions
        ]
        allowed = set(directed or [0]) if mention.directions else {*numbers, sum(numbers)}
        if any(fact.change is None for fact in facts if fact.class_name == mention.class_name):
            allowed |= {*numbers, sum(numbers)} - {0}
        if mention.number not in allowed:
            return "numbers against the mask"
    return ""
