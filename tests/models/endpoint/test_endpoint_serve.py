"""The backend `openai` against a server that others wrote: `transformers serve`."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import transformers
from tile_factory import noise
from vlm_factory import CHAT, save_vlm

from geochg.models.endpoint.backend import EndpointModel
from geochg.models.endpoint.options import EndpointOptions
from geochg.records import Caption, Presence, Task, TileFailure, Unparsed
from geochg.tasks import ask

STARTS_WITHIN_S = 240


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A tiny LLaVA with the whole processor that a server needs."""
    folder = save_vlm("llava", tmp_path_factory.mktemp("llava"))
    (folder / "preprocessor_config.json").unlink()
    transformers.LlavaProcessor(
        transformers.CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size=28),
        transformers.AutoTokenizer.from_pretrained(folder),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
        chat_template=CHAT,
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def port(folder, tmp_path_factory):
    """Where the server listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # The module, as the script may lie elsewhere than beside the interpreter.
    command = [sys.executable, "-m", "transformers.cli.transformers"]
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    # There is no such cache, as on a machine that never fetched a model.
    environment = {
        **os.environ,
        "HF_HUB_CACHE": str(folder / "no-cache"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    with log.open("w") as output:
        server = subprocess.Popen(
            [*command, "serve", str(folder), "--device", "cpu", "--port", str(port)],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not is_up(port):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        # What is tested is our client: a server that cannot serve even this is no test of it.
        if not says_something(port, folder):
            pytest.skip(f"transformers serve does not answer here: {log.read_text()[-2000:]}")
        yield port
    finally:
        server.terminate()
        server.wait(120)


def is_up(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
    except OSError:
        return False
    return True


def says_something(port: int, folder: Path) -> bool:
    """Whether the server answers a plain request that is not ours."""
    body = {"model": str(folder), "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return bool(json.load(answer)["choices"])
    except (OSError, ValueError):
        return False


def test_a_real_server_answers(folder, port):
    model = EndpointModel.load(
        f"http://127.0.0.1:{port}/v1#{folder}", EndpointOptions(max_tokens=4, concurrency=2), "auto"
    )
    answers = model.answer(noise(2), [ask(Task.PRESENCE), ask(Task.CAPTION)])
    assert len(answers) == 2
    for answer in answers:
        if isinstance(answer, TileFailure):
            # A network that was not trained seldom ends by itself.
            assert "cut off by max_tokens 4" in answer.reason
            continue
        presence, caption = answer
        assert isinstance(presence, Presence | Unparsed)
        assert isinstance(caption, Caption | Unparsed)
