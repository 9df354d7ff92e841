"""Models behind an endpoint, against a real server on this machine."""

import time
from dataclasses import replace

import numpy as np
import pytest
from chat_server import KEY, pictures_of, serving, texts_of
from rasters import texture
from tile_factory import layout

import geochg
from geochg.errors import ModelError, OptionError, RunError, TilesFailedError
from geochg.models.endpoint.address import Address
from geochg.models.registry import load_model
from geochg.options import AlignMode
from geochg.pipeline.outputs import Outputs
from geochg.records import (
    Caption,
    Change,
    Counts,
    Dialogue,
    Direction,
    GridCell,
    Locations,
    Presence,
    Reply,
    Task,
    Tile,
    TileFailure,
    Unparsed,
)
from geochg.tasks import SPECS, ask

MAPPED = [ask(task) for task in (Task.PRESENCE, Task.LOCATE, Task.COUNT, Task.CAPTION)]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as running:
        yield running


def load(server, **options):
    return load_model(f"openai:{server.url}#seer", {"retries": 2, **options}, "cpu")


def tiles_of(changed, side_px=48):
    """Tiles of one grey; a bright square appears top left in those that changed."""
    tiles = []
    for window, new in zip(layout(1, len(changed), side_px), changed, strict=True):
        before = np.full((3, side_px, side_px), 90, np.uint8)
        after = before.copy()
        if new:
            after[:, 2:14, 2:14] = 240
        tiles.append(Tile(window, (before, after), np.ones((side_px, side_px), bool)))
    return tiles


def test_answers_in_words_become_answers(server):
    changed, same = load(server).answer(tiles_of([True, False]), MAPPED)
    assert list(changed) == [
        Presence(True),
        Locations(
            {"road": {}, "building": {GridCell(0, 0): None}},
            directions={"building": {GridCell(0, 0): Direction(Change.APPEARED)}},
        ),
        SPECS[Task.COUNT].parse("There are no new roads and 1 new building."),
        Caption("A building has been built.", changed=True),
    ]
    assert same[0] == Presence(False)
    assert same[1] == Locations({"road": {}, "building": {}})
    assert same[2] == Counts({"road": 0, "building": 0})
    assert not same[3].changed


def test_only_presence_is_asked_of_tiles_without_change(server):
    load(server).answer(tiles_of([False, True, False, False]), MAPPED)
    # The further question is that about the direction of what was located.
    assert len(server.requests) == 4 + 3 + 1


def test_both_pictures_are_sent_without_loss(server):
    rng = np.random.default_rng(0)
    (window,) = layout(1, 1, 20)
    before, after = rng.integers(0, 256, (2, 3, 20, 20)).astype(np.uint8)
    load(server).answer([Tile(window, (before, after), np.ones((20, 20), bool))], MAPPED[:1])
    sent = pictures_of(server.requests[0]["messages"])
    assert np.array_equal(sent, np.stack((before, after)).transpose(0, 2, 3, 1))
    assert server.requests[0]["temperature"] == 0


