"""Handles a device that runs out of memory: smaller batches, or a clear error."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from geochg.errors import RunError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class FittingBatches:
    """Runs over items in batches as large as memory takes, and remembers how large that is.

    Args:
        first_size: Size of the first batch.
        max_size: Largest size; while all goes well, batches double up to it.

    Attributes:
        size: Size of the next batch.
    """

    def __init__(self, first_size: int, max_size: int | None = None) -> None:
        self.size = first_size
        self._max_size = max_size or first_size

    def map(
        self, function: Callable[[Sequence[_Item]], Sequence[_Result]], items: Sequence[_Item]
    ) -> list[_Result]:
        """The results of all items, in order; none is lost or made twice.

        Args:
            function: Gives one result for each item of a batch.
            items: The items of all batches.

        Raises:
            RuntimeError: Whatever `function` raises; out of memory only for a single item.
        """
        results: list[_Result] = []
        size, max_size = self.size, self._max_size
        proved = 0
        while len(results) < len(items):
            part = items[len(results) : len(results) + size]
            try:
                new = function(part)
            except RuntimeError as error:
                # An item that does not even fit alone says nothing about batches.
                if not is_out_of_memory(error) or len(part) == 1:
                    raise
            else:
                results += new
                proved = max(proved, len(part))
                if len(part) == size:
                    size = min(2 * size, max_size)
                continue
            # Out of the handler, because the error holds on to the tensors that did not fit.
            if len(part) > proved:
                max_size = len(part) // 2
            size = len(part) // 2
            _free_memory()
        self.size, self._max_size = size, max_size
        return results


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device ran out of memory; CUDA, MPS and the CPU each say so in other words."""
    text = str(error).lower()
    return (
        type(error).__name__ == "OutOfMemoryError"
        or "out of memory" in text
        or "can't allocate memory" in text
        or "not enough memory" in text
        or "cublas_status_alloc_failed" in text
    )


@contextmanager
def memory_errors(subject: str, hint: str) -> Iterator[None]:
    """Turns a full memory into an error that says what to do about it.

    Args:
        subject: The items that did not fit, such as `even one tile`.
        hint: Advice for the user.

    Raises:
        RunError: If the device ran out of memory within the block.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise RunError(f"the device has too little memory for {subject}", hint) from error


def _free_memory() -> None:
    import gc

    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
