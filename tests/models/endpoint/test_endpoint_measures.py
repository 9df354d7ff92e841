"""Directions, probabilities and token totals of models behind an endpoint."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from chat_server import serving
from tile_factory import layout

import geochg
from geochg.events import Notice
from geochg.features.cells import CellSettings, tile_result
from geochg.models.endpoint.logprobs import token_choices, word_shares
from geochg.models.registry import load_model
from geochg.pipeline.outputs import Outputs
from geochg.records import Change, Direction, GridCell, Locations, Presence, Task, Tile
from geochg.tasks import ask

SIDE_PX = 48
MAPPED = [ask(task) for task in (Task.PRESENCE, Task.LOCATE, Task.CAPTION)]
CORNER, MIDDLE, LAST = GridCell(0, 0), GridCell(1, 1), GridCell(2, 2)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as running:
        yield running


def load(server, **options):
    return load_model(f"openai:{server.url}#seer", {"retries": 0, **options}, "cpu")


def drawn_tile():
    """A square that appears, one that disappears and one that changes its colour."""
    (window,) = layout(1, 1, SIDE_PX)
    before = np.full((3, SIDE_PX, SIDE_PX), 90, np.uint8)
    after = before.copy()
    after[:, 2:14, 2:14] = 240
    before[:, 18:30, 18:30] = 240
    before[:, 34:46, 34:46], after[:, 34:46, 34:46] = 240, 10
    return Tile(window, (before, after), np.ones((SIDE_PX, SIDE_PX), bool))


def test_one_further_question_a_tile_tells_directions_and_their_probabilities(server):
    server.share = 0.8
    (answers,) = load(server).answer([drawn_tile()], MAPPED)
    presence, located, _ = answers
    assert presence == Presence(True, pytest.approx(0.8, abs=1e-3))
    # A list of cells has no yes or no of its own: the tile's is theirs.
    assert located.cells["building"] == dict.fromkeys((CORNER, MIDDLE, LAST), presence.probability)
    assert located.directions["building"] == {
        CORNER: Direction(Change.APPEARED, pytest.approx(0.8, abs=1e-3)),
        MIDDLE: Direction(Change.DISAPPEARED, pytest.approx(0.8, abs=1e-3)),
        LAST: Direction(Change.ALTERED, pytest.approx(0.8, abs=1e-3)),
    }
    assert len(server.requests) == len(MAPPED) + 1
    assert [bool(body.get("logprobs")) for body in server.requests].count(True) == 2


def test_without_log_probabilities_nothing_is_called_certain(server):
    (answers,) = load(server).answer([drawn_tile()], MAPPED)
    assert answers[0] == Presence(True, None)
    assert set(answers[1].cells["building"].values()) == {None}
    assert answers[1].directions["building"][MIDDLE] == Direction(Change.DISAPPEARED, None)


def test_the_further_question_can_be_left_out(server):
    (answers,) = load(server, directions=False).answer([drawn_tile()], MAPPED)
    assert answers[1].directions == {}
    assert len(server.requests) == len(MAPPED)


@pytest.mark.parametrize("most", [5, 0])
def test_a_server_that_gives_fewer_or_none_is_asked_for_no_more(server, most):
    server.share, server.most_logprobs = 0.8, most
    model = load(server)
    for _ in range(2):
        (answers,) = model.answer([drawn_tile()], MAPPED)
        assert answers[0].changed
        assert (answers[0].probability is not None) == bool(most)
        assert answers[1].directions["building"][CORNER].change is Change.APPEARED
    refused = [body["top_logprobs"] for body in server.requests if body.get("logprobs")]
    assert refused.count(20) == 1
    assert refused.count(5) == (4 if most else 1)


def test_another_refusal_is_not_taken_for_one_of_log_probabilities(server):
    server.trouble = lambda number: (400, {"error": {"message": "image too large"}})
    load(server).answer([drawn_tile()], MAPPED[:1])
    assert len(server.requests) == 1


@pytest.mark.parametrize("words", ["colourless green ideas", "1. later earlier", "2", "both both"])
def test_noise_leaves_the_direction_open_and_raises_nothing(server, words):
    server.trouble = lambda number: lambda usual: words if number == 3 else usual
    (answers,) = load(server, concurrency=1).answer([drawn_tile()], MAPPED)
    assert isinstance(answers[1], Locations)
    assert answers[1].directions == {}


@pytest.mark.parametrize("trouble", ["close", "html", "empty", "no message", b"{}"])
def test_trouble_with_the_further_question_leaves_the_answers(server, trouble):
    server.trouble = lambda number: trouble if number == 3 else None
    (answers,) = load(server, concurrency=1).answer([drawn_tile()], MAPPED)
    assert answers[1].cells["building"].keys() == {CORNER, MIDDLE, LAST}
    assert answers[1].directions == {}
    (missing,) = tile_result(drawn_tile(), answers, CellSettings()).missing
    assert missing.task is Task.LOCATE
    assert "directions" in missing.reason


def test_noise_about_directions_is_an_answer(server):
    server.trouble = lambda number: lambda usual: "both both" if number == 3 else usual
    (answers,) = load(server, concurrency=1).answer([drawn_tile()], MAPPED)
    assert tile_result(drawn_tile(), answers, CellSettings()).missing == ()


def test_tokens_are_added_up_whatever_a_server_says_of_them(server):
    model = load(server, directions=False)
    server.usage = {"prompt_tokens": 700, "completion_tokens": 3, "total_tokens": 703}
    model.answer([drawn_tile()], MAPPED)
    assert model.chat.tokens.values() == {"prompt": 2100, "completion": 9, "untold": 0}
    for usage in (None, {"prompt_tokens": "many"}, {"prompt_tokens": -1, "completion_tokens": 1}):
        server.usage = usage
        model.answer([drawn_tile()], MAPPED[:1])
    assert model.chat.tokens.values() == {"prompt": 2100, "completion": 9, "untold": 3}


# --- whole runs ----------------------------------------------------------------------------------


def drawn_pair(rng, rows=3, cols=4, cell_px=16):
    """Two pictures, and by tile and cell the direction of what is drawn there."""
    shape = (3, rows * 3 * cell_px, cols * 3 * cell_px)
    before, after = np.full(shape, 90, np.uint8), np.full(shape, 90, np.uint8)
    truth = {}
    for row, col in np.argwhere(rng.random((rows * 3, cols * 3)) < 0.4).tolist():
        change = list(Change)[rng.integers(3)]
        part = (slice(None), *(slice(n * cell_px + 2, (n + 1) * cell_px - 2) for n in (row, col)))
        if change is not Change.APPEARED:
            before[part] = 240
        if change is not Change.DISAPPEARED:
            after[part] = 240 if change is Change.APPEARED else 10
        truth[f"r{row // 3}c{col // 3}/{GridCell(row % 3, col % 3).name}"] = change
    return before, after, truth


def run(server, make_raster, tmp_path, before, after, **options):
    pair = [make_raster("before.tif", before), make_raster("after.tif", after)]
    settings = {
        "model": f"openai:{server.url}#seer",
        "model_options": {"retries": 0},
        "tile_size_px": SIDE_PX,
        "overlap_px": 0,
        "align": "off",
        **options,
    }
    outputs = Outputs(tmp_path / "c.geojson", heatmap=tmp_path / "heat.tif")
    notices = []
    analyze_options = geochg.AnalyzeOptions.from_dict(settings)
    geochg.analyze(*pair, analyze_options, outputs=outputs, listener=notices.append)
    texts = [event.message for event in notices if isinstance(event, Notice)]
    return json.loads((tmp_path / "c.geojson").read_text(encoding="utf-8")), texts


@pytest.mark.parametrize("share", [0.8, None])
def test_every_feature_has_the_direction_that_a_truthful_server_tells(
    server, make_raster, tmp_path, share
):
    server.share = share
    before, after, truth = drawn_pair(np.random.default_rng(3))
    layer, notices = run(server, make_raster, tmp_path, before, after, min_confidence=0.3)
    found = {}
    for feature in layer["features"]:
        properties = feature["properties"]
        found |= dict.fromkeys(properties["cells"], properties["change"])
        assert properties["confidence"] == share
        assert properties["change_confidence"] == share
    assert found == truth
    assert len(set(found.values())) == 3
    if share is None:
        assert layer["geochg"]["confidence"] == "not measured"
        assert "are kept whatever --min-confidence says" in " ".join(notices)
    else:
        assert "confidence" not in layer["geochg"]


def test_votes_give_a_share_as_confidence(server, make_raster, tmp_path):
    before, after = np.full((2, 3, 96, 96), 90, np.uint8)
    after[:, 34:46, 34:46] = 240
    layer, _ = run(server, make_raster, tmp_path, before, after, vote=True, overlap_px=None)
    confidences = [feature["properties"]["confidence"] for feature in layer["features"]]
    assert confidences
    assert all(0.5 < confidence <= 1 for confidence in confidences)
    assert "confidence" not in layer["geochg"]


# --- masses --------------------------------------------------------------------------------------


def served(*tokens):
    """A choice with tokens, each with those listed at its place."""
    content = [
        {
            "token": text,
            "logprob": 0.0,
            "top_logprobs": [{"token": t, "logprob": math.log(p)} for t, p in listed.items()],
        }
        for text, listed in tokens
    ]
    return SimpleNamespace(logprobs={"content": content})


def test_the_mass_is_that_of_all_tokens_that_begin_a_word():
    listed = {"Yes": 0.3, " yes": 0.1, "Y": 0.05, "No": 0.1, "no": 0.05, "Not": 0.2, "Maybe": 0.1}
    tokens = token_choices(served(("<think>yes</think>", {}), ("Yes", listed), (".", {})))
    shares = word_shares(tokens, "Yes.", 0, ["yes", "no"])
    assert shares["yes"] == pytest.approx(0.45 / 0.6)


def test_a_word_that_is_not_listed_is_unlikely_only_beside_unlikely_ones():
    tokens = token_choices(served(("Yes", {"Yes": 0.9, "Maybe": 0.05, "The": 0.002}), (".", {})))
    assert word_shares(tokens, "Yes.", 0, ["yes", "no"]) == {"yes": 1.0, "no": 0.0}


@pytest.mark.parametrize(
    "choice",
    [
        SimpleNamespace(),
        SimpleNamespace(logprobs=None),
        SimpleNamespace(logprobs={"content": None}),
        SimpleNamespace(logprobs={"content": "Yes"}),
        SimpleNamespace(logprobs={"content": [{"token": None}]}),
        SimpleNamespace(logprobs={"content": [{"token": "Yes", "top_logprobs": None}]}),
        SimpleNamespace(logprobs={"content": [{"token": "Yes", "top_logprobs": [3, None]}]}),
        served(("Yes", {"Yes": 0.9})),
        served(("Yes", {"Si": 0.9, "Oui": 0.1})),
        served(("No", {"Yes": 0.9, "No": 0.1})),
        served(("Yes", {"C": 0.05, "h": 0.04, "Yes": 0.03})),
    ],
)
def test_what_is_not_measured_is_not_known(choice):
    assert word_shares(token_choices(choice), "Yes.", 0, ["yes", "no"]) is None