@pytest.mark.parametrize("image_px", [30, 96])
def test_images_are_sent_in_the_size_that_is_asked_for_and_places_stay(server, image_px):
    """Shrunk and enlarged: the picture keeps its proportions, the answers their cells."""
    before = np.full((3, 48, 24), 90, np.uint8)
    after = before.copy()
    after[:, 34:46, 1:7] = 240
    (window,) = layout(1, 1, 48)
    tile = Tile(window, (before, after), np.ones((48, 24), bool))
    (answers,) = load(server, image_px=image_px).answer([tile], MAPPED[:2])
    for request in server.requests:
        for sent in pictures_of(request["messages"]):
            assert sent.shape == (image_px, image_px // 2, 3)
    # The square is still where it was, as bright and as large.
    bright = (pictures_of(server.requests[0]["messages"])[1] > 165).all(axis=2)
    assert bright.mean() == pytest.approx(12 * 6 / (48 * 24), rel=0.25)
    assert answers[1].cells["building"] == {GridCell(2, 0): None}


def test_a_single_image_is_sent_in_that_size_too(server):
    (tile,) = tiles_of([True])
    one = Tile(tile.window, tile.dates[:1], tile.valid)
    server.trouble = lambda number: "nonsense"
    list(load(server, image_px=64).converse(one, None, [], "What is there?"))
    assert [sent.shape for sent in pictures_of(server.requests[0]["messages"])] == [(64, 64, 3)]


def test_a_dialogue_goes_on_from_what_was_said(server):
    ((answer,),) = load(server).answer(tiles_of([True]), [ask(Task.DIALOGUE)])
    assert isinstance(answer, Dialogue)
    assert answer.presence == Presence(True)
    assert answer.counts.counts["building"] == 1
    assert [len(request["messages"]) for request in server.requests] == [1, 3, 5]
    assert server.requests[2]["messages"][1] == {"role": "assistant", "content": "Yes."}
    assert len(texts_of(server.requests[2]["messages"])) == 3


def test_a_free_question_is_asked_of_every_tile(server):
    question = ask(Task.QUESTION, "Is there a river?")
    changed, same = load(server).answer(tiles_of([True, False]), [MAPPED[0], question])
    assert changed[1] == same[1] == Reply("You asked: is there a river?")


def test_requests_run_side_by_side(server):
    server.delay_s = 0.2
    model = load(server, concurrency=6)
    start = time.monotonic()
    model.answer(tiles_of([False] * 12), MAPPED)
    assert time.monotonic() - start < 12 * 0.2 / 2
    assert 2 < server.busiest <= 6


@pytest.mark.parametrize("trouble", [429, 500, 503, "close", "close mid-stream"])
def test_what_passes_is_survived_and_no_tile_is_lost_or_doubled(server, trouble):
    server.trouble = lambda number: trouble if number in (0, 2, 3) else None
    actual = load(server, concurrency=1).answer(tiles_of([True, False, True]), MAPPED)
    assert [answers[0] for answers in actual] == [Presence(True), Presence(False), Presence(True)]
    assert len(server.requests) == 3 + 2 * (3 + 1) + 3


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (500, "answered 500"),
        (400, "answered 400"),
        ("close", "connection to the endpoint broke"),
        ("html", "makes no sense"),
        ("empty", "makes no sense"),
        ("no message", "makes no sense"),
    ],
)
def test_what_does_not_pass_fails_the_tile_only(server, trouble, told):
    tiles = tiles_of([False, True])
    server.trouble = lambda number: (
        trouble if pictures_of(server.requests[number]["messages"])[1].max() > 200 else None
    )
    good, bad = load(server, retries=1, concurrency=1).answer(tiles, MAPPED)
    assert good[0] == Presence(False)
    assert isinstance(bad, TileFailure)
    assert told in bad.reason
    assert len(server.requests) <= 1 + 2, "the rest is not asked of a tile that got no answer"


def test_a_slow_endpoint_fails_the_tile(server):
    model = load(server, timeout_s=0.2, retries=0)
    server.delay_s = 0.6
    (failed,) = model.answer(tiles_of([True]), MAPPED)
    assert "did not answer in time" in failed.reason


def test_an_endpoint_that_went_away_ends_the_run_whatever_the_batch(server):
    model = load(server, retries=0)
    server.is_gone = True
    for tile in tiles_of([True] * 2):
        (failed,) = model.answer([tile], MAPPED)
        assert "connection to the endpoint broke" in failed.reason
    with pytest.raises(RunError, match="nothing answers any more") as caught:
        model.answer(tiles_of([True]), MAPPED)
    assert "--resume" in caught.value.hint


def test_an_endpoint_that_always_fails_some_tiles_does_not_end_the_run(server):
    server.trouble = lambda number: 400
    actual = load(server).answer(tiles_of([True] * 5), MAPPED)
    assert all(isinstance(answers, TileFailure) for answers in actual)
    server.trouble = lambda number: "close"
    actual = load(server, retries=0).answer(tiles_of([True] * 5), MAPPED)
    assert all(isinstance(answers, TileFailure) for answers in actual)


def test_pictures_are_not_sent_on_to_another_address(server):
    model = load(server)
    with serving() as other:
        server.trouble = lambda number: f"{other.url}/chat/completions"
        with pytest.raises(ModelError, match="sends requests on"):
            model.answer(tiles_of([True]), MAPPED)
        assert not other.requests


def test_nonsense_is_counted_not_taken_for_no_change(server):
    server.trouble = lambda number: "nonsense"
    ((presence, *_, caption),) = load(server).answer(tiles_of([True]), MAPPED)
    assert isinstance(presence, Unparsed)
    assert caption == Caption("colourless green ideas", changed=True)


def test_a_key_lost_on_the_way_ends_the_run(server):
    model = load(server)
    server.key = KEY
    with pytest.raises(ModelError, match=r"refused the key \(401\)"):
        model.answer(tiles_of([True]), MAPPED)


