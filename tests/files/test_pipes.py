"""The outbox, with a pipe that is read late or never."""

import os
import time
from threading import Event, Thread

import pytest

from geochg.files.pipes import ROOM_BYTES, Outbox

LINE = b"x" * 65_535 + b"\n"
FITTING = ROOM_BYTES // len(LINE)


@pytest.fixture
def pipe():
    """The end that is read, a thing to write lines with, and whether it was given up."""
    inward, outward = os.pipe()
    gone = Event()
    reader = os.fdopen(inward, "rb", buffering=0)
    with os.fdopen(outward, "wb", buffering=0) as file:
        outbox = Outbox(file, gone.set)
        yield reader, outbox, gone
        reader.close()
        # It notices by its next line, and must be done with the file before that is closed.
        outbox.send(LINE)
        assert gone.wait(5)


def fill(outbox, lines=3 * FITTING):
    """Sends more than there is room for, from a thread."""
    thread = Thread(target=lambda: [outbox.send(LINE) for _ in range(lines)], daemon=True)
    thread.start()
    thread.join(1)
    return thread


def test_who_sends_waits_while_nobody_reads(pipe):
    reader, outbox, gone = pipe
    thread = fill(outbox)
    assert thread.is_alive()
    assert outbox._waiting_bytes <= ROOM_BYTES + len(LINE)
    received = b"".join(reader.read(65_536) for _ in range(FITTING))
    thread.join(0.2)
    while thread.is_alive():
        received += reader.read(65_536)
    assert set(received.split(b"\n")[:-1]) == {LINE[:-1]}
    assert not gone.is_set()


def test_who_must_not_wait_never_does_and_is_told_when_there_is_no_room(pipe):
    _, outbox, _ = pipe
    start = time.monotonic()
    sent = [outbox.send_at_once(LINE) for _ in range(4 * FITTING)]
    assert time.monotonic() - start < 1
    assert sent[0]
    assert not sent[-1]
    assert outbox._waiting_bytes <= 2 * ROOM_BYTES + len(LINE)


def test_who_waits_is_let_go_when_the_reader_is_gone(pipe):
    reader, outbox, gone = pipe
    thread = fill(outbox)
    reader.close()
    thread.join(5)
    assert not thread.is_alive()
    assert gone.is_set()


def test_lines_that_nobody_reads_are_not_written_in_time(pipe):
    reader, outbox, _ = pipe
    fill(outbox)
    start = time.monotonic()
    assert not outbox.wait_until_empty(start + 0.2)
    assert 0.1 < time.monotonic() - start < 2
    reader.close()
    assert outbox.wait_until_empty(time.monotonic() + 5)
