"""Options of the recipe of a compact model; without torch, so that the command can show them."""

from __future__ import annotations

from dataclasses import dataclass

from geochg.option_fields import Options, option


@dataclass(frozen=True)
class CompactOptions(Options):
    """Options of the recipe; the defaults make a model like the one that ships."""

    real_dir: str = option(
        "", "Labelled imagery, laid out as docs/training.md says.", metavar="FOLDER"
    )
    frozen_steps: int = option(
        1000, "Batches of the vision stage with the encoder as it came.", least=1, greatest=10**9
    )
    opened_steps: int = option(
        300,
        "Batches of the vision stage with the encoder's deep half open.",
        least=1,
        greatest=10**9,
    )
    batch_size: int = option(8, "Pairs in a batch of the vision stage.", least=1, greatest=65_536)
    pairs: int = option(4000, "Pairs for the language stage.", least=1, greatest=10**9)
    language_steps: int = option(300, "Batches of the language stage.", least=1, greatest=10**9)
    vocabulary: int = option(2000, "Tokens of the tokenizer.", least=1, greatest=10**6)
    start: str | None = option(
        None, "A compact model whose vision part to start from.", metavar="FOLDER"
    )
    workers: int = option(
        1, "Processes that make pairs.", least=0, greatest=1_024, shapes_result=False
    )
