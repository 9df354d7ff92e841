"""The text of an answer while a model generates it."""

from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Any

from transformers import PreTrainedTokenizerBase, StoppingCriteriaList, TextIteratorStreamer


def stream_text(generate: Callable[..., None], tokenizer: PreTrainedTokenizerBase) -> Iterator[str]:
    """The pieces of an answer while it is being generated.

    The answer is generated on a thread of its own, which ends soon after the caller stops.

    Args:
        generate: Generates the answer, given further arguments of transformers' `generate`.
        tokenizer: The model's tokenizer.

    Raises:
        Exception: Any error of `generate`.
    """
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    is_stopped = Event()
    errors: list[BaseException] = []

    def stop(*_: Any) -> bool:
        return is_stopped.is_set()

    def generate_text() -> None:
        try:
            generate(streamer=streamer, stopping_criteria=StoppingCriteriaList([stop]))
        except BaseException as error:
            errors.append(error)
            streamer.end()  # type: ignore[no-untyped-call]

    thread = Thread(target=generate_text, name="geochg-text")
    thread.start()
    try:
        yield from streamer
    finally:
        is_stopped.set()
        thread.join()
    if errors:
        raise errors[0]
