"""Shapes in which servers of OpenAI's protocol answer, beside those of OpenAI's own."""

import json
import time
from email.utils import formatdate

import numpy as np
import pytest
from chat_server import serving
from tile_factory import layout

from geochg.errors import RunError
from geochg.models.registry import load_model
from geochg.records import Caption, Presence, Task, Tile, TileFailure
from geochg.tasks import ask

PRESENCE, CAPTION = ask(Task.PRESENCE), ask(Task.CAPTION)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as running:
        yield running


def load(server, **options):
    return load_model(f"openai:{server.url}#seer", {"retries": 0, "concurrency": 1, **options}, "")


def tile():
    """Grey, with a bright square that appears."""
    (window,) = layout(1, 1, 24)
    before = np.full((3, 24, 24), 90, np.uint8)
    after = before.copy()
    after[:, :8, :8] = 240
    return Tile(window, (before, after), np.ones((24, 24), bool))


def choice(finish_reason="stop", **message):
    members = {"role": "assistant", "content": None, **message}
    return {"choices": [{"index": 0, "finish_reason": finish_reason, "message": members}]}


# --- thoughts beside the answer ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_thoughts_in_a_member_of_their_own_are_not_the_answer(server, name):
    server.trouble = lambda number: choice(content="Yes.", **{name: "Hm. No. No change at all."})
    ((presence,),) = load(server).answer([tile()], [PRESENCE])
    assert presence == Presence(True)


# --- answers in the shape of a tool call ---------------------------------------------------------


def call(arguments, name="answer"):
    return {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize("arguments", ['{"answer": "Yes"}', '{"changed": true, "confidence": 1}'])
@pytest.mark.parametrize("finish_reason", ["tool_calls", "stop"])
def test_an_answer_in_the_arguments_of_a_call_is_read(server, arguments, finish_reason):
    server.trouble = lambda number: choice(finish_reason, tool_calls=[call(arguments)])
    ((presence,),) = load(server).answer([tile()], [PRESENCE])
    assert presence == Presence(True)


def test_an_answer_in_an_older_function_call_is_read(server):
    body = choice(
        "function_call", function_call={"name": "f", "arguments": '{"caption": "A house is new."}'}
    )
    server.trouble = lambda number: body
    ((caption,),) = load(server).answer([tile()], [CAPTION])
    assert caption == Caption("A house is new.", changed=True)


@pytest.mark.parametrize(
    "calls",
    [
        [call("{}")],
        [call("")],
        [call(None)],
        [call("{" * 5000)],
        [call('"Yes"')],
        [call('{"box": [1, 2, 3, 4]}', "zoom")],
        [call('{"answer": "Yes", "box": [1, 2]}')],
        [call('{"answer": "Yes"}'), call('{"answer": "No"}')],
        [{"id": "1", "type": "function", "function": None}],
    ],
)
def test_other_calls_are_no_answer_and_are_told(server, calls):
    server.trouble = lambda number: choice("tool_calls", tool_calls=calls)
    (failed,) = load(server).answer([tile()], [CAPTION])
    assert isinstance(failed, TileFailure)
    assert failed.reason == "the model called a tool in place of an answer"


def test_a_call_that_was_cut_off_is_no_answer(server):
    body = choice("length", tool_calls=[call('{"answer": "No"}')])
    server.trouble = lambda number: body
    (failed,) = load(server).answer([tile()], [PRESENCE])
    assert "max_tokens" in failed.reason


# --- streams -------------------------------------------------------------------------------------


def stream_of(*parts):
    """A body of server-sent events; parts that are text stand as they are."""
    lines = [part if isinstance(part, str) else f"data: {json.dumps(part)}\n\n" for part in parts]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


def delta(finish_reason=None, **members):
    choices = [{"index": 0, "delta": members, "finish_reason": finish_reason}]
    return {"id": "1", "object": "chat.completion.chunk", "choices": choices}


USAGE = {"id": "1", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}
STREAMS = {
    "comments between": (": keep-alive\n\n", delta(content="Fi"), ":\n\n", delta(content="ne.")),
    "another event": ("event: ping\ndata: {}\n\n", delta(content="Fine.")),
    "the usage at the end": (delta(content="Fine."), delta("stop"), USAGE),
    "no choices at first": ({"id": "1", "choices": []}, delta(content="Fine.")),
    "a role at first": (delta(role="assistant", content=""), delta(content="Fine.")),
    "null": (delta(content=None), delta(content="Fine.")),
    "thoughts": (delta(reasoning_content="Hm."), delta(reasoning="No."), delta(content="Fine.")),
    "carriage returns": ("data: " + json.dumps(delta(content="Fine.")) + "\r\n\r\n",),
}


@pytest.mark.parametrize("parts", STREAMS.values(), ids=STREAMS)
def test_what_stands_between_the_pieces_of_a_stream_is_left_out(server, parts):
    server.trouble = lambda number: stream_of(*parts)
    assert "".join(load(server).converse(tile(), None, [], "How is it?")) == "Fine."


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([": keep-alive\n\n", USAGE], "said nothing"),
        ([delta(tool_calls=[{"index": 0, **call("{}")}]), delta("tool_calls")], "called a tool"),
        ([delta(reasoning_content="Hm."), delta("length")], "thoughts used up max_tokens"),
        (["data: {broken\n\n"], "makes no sense"),
    ],
)
def test_a_stream_without_an_answer_is_told(server, parts, told):
    server.trouble = lambda number: stream_of(*parts)
    with pytest.raises(RunError, match=told):
        list(load(server).converse(tile(), None, [], "How is it?"))


# --- how long a server is left alone -------------------------------------------------------------


@pytest.mark.parametrize("wait", ["1", "1.2", lambda: formatdate(time.time() + 2.9, usegmt=True)])
def test_a_busy_server_is_left_alone_as_long_as_it_says(server, wait):
    arrived = []

    def trouble(number):
        arrived.append(time.monotonic())
        text = wait() if callable(wait) else wait
        return (429, {"error": {"message": "busy"}}, {"Retry-After": text}) if number == 0 else None

    server.trouble = trouble
    ((presence,),) = load(server, retries=1).answer([tile()], [PRESENCE])
    assert presence == Presence(True)
    # Without the header the second request comes after 0.5 s at most.
    assert 0.9 <= arrived[1] - arrived[0] < 20


def test_a_wait_without_end_fails_the_tile_at_once(server):
    busy = (429, {"error": {"message": "come back tomorrow"}}, {"Retry-After": "86400"})
    server.trouble = lambda number: busy
    start = time.monotonic()
    (failed,) = load(server, retries=5).answer([tile()], [PRESENCE])
    assert "come back tomorrow" in failed.reason
    assert not failed.is_permanent
    assert len(server.requests) == 1
    assert time.monotonic() - start < 20


def test_words_before_a_call_are_no_answer(server):
    body = choice("tool_calls", content="No, let me look.", tool_calls=[call('{"answer": "Yes"}')])
    server.trouble = lambda number: body
    (failed,) = load(server).answer([tile()], [PRESENCE])
    assert "called a tool" in failed.reason
