"""What the tests of the backend `vlm` ask, and how they look at what comes."""

import torch

from geochg.models.vlm.backend import VlmModel
from geochg.models.vlm.engine import TilePrompt
from geochg.models.vlm.options import VlmOptions
from geochg.records import (
    Presence,
    Task,
)
from geochg.tasks import ask

QUESTIONS = ["Has any road changed?", "How many are there, really, and where exactly?"]
MAPPED = [ask(task) for task in (Task.PRESENCE, Task.LOCATE, Task.COUNT, Task.CAPTION)]


def with_presence(probabilities: list[float], monkeypatch) -> None:
    """Lets models say of tiles, in their order, how likely they changed."""
    from geochg.models.vlm.tile_questions import TileQuestions

    def presence(self, question):
        return [Presence(p > 0.5, p) for p in probabilities[: len(self.tiles)]]

    monkeypatch.setattr(TileQuestions, "_presence", presence)


def load(folder, **options) -> VlmModel:
    return VlmModel.load(str(folder), VlmOptions.from_dict(options), "cpu")


def first_logits(model: VlmModel, encoding, texts: list[TilePrompt]) -> torch.Tensor:
    """`(texts, vocabulary)` of the first token of each answer."""
    found = model.engine._generate(encoding, texts, max_new_tokens=1, output_logits=True)
    return found.logits[0]


def small_memory(model: VlmModel, rows: int, monkeypatch) -> list[int]:
    """Lets `generate` fail for more rows than this; gives the rows of the calls that went well."""
    generate, went_well = model.engine.model.generate, []

    def limited(**inputs):
        if len(inputs["input_ids"]) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        went_well.append(len(inputs["input_ids"]))
        return generate(**inputs)

    monkeypatch.setattr(model.engine.model, "generate", limited)
    return went_well
