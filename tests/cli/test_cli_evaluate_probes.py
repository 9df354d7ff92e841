"""Exchange, agreement, groups and clues of `geochg evaluate`, from end to end."""

import json
import shutil

import numpy as np
import pytest
from chat_server import serving, texts_of
from labelled_pairs import blocks, some_pairs, write_pair
from question_rows import instruction, some_rows, write_pictures, write_rows

from geochg.records import Task

pytestmark = pytest.mark.usefixtures("marker_plugin")

MARKER = ("--model", "marker", "--tile-size", 64)
ROWS = ("--model", "marker", "--no-meteor")


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    """Fewer samples of the bootstrap, which has tests of its own."""
    monkeypatch.setattr("geochg.evaluation.intervals.ROUNDS", 50)


@pytest.fixture
def pairs(tmp_path):
    return some_pairs(tmp_path / "pairs")


def told(geochg, *arguments):
    code, out, errors = geochg("evaluate", *arguments, "--json")
    assert code == 0, errors
    return json.loads(out)


# --- exchange ------------------------------------------------------------------------------------


def test_a_model_that_looks_calls_exchanged_pairs_changed(geochg, pairs, tmp_path):
    kept = tmp_path / "p.jsonl"
    result = told(geochg, pairs, *MARKER, "--exchange", "--predictions", kept)
    exchange = result["exchange"]
    assert exchange["exchanged_called_changed"] == 1
    assert exchange["interval"] == [pytest.approx(0.757, abs=1e-3), 1.0]
    assert (exchange["items"], exchange["left_out"], exchange["seed"]) == (12, 0, 0)
    assert {n: s["called_changed"] for n, s in exchange["as_they_are"].items()} == {
        "changed_pairs": 1,
        "unchanged_pairs": 0,
    }
    assert {n: s["called_changed"] for n, s in exchange["baselines"].items()} == {
        "all_changed": 1,
        "no_change": 0,
        "differencing": 1,
    }
    assert {n: s["items"] for n, s in exchange["by_label"].items()} == {
        "changed_pairs": 6,
        "unchanged_pairs": 6,
    }
    # The scores are of the pairs as they are.
    assert result["presence"] == told(geochg, pairs, *MARKER)["presence"]
    shutil.rmtree(pairs)
    assert told(geochg, "--from-predictions", kept) == result


def test_a_model_that_does_not_look_is_told(geochg, pairs):
    blind = ("--model-option", "blind=true", "--exchange", "--seed", 3)
    exchange = told(geochg, pairs, *MARKER, *blind)["exchange"]
    calls = exchange["as_they_are"]
    as_they_are = sum(s["items"] * s["called_changed"] for s in calls.values()) / 12
    assert 0 < as_they_are < 1
    # It judges by the earlier image alone: whatever it is shown beside, it says the same.
    assert exchange["exchanged_called_changed"] == pytest.approx(as_they_are)
    words = geochg("evaluate", pairs, *MARKER, *blind)[1]
    assert "the model, exchanged pairs" in words
    assert "the model, unchanged pairs as they are" in words


def test_exchanged_pairs_are_judged_by_the_fitted_threshold(geochg, pairs):
    result = told(geochg, pairs, *MARKER, "--exchange", "--fit-threshold")
    assert result["exchange"]["items"] == 6  # those held out
    assert result["exchange"]["exchanged_called_changed"] == 1


def test_tiles_of_large_pictures_are_exchanged_whole(geochg, tmp_path):
    some_pairs(tmp_path / "pairs", 4, size_px=128)
    result = told(geochg, tmp_path / "pairs", *MARKER, "--exchange")
    assert result["exchange"]["items"] == 16
    # Tiles of one picture are no independent witnesses.
    assert result["exchange"]["interval"][0] < 0.6


def test_pictures_of_another_size_are_left_out_and_told(geochg, pairs):
    write_pair(pairs, "small", blocks(1, 40), blocks(2, 40))
    result = told(geochg, pairs, *MARKER, "--exchange")
    assert (result["exchange"]["items"], result["exchange"]["left_out"]) == (12, 1)
    assert "1 pairs left out" in geochg("evaluate", pairs, *MARKER, "--exchange")[1]


def test_nothing_to_exchange_is_refused_before_the_model_is_asked(refused, tmp_path):
    pairs = some_pairs(tmp_path / "pairs", 1)
    given = (*MARKER, "--exchange", "--predictions", tmp_path / "p.jsonl")
    refused("evaluate", pairs, *given, names="there is one pair only")
    write_pair(pairs, "small", blocks(1, 40), blocks(2, 40))
    refused("evaluate", pairs, *given, names="no two of 2 pairs have images of one size")
    refused("evaluate", pairs, *MARKER, "--seed", 3, names="--seed does not go with")


