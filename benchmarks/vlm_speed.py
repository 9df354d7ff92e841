"""How much faster `vlm` is than one question, one prompt, one `generate`.

    python benchmarks/vlm_speed.py [--tiles 8] [--rounds 3] [--size small|7b] [--device cpu]

The models have the real classes and random weights. Both ways ask the same tiles the same
questions (two classes in nine cells each, two counts, a caption, and the two further questions:
the direction of each of the 18 cells, as if all had changed, which gives that of the counts) of the
same model in the same process, turn by turn; the plain way takes no more tokens of an answer than
it needs (one for a choice, three for a count). Presence is left out, since a random model might
call no tile changed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import machine
import numpy as np
import torch

from geochg.models.base import ModelIdentity
from geochg.models.vlm import tile_questions
from geochg.models.vlm.backend import VlmModel
from geochg.models.vlm.chat_writer import VICUNA, ChatWriter
from geochg.models.vlm.loading import FAMILIES
from geochg.models.vlm.options import VlmOptions
from geochg.models.vlm.prefix import PrefixEngine
from geochg.models.vlm.tile_questions import CELL_QUESTION, COUNT_QUESTION
from geochg.records import GRID_CELLS, PixelWindow, Task, Tile, TileWindow
from geochg.tasks import ask
from geochg.tasks.directions import CHOICE_QUESTION
from geochg.tasks.lexicon import ASKED, COUNTABLE

sys.path.append(str(Path(__file__).parent.parent / "tests" / "support"))

SIZES = {
    "small": {
        "text": {
            "hidden_size": 512,
            "intermediate_size": 1376,
            "num_hidden_layers": 8,
            "num_attention_heads": 8,
        },
        "vision": {
            "hidden_size": 256,
            "intermediate_size": 1024,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
        },
    },
    "7b": {
        "text": {
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
        },
        "vision": {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
        },
    },
}
CAPTION_TOKENS = 24
QUESTIONS = [ask(task) for task in (Task.LOCATE, Task.COUNT, Task.CAPTION)]


def made(size: str, device: str, dtype: torch.dtype) -> VlmModel:
    """LLaVA-NeXT-Video with random weights: 336 px frames, 288 visual tokens a pair."""
    import transformers as t
    from vlm_factory import make_tokenizer

    tokenizer = make_tokenizer()
    image, video = tokenizer.convert_tokens_to_ids(["<image>", "<video>"])
    vision = {**SIZES[size]["vision"], "image_size": 336, "patch_size": 14}
    text = {**SIZES[size]["text"], "vocab_size": 32064, "max_position_embeddings": 4096}
    config = t.LlavaNextVideoConfig(
        vision_config=t.CLIPVisionConfig(**vision),
        text_config=t.LlamaConfig(
            **text,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        ),
        image_token_id=image,
        video_token_id=video,
        image_grid_pinpoints=[[336, 336]],
    )
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    with torch.device(device):
        model = t.LlavaNextVideoForConditionalGeneration(config).eval()
    torch.set_default_dtype(torch.float32)
    with tempfile.TemporaryDirectory() as folder:
        family = FAMILIES["llava_next_video"][0].open(model, tokenizer, Path(folder))
    engine = PrefixEngine(family, ChatWriter(tokenizer, VICUNA, family.content), CAPTION_TOKENS)
    return VlmModel(engine, VlmOptions(), ModelIdentity("random", ""))


def noise(count: int) -> list[Tile]:
    """Tiles of 256 px."""
    random = np.random.default_rng(0)
    box = PixelWindow(0, 256, 0, 256)
    shape, valid = (3, 256, 256), np.ones((256, 256), bool)
    return [
        Tile(
            TileWindow(number, 0, number, box, box),
            tuple(random.integers(0, 256, (2, *shape), dtype=np.uint8)),
            valid,
        )
        for number in range(count)
    ]


def plainly(model: VlmModel, tiles: list[Tile]) -> None:
    """One question, one whole prompt, one `generate`, as model cards show it."""
    cells = [
        CELL_QUESTION.format(cell=cell.name, thing=COUNTABLE[name][0])
        for name in ASKED
        for cell in GRID_CELLS
    ]
    counts = [COUNT_QUESTION.format(things=COUNTABLE[name][1]) for name in ASKED]
    further = [
        CHOICE_QUESTION.format(cell=cell.name, thing=COUNTABLE[name][0])
        for name in ASKED
        for cell in GRID_CELLS
    ]
    questions = [(text, 1) for text in (*cells, *further)] + [(text, 3) for text in counts]
    questions.append((ask(Task.CAPTION).text, CAPTION_TOKENS))
    for tile in tiles:
        for text, most in questions:
            _generated(model.engine, tile, text, most)


@torch.inference_mode()
def _generated(engine: PrefixEngine, tile: Tile, text: str, most: int) -> None:
    shown = engine.family.image_inputs([tile])
    ids = engine.prefix_with_images(shown) + list(engine.writer.prompt_ids([text], []))
    rows = torch.tensor([ids], device=engine.model.device)
    engine.model.generate(
        input_ids=rows,
        attention_mask=torch.ones_like(rows),
        max_new_tokens=most,
        do_sample=False,
        pad_token_id=engine.writer.tokenizer.pad_token_id,
        **{name: engine.to_device(values) for name, values in shown.inputs.items()},
    )


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main(count: int, rounds: int, size: str, device: str) -> None:
    """Prints the table."""
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    model, tiles = made(size, device, dtype), noise(count)
    weights = sum(each.numel() for each in model.engine.model.parameters())
    print(machine.describe())
    if device != "cpu":
        print(torch.cuda.get_device_name())
    print(f"LLaVA-NeXT-Video, {weights / 1e6:,.0f} M random weights, {dtype}, {count} tiles")
    tile_questions.CELL_THRESHOLD = -1.0  # The weights are random, so all cells are asked about.
    model.answer(tiles[:1], QUESTIONS)
    plainly(model, tiles[:1])
    plain, ours = [], []
    for _ in range(rounds):
        plain.append(seconds(lambda: plainly(model, tiles)))
        ours.append(seconds(lambda: model.answer(tiles, QUESTIONS)))
    print("  way                      tiles/s (median)   times as fast")
    slow, fast = (count / statistics.median(each) for each in (plain, ours))
    print(f"  one by one               {slow:16.3f}   {1:13.1f}")
    print(f"  geochg                   {fast:16.3f}   {fast / slow:13.1f}")
    each = [f"{p / o:.1f}" for p, o in zip(plain, ours, strict=True)]
    print(f"  in each round            {', '.join(each)}")
    if device != "cpu":
        print(f"peak memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    main(options.tiles, options.rounds, options.size, options.device)
