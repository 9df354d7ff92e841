"""The backend `openai`: a vision-language model behind an endpoint of OpenAI's chat protocol.

vLLM, `transformers serve`, Ollama, llama.cpp and many more serve it. Tiles leave the machine for
the address that is named, and for no other.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from geochg.errors import RunError
from geochg.models.base import ChangeModel, ModelIdentity
from geochg.models.chat.dialogue import (
    CHAT_CAPABILITIES,
    TileDialogue,
    introduction_of,
    presence_first,
)
from geochg.models.chat.measured import measured_answers
from geochg.models.endpoint.address import Address
from geochg.models.endpoint.chat import Chat, ChatReply, Key, Message
from geochg.models.endpoint.logprobs import word_shares
from geochg.models.endpoint.options import EndpointOptions
from geochg.models.endpoint.reply import NoAnswerError
from geochg.models.endpoint.scene_requests import SceneRequests
from geochg.models.images import png_data_uri
from geochg.records import (
    Direction,
    Exchange,
    Label,
    PairFacts,
    Question,
    SceneQuestions,
    Task,
    Tile,
    TileAnswers,
    TileFailure,
)
from geochg.tasks.base import NonsenseError
from geochg.tasks.directions import (
    CHOICES,
    LocatedChange,
    list_question,
    read_choices,
    undirected_changes,
    with_directions,
    without_directions,
)
from geochg.tasks.scene import read_yes_or_no
from geochg.tasks.thoughts import without_thoughts

_YES_OR_NO = (Task.PRESENCE, Task.DIALOGUE)
"""Tasks whose first turn asks for yes or no."""

UNANSWERED_REQUESTS = 3
"""After so many requests in a row without any answer, the endpoint itself is checked."""


class EndpointModel(ChangeModel[EndpointOptions]):
    """A model behind an endpoint; its answers in words go through the parsers."""

    name = "openai"
    summary = "a model behind an OpenAI-compatible endpoint: http://host:port/v1#name"
    backend_capabilities = CHAT_CAPABILITIES

    def __init__(self, chat: Chat, options: EndpointOptions) -> None:
        self.chat = chat
        self.options = options

    @classmethod
    def load(cls, source: str, options: EndpointOptions, device: str) -> Self:
        """Asks the endpoint whether it has the model; see `ChangeModel.load`.

        The source is `http://host:port/v1#name`; the device is ignored.

        Raises:
            ModelError: If the address makes no sense, nothing answers there, the key is refused,
                or there is no such model.
        """
        chat = Chat.open(
            Address.parse(source),
            Key(options.key_variable, os.environ.get(options.key_variable, "").strip()),
            options.request(),
            timeout_s=options.timeout_s,
            retries=options.retries,
        )
        return cls(chat, options)

    @property
    def identity(self) -> ModelIdentity:
        """The address, and the checksum of the settings of each request; weights are not known."""
        request = json.dumps(self.options.request(), sort_keys=True, default=str)
        digest = hashlib.sha256(request.encode()).hexdigest()
        return ModelIdentity(str(self.chat.address), f"sha256:{digest}")

    @property
    def tokens_so_far(self) -> Mapping[str, int]:
        """The tokens of all requests; see `ChangeModel.tokens_so_far`."""
        return self.chat.tokens.values()

    def answer(self, tiles: Sequence[Tile], questions: Sequence[Question]) -> list[TileAnswers]:
        """Answers each question about each tile; see `ChangeModel.answer`.

        Raises:
            ModelError: If the endpoint refuses the key or no longer has the model.
            RunError: If it went away.
        """
        self.chat.begin_call()
        openings = [self._opening_content(tile) for tile in tiles]
        with ThreadPoolExecutor(self.options.concurrency, "geochg-endpoint") as pool:

            def run_all(dialogues: Sequence[TileDialogue]) -> None:
                # The results are consumed so that the errors of threads are raised here.
                list(
                    pool.map(
                        lambda item: self._run_dialogue(item, openings[item.tile_index]),
                        dialogues,
                    )
                )

            answers = presence_first(tiles, questions, run_all)
            if self.options.directions:
                answers = self._directed(pool, tiles, openings, questions, answers)
        self._check_reachable()
        return answers

    def describe(self, tiles: Sequence[Tile], questions: SceneQuestions) -> list[TileAnswers]:
        """Answers about tiles of a single image; see `ChangeModel.describe`.

        Raises:
            ModelError: If the endpoint refuses the key or no longer has the model.
            RunError: If it went away.
        """
        self.chat.begin_call()
        openings = [self._opening_content(tile) for tile in tiles]

        def ask(index: int, prompt: str) -> str:
            return self.chat.reply(_messages(openings[index], [prompt], [])).text

        def ask_label(index: int, prompt: str) -> Label:
            messages = _messages(openings[index], [prompt], [])
            reply = self.chat.reply(messages, measured=True)
            try:
                present = read_yes_or_no(reply.text, (prompt,))
            except NonsenseError:
                return Label(None)
            return Label(present, _yes_share(reply, without_thoughts(reply.text)))

        with ThreadPoolExecutor(self.options.concurrency, "geochg-endpoint") as pool:
            answers = SceneRequests(tiles, questions, ask_label, ask, pool).answers()
        self._check_reachable()
        return answers

    def converse(
        self, tile: Tile, facts: PairFacts, exchanges: Sequence[Exchange], question: str
    ) -> Iterator[str]:
        """Answers piece by piece as the endpoint streams; see `ChangeModel.converse`."""
        prompts = TileDialogue(0, Question(Task.QUESTION, question), tile.clue).prompts
        questions = [*(exchange.question for exchange in exchanges), *prompts]
        answers = [exchange.answer for exchange in exchanges]
        try:
            yield from self.chat.stream(_messages(self._opening_content(tile), questions, answers))
        except NoAnswerError as error:
            raise RunError(f"no answer: {error}", "check the endpoint, then ask again") from error

    def _opening_content(self, tile: Tile) -> list[Message]:
        """The images and the sentence that each dialogue about a tile begins with.

        Answers name cells of a grid, not pixels, so that they do not depend on the images' size.
        """
        uris = [png_data_uri(date, self.options.image_px) for date in tile.dates]
        images = [{"type": "image_url", "image_url": {"url": uri}} for uri in uris]
        return [*images, {"type": "text", "text": introduction_of(len(tile.dates))}]

    def _check_reachable(self) -> None:
        """Ends the run where the endpoint is gone."""
        if self.chat.unanswered >= UNANSWERED_REQUESTS and not self.chat.is_reachable():
            raise RunError(
                f"nothing answers any more at {self.chat.address.url}",
                "what was done is kept: check the endpoint, then run again with --resume",
            )

    def _directed(
        self,
        pool: ThreadPoolExecutor,
        tiles: Sequence[Tile],
        openings: Sequence[list[Message]],
        questions: Sequence[Question],
        rows: Sequence[TileAnswers],
    ) -> list[TileAnswers]:
        """The answers with the directions of what changed, by one further question a tile."""
        located_changes = [
            [] if isinstance(row, TileFailure) else undirected_changes(questions, row)
            for row in rows
        ]
        directions = pool.map(self._directions, tiles, openings, located_changes)
        return [
            row
            if isinstance(row, TileFailure)
            else measured_answers(
                without_directions(row, told_directions)
                if isinstance(told_directions, str)
                else with_directions(row, told_directions)
            )
            for row, told_directions in zip(rows, directions, strict=True)
        ]

    def _directions(
        self, tile: Tile, opening: list[Message], located_changes: Sequence[LocatedChange]
    ) -> dict[LocatedChange, Direction] | str:
        """The direction of each change of a tile for which the model gives one.

        The reason where no answer came.
        """
        if not located_changes:
            return {}
        try:
            question = f"{list_question(located_changes)} {tile.clue}".rstrip()
            messages = _messages(opening, [question], [])
            reply = self.chat.reply(messages, measured=True)
        except NoAnswerError as error:
            return error.reason
        text = without_thoughts(reply.text)
        directions = {}
        for number, change, position in read_choices(text, len(located_changes)):
            shares = word_shares(reply.tokens, text, position, list(CHOICES.values()))
            likely = None if shares is None else round(shares[CHOICES[change]], 4)
            directions[located_changes[number]] = Direction(change, likely)
        return directions

    def _run_dialogue(self, dialogue: TileDialogue, opening: list[Message]) -> None:
        """Carries a dialogue to its end."""
        while not dialogue.is_over:
            messages = _messages(opening, dialogue.prompts, dialogue.replies)
            try:
                is_presence = not dialogue.replies and dialogue.question.task in _YES_OR_NO
                reply = self.chat.reply(messages, measured=is_presence)
                dialogue.add_reply(reply.text)
                if is_presence and dialogue.replies:
                    dialogue.probability = _yes_share(reply, dialogue.replies[0])
            except NoAnswerError as error:
                dialogue.failure, dialogue.is_permanent = error.reason, error.is_permanent


def _yes_share(reply: ChatReply, answer: str) -> float | None:
    """The mass of yes of that of yes and no; None where it is not known."""
    word = re.search(r"\b(?:yes|no)\b", answer, re.IGNORECASE)
    shares = word and word_shares(reply.tokens, answer, word.start(), ["yes", "no"])
    return round(shares["yes"], 4) if shares else None


def _messages(
    opening: list[Message], questions: Sequence[str], answers: Sequence[str]
) -> list[Message]:
    """The chat so far, and the next question."""
    first, *later_questions = questions
    content = [*opening, {"type": "text", "text": first}]
    messages: list[Message] = [{"role": "user", "content": content}]
    for answer, question in zip(answers, later_questions, strict=True):
        messages += [
            {"role": "assistant", "content": answer},
            {"role": "user", "content": question},
        ]
    return messages
