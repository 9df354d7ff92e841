"""Words as a model says them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def streamed(generate: Callable[..., None], tokenizer: PreTrainedTokenizerBase) -> Iterator[str]:
    """The pieces of an answer while it is being made.

    It is made on a thread of its own, which ends soon after the caller stops listening.

    Args:
        generate: Makes the answer, given further arguments of `generate`.
        tokenizer: Of the model.

    Raises:
        Exception: What `generate` raises.
    """
    from transformers import StoppingCriteriaList, TextIteratorStreamer

    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    left = Event()
    failed: list[BaseException] = []

    def stop(*_: Any) -> bool:  # noqa: ANN401
        return left.is_set()

    def make() -> None:
        try:
            generate(streamer=streamer, stopping_criteria=StoppingCriteriaList([stop]))
        except BaseException as error:
            failed.append(error)
            streamer.end()  # type: ignore[no-untyped-call]

    thread = Thread(target=make, name="geochg-words")
    thread.start()
    try:
        yield from streamer
    finally:
        left.set()
        thread.join()
    if failed:
        raise failed[0]
