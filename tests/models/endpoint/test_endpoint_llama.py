"""The backend `openai` against llama.cpp, as `llama-cpp-python[server]` serves it.

That package has to be compiled, so it is no dependency of the tests: GEOCHG_LLAMA_PYTHON names an
interpreter that has it and `gguf`; else the one that runs the tests is tried.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import gguf_factory
import pytest
from tile_factory import noise

from geochg.errors import RunError
from geochg.models.endpoint.backend import EndpointModel
from geochg.models.endpoint.options import EndpointOptions
from geochg.records import Presence, Task, TileFailure
from geochg.tasks import ask

PYTHON = os.environ.get("GEOCHG_LLAMA_PYTHON", sys.executable)
STARTS_WITHIN_S = 120
SCHEMA = {"properties": {"answer": {"enum": ["Yes", "No"]}}, "required": ["answer"]}


def is_up(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/models", timeout=2).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Where the server listens."""
    probe = [PYTHON, "-c", "import gguf, llama_cpp.server"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("there is no llama-cpp-python[server] with gguf; see GEOCHG_LLAMA_PYTHON")
    folder = tmp_path_factory.mktemp("llama")
    model = folder / "tiny.gguf"
    subprocess.run([PYTHON, str(Path(gguf_factory.__file__)), str(model)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [PYTHON, "-m", "llama_cpp.server", "--model", str(model), "--port", str(port)]
    settings = ["--host", "127.0.0.1", "--n_threads", "1", "--n_ctx", "4096"]
    log = folder / "log.txt"
    with log.open("w") as output:
        server = subprocess.Popen(
            [*command, *settings, "--chat_format", "chatml"],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not is_up(f"http://127.0.0.1:{port}/v1"):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(60)


def load(url, **options):
    options = {"max_tokens": 48, "concurrency": 2, "retries": 0, **options}
    return EndpointModel.load(url, EndpointOptions(**options), "auto")


def test_babble_is_cut_off_and_told(url):
    model = load(url, max_tokens=8)
    for failed in model.answer(noise(2), [ask(Task.PRESENCE)]):
        assert isinstance(failed, TileFailure)
        assert "cut off by max_tokens 8" in failed.reason
    assert "".join(model.converse(noise(1)[0], None, [], "Why?")).endswith(" …")
    assert model.tokens_so_far["prompt"] > 0
    assert model.tokens_so_far["untold"] == 0


@pytest.mark.parametrize(
    "extra",
    [
        {"grammar": 'root ::= "Yes."'},
        {"response_format": {"type": "json_object", "schema": {"type": "object", **SCHEMA}}},
    ],
)
def test_forced_answers_are_read_and_never_called_certain(url, extra):
    for (presence,) in load(url, extra=extra).answer(noise(2), [ask(Task.PRESENCE)]):
        assert isinstance(presence, Presence)
        # To a network that was not trained nothing is nearly certain.
        assert presence.probability is None or presence.probability < 0.99


def test_what_it_refuses_is_told(url):
    schema = {"name": "answer", "schema": SCHEMA}
    model = load(url, extra={"response_format": {"type": "json_schema", "json_schema": schema}})
    (failed,) = model.answer(noise(1), [ask(Task.PRESENCE)])
    assert "answered 500" in failed.reason
    assert "json_object" in failed.reason
    with pytest.raises(RunError, match="answered 500"):
        list(model.converse(noise(1)[0], None, [], "Why?"))
