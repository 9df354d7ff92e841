"""A worker process that tests talk to, line by line."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

MARKER_PLUGIN = Path(__file__).parent.parent / "models" / "marker_plugin"


class Worker:
    """`geochg worker` as another program sees it, with the model `marker`."""

    def __init__(self, folder: Path, path: Path = MARKER_PLUGIN) -> None:
        self.log = folder / "worker.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "geochg_cli", "worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | {"PYTHONPATH": str(path)},
            )
        self.lines: queue.Queue[bytes | None] = queue.Queue()
        self.events: list[dict] = []
        threading.Thread(target=self._listen, daemon=True).start()
        self._last = 0

    def _listen(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def write(self, data: bytes) -> None:
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, method: str, **parameters) -> int:
        """Sends a request; its id."""
        self._last += 1
        message = {"jsonrpc": "2.0", "id": self._last, "method": method, "params": parameters}
        self.write(json.dumps(message).encode() + b"\n")
        return self._last

    def next(self, timeout_s: float = 60) -> dict:
        """The next message."""
        line = self.lines.get(timeout=timeout_s)
        assert line is not None, self.log.read_text(errors="replace")
        message = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        return message

    def answer(self, number: int | None, timeout_s: float = 60) -> dict:
        """The answer to a request; events on the way are kept."""
        deadline = time.monotonic() + timeout_s
        while True:
            message = self.next(max(0.01, deadline - time.monotonic()))
            if "method" in message:
                self.events.append(message)
            else:
                assert message["id"] == number, message
                return message

    def ask(self, method: str, **parameters) -> dict:
        """The result of a request that must succeed."""
        answer = self.answer(self.send(method, **parameters))
        assert "result" in answer, answer
        return answer["result"]

    def refused(self, method: str, **parameters) -> dict:
        """The error of a request that must fail."""
        answer = self.answer(self.send(method, **parameters))
        assert "error" in answer, answer
        return answer["error"]

    def event(self, kind: str, timeout_s: float = 60) -> dict:
        """The next event of a kind."""
        deadline = time.monotonic() + timeout_s
        while True:
            message = self.next(max(0.01, deadline - time.monotonic()))
            assert message.get("method") == "event", message
            self.events.append(message)
            if message["params"]["kind"] == kind:
                return message["params"]

    def leave(self, timeout_s: float = 10) -> int:
        """Ends its input; its exit code."""
        self.process.stdin.close()
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """Ends the process, whatever it does."""
        self.process.kill()
        self.process.wait()
