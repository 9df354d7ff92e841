"""Clues and own wording, through a whole run against a real endpoint."""

import json

import pytest
from chat_server import serving, texts_of
from click.testing import CliRunner
from rasters import texture

import geochg
from geochg.errors import ModelError, OptionError, TilesFailedError
from geochg.pipeline.describe import describe_pair
from geochg.pipeline.outputs import Outputs
from geochg_cli.group import geochg as command


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as running:
        yield running


@pytest.fixture
def pair(make_raster):
    """A raster of 3 x 2 tiles; a square appears in the first."""
    before = texture(128, 192, 3) // 2
    after = before.copy()
    after[:, 4:30, 4:30] = 250
    return make_raster("before.tif", before), make_raster("after.tif", after)


def options(server, **changes):
    settings = {
        "model": f"openai:{server.url}#seer",
        "model_options": {"retries": 0, "concurrency": 1},
        "tile_size_px": 64,
        "overlap_px": 0,
        "align": "off",
    }
    return geochg.AnalyzeOptions.from_dict(settings | changes)


def asked(server):
    return [texts_of(request["messages"])[-1] for request in server.requests]


def test_a_pair_is_mapped_through_an_endpoint(server, pair):
    result = geochg.analyze(*pair, options(server))
    assert result.metadata["tiles"]["changed"] == 1
    assert set(result.features["class"]) == {"building"}
    assert result.features["caption"].tolist() == ["A building has been built."] * len(
        result.features
    )
    assert len(server.requests) == 6 + 3 + 1


def test_a_run_whose_endpoint_goes_away_resumes(server, pair, tmp_path):
    outputs = Outputs(tmp_path / "changes.geojson")
    server.trouble = lambda number: "close" if number >= 6 else None
    with pytest.raises(TilesFailedError):
        geochg.analyze(*pair, options(server, batch_size=2), outputs=outputs)
    server.trouble = lambda number: None
    before = len(server.requests)
    geochg.analyze(*pair, options(server, batch_size=2, resume=True), outputs=outputs)
    assert 0 < len(server.requests) - before < 6
    whole = Outputs(tmp_path / "whole.geojson")
    geochg.analyze(*pair, options(server, batch_size=2), outputs=whole)
    assert outputs.features.read_bytes() == whole.features.read_bytes()


def test_own_words_are_asked_and_noted(server, pair):
    wording = {"presence": "Anything new, yes or no?", "caption": "Describe it."}
    result = geochg.analyze(*pair, options(server, prompts=wording))
    assert asked(server).count("Anything new, yes or no?") == 6
    assert asked(server).count("Describe it.") == 1
    assert result.metadata["questions"]["presence"] == "Anything new, yes or no?"
    assert result.metadata["options"]["prompts"] == wording


def test_a_clue_goes_with_each_question(server, pair):
    wording = {"clue": "Hint: {clue}"}
    result = geochg.analyze(*pair, options(server, clue=True, prompts=wording))
    questions = asked(server)
    hints = [question for question in questions if "Hint: " in question]
    assert len(questions) == 6 + 6 + 3 + 1
    assert len(hints) == 6 + 3 + 1
    assert sum(hint.endswith("Hint: A building has been built.") for hint in hints) == 5
    assert result.metadata["options"]["clue"] is True
    assert result.metadata["model"]["id"].count("openai:") == 2


def test_each_closer_look_has_a_clue_of_its_own(server, pair):
    result = geochg.analyze(*pair, options(server, clue=True, refine=1))
    # The square lies in four cells of one tile: a clue, presence, places and direction of each.
    assert len(server.requests) == (6 + 6 + 3 + 1) + 4 * (3 + 1)
    assert sum("Clue: A building has been built." in text for text in asked(server)) == 5 + 4 * 3
    plain = geochg.analyze(*pair, options(server, clue=True))
    # 26 px are shown by four cells of 21 px, then by 4 x 4 parts of 7 px.
    assert plain.features.area.sum() == 43 * 43 * 100
    assert 26 * 26 * 100 <= result.features.area.sum() < 0.7 * plain.features.area.sum()


def test_another_model_may_give_the_clue(server, pair):
    result = geochg.analyze(*pair, options(server, clue_model="builtin"))
    assert "clues by builtin" in result.metadata["model"]["id"]
    assert all(" Clue: " in question for question in asked(server))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": "builtin", "model_options": {}, "clue": True}, "builtin does not read clues"),
        ({"clue_model": "irmad"}, "do not see the same pixels"),
    ],
)
def test_models_that_do_not_go_together_are_refused(server, pair, changes, told):
    with pytest.raises(ModelError, match=told):
        geochg.analyze(*pair, options(server, **changes))


@pytest.mark.parametrize(
    ("prompts", "model", "told"),
    [
        ({"presence": "New?"}, "builtin", "builtin is not asked about presence in words"),
        ({"caption": "What?"}, "irmad", "it is asked about nothing"),
        ({"clue": "Hint: {clue}"}, "builtin", "but no clue"),
    ],
)
def test_prompts_that_would_not_be_asked_are_refused(pair, prompts, model, told):
    settings = {"model": model, "prompts": prompts}
    for run in (geochg.analyze, describe_pair):
        with pytest.raises(OptionError, match=told):
            run(*pair, geochg.AnalyzeOptions.from_dict(settings))


def test_wording_that_makes_no_sense_is_refused(server, pair):
    with pytest.raises(OptionError, match="no prompt 'captoin'"):
        geochg.analyze(*pair, options(server, prompts={"captoin": "x"}))


def test_prompts_and_clues_from_the_command_line(server, pair, tmp_path):
    (tmp_path / "p.toml").write_text('presence = "New, yes or no?"', encoding="utf-8")
    saved = tmp_path / "o.toml"
    arguments = ["analyze", *map(str, pair), "-o", str(tmp_path / "c.geojson"), "--clue"]
    arguments += ["--model", f"openai:{server.url}#seer", "--prompts", str(tmp_path / "p.toml")]
    arguments += ["--tile-size", "64", "--overlap", "0", "--save-options", str(saved), "--json"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    caught = json.loads(result.stdout.splitlines()[-1])["geochg"]
    assert caught["questions"]["presence"] == "New, yes or no?"
    again = geochg.AnalyzeOptions.from_toml(saved)
    assert again.clue
    assert again.prompts == {"presence": "New, yes or no?"}
