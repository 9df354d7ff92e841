"""Free questions and answers written by a model that is told what is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from geochg.datasets.example import Turn
from geochg.datasets.telling.facts import Fact, facts
from geochg.datasets.telling.truth import Truth
from geochg.errors import ModelError
from geochg.models.base import ChangeModel, naming
from geochg.records import Caption, PairFacts, Question, Reply, Task, Tile, TileFailure
from geochg.tasks import SPECS
from geochg.tasks.base import NonsenseError
from geochg.tasks.lexicon import ADJECTIVE, COUNTABLE
from geochg.tasks.mentions import mentions_in
from geochg.tasks.speech import plain, refusal, sentences

ARROW = "=>"
"""What the model is asked to put between question and answer; labels such as "Answer:" would be
taken off what models say."""

_KINDS = (
    "what has changed and where",
    "how the use of the land has changed",
    "what the changed places look like",
    "how the changes lie to one another or to what stood there before",
)
_LONGEST = 600
"""An answer of more letters has lost its way."""


class Captioner:
    """Asks a model for questions and answers, and lets through what agrees with the facts.

    Args:
        model: Takes free questions.

    Attributes:
        dropped: How often an answer was left out, by reason.

    Raises:
        ModelError: If the model takes none, or does not look at pictures.
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

    def turns(self, tile: Tile, ground: PairFacts, truth: Truth, wanted: int) -> list[Turn]:
        """Questions with answers about a tile that agree with what is known of it.

        Raises:
            RunError: If the model fails.
        """
        known = facts(truth)
        asked = [
            Question(Task.QUESTION, request(truth, known, _KINDS[number % len(_KINDS)]))
            for number in range(wanted)
        ]
        with naming(self.model):
            self.model.survey(ground, [tile] if self.model.capabilities.surveys else [])
            (answers,) = self.model.answer([tile], asked)
        if isinstance(answers, TileFailure):
            self.dropped["no answer"] += wanted
            return []
        texts = [given.text if isinstance(given, Reply) else "" for given in answers]
        return [turn for text in texts if (turn := self._checked(text, truth, known)) is not None]

    def _checked(self, text: str, truth: Truth, known: Sequence[Fact]) -> Turn | None:
        question, arrow, answer = (" ".join(part.split()) for part in text.partition(ARROW))
        if not arrow or not question.endswith("?") or not answer or len(answer) > _LONGEST:
            self.dropped["not a question and an answer"] += 1
            return None
        if reason := contradiction(answer, truth, known):
            self.dropped[reason] += 1
            return None
        return Turn(question, answer)


def request(truth: Truth, known: Sequence[Fact], kind: str) -> str:
    """What the model is asked, with the counted facts in it."""
    told = " ".join(_fact(fact) for fact in known) or "Nothing has changed."
    return (
        "The two images show one place at two dates. This has been measured and is certain: "
        f"{told} Of {', '.join(COUNTABLE[name][1] for name in truth.known)} nothing else has "
        f"changed. Write one question about {kind}, and its answer in one or two sentences. The "
        "answer must agree with what was measured, give no other numbers, and say only what the "
        f"images show. Write both on one line, the question first, then {ARROW}, then the answer."
    )


def _fact(fact: Fact) -> str:
    one, several = COUNTABLE[fact.class_name]
    how = "changed" if fact.change is None else ADJECTIVE[fact.change]
    where = ", ".join(cell.name for cell in fact.cells) or "small spots only"
    return f"{fact.number} {how} {one if fact.number == 1 else several} (in: {where})."


def contradiction(answer: str, truth: Truth, known: Sequence[Fact]) -> str:
    """Why an answer cannot be true; empty where nothing speaks against it."""
    body = plain(answer)
    if refusal(body):
        return "declined"
    said = SPECS[Task.CAPTION].parse(answer)
    if isinstance(said, Caption) and said.changed != truth.changed:
        return "says that something changed, or that nothing did, against the mask"
    try:
        mentions = [mention for sentence in sentences(body) for mention in mentions_in(sentence)]
    except NonsenseError:
        return "numbers that cannot be checked"
    for mention in mentions:
        if mention.number is None or mention.class_name not in truth.known:
            continue
        numbers = [fact.number for fact in known if fact.class_name == mention.class_name]
        directed = [
            fact.number
            for fact in known
            if fact.class_name == mention.class_name and fact.change in mention.directions
        ]
        allowed = set(directed or [0]) if mention.directions else {*numbers, sum(numbers)}
        if any(fact.change is None for fact in known if fact.class_name == mention.class_name):
            allowed |= {*numbers, sum(numbers)} - {0}
        if mention.number not in allowed:
            return "numbers against the mask"
    return ""
