"""A server that answers in any way: a tile is answered or has failed, and nothing is raised."""

import json

import chat_server
import pytest
from chat_server import serving
from fuzz_rounds import fuzz
from fuzz_values import JSON, SCALARS, TEXT, told
from hypothesis import strategies as st
from tile_factory import noise

import geochg.models.endpoint.backend  # noqa: F401  (heavy: not within the time of the fuzz)
from geochg.errors import GeochgError
from geochg.models.registry import load_model
from geochg.records import Caption, Missing, Task, TileFailure
from geochg.safety.untrusted_text import cleaned
from geochg.tasks import ask

MAPPED = [ask(task) for task in (Task.PRESENCE, Task.LOCATE, Task.COUNT, Task.CAPTION)]
QUICK = {"retries": 0, "concurrency": 1, "timeout_s": 1.0}

WORDS = st.sampled_from(["yes", "no", "top-left", "3", "2 roads", "A road was built.", "\u202e"])
KINDS = st.sampled_from(["text", "thinking", "refusal", "x"])
PARTS = st.fixed_dictionaries({"type": KINDS}, optional={"text": WORDS | JSON})
CONTENT = WORDS | SCALARS | st.lists(PARTS | JSON, max_size=3)
OTHERS = ("refusal", "tool_calls", "reasoning_content", "function_call")
MESSAGE = st.fixed_dictionaries({"content": CONTENT}, optional=dict.fromkeys(OTHERS, JSON))
REASONS = st.sampled_from(["stop", "length", "content_filter", "tool_calls", "abort", None]) | JSON
CHOICE = st.fixed_dictionaries(
    {"index": st.just(0)},
    optional={"message": MESSAGE | JSON, "delta": MESSAGE | JSON, "finish_reason": REASONS},
)
WHOLE = st.fixed_dictionaries(
    {"choices": st.lists(CHOICE | JSON, max_size=2) | JSON}, optional={"error": JSON, "id": JSON}
)
BODIES = (
    (WHOLE | JSON).map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=60)
    | st.sampled_from([b"", b"null", b"[" * 50_000, b'{"choices":[' * 20_000, b"1" * 5000])
)
STATUSES = st.sampled_from([200] * 6 + [204, 206, 301, 307, 400, 401, 403, 404, 413, 429, 500])
HEADERS = st.dictionaries(
    st.sampled_from(
        "Content-Type Retry-After Location Content-Encoding Transfer-Encoding Content-Length "
        "x-should-retry Connection".split()
    ),
    st.sampled_from(["0", "-1", "1e9", "text/html", "gzip", "identity", "chunked", "nan", "\xff"])
    | st.text("ab:/ ;=0", max_size=20),
    max_size=3,
)
REPLIES = st.tuples(STATUSES, HEADERS, BODIES)


def sent(reply):
    """The bytes of a reply; of a length that fits unless it tells another itself."""
    status, headers, body = reply
    known = {"Content-Length": str(len(body)), **headers, "Connection": "close"}
    if "Transfer-Encoding" in headers:
        del known["Content-Length"]
    lines = [f"HTTP/1.1 {status} As It Is", *(f"{name}: {value}" for name, value in known.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@pytest.fixture
def server(monkeypatch):
    """A server that sends what `reply` holds, once it holds something."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    usual = chat_server._Handler._send

    def send(handler, *given, **more):
        if handler.server.reply is None:
            usual(handler, *given, **more)
            return
        handler.close_connection = True
        handler.wfile.write(sent(handler.server.reply))

    monkeypatch.setattr(chat_server._Handler, "_send", send)
    monkeypatch.setattr("geochg.models.endpoint.chat.CHECK_TIMEOUT_S", 1.0)
    with serving() as running:
        running.reply = None
        yield running


def open_model(server):
    return load_model(f"openai:{server.url}#seer", QUICK, "")


def test_answers_of_a_server(server):
    model = open_model(server)
    (tile,) = noise(1)

    def check(reply):
        server.reply = reply
        try:
            (answers,) = model.answer([tile], MAPPED)
        except GeochgError as error:
            told(error)
            return
        if isinstance(answers, TileFailure):
            assert answers.reason.strip()
            assert cleaned(answers.reason, 10_000) == answers.reason
            return
        assert len(answers) == len(MAPPED)
        for answer in answers:
            if isinstance(answer, Caption):
                assert 0 < len(answer.text) <= 2_000
                assert cleaned(answer.text, 2_000) == answer.text
            elif isinstance(answer, Missing):
                assert answer.reason.strip()

    fuzz(REPLIES, check, most=150)


def test_lists_of_models_and_streams_of_a_server(server):
    model = open_model(server)
    (tile,) = noise(1)

    def check(drawn):
        reply, text = drawn
        server.reply = reply
        try:
            open_model(server)
        except GeochgError as error:
            told(error)
        if text.strip():
            try:
                pieces = list(model.converse(tile, None, [], text))
            except GeochgError as error:
                told(error)
            else:
                assert "".join(pieces).strip()

    events = st.lists(CHOICE | JSON, max_size=4).map(
        lambda choices: b"".join(
            b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n" for choice in choices
        )
    )
    streams = st.tuples(st.just(200), st.just({"Content-Type": "text/event-stream"}), events)
    questions = st.text("abc? \n", max_size=20) | TEXT.filter(lambda text: text.isprintable())
    fuzz(st.tuples(REPLIES | streams, questions), check, most=100)
