"""`geochg ask` and the dialogue behind it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from chat_server import serving
from click.testing import CliRunner
from pyproj import Transformer
from rasters import ORIGIN, texture

from geochg.errors import InputError, ModelError, OptionError, RunError
from geochg.options import AnalyzeOptions
from geochg.pipeline.dialogue import open_dialogue
from geochg_cli.group import geochg as command

pytestmark = pytest.mark.usefixtures("marker_plugin")


@pytest.fixture
def pair(make_raster):
    """600 x 400 px; a bright square appears near the bottom right."""
    before = texture(400, 600, 3) // 2
    after = before.copy()
    after[:, 300:360, 500:560] = 250
    return make_raster("before.tif", before), make_raster("after.tif", after)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as running:
        yield running


def lonlat(col, row):
    x, y = ORIGIN * (col, row)
    return Transformer.from_crs(32633, 4326, always_xy=True).transform(x, y)


def options(**changes):
    return AnalyzeOptions.from_dict({"model": "cva", "align": "off"} | changes)


def run(*arguments, **settings):
    return CliRunner().invoke(command, ["ask", *map(str, arguments)], **settings)


def test_the_whole_pair_is_seen_as_one_tile(pair):
    dialogue = open_dialogue(*pair, options())
    assert dialogue.tile.valid.shape == (400, 600)
    found = "".join(dialogue.ask("Where has anything changed?"))
    assert "south-east" in found
    assert dialogue.exchanges[0].answer == found


def test_a_pair_too_large_to_be_seen_at_once_is_seen_coarser(pair, server):
    dialogue = open_dialogue(*pair, options(model=f"openai:{server.url}#seer"))
    height_px, width_px = dialogue.tile.valid.shape
    assert width_px in range(256, 259)
    assert height_px in range(170, 173)
    assert "bottom-right" in "".join(dialogue.ask("Where, on a 3x3 grid?"))


def test_a_place_is_seen_at_full_resolution(pair):
    dialogue = open_dialogue(*pair, options(), at=lonlat(530, 330))
    assert dialogue.pair.grid.shape == (256, 256)
    assert dialogue.pair.grid.resolution.x == pytest.approx(ORIGIN.a)
    assert "".join(dialogue.ask("Has anything changed?")).startswith("Yes")
    elsewhere = open_dialogue(*pair, options(tile_size_px=128), at=lonlat(100, 100))
    assert np.array_equal(elsewhere.tile.before, elsewhere.tile.after)


def test_the_tile_of_a_place_at_the_edge_stays_inside(pair):
    dialogue = open_dialogue(*pair, options(), at=lonlat(599, 399))
    assert dialogue.pair.grid.shape == (256, 256)
    assert dialogue.tile.valid.all()


def test_a_place_outside_is_refused(pair):
    with pytest.raises(InputError, match="lies outside"):
        open_dialogue(*pair, options(), at=(0.0, 0.0))


def test_a_point_and_an_area_are_refused(pair):
    with pytest.raises(OptionError, match="both a point and an area"):
        open_dialogue(*pair, options(aoi="1,2,3,4"), at=(1.0, 2.0))


def test_nothing_asked_is_refused(pair):
    with pytest.raises(OptionError, match="nothing is asked"):
        list(open_dialogue(*pair, options()).ask("  "))


def test_the_built_in_model_says_what_it_cannot_answer(pair):
    dialogue = open_dialogue(*pair, options(model="builtin"))
    assert "larger model" in "".join(dialogue.ask("Who owns the new buildings?"))


def test_an_endpoint_streams_and_remembers(pair, server):
    dialogue = open_dialogue(*pair, options(model=f"openai:{server.url}#seer"))
    first = list(dialogue.ask("Is there a river?"))
    long = "And a bridge, a road to it, a house beside that road, or a fence around the house?"
    later = list(dialogue.ask(long))
    assert len(first) == 1, "a first answer is held back: it may hold thoughts to its end"
    assert len(later) > 3
    assert "".join(later) == f"You asked: {long.lower()}"
    (_, later) = server.requests
    assert later["stream"] is True
    assert [message["role"] for message in later["messages"]] == ["user", "assistant", "user"]
    assert later["messages"][1]["content"] == "".join(first).strip()


def test_an_endpoint_that_breaks_off_is_told_and_nothing_is_remembered(pair, server):
    model = {"model": f"openai:{server.url}#seer", "model_options": {"retries": 0}}
    dialogue = open_dialogue(*pair, options(**model))
    server.trouble = lambda number: "break off"
    with pytest.raises(RunError, match="broke"):
        list(dialogue.ask("Is there a river?"))
    assert not dialogue.exchanges


def test_a_model_without_words_is_refused(pair, monkeypatch):
    grid = options(model="marker", model_options={"location": "grid"})
    dialogue = open_dialogue(*pair, grid)
    few = replace(dialogue.model.backend_capabilities, tasks=frozenset())
    monkeypatch.setattr(type(dialogue.model), "backend_capabilities", few)
    with pytest.raises(ModelError, match="cannot answer free questions"):
        list(dialogue.ask("Is there a river?"))


def test_one_question_on_the_command_line(pair):
    result = run(*pair, "Has anything changed?", "--model", "cva", "--align", "off")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Yes. ")


def test_questions_line_by_line_as_json(pair):
    result = run(
        *pair, "--model", "cva", "--align", "off", "--json", "--at",
        ",".join(map(str, lonlat(530, 330))), input="Where?\nHow much?\n\nignored\n",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [exchange["question"] for exchange in told] == ["Where?", "How much?"]
    assert all(exchange["model"] == "cva" and exchange["answer"] for exchange in told)


def test_what_an_endpoint_says_does_not_command_the_terminal(pair, server):
    server.trouble = lambda number: "escape"
    result = run(*pair, "Hello?", "--model", f"openai:{server.url}#seer")
    assert result.exit_code == 0, result.output
    # Whole commands are left out, not their first letter alone.
    assert result.stdout == "red\n"


@pytest.mark.parametrize("place", ["here", "1", "1,2,3"])
def test_what_is_no_place_is_refused(pair, place):
    result = run(*pair, "Where?", "--at", place)
    assert isinstance(result.exception, OptionError)
    assert "is no place" in str(result.exception)