# --- agreement -----------------------------------------------------------------------------------


def test_a_model_that_contradicts_itself_is_told(geochg, pairs, tmp_path):
    kept = tmp_path / "p.jsonl"
    given = ("--agreement", "--model-option", "contradicted=[0, 1, 3]", "--predictions", kept)
    result = told(geochg, pairs, *MARKER, "--model-option", "location=grid", *given)
    agreement = result["agreement"]
    assert agreement["agreement"] == pytest.approx(9 / 12)
    assert agreement["tasks"] == ["presence", "count", "locate", "caption"]
    # Pairs 1 and 3 have changed, 0 has not.
    assert agreement["disagreements"] == {
        "no, but a count above 0": 2,
        "no, but a named cell": 2,
        "no, but a caption of a change": 2,
        "yes, but counts of 0": 1,
        "yes, but no cell": 1,
        "yes, but a caption of no change": 1,
    }
    groups = {group["group"]: group["agreement"] for group in agreement["groups"]}
    assert groups == {
        "changed pairs": pytest.approx(4 / 6),
        "unchanged pairs": pytest.approx(5 / 6),
    }
    assert told(geochg, "--from-predictions", kept) == result
    assert "no, but a named cell: 2 of 12 items" in geochg("evaluate", pairs, *MARKER, *given)[1]


def test_pairs_without_labels(geochg, refused, pairs, tmp_path):
    shutil.rmtree(pairs / "label")
    refused("evaluate", pairs, *MARKER, names="has no folder label")
    kept = tmp_path / "p.jsonl"
    given = ("--agreement", "--exchange", "--predictions", kept)
    result = told(geochg, pairs, *MARKER, *given)
    assert result["agreement"]["agreement"] == 1
    assert result["agreement"]["groups"] == []
    assert result["exchange"]["exchanged_called_changed"] == 1
    assert list(result["exchange"]["as_they_are"]) == ["unlabelled_pairs"]
    assert "differencing" not in result["exchange"]["baselines"]
    assert result["presence"]["scores"] == {}
    assert result["presence"]["items"]["unlabelled"] == 12
    assert sum(result["presence"]["histogram"]["unlabelled"]) == 12
    assert told(geochg, "--from-predictions", kept) == result
    table = tmp_path / "t.csv"
    lines = [f"pairs/A/{n:02d}.png,pairs/B/{n:02d}.png" for n in range(12)]
    table.write_text("\n".join(["before,after", *lines]).replace("/0", "/p0").replace("/1", "/p1"))
    refused("evaluate", table, *MARKER, names="has no column 'changed'")
    assert told(geochg, table, *MARKER, "--agreement")["agreement"]["items"] == 12
    given = (*MARKER, "--agreement", "--by", "sensor")
    refused("evaluate", table, *given, names="there is no column 'sensor'")


def test_a_model_of_one_answer_has_nothing_to_agree(refused, pairs, monkeypatch):
    from dataclasses import replace

    from geochg.models.registry import find_backend

    backend, _ = find_backend("marker")
    able = replace(backend.backend_capabilities, tasks=frozenset({Task.PRESENCE}))
    monkeypatch.setattr(backend, "capabilities", able)
    refused("evaluate", pairs, *MARKER, "--agreement", names="answers in one way only")


# --- groups --------------------------------------------------------------------------------------


def table_of(pairs, path, **columns):
    """A table of the pairs with further columns."""
    lines = [",".join(["before", "after", "changed", *columns])]
    for n in range(12):
        cells = [f"pairs/A/p{n:02d}.png", f"pairs/B/p{n:02d}.png", str(n % 2)]
        lines.append(",".join([*cells, *(values[n] for values in columns.values())]))
    path.write_text("\n".join(lines))
    return path


