"""What endpoints send in place of an answer, and why they refuse, against a real server."""

import gzip
import json
import time

import numpy as np
import pytest
from chat_server import KEY, serving, texts_of
from rasters import texture
from tile_factory import layout

import geochg
from geochg.errors import ModelError, OptionError, RunError, TilesFailedError
from geochg.features.cells import missing_answer
from geochg.models.chat.dialogue import spoken_pieces
from geochg.models.endpoint.client import is_this_machine
from geochg.models.endpoint.reply import error_text
from geochg.models.registry import load_model
from geochg.options import AlignMode
from geochg.pipeline.outputs import Outputs
from geochg.records import (
    Caption,
    Exchange,
    Locations,
    Missing,
    Presence,
    Reply,
    Task,
    Tile,
    TileFailure,
)
from geochg.tasks import ask

MAPPED = [ask(task) for task in (Task.PRESENCE, Task.LOCATE, Task.COUNT, Task.CAPTION)]
THOUGHT = "Hm, SECRET thoughts. Yes."


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as running:
        yield running


def load(server, **options):
    return load_model(f"openai:{server.url}#seer", {"retries": 0, "concurrency": 1, **options}, "")


def tiles(number, side_px=24):
    """Tiles of one grey in which a bright square appears."""
    actual = []
    for window in layout(1, number, side_px):
        before = np.full((3, side_px, side_px), 90, np.uint8)
        after = before.copy()
        after[:, :8, :8] = 240
        actual.append(Tile(window, (before, after), np.ones((side_px, side_px), bool)))
    return actual


def choice(content=None, finish_reason="stop", **message):
    replies = {"role": "assistant", "content": content, **message}
    return {"choices": [{"index": 0, "finish_reason": finish_reason, "message": replies}]}


def task_asked(server, number):
    """The task of a request; None for the further question about directions."""
    question = texts_of(server.requests[number]["messages"])[-1]
    return next((item.task for item in MAPPED if item.text == question), None)


