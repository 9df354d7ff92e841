"""What goes wrong when a disk takes no more, whoever was writing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geochg.errors import RunError

_TORCH = ("inline_container", "PytorchStreamWriter", "PytorchFileWriter")
"""What names the part of torch that writes, in the errors that it raises."""

_FAILED = ("No space left", "File too large", "I/O error", "IoError", "os error")
"""What safetensors says where a system call failed, rather than that a file is broken."""


RESUMED = "go on with --resume"
"""How most runs go on after a disk was full."""


@contextmanager
def writing_told(place: Path, resumed: str = RESUMED) -> Iterator[None]:
    """Turns what a disk refuses within the block into an error that says what to do.

    Args:
        place: What is written, for the message.
        resumed: How one goes on then.

    Raises:
        RunError: If the block could not write: safetensors and torch say so in ways of their own.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if not is_refused_write(error):
            raise
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise RunError(
            f"cannot write {place}: {reason}", f"make room on that disk and {resumed}"
        ) from error


def is_refused_write(error: Exception) -> bool:
    """Whether an error means that something could not be written."""
    from safetensors import SafetensorError

    text = str(error)
    if isinstance(error, SafetensorError):
        return any(said in text for said in _FAILED)
    return isinstance(error, OSError) or any(part in text for part in _TORCH)
