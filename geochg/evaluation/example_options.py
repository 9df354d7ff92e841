"""What an evaluation on the rows of a test set can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from geochg.errors import OptionError
from geochg.options import Options
from geochg.records import Task


@dataclass(frozen=True)
class ExampleOptions(Options):
    """What is asked, of whom.

    Attributes:
        model: `name` or `name:source`, see `geochg models`.
        model_options: The backend's own options.
        tasks: Those to ask; empty for all that the rows ask.
        split: `train`, `val`, `test` or as the rows call it; empty for all rows, where they are of
            one.
        skip_unreadable: Whether rows whose own answer is outside the grammar are left out.
        device: How it runs: see `AnalyzeOptions`.
        batch_size: How it runs: pairs answered in one call; None for the model's choice.
    """

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "batch_size": (1, 65_536),
    }

    HOW_IT_RUNS: ClassVar[tuple[str, ...]] = ("device", "batch_size")

    model: str = "builtin"
    model_options: Mapping[str, Any] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()
    split: str = ""
    skip_unreadable: bool = False
    device: str = "auto"
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise OptionError(f"batch size {self.batch_size}", "it must be above zero")
        super().__post_init__()