CALLS = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
SILENCES = {
    "null": (choice(), "said nothing"),
    "blank": (choice(" \n"), "said nothing"),
    "refusal": (choice(refusal="I cannot help."), "refused: I cannot help."),
    "refusal in parts": (choice([{"type": "refusal", "refusal": "No way."}]), "refused: No way."),
    "filter": (choice("No", "content_filter"), "filter"),
    "tool": (choice(None, "tool_calls", tool_calls=CALLS), "called a tool"),
    "length": (choice("No, wait", "length"), "cut off by max_tokens 256"),
    "thoughts to the end": (choice(None, "length", reasoning_content=THOUGHT), "thoughts used up"),
    "thoughts alone": (choice(f"<think>{THOUGHT}</think>"), "gave no answer"),
    "unended thoughts": (choice(f"<think>{THOUGHT} No."), "gave no answer"),
    "thoughts in parts": (choice([{"type": "thinking", "thinking": THOUGHT}]), "said nothing"),
    "error": ({"error": {"message": "out of memory"}}, "out of memory"),
    "error in words": ({"error": "out of memory"}, "out of memory"),
    "no choices": ({"choices": []}, "makes no sense"),
    "null choices": ({"choices": None}, "makes no sense"),
    "deep": (b'{"choices": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "makes no sense"),
    "a number": (b"17", "makes no sense"),
    "a number as content": (choice(17), "makes no sense"),
    "too long": (choice("Yes. " + "and so on " * 900_000), "longer than 8 MB"),
}


@pytest.mark.parametrize(("body", "told"), SILENCES.values(), ids=SILENCES)
def test_what_says_nothing_is_no_answer(server, body, told):
    server.trouble = lambda number: body if number == 1 else None
    good, failed = load(server).answer(tiles(2), [MAPPED[0]])
    assert list(good) == [Presence(True)]
    assert isinstance(failed, TileFailure)
    assert told in failed.reason
    assert not failed.is_permanent
    assert "SECRET" not in failed.reason


@pytest.mark.parametrize("lost", [Task.COUNT, Task.CAPTION])
@pytest.mark.parametrize("kind", ["null", "length", "refusal"])
def test_a_tile_stays_answered_without_a_count_or_a_caption(server, lost, kind):
    body, caught = SILENCES[kind]
    server.trouble = lambda number: body if task_asked(server, number) is lost else None
    ((presence, where, *others),) = load(server).answer(tiles(1), MAPPED)
    assert presence == Presence(True)
    assert isinstance(where, Locations)
    (missing,) = (answer for answer in others if isinstance(answer, Missing))
    assert missing.task is lost
    assert caught in missing.reason


def test_a_tile_without_its_places_has_failed(server):
    body, _ = SILENCES["null"]
    server.trouble = lambda number: body if task_asked(server, number) is Task.LOCATE else None
    ((presence, missing, *_),) = load(server).answer(tiles(1), MAPPED)
    assert presence == Presence(True)
    assert missing == Missing(Task.LOCATE, "the model said nothing")
    failure = missing_answer(tiles(1)[0], [presence, missing])
    assert failure is not None
    assert failure.reason == missing.reason


def pair(make_raster):
    return [make_raster(f"{n}.tif", texture(128, 192, 3) // n) for n in (1, 2)]


def options(server, **changes):
    return geochg.AnalyzeOptions(
        model=f"openai:{server.url}#seer",
        model_options={"retries": 0, "concurrency": 1},
        tile_size_px=64,
        overlap_px=0,
        align=AlignMode.OFF,
        **changes,
    )


def test_gaps_are_counted_and_told_wherever_a_run_tells_anything(server, make_raster, tmp_path):
    body, _ = SILENCES["null"]
    silent = {0: Task.PRESENCE, 1: Task.COUNT, 2: Task.CAPTION}
    number_of = {}

    def trouble(number):
        picture = server.requests[number]["messages"][0]["content"][0]["image_url"]["url"]
        tile = number_of.setdefault(picture, len(number_of))
        # The question about directions is of no task.
        return body if tile in silent and silent[tile] is task_asked(server, number) else None

    server.trouble = trouble
    outputs = Outputs(tmp_path / "c.geojson", tmp_path / "t.geojson", tmp_path / "h.tif")
    caught = []
    result = geochg.analyze(
        *pair(make_raster),
        options(server, allow_failed_tiles=True),
        outputs=outputs,
        listener=lambda event: caught.append(getattr(event, "message", "")),
    )
    counts = result.metadata["tiles"]
    assert (counts["failed"], counts["incomplete"], counts["unparsed"]) == (1, 2, 0)
    assert any("in 2 of 5 tiles no answer" in message for message in caught)
    rows = [
        item["properties"]
        for item in json.loads(outputs.tiles.read_text(encoding="utf-8"))["features"]
    ]
    assert [row["status"] for row in rows[:3]] == ["failed", "answered", "answered"]
    assert rows[0]["changed"] is None
    assert rows[1]["changed"] is True
    assert rows[1]["reason"] == "no count: the model said nothing"
    assert rows[2]["reason"] == "no caption: the model said nothing"


def test_a_tile_of_which_nothing_is_understood_is_not_called_unchanged(server, make_raster):
    server.trouble = lambda number: choice("colourless green ideas?")
    result = geochg.analyze(*pair(make_raster), options(server))
    assert result.metadata["tiles"]["unparsed"] == 6
    assert result.metadata["tiles"]["changed"] == 0


# --- why it refuses ------------------------------------------------------------------------------

REFUSALS = {
    "OpenAI": ({"error": {"message": "'max_tokens' is not supported"}}, "'max_tokens' is not"),
    "vLLM, older": ({"object": "error", "message": "At most 1 image(s)"}, "At most 1 image(s)"),
    "Ollama": ({"error": "model takes one image"}, "model takes one image"),
    "FastAPI": ({"detail": [{"loc": ["body"], "msg": "field required"}]}, "field required"),
    "text": (b"context too small", "context too small"),
}


@pytest.mark.parametrize("status", [400, 413, 422, 500])
@pytest.mark.parametrize(("body", "told"), REFUSALS.values(), ids=REFUSALS)
def test_the_reason_of_the_server_is_told_and_it_is_asked_no_more(server, status, body, told):
    server.trouble = lambda number: (status, body)
    actual = load(server).answer(tiles(12), MAPPED)
    assert all(f"answered {status}: {told}" in failed.reason for failed in actual)
    assert actual[-1].is_permanent
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (500, "image input is not supported - hint: you may need to provide the mmproj"),
        (500, "image input is not supported by this server"),
        (400, "this model does not support image input (ref: 1)"),
        (400, "seer is not a multimodal model None"),
        (400, "At most 0 image(s) may be provided in one prompt."),
    ],
)
def test_a_server_without_vision_ends_the_run_and_says_what_it_needs(server, status, told):
    server.trouble = lambda number: (status, {"error": {"message": told}})
    with pytest.raises(ModelError) as caught:
        load(server).answer(tiles(4), MAPPED)
    assert "takes no images" in caught.value.message
    assert told in caught.value.message
    assert "--mmproj" in caught.value.hint
    assert len(server.requests) <= 4


def test_a_run_ends_soon_where_all_is_refused(server, make_raster):
    server.trouble = lambda number: (400, {"error": {"message": "one image only"}})
    with pytest.raises(TilesFailedError, match="one image only"):
        geochg.analyze(*pair(make_raster), options(server, batch_size=1, allow_failed_tiles=True))
    assert len(server.requests) == 3


def test_what_passes_or_is_about_one_tile_is_asked_of_every_tile(server):
    busy = (503, {"error": {"message": "loading"}})
    filtered = (400, {"error": {"message": "not this picture", "code": "content_filter"}})
    for trouble in (busy, filtered):
        server.requests.clear()
        server.trouble = lambda number, trouble=trouble: trouble
        actual = load(server).answer(tiles(6), MAPPED)
        assert len(server.requests) == 6
        assert not any(failed.is_permanent for failed in actual)


def test_a_spent_quota_is_final(server):
    spent = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    server.trouble = lambda number: (429, spent)
    actual = load(server).answer(tiles(6), MAPPED)
    assert all(failed.is_permanent for failed in actual)


@pytest.mark.parametrize("status", [400, 403, 500])
def test_the_key_is_not_repeated_with_the_reason(monkeypatch, status):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(key=KEY) as server:
        model = load(server)
        server.trouble = lambda number: (status, {"error": {"message": f"{KEY} may not do that"}})
        try:
            (failed,) = model.answer(tiles(1), MAPPED)
            caught = failed.reason
        except ModelError as error:
            caught = str(error)
    assert "may not do that" in caught
    assert KEY not in caught


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("<html><body>502 Bad Gateway</body></html>", ""),
        ({"error": {"code": 5}}, ""),
        ({"error": {"message": "a\x1b[31m b\n\nc"}}, "a b c"),
        (None, ""),
        ({"message": "x" * 5000}, "x" * 299 + "…"),
        ({"error": {"error": {"error": {"error": {"error": {"error": "deep"}}}}}}, ""),
    ],
)
def test_sentences_are_short_and_clean(told, expected):
    assert error_text(told) == expected


