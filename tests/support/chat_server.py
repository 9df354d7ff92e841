"""A server that speaks OpenAI's chat protocol, looks at the pictures, and misbehaves when told."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

KEY = "sesame"


class ChatServer(ThreadingHTTPServer):
    """Answers by comparing the two pictures of the first message.

    Attributes:
        requests: Body of each chat that was asked, as it came.
        keys: The `Authorization` header of each.
        trouble: Called with the number of a chat (from 0); what it returns is done instead of
            answering: a status, "close", "close mid-stream", "html", "empty" or "nonsense".
        delay_s: How long an answer takes.
        busiest: Most chats under way at once.
    """

    daemon_threads = True

    def __init__(self, names: tuple[str, ...] = ("seer",), key: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.names = names
        self.key = key
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.trouble: Callable[[int], object] = lambda number: None
        self.delay_s = 0.0
        self.busy = 0
        self.busiest = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is none of our business."""


@contextmanager
def serving(**settings: Any) -> Iterator[ChatServer]:
    server = ChatServer(**settings)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self._refused():
            return
        listed = [{"id": name, "object": "model"} for name in self.server.names]
        self._send(200, {"object": "list", "data": listed})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._refused():
            return
        server = self.server
        with server.lock:
            number = len(server.requests)
            server.requests.append(body)
            server.keys.append(self.headers.get("Authorization", ""))
            server.busy += 1
            server.busiest = max(server.busiest, server.busy)
        try:
            time.sleep(server.delay_s)
            self._answer(server.trouble(number), body)
        finally:
            with server.lock:
                server.busy -= 1

    def _answer(self, trouble: object, body: dict[str, Any]) -> None:
        if isinstance(trouble, int):
            self._send(trouble, {"error": {"message": "in trouble"}}, {"Retry-After": "0.01"})
        elif trouble == "close":
            self.close_connection = True
            self.connection.close()
        elif trouble == "close mid-stream":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "5000")
            self.end_headers()
            self.wfile.write(b'{"choices": [')
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
        elif trouble == "html":
            self._send(200, b"<html>Welcome</html>", kind="text/html")
        elif trouble == "empty":
            self._send(200, {"choices": []})
        else:
            words = "colourless green ideas" if trouble == "nonsense" else _words(body["messages"])
            choice = {"index": 0, "message": {"role": "assistant", "content": words}}
            self._send(200, {"id": "1", "object": "chat.completion", "choices": [choice]})

    def _refused(self) -> bool:
        if not self.server.key or self.headers.get("Authorization") == f"Bearer {self.server.key}":
            return False
        self._send(401, {"error": {"message": "no such key"}})
        return True

    def _send(
        self, status: int, content: object, headers: dict[str, str] | None = None, kind: str = ""
    ) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind or "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def pictures_of(messages: list[dict[str, Any]]) -> list[np.ndarray]:
    """The pictures of the first message, `(height, width, 3)` uint8."""
    content = messages[0]["content"]
    uris = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    files = [BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,"))) for uri in uris]
    return [np.asarray(Image.open(file)) for file in files]


def texts_of(messages: list[dict[str, Any]]) -> list[str]:
    """What the user said, message by message, without the pictures."""
    asked = [message["content"] for message in messages if message["role"] == "user"]
    return [asked[0][-1]["text"], *asked[1:]]


def _words(messages: list[dict[str, Any]]) -> str:
    before, after = (picture.astype(int) for picture in pictures_of(messages))
    changed = (np.abs(after - before) > 60).any(axis=2)
    question = texts_of(messages)[-1].lower()
    if "yes or no" in question:
        return "Yes." if changed.mean() > 0.005 else "No."
    if "3x3 grid" in question:
        rows, cols = ("top", "center", "bottom"), ("left", "center", "right")
        thirds = [np.array_split(part, 3, axis=1) for part in np.array_split(changed, 3)]
        cells = [
            f"'{rows[row]}-{cols[col]}'"
            for row in range(3)
            for col in range(3)
            if thirds[row][col].mean() > 0.05
        ]
        return f"roads: []. buildings: [{', '.join(cells)}]."
    if "count" in question or "how many" in question:
        return "There are no new roads and 1 new building."
    if "describe" in question:
        return "A building has been built." if changed.any() else "There is no change."
    return f"You asked: {question}"
