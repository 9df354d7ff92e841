"""A local process that runs scenes one after the other: `python -m geochg.batch.child`.

It reads JSON lines on stdin, `{"processors": 1}` first, then a `{"task": ...}` for each scene and
`{"stop": true}`; and writes `{"ready": true}`, `{"progress": ...}` and `{"outcome": ...}`. When
stdin ends, whoever started it is gone, and it ends too; the journal keeps what is done.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Event as Flag
from threading import Thread, Timer
from typing import Any

from geochg.events import Event, Progress
from geochg.files.pipes import Outbox, claim_pipes, lines_of

CANCELLED = 130
"""Exit code where it ends on its own because nobody listens any more."""

_GRACE_S = 5.0
_BETWEEN_S = 0.5
"""Least time between two reports of tiles."""


class _Reporter:
    """Tells how far a scene is, not too often."""

    def __init__(self, scene_id: str, outbox: Outbox) -> None:
        self._id, self._outbox = scene_id, outbox
        self._told_s = 0.0

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Progress) or event.stage != "tiles":
            return
        now_s = time.monotonic()
        if now_s - self._told_s >= _BETWEEN_S:
            self._told_s = now_s
            progress = {"id": self._id, "done": event.done, "total": event.total}
            self._outbox.send(_line({"progress": progress}))


def main() -> None:
    """Runs scenes until there are no more, or whoever hands them out is gone."""
    pipes = claim_pipes()
    # Ctrl-C in a terminal reaches every process of it; the one that started this one decides.
    for name in ("SIGINT", "SIGBREAK", "SIGHUP"):
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, signal.SIG_IGN)
    lines = lines_of(pipes.inbox)
    settings = json.loads(next(lines) or b"{}")
    from geochg.batch.scene_runner import SceneRunner, SceneTask
    from geochg.models.devices import limit_processors

    limit_processors(settings["processors"])
    cancel, tasks = Flag(), SimpleQueue[dict[str, Any] | None]()
    outbox = Outbox(pipes.outbox, on_gone=cancel.set)
    Thread(target=_read, args=(lines, tasks, cancel), daemon=True).start()
    runner = SceneRunner()
    outbox.send(_line({"ready": True}))
    while (values := tasks.get()) is not None:
        task = SceneTask.from_dict(values)
        outcome = runner.run(task, _Reporter(task.scene.id, outbox), cancel)
        outbox.send(_line({"outcome": outcome.to_dict()}))
    outbox.wait_until_empty(time.monotonic() + _GRACE_S)


def _read(
    lines: Iterator[bytes | None], tasks: SimpleQueue[dict[str, Any] | None], cancel: Flag
) -> None:
    """Takes messages while a scene is run."""
    for line in lines:
        message = json.loads(line or b"{}")
        if "task" in message:
            tasks.put(message["task"])
        if message.get("stop"):
            cancel.set()
    tasks.put(None)
    cancel.set()
    # A model may take minutes for a tile that nobody waits for.
    deadline = Timer(_GRACE_S, os._exit, (CANCELLED,))
    deadline.daemon = True
    deadline.start()


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


if __name__ == "__main__":
    main()
