"""What the tests of the backend `vlm` ask, and how they look at what comes."""

import torch

from geochg.models.images import rgb_image
from geochg.models.vlm.backend import VlmModel
from geochg.models.vlm.engine import TilePrompt
from geochg.models.vlm.options import VlmOptions
from geochg.records import Presence, Task, Tile
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


def naive(model: VlmModel, tile: Tile, ids: list[int], max_tokens: int = 6) -> list[int]:
    """What `generate` says to one whole prompt about one tile, without anything kept."""
    engine = model.engine
    if not hasattr(engine, "family"):
        return naive_blip(model, tile, ids, max_tokens)
    shown = engine.family.image_inputs([tile])
    counts = iter(enumerate(shown.features))
    whole: list[int] = []
    for token in engine.writer.prefix_ids:
        is_picture = token == engine.family.token
        whole += engine.family.image_tokens(*next(counts)) if is_picture else [token]
    rows = torch.tensor([[*whole, *ids]])
    more = dict(shown.inputs)
    if engine.family.marks_images:
        more["mm_token_type_ids"] = (rows == engine.family.token).int()
    engine.family.state = None
    replies = engine.model.generate(
        input_ids=rows,
        attention_mask=torch.ones_like(rows),
        max_new_tokens=max_tokens,
        do_sample=False,
        pad_token_id=0,
        **more,
    )
    return replies[0, rows.shape[1] :].tolist()


def naive_blip(model: VlmModel, tile: Tile, ids: list[int], max_tokens: int) -> list[int]:
    """All dates through InstructBLIP-Video's own `generate`."""
    engine = model.engine
    pixels = engine.squares.tensor([rgb_image(date) for date in tile.dates])[None]
    own = [*engine.writer.prefix_ids, *ids]
    video = engine.model.config.video_token_id
    rows = torch.tensor([[video] * 3 * len(tile.dates) + own])
    replies = engine.model.generate(
        pixel_values=pixels,
        qformer_input_ids=torch.tensor([own]),
        input_ids=rows,
        attention_mask=torch.ones_like(rows),
        max_new_tokens=max_tokens,
        do_sample=False,
    )
    return replies[0, rows.shape[1] if replies.shape[1] > max_tokens else 0 :].tolist()


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
