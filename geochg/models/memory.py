"""How much of a batch a device has memory for: found by trying."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class FittingBatches:
    """Runs over items in batches as large as memory takes, and remembers how large that is.

    Args:
        first: Items tried at once at first.
        most: Items at once at most; while all goes well, batches double up to it.

    Attributes:
        size: Items tried at once now.
    """

    def __init__(self, first: int, most: int | None = None) -> None:
        self.size = first
        self._most = most or first

    def run(
        self, items: Sequence[_Item], results: Callable[[Sequence[_Item]], Sequence[_Result]]
    ) -> list[_Result]:
        """The results of all items, in order; none is lost or made twice.

        Args:
            items: What is run over.
            results: Gives one result an item.

        Raises:
            RuntimeError: Whatever `results` raises; out of memory only for a single item.
        """
        found: list[_Result] = []
        size, most = self.size, self._most
        proved = 0
        while len(found) < len(items):
            part = items[len(found) : len(found) + size]
            try:
                new = results(part)
            except RuntimeError as error:
                # What does not even fit alone does not tell how much fits at once.
                if not is_out_of_memory(error) or len(part) == 1:
                    raise
            else:
                found += new
                proved = max(proved, len(part))
                if len(part) == size:
                    size = min(2 * size, most)
                continue
            # Out of the handler, because the error holds on to the tensors that did not fit.
            if len(part) > proved:
                most = len(part) // 2
            size = len(part) // 2
            _let_go()
        self.size, self._most = size, most
        return found


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device ran out of memory; CUDA, MPS and the CPU say so in ways of their own."""
    import torch

    text = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError)
        or "out of memory" in text
        or "can't allocate memory" in text
        or "not enough memory" in text
        or "cublas_status_alloc_failed" in text
    )


def _let_go() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