def test_the_key_goes_to_the_endpoint_and_nowhere_else(monkeypatch, make_raster, tmp_path):
    """Not even where the endpoint repeats it."""
    monkeypatch.setenv("MY_KEY", f"{KEY}\n")
    pair = [make_raster(f"{n}.tif", texture(64, 128, 3) // n) for n in (1, 2)]
    with serving(key=KEY) as server:
        with pytest.raises(ModelError, match="refused the key") as caught:
            load(server, key_variable="OTHER_KEY")
        assert "OTHER_KEY" in caught.value.hint
        server.trouble = lambda number: 400 if number == 1 else None
        options = geochg.AnalyzeOptions(
            model=f"openai:{server.url}#seer",
            model_options={"retries": 0, "concurrency": 1, "key_variable": "MY_KEY"},
            tile_size_px=64,
            overlap_px=0,
            align=AlignMode.OFF,
            allow_failed_tiles=True,
        )
        message = []
        result = geochg.analyze(
            *pair, options, outputs=Outputs(tmp_path / "c.geojson"), listener=message.append
        )
        assert set(server.keys) == {f"Bearer {KEY}"}
    assert result.metadata["tiles"]["failed"] == 1
    assert KEY not in (tmp_path / "c.geojson").read_text(encoding="utf-8")
    assert KEY not in repr([result.metadata, message])


def test_how_requests_are_sent_does_not_change_what_a_run_is(server, make_raster, tmp_path):
    pair = [make_raster(f"{n}.tif", texture(64, 128, 3) // n) for n in (1, 2)]
    outputs = Outputs(tmp_path / "c.geojson")
    settings = {"tile_size_px": 64, "overlap_px": 0, "align": "off"}

    def run(own, **changes):
        model = {"model": f"openai:{server.url}#seer", "model_options": {"retries": 0, **own}}
        options = geochg.AnalyzeOptions.from_dict({**settings, **model, **changes})
        return geochg.analyze(*pair, options, outputs=outputs)

    server.trouble = lambda number: 500 if number else None
    with pytest.raises(TilesFailedError):
        run({"concurrency": 1})
    server.trouble = lambda number: None
    result = run({"concurrency": 2, "timeout_s": 7.0}, resume=True)
    assert result.metadata["options"]["model_options"] == {}


def test_a_key_with_strange_letters_is_refused_without_repeating_it(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "ключ")
    with pytest.raises(ModelError, match="OPENAI_API_KEY holds characters") as caught:
        load(server)
    assert "ключ" not in str(caught.value)


def test_an_echo_of_what_was_asked_is_no_answer(server):
    asked = ask(Task.PRESENCE, "Has anything been built or torn down? Answer yes or no.")
    tile = replace(tiles_of([True])[0], clue="Clue: A building has been built.")
    server.trouble = lambda number: "echo"
    ((presence,),) = load(server).answer([tile], [asked])
    assert presence == Presence(False)


def test_the_only_model_of_an_endpoint_needs_no_name(server):
    model = load_model(f"openai:{server.url}", {}, "cpu")
    assert model.identity.id == f"openai:{server.url}#seer"


@pytest.mark.parametrize("name", ["", "#other"])
def test_a_model_the_endpoint_has_not_is_refused_with_those_it_has(name):
    with serving(names=("one", "two")) as server:
        with pytest.raises(ModelError) as caught:
            load_model(f"openai:{server.url}{name}", {}, "cpu")
        assert "one, two" in caught.value.hint


def test_an_endpoint_that_cannot_list_its_models_is_asked_whether_it_answers(server):
    server.lists = False
    model = load(server)
    assert [request["messages"][0]["content"] for request in server.requests] == ["Hello"]
    assert model.answer(tiles_of([True]), [ask(Task.PRESENCE)])[0][0].changed


def test_an_endpoint_that_neither_lists_nor_answers_is_refused(server):
    server.lists = False
    server.trouble = lambda number: 500
    with pytest.raises(ModelError, match="answered 500"):
        load(server)


def test_an_endpoint_where_nothing_answers_is_refused(server):
    url = server.url.replace(str(server.server_port), "9")
    with pytest.raises(ModelError, match="nothing answers"):
        load_model(f"openai:{url}#seer", {"retries": 0}, "cpu")


@pytest.mark.parametrize(
    "source", ["", "localhost:8000", "ftp://host/v1#x", "http://#x", "http://host:port/v1"]
)
def test_what_is_no_address_is_refused(source):
    with pytest.raises(ModelError, match="address"):
        Address.parse(source)


@pytest.mark.parametrize(
    "source",
    [
        "http://me:secret@host/v1#x",
        "http://host/v1?key=secret#x",
        "me:secret@host/v1",
        "http://me:sec/ret@host/v1",
    ],
)
def test_secrets_in_an_address_are_refused_and_not_repeated(source):
    with pytest.raises(ModelError, match="holds a secret") as caught:
        Address.parse(source)
    assert "me:" not in str(caught.value)
    assert "key=" not in str(caught.value)


def test_extra_members_stand_above_the_usual_ones(server):
    load(server, extra={"seed": 7, "max_completion_tokens": 9}).answer(tiles_of([True]), MAPPED[:1])
    (request,) = server.requests
    assert request["seed"] == 7
    assert request["max_completion_tokens"] == 9
    assert "max_tokens" not in request


@pytest.mark.parametrize("options", [{"concurrency": 0}, {"timeout_s": -1.0}, {"retries": -1}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(OptionError):
        load_model("openai:http://localhost:1/v1#x", options, "cpu")