# --- answers in parts, and streamed --------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "Ye"}, {"type": "text", "text": "s."}],
        [{"type": "thinking", "thinking": "No."}, {"type": "output_text", "text": "Yes."}],
        ["Yes", "."],
    ],
)
def test_parts_are_joined(server, content):
    server.trouble = lambda number: choice(content)
    ((presence,),) = load(server).answer(tiles(1), MAPPED[:1])
    assert presence == Presence(True)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda said: f"<think>{THOUGHT}</think>{said}",
        lambda said: f"{THOUGHT}</think>\n\n{said}",
        lambda said: f"{said}</s>",
        lambda said: f"<|im_start|>assistant\n{said}<|im_end|>",
    ],
)
def test_neither_thoughts_nor_marks_are_in_captions_and_talks(server, wrap):
    server.trouble = lambda number: wrap
    model = load(server)
    ((caption, reply),) = model.answer(tiles(1), [MAPPED[3], ask(Task.QUESTION, "Why?")])
    assert caption == Caption("A building has been built.", changed=True)
    assert reply == Reply("You asked: why?")
    for _ in range(2):
        replies = model.converse(tiles(1)[0], None, [Exchange("Where?", "There.")], "Why is it so?")
        assert "".join(replies) == "You asked: why is it so?"


@pytest.mark.parametrize("words", ["", "<think>No.", f"<think>{THOUGHT}</think>"])
def test_a_talk_without_an_answer_is_told(server, words):
    server.trouble = lambda number: lambda replies: words
    with pytest.raises(RunError, match="no answer"):
        list(load(server).converse(tiles(1)[0], None, [], "Why is it so?"))


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize("holds_back", [True, False])
def test_pieces_make_the_answer_whatever_their_size(size, holds_back):
    replies = "A road, a house; the fence around it: all of that is new (see <b>here</b> and [1])."
    for before, after in (("<think>Hm.</think>", ""), ("", "</s>"), ("assistant\n", "<|eot_id|>")):
        whole = f"{before}{replies}{after}"
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        assert "".join(spoken_pieces(pieces, holds_back=holds_back)) == replies


# --- bounds --------------------------------------------------------------------------------------