def test_scores_by_a_column(geochg, refused, pairs, tmp_path):
    table = table_of(pairs, tmp_path / "t.csv", sensor=["x"] * 8 + ["y"] * 2 + [""] * 2)
    kept = tmp_path / "p.jsonl"
    given = ("--model-option", "contradicted=[1]", "--model-option", "location=grid")
    result = told(geochg, table, *MARKER, *given, "--by", "sensor", "--predictions", kept)
    groups = {group["group"]: group for group in result["by"]["sensor"]}
    assert list(groups) == ["(empty)", "x", "y"]
    assert {name: group["items"] for name, group in groups.items()} == {
        "(empty)": 2,
        "x": 8,
        "y": 2,
    }
    x = {line["name"]: line for line in groups["x"]["scores"]}
    assert x["the model"]["recall"] == pytest.approx(3 / 4)
    assert x["the model"]["intervals"]["recall"] == pytest.approx([0.301, 0.954], abs=1e-3)
    assert x["all changed"]["balanced_accuracy"] == 0.5
    assert groups["y"]["is_small"]
    y = {line["name"]: line for line in groups["y"]["scores"]}
    assert y["the model"]["recall"] == 1
    assert y["the model"]["intervals"]["recall"][0] < 0.25
    assert told(geochg, "--from-predictions", kept, "--by", "sensor") == result
    words = geochg("evaluate", "--from-predictions", kept, "--by", "sensor")[1]
    assert "presence by sensor: 3 groups" in words
    assert "x (8: 4 changed, 4 unchanged)" in words
    assert "small groups, of fewer than 20 independent pairs: (empty) (2), x (8), y (2)" in words
    # The model is not asked before.
    asking = ("evaluate", table, *MARKER, "--predictions", tmp_path / "other.jsonl")
    refused(*asking, "--by", "place", names="there is no column 'place' to score by")


def test_columns_of_folders_come_from_a_file(geochg, refused, pairs, tmp_path):
    columns = tmp_path / "columns.csv"
    lines = [f"p{n:02d},{'north' if n < 6 else 'south'}" for n in range(12)]
    columns.write_text("\n".join(["pair,place", *lines]))
    given = ("--by", "place", "--by-file", columns)
    result = told(geochg, pairs, *MARKER, *given)
    assert [group["items"] for group in result["by"]["place"]] == [6, 6]
    refused(
        *("evaluate", pairs, *MARKER, "--by", "place"),
        names="there is no column 'place' to score by",
    )
    columns.write_text("\n".join(["pair,place", *lines[1:]]))
    kept = ("--predictions", tmp_path / "kept.jsonl")
    refused("evaluate", pairs, *MARKER, *given, *kept, names="has no row for the pair 'p00'")
    columns.write_text("\n".join(["name,place", *lines]))
    refused("evaluate", pairs, *MARKER, *given, names="has no column 'pair'")


# --- rows ----------------------------------------------------------------------------------------


