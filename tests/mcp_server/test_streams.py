"""The server's life as a process: rubbish on stdin, clients that vanish, and what it prints."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from mcp_client import MARKER_PLUGIN

from geochg.files.pipes import LONGEST_LINE_BYTES

SLOW = (
    'model = "marker"\ntile_size_px = 64\noverlap_px = 16\nalign = "off"\nbatch_size = 1\n'
    "[model_options]\ndelay_s = 0.25\n"
)
HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


class Server:
    """`geochg mcp` as a client sees it that writes its lines by hand."""

    def __init__(self, folder: Path, *arguments) -> None:
        self.log = folder.parent / "server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "geochg_cli", "mcp", str(folder), *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | {"PYTHONPATH": str(MARKER_PLUGIN)},
            )
        self.lines: queue.Queue[bytes | None] = queue.Queue()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def write(self, data: bytes) -> None:
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, number, method, **parameters) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": parameters}
        message |= {} if number is None else {"id": number}
        self.write(json.dumps(message).encode() + b"\n")

    def next(self) -> dict:
        """The next message; whatever stands on stdout must be one."""
        line = self.lines.get(timeout=60)
        assert line is not None, self.log.read_text(errors="replace")
        message = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        return message

    def answer(self, number) -> dict:
        while (message := self.next()).get("id") != number:
            pass
        return message

    def greet(self) -> None:
        self.send(1, "initialize", **HELLO)
        assert self.answer(1)["result"]["serverInfo"]["name"] == "geochg"
        self.send(None, "notifications/initialized")

    def begin_analysis(self, number=2) -> None:
        """Begins a run and waits until it answers tiles."""
        arguments = {"before": "before.tif", "after": "after.tif", "output": "c.gpkg"}
        meta = {"progressToken": "p"}
        self.send(number, "tools/call", name="analyze", arguments=arguments, _meta=meta)
        while not self.next().get("params", {}).get("message", "").startswith("tiles: 2"):
            pass


@pytest.fixture
def server(tmp_path, write_pair):
    folder = tmp_path / "data"
    folder.mkdir()
    write_pair(folder)
    options = tmp_path / "options.toml"
    options.write_text(SLOW)
    server = Server(folder, "--options", options)
    server.folder = folder
    yield server
    server.process.kill()
    server.process.wait()


def test_a_client_that_vanishes_ends_the_server_and_the_journal_stays(server):
    server.greet()
    server.begin_analysis()
    start = time.monotonic()
    server.process.stdin.close()
    assert server.process.wait(20) == 0
    assert time.monotonic() - start < 8
    assert (server.folder / "c.gpkg.journal").exists()
    assert not (server.folder / "c.gpkg").exists()


def test_a_client_that_reads_no_more_ends_the_server(tmp_path, write_pair):
    folder = tmp_path / "data"
    folder.mkdir()
    write_pair(folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "geochg_cli", "mcp", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
    process.stdin.write(json.dumps(hello).encode() + b"\n")
    process.stdin.flush()
    assert b"geochg" in process.stdout.readline()
    process.stdout.close()
    ping = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "ping"}).encode() + b"\n"
    try:
        deadline = time.monotonic() + 20
        while process.poll() is None:
            assert time.monotonic() < deadline
            try:
                process.stdin.write(ping)
                process.stdin.flush()
            except OSError:
                break
            time.sleep(0.05)
        assert process.wait(10) == 0
    finally:
        process.kill()


@pytest.mark.parametrize(
    "rubbish",
    [
        b"hello\n",
        b"\xff\xfe\x00\n",
        b"{}\n",
        b"[1, 2]\n",
        b'{"jsonrpc": "2.0", "id": 7}\n',
        b'{"jsonrpc": "2.0", "method": "tools/call", "id": {"a": 1}}\n',
        b'{"jsonrpc": "2.0", "method": "no/such", "id": 8, "params": 5}\n',
        b"[" * 100_000 + b"\n",
        b"x" * (LONGEST_LINE_BYTES + 10) + b"\n",
        b'{"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"arguments": []}}\n',
    ],
    ids=range(10),
)
def test_rubbish_is_survived(shared_server, rubbish):
    shared_server.write(rubbish)
    shared_server.number += 1
    shared_server.send(shared_server.number, "tools/list")
    tools = shared_server.answer(shared_server.number)["result"]["tools"]
    assert len(tools) >= 3


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rubbish") / "data"
    folder.mkdir()
    server = Server(folder)
    server.greet()
    server.number = 100
    yield server
    server.process.kill()
    server.process.wait()


def test_wrong_folders_are_refused_before_anything_is_served(tmp_path):
    for arguments, text in (
        ([str(tmp_path / "nowhere")], b"is no folder"),
        ([], b"Missing argument"),
        ([str(tmp_path), "--options", str(tmp_path / "no.toml")], b"no.toml"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "geochg_cli", "mcp", *arguments],
            input=b"",
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 2
        assert text in done.stderr
        assert done.stdout == b""