def _dripping(reply, part):
    """A reply of which one part comes byte by byte, each soon after the other."""
    body = json.dumps(reply).encode()
    chunks = {
        "status": [b"HTTP/1.1 200 O", b"K" * 60, b"\r\n\r\n"],
        "headers": [b"HTTP/1.1 200 OK\r\n", b"X-Wait: no\r\n" * 8, b"Content-Length: 0\r\n\r\n"],
        "body": [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body, b""],
        "chunk size": [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"0" * 60,
            b"\r\n\r\n",
        ],
    }

    def drip(handler, status, content, headers=None, kind=""):
        first, slow, last = chunks[part]
        handler.wfile.write(first)
        for at in range(len(slow)):
            handler.wfile.write(slow[at : at + 1])
            time.sleep(0.05)
        handler.wfile.write(last)

    return drip


@pytest.mark.parametrize("part", ["status", "headers", "body", "chunk size"])
def test_timeout_s_bounds_the_whole_answer(server, monkeypatch, part):
    model = load(server, timeout_s=0.5)
    monkeypatch.setattr("chat_server._Handler._send", _dripping({"choices": ["x" * 60]}, part))
    start = time.monotonic()
    (failed,) = model.answer(tiles(1), MAPPED)
    assert "did not answer in time" in failed.reason
    assert time.monotonic() - start < 2.5


def test_timeout_s_bounds_a_connection_that_is_used_again(server, monkeypatch):
    model = load(server, timeout_s=0.5, concurrency=1)
    assert not isinstance(model.answer(tiles(1), MAPPED)[0], TileFailure)
    time.sleep(0.6)  # what the answer before was given is over
    assert not isinstance(model.answer(tiles(1), MAPPED)[0], TileFailure)
    monkeypatch.setattr("chat_server._Handler._send", _dripping({}, "headers"))
    start = time.monotonic()
    assert "in time" in model.answer(tiles(1), MAPPED)[0].reason
    assert time.monotonic() - start < 2.5


def test_a_list_of_models_that_drips_is_not_waited_for(server, monkeypatch):
    monkeypatch.setattr("geochg.models.endpoint.chat.CHECK_TIMEOUT_S", 0.3)
    monkeypatch.setattr("chat_server._Handler._send", _dripping({}, "headers"))
    start = time.monotonic()
    with pytest.raises(ModelError, match="nothing answers"):
        load(server)
    assert time.monotonic() - start < 4


def test_compressed_replies_are_not_unpacked(server, monkeypatch):
    def packed(handler, status, content, headers=None, kind=""):
        body = gzip.compress(json.dumps(content).encode())
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    model = load(server)
    monkeypatch.setattr("chat_server._Handler._send", packed)
    (failed,) = model.answer(tiles(1), MAPPED)
    assert "compressed" in failed.reason


@pytest.mark.parametrize("name", ["concurrency", "timeout_s", "retries", "max_tokens", "image_px"])
@pytest.mark.parametrize("value", [-1, 10**9, 10**30])
def test_every_number_has_a_least_and_a_greatest(name, value):
    value = float(value) if name == "timeout_s" else value
    with pytest.raises(OptionError, match=name):
        load_model("openai:http://127.0.0.1:9/v1#x", {name: value}, "")


def test_long_captions_are_cut(server):
    server.trouble = lambda number: lambda replies: "A building has been built " + "and on " * 9000
    ((caption,),) = load(server).answer(tiles(1), [MAPPED[3]])
    assert len(caption.text) <= 2000
    assert caption.text.startswith("A building has been built and on")


@pytest.mark.parametrize("digits", [20, 300, 5000])
def test_absurd_counts_make_no_sense(server, digits):
    server.trouble = lambda number: lambda replies: f"There are {'9' * digits} new buildings."
    ((answer,),) = load(server).answer(tiles(1), [MAPPED[2]])
    assert answer.reason


# --- proxies -------------------------------------------------------------------------------------

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def no_proxies(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    "proxies",
    [
        {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"},
        {"ALL_PROXY": "socks5://127.0.0.1:9"},
        {"ALL_PROXY": "nonsense"},
    ],
)
def test_this_machine_is_asked_directly(server, monkeypatch, no_proxies, proxies):
    for name, value in proxies.items():
        monkeypatch.setenv(name, value)
    ((presence,),) = load(server).answer(tiles(1), MAPPED[:1])
    assert presence == Presence(True)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "nonsense", "ftp://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_named(monkeypatch, no_proxies, proxy):
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ModelError, match=r"proxy|nothing answers"):
        load_model("openai:http://192.0.2.1:8000/v1#x", {"retries": 0, "timeout_s": 0.5}, "")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("[::ffff:127.0.0.1]", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("models.localhost", True),
        ("0.0.0.0", True),
        ("192.168.0.1", False),
        ("localhost.example.org", False),
        ("example.org", False),
    ],
)
def test_what_this_machine_is(host, expected):
    assert is_this_machine(f"http://{host}:8000/v1") is expected
