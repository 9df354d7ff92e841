"""A server that speaks OpenAI's chat protocol, looks at the pictures, and misbehaves when told."""

import base64
import json
import math
import re
import socket
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
_STRANGE = {"nonsense": "colourless green ideas", "escape": "\x1b[31mred\x1b[0m"}


class ChatServer(ThreadingHTTPServer):
    """Answers by comparing the two pictures of the first message.

    Attributes:
        requests: Body of each chat that was asked, as it came.
        keys: The `Authorization` header of each.
        trouble: Called with the number of a chat (from 0); what it returns is done instead of
            answering: a status, an address to send on to, "close", "close mid-stream", "break off"
            (a stream), "html", "empty", "no message", "nonsense", "echo" or
            "escape"; a body as a dict or bytes; a status with a body, and headers where wanted.
        lists: Whether it tells its models; else it fails to, as `transformers serve` does at first.
        delay_s: How long an answer takes.
        is_gone: Whether every connection is closed without a word.
        busiest: Most chats under way at once.
        share: The probability of the words of its answers; None where it tells no log
            probabilities.
        most_logprobs: Most log probabilities of a place; requests of more are refused.
        usage: The tokens that it says an answer took.
    """

    daemon_threads = True

    def __init__(self, names: tuple[str, ...] = ("seer",), key: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.names = names
        self.key = key
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.trouble: Callable[[int], object] = lambda number: None
        self.lists = True
        self.share: float | None = None
        self.most_logprobs = 20
        self.usage: object = None
        self.delay_s = 0.0
        self.is_gone = False
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
        if not self.server.lists:
            self._send(500, b"Internal Server Error", kind="text/plain")
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
            told = f"in trouble with {self.headers.get('Authorization')}"
            self._send(trouble, {"error": {"message": told}}, {"Retry-After": "0.01"})
        elif str(trouble).startswith("http"):
            self._send(307, {}, {"Location": str(trouble)})
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
        elif trouble == "no message":
            self._send(200, {"choices": [{"index": 0, "message": None}]})
        elif isinstance(trouble, dict | bytes):
            self._send(200, trouble)
        elif isinstance(trouble, tuple):
            status, content, *headers = trouble
            self._send(status, content, headers[0] if headers else {"Retry-After": "0.01"})
        else:
            words = _STRANGE.get(str(trouble)) or _words(body["messages"])
            if trouble == "echo":
                words = f"{texts_of(body['messages'])[-1]} No."
            elif callable(trouble):
                words = trouble(words)
            if body.get("stream"):
                self._stream(words, breaking_off=trouble == "break off")
                return
            choice = {"index": 0, "message": {"role": "assistant", "content": words}}
            if body.get("top_logprobs", 0) > self.server.most_logprobs:
                self._send(400, {"error": {"message": "top_logprobs is greater than allowed"}})
                return
            if body.get("logprobs") and self.server.share is not None:
                choice["logprobs"] = {"content": _logprobs(words, self.server.share)}
            usage = {} if self.server.usage is None else {"usage": self.server.usage}
            reply = {"id": "1", "object": "chat.completion", "choices": [choice], **usage}
            self._send(200, reply)

    def _stream(self, words: str, *, breaking_off: bool) -> None:
        """Word by word, as server-sent events."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in re.findall(r"\S+\s*", words):
            choice = {"index": 0, "delta": {"content": piece}}
            part = {"id": "1", "object": "chat.completion.chunk", "choices": [choice]}
            self._chunk(f"data: {json.dumps(part)}\n\n".encode())
            if breaking_off:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.flush()

    def _refused(self) -> bool:
        if self.server.is_gone:
            self.close_connection = True
            self.connection.close()
            return True
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
    if isinstance(messages[0]["content"], str):
        return "Hello."
    before, after = (picture.astype(int) for picture in pictures_of(messages))
    changed = (np.abs(after - before) > 60).any(axis=2)
    question = texts_of(messages)[-1].lower()
    if "later, earlier and both" in question:
        return _directions(question, before, after)
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


_OTHERS = {"yes": "no", "later": "earlier", "earlier": "both", "both": "later"}


def _logprobs(words: str, share: float) -> list[dict[str, Any]]:
    """The tokens of an answer, in which each word is as likely as told."""
    content = []
    for token in re.findall(r"\W*\w+|\W+", words):
        listed = {token: share}
        for word, other in _OTHERS.items():
            if token.strip(" \n.").lower() == word:
                listed[f" {other.capitalize()}"] = 1 - share
        entries = [{"token": text, "logprob": math.log(p)} for text, p in listed.items()]
        content.append({**entries[0], "top_logprobs": entries})
    return content


def _directions(question: str, before: np.ndarray, after: np.ndarray) -> str:
    """In which of the pictures the changed pixels of each cell stand out from the ground."""
    rows, cols = ("top", "center", "bottom"), ("left", "center", "right")
    changed = (np.abs(after - before) > 60).any(axis=2)
    stands_out = [
        np.abs(picture - np.median(picture, axis=(0, 1))).max(axis=2) for picture in (before, after)
    ]
    lines = []
    for number, row, col in re.findall(r"(\d+)\. [a-z ]+, ([a-z]+) ([a-z]+)", question):
        is_asked = np.zeros(changed.shape, bool)
        part = np.array_split(is_asked, 3)[rows.index(row)]
        np.array_split(part, 3, axis=1)[cols.index(col)][:] = True
        was_there, is_there = (bool(out[is_asked & changed].mean() > 60) for out in stands_out)
        word = "both" if was_there == is_there else "later" if is_there else "earlier"
        lines.append(f"{number}. {word}")
    return "\n".join(lines)
