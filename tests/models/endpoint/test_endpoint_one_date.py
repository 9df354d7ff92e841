"""One image behind an endpoint, against a real server on this machine."""

import math

import numpy as np
import pytest
from chat_server import pictures_of, serving, texts_of
from tile_factory import layout

from geochg.class_list import ClassList
from geochg.models.registry import load_model
from geochg.records import PairFacts, Task, Tile, TileFailure
from geochg.tasks.scene import scene_questions

ALL = {Task.PRESENCE, Task.COUNT, Task.CAPTION}
LABELS = ClassList.of_names(["swimming pool", "forest"])


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as running:
        yield running


def load(server, **options):
    return load_model(f"openai:{server.url}#seer", {"retries": 0, **options}, "cpu")


def tiles_of(bright):
    """Tiles of one date, bright ones or dark ones."""
    return [
        Tile(window, (np.full((3, 48, 48), 240 if is_bright else 40, np.uint8),), whole)
        for window, is_bright in zip(layout(1, len(bright), 48), bright, strict=True)
        for whole in [np.ones((48, 48), bool)]
    ]


def truthful(body):
    """There is a pool where the one picture is bright, and forest nowhere."""
    (picture,) = pictures_of(body["messages"])
    text = texts_of(body["messages"])[-1]
    has_pool = picture.mean() > 127
    if "How many" in text:
        return "There are 2 of them."
    if "describe" in text:
        return "A pool behind a house." if has_pool else "Dark ground."
    return "Yes." if has_pool and "pool" in text else "No."


@pytest.fixture
def seer(server):
    def answer(number):
        content = truthful(server.requests[-1])
        return {"choices": [{"message": {"role": "assistant", "content": content}}]}

    server.trouble = answer
    return server


def test_each_label_is_asked_about_the_one_image(seer):
    model = load(seer, concurrency=1)
    first, second = model.describe(tiles_of([True, False]), scene_questions(LABELS, ALL))
    assert first[0].present == ("swimming pool",)
    assert second[0].present == ()
    assert first[0].counts == {"swimming pool": 2}
    assert second[0].counts == {}
    assert (first[0].caption, second[0].caption) == ("A pool behind a house.", "Dark ground.")
    # The server tells no log probabilities, so none is made up.
    assert first[0].labels["swimming pool"].probability is None
    assert len(seer.requests) == 4 + 1 + 2
    content = seer.requests[0]["messages"][0]["content"]
    texts = " ".join(part["text"] for part in content if part["type"] == "text")
    assert "The image shows a place from above." in texts
    assert "before" not in texts


def test_probabilities_are_those_of_the_tokens_of_yes_and_no(server):
    def answer(number):
        top = [
            {"token": "Yes", "logprob": math.log(0.6)},
            {"token": "No", "logprob": math.log(0.2)},
        ]
        content = [{"token": "Yes", "logprob": math.log(0.6), "top_logprobs": top}]
        message = {"role": "assistant", "content": "Yes"}
        return {"choices": [{"message": message, "logprobs": {"content": content}}]}

    server.trouble = answer
    model = load(server)
    (row,) = model.describe(tiles_of([True]), scene_questions(LABELS, {Task.PRESENCE}))
    assert row[0].labels["forest"].probability == pytest.approx(0.75)


@pytest.mark.parametrize("trouble", ["nonsense", "empty", "no message", "html", "close", 500, 400])
def test_noise_never_raises_and_is_never_an_absence(server, trouble):
    server.trouble = lambda number: trouble
    model = load(server)
    for row in model.describe(tiles_of([True, False]), scene_questions(LABELS, ALL)):
        if isinstance(row, TileFailure):
            assert row.reason
        else:
            assert all(label.present is None for label in row[0].labels.values())
            assert set(row[0].unparsed) >= {"swimming pool", "forest"}


def test_one_tile_that_fails_does_not_spoil_the_others(seer):
    answer = seer.trouble

    def sometimes(number):
        (picture,) = pictures_of(seer.requests[-1]["messages"])
        return 500 if picture.mean() < 127 else answer(number)

    seer.trouble = sometimes
    model = load(seer, concurrency=1)
    first, second = model.describe(tiles_of([True, False]), scene_questions(LABELS, ALL))
    assert first[0].present == ("swimming pool",)
    assert isinstance(second, TileFailure)


def test_a_question_about_one_image_is_streamed(server):
    model = load(server)
    (tile,) = tiles_of([True])
    server.trouble = lambda number: "nonsense"
    "".join(model.converse(tile, PairFacts(("red",), 1.0, "uint8"), [], "What is it?"))
    assert len(pictures_of(server.requests[-1]["messages"])) == 1