@pytest.fixture
def rows(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    path = some_rows(folder)
    values = json.loads(path.read_text())
    for row in values:
        row["sensor"] = "x" if row["image"][0] in ("A/a.png", "A/c.png") else "y"
    return write_rows(path, values)


def test_rows_are_probed_too(geochg, rows, tmp_path):
    kept = tmp_path / "said.jsonl"
    given = (*ROWS, "--exchange", "--by", "sensor", "--predictions", kept)
    result = told(geochg, rows, *given)
    assert result["exchange"]["items"] == 4
    assert result["exchange"]["left_out"] == 0
    # All before images are alike, so two of the four are given one that is like theirs.
    assert result["exchange"]["exchanged_called_changed"] == 0.5
    assert result["agreement"]["agreement"] == 1
    assert result["agreement"]["items"] == 4
    assert sum(result["histogram"]["changed"]) == 2
    by = result["by"]["sensor"]
    assert set(by) == set(map(str, Task))
    assert [(g["group"], g["items"]) for g in by["caption"]] == [("x", 2), ("y", 2)]
    counted = {g["table"]: g["scores"] for g in by["count"]}
    (line,) = [row for row in counted["y: building"] if row["name"] == "always 0"]
    assert line["mae"] == 1
    assert line["intervals"]["mae"] == [0, 2]
    shutil.rmtree(rows.parent)
    again = ("--from-predictions", kept, "--no-meteor", "--by", "sensor")
    assert told(geochg, *again) == result


def test_contradictory_answers_to_rows(geochg, rows):
    given = ("--model-option", "contradicted=[0, 2]")
    agreement = told(geochg, rows, *ROWS, *given)["agreement"]
    assert agreement["agreement"] == 0.5
    assert agreement["disagreements"]["yes, but no cell"] == 1
    assert agreement["disagreements"]["no, but a count above 0"] == 1


def test_an_exchange_of_rows_goes_on_after_an_interruption(geochg, rows, tmp_path, monkeypatch):
    from geochg.evaluation import exchange_answers

    kept = tmp_path / "said.jsonl"
    asked = ("evaluate", rows, *ROWS, "--exchange", "--batch-size", 1, "--predictions", kept)
    whole = told(geochg, *asked[1:])
    kept.unlink()
    load, loads = exchange_answers.load_pair, []

    def interrupted(example):
        loads.append(example)
        if len(loads) > 5:
            raise KeyboardInterrupt
        return load(example)

    with monkeypatch.context() as patch:
        patch.setattr(exchange_answers, "load_pair", interrupted)
        assert geochg(*asked)[0] == 130
    other = geochg(*asked, "--seed", 4, "--resume")
    assert other[0] == 2
    assert "exchange" in other[2]
    assert told(geochg, *asked[1:], "--resume") == whole


def test_what_does_not_go_with_rows(refused, rows, tmp_path):
    refused("evaluate", rows, *ROWS, "--agreement", names="--agreement does not go with rows")
    refused("evaluate", rows, *ROWS, "--seed", 3, names="--seed does not go with rows")
    kept = ("--predictions", tmp_path / "kept.jsonl")
    refused("evaluate", rows, *ROWS, *kept, "--by", "place", names="there is no column 'place'")
    write_pictures(tmp_path / "one")
    row = instruction(1, "a", Task.PRESENCE, ["Yes"])
    alone = write_rows(tmp_path / "one" / "r.json", [row])
    refused("evaluate", alone, *ROWS, "--exchange", names="there is one pair only")


# --- clues and prompts ---------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as running:
        yield running


def asked(server):
    return [texts_of(request["messages"])[-1] for request in server.requests]


def endpoint(server):
    return ("--model", f"openai:{server.url}#seer", "--model-option", "retries=0")


@pytest.fixture
def squares(tmp_path):
    """Four pairs; in two of them a bright square appears."""
    for number in range(4):
        before = np.full((64, 64, 3), 60 + number, np.uint8)
        after = before.copy()
        if number % 2:
            after[4:30, 4:30] = 250
        mask = np.full((64, 64), 255 * (number % 2), np.uint8)
        write_pair(tmp_path / "squares", f"s{number}", before, after, mask)
    return tmp_path / "squares"


def test_a_clue_and_own_words_are_asked_and_kept(geochg, server, squares, tmp_path):
    prompts, kept = tmp_path / "prompts.toml", tmp_path / "p.jsonl"
    prompts.write_text('presence = "Anything new, yes or no?"\nclue = "Hint: {clue}"\n')
    given = (*endpoint(server), "--tile-size", 64, "--clue", "--prompts", prompts)
    result = told(geochg, squares, *given, "--predictions", kept)
    questions = asked(server)
    assert len(questions) == 8
    hints = [q for q in questions if q.startswith("Anything new, yes or no?") and "Hint: " in q]
    assert len(hints) == 4
    assert result["options"]["clue"] is True
    assert result["options"]["prompts"]["clue"] == "Hint: {clue}"
    assert result["model"]["id"].count("openai:") == 2
    assert told(geochg, "--from-predictions", kept)["options"] == result["options"]


def test_rows_are_asked_in_own_words(geochg, refused, server, tmp_path):
    write_pictures(tmp_path)
    rows = [instruction(n, name, Task.PRESENCE, ["No"]) for n, name in enumerate("cd")]
    path, prompts = write_rows(tmp_path / "r.json", rows), tmp_path / "prompts.toml"
    prompts.write_text('presence = "Anything new, yes or no?"\n')
    result = told(geochg, path, *endpoint(server), "--no-meteor", "--prompts", prompts)
    assert asked(server) == ["Anything new, yes or no?"] * 2
    assert result["wording"] == {"prompts": {"presence": "Anything new, yes or no?"}}
    prompts.write_text('count = "How many?"\n')
    refused(
        *("evaluate", path, *endpoint(server), "--prompts", prompts),
        names="no row asks for the prompt 'count'",
    )


def test_a_clue_of_another_model(geochg, server, squares):
    clue = ("--clue-model", f"openai:{server.url}#seer", "--clue-option", "retries=0")
    result = told(geochg, squares, *endpoint(server), "--tile-size", 64, *clue)
    assert sum("Clue: " in question for question in asked(server)) == 4
    assert len(server.requests) == 8
    assert result["options"]["clue_options"] == {"retries": 0}
    assert "clues by openai" in result["model"]["id"]


def test_clues_and_prompts_that_would_not_be_used(refused, pairs, tmp_path):
    prompts = tmp_path / "prompts.toml"
    refused("evaluate", pairs, *MARKER, "--clue", names="marker does not read clues")
    prompts.write_text('presence = "Well?"\n')
    given = (*MARKER, "--prompts", prompts)
    refused("evaluate", pairs, *given, names="is not asked about presence in words")
    prompts.write_text('presense = "Well?"\n')
    refused("evaluate", pairs, *given, names="there is no prompt 'presense'")
    prompts.write_text("presence =")
    refused("evaluate", pairs, *given, names="is not a TOML file")
