"""`geochg evaluate` on rows of questions and answers, from end to end."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from question_rows import caption_rows, instruction, some_rows, write_pictures, write_rows
from told_pairs import CAPTIONS, ROWS, told_folder

from geochg.records import Task

pytestmark = pytest.mark.usefixtures("marker_plugin")

MARKER = ("--model", "marker", "--no-meteor")


@pytest.fixture
def rows(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    return some_rows(folder)


def told(geochg, *arguments):
    code, out, errors = geochg("evaluate", *arguments, "--json")
    assert code == 0, errors
    return json.loads(out)


def model_line(result, task, group=""):
    (scores,) = [g["scores"] for g in result["tasks"][task]["groups"] if g["group"] == group]
    assert scores[0]["name"] == "the model"
    return scores[0]


def test_all_six_tasks_are_scored(geochg, rows):
    result = told(geochg, rows, *MARKER)
    assert list(result["tasks"]) == [str(task) for task in Task]
    assert result["model"]["id"] == "marker"
    assert result["items"] == 24
    assert model_line(result, "presence")["accuracy"] == 1
    assert model_line(result, "count", "building") == {
        "name": "the model", "mae": 0.0, "rmse": 0.0, "exact": 1.0
    }  # fmt: skip
    assert model_line(result, "locate", "building")["f1"] == 1
    assert model_line(result, "question")["bleu_4"] == 0
    assert model_line(result, "question")["rouge_l"] == 1
    assert model_line(result, "caption", "changed pairs")["cider_d"] > 2
    assert model_line(result, "caption", "unchanged pairs")["rouge_l"] < 0.5
    groups = {group["group"]: group["items"] for group in result["tasks"]["caption"]["groups"]}
    assert groups == {"all pairs": 4, "changed pairs": 2, "unchanged pairs": 2}


@pytest.mark.parametrize("asked", ["validation", "fold1"])
def test_a_part_is_chosen_by_whatever_name_its_rows_have(geochg, tmp_path, asked):
    write_pictures(tmp_path)
    parts = ("val", "fold1", "fold2")
    rows = [
        instruction(n, pair, Task.PRESENCE, ["No"], split=part)
        for n, (pair, part) in enumerate(zip("abc", parts, strict=True))
    ]
    result = told(geochg, write_rows(tmp_path / "r.json", rows), *MARKER, "--split", asked)
    assert result["items"] == 1


def test_tables_on_the_terminal_and_in_markdown(geochg, rows, tmp_path):
    report = tmp_path / "scores.md"
    code, out, errors = geochg("evaluate", rows, *MARKER, "--published", "--markdown", report)
    assert code == 0, errors
    lines = out.splitlines()
    assert lines[:2] == [str(report), "marker: 4 pairs"]
    assert "count: 4 scored, 0 of them unparsed" in lines
    assert any(line.split()[:2] == ["always", "0"] for line in lines)
    assert any("DeltaVLM, ChangeChat-105k (published)" in line for line in lines)
    assert any("BERTScore is left out" in line for line in lines)
    text = report.read_text(encoding="utf-8")
    assert "| the model | 100.00 | 100.00 | 100.00 | 100.00 |" in text
    assert text.startswith("# Scores of `marker`\n")


@pytest.mark.skipif(shutil.which("java") is None, reason="METEOR needs Java")
def test_meteor_where_there_is_java(geochg, rows):
    result = told(geochg, rows, "--model", "marker", "--task", "caption")
    assert list(result["tasks"]) == ["caption"]
    assert model_line(result, "caption", "changed pairs")["meteor"] == pytest.approx(1)
    assert model_line(result, "caption", "unchanged pairs")["meteor"] < 0.5


def test_several_files_are_one_test_set(geochg, rows):
    result = told(geochg, rows, caption_rows(rows.parent), *MARKER, "--task", "caption")
    assert result["items"] == 4
    assert model_line(result, "caption", "all pairs")["bleu_1"] > 0


def test_scoring_repeats_without_the_model_and_the_pictures(geochg, rows, tmp_path):
    kept = tmp_path / "said.jsonl"
    first = told(geochg, rows, *MARKER, "--predictions", kept)
    shutil.rmtree(rows.parent)
    again = told(geochg, "--from-predictions", kept, "--no-meteor")
    assert again == first
    assert len(kept.read_text().splitlines()) == 25


def test_a_run_that_was_interrupted_goes_on(geochg, rows, tmp_path, monkeypatch):
    kept = tmp_path / "said.jsonl"
    asked = ("evaluate", rows, *MARKER, "--batch-size", 1, "--predictions", kept)
    from geochg.evaluation import collect_answers

    load = collect_answers.load_pair

    def interrupted(example):
        if example.before.name == "d.png":
            raise KeyboardInterrupt
        return load(example)

    with monkeypatch.context() as patch:
        patch.setattr(collect_answers, "load_pair", interrupted)
        assert geochg(*asked)[0] == 130
    assert not kept.exists()
    code, _, errors = geochg(*asked)
    assert code == 2
    assert "holds an unfinished run" in errors
    assert "--resume" in errors
    code, out, errors = geochg(*asked, "--resume", "--json")
    assert code == 0, errors
    rest = json.loads(out)
    assert rest["tasks"] == told(geochg, rows, *MARKER)["tasks"]
    items = [json.loads(line)["item"] for line in kept.read_text().splitlines()[1:]]
    assert sorted(items) == list(range(24))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["said.jsonl", "set"]


def test_failures_and_nonsense_are_counted(geochg, rows):
    odd = told(geochg, rows, *MARKER, "--model-option", "nonsense=true")
    assert odd["tasks"]["presence"]["unparsed"] == 4
    assert model_line(odd, "presence")["accuracy"] == 0
    assert model_line(odd, "locate", "building")["exact"] == 0
    assert model_line(odd, "count", "road")["mae"] is None
    lost = told(geochg, rows, *MARKER, "--model-option", "fail_tiles=[1]")
    assert lost["tasks"]["locate"]["failed"] == 1
    assert lost["tasks"]["locate"]["items"] == 3
    failing = (*MARKER, "--model-option", "fail_tiles=[0, 1, 2, 3]")
    code, _, errors = geochg("evaluate", rows, *failing)
    assert code == 1
    assert "answered none of 24 questions: told to fail" in errors


def test_a_table_with_questions(geochg, tmp_path):
    write_pictures(tmp_path)
    table = tmp_path / "rows.csv"
    table.write_text(
        "before,after,question,answer\n"
        "A/a.png,B/a.png,How many pixels changed?,121 pixels changed\n"
    )
    result = told(geochg, table, *MARKER)
    assert model_line(result, "question")["rouge_1"] == 1


def test_rows_beside_masks_and_the_default_model(geochg, tmp_path):
    folder = told_folder(tmp_path / "pairs", 2, 96)
    result = told(geochg, folder / ROWS, folder / CAPTIONS, "--no-meteor")
    assert result["items"] == 12
    assert list(result["tasks"]) == [str(task) for task in Task]
    (folder / ROWS).rename(folder / "train.json")
    by_split = geochg("evaluate", folder, "--split", "test", *MARKER)
    assert by_split[0] == 2
    assert "no row of the split 'test'" in by_split[2]
    code, out, _ = geochg("evaluate", folder, "--model", "builtin")
    assert code == 0
    assert "differencing" in out  # masks: labelled pairs, as ever


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("--tile-size", "64"), "--tile-size does not go with rows of questions"),
        (("--fit-threshold",), "--fit-threshold does not go with rows of questions"),
        (("--resume",), "--resume goes on with a file of predictions"),
        (("--predictions", "p.txt"), "known suffixes: .jsonl"),
        (("--markdown", "p.txt"), "known suffixes: .md"),
        (("--markdown", "none/p.md"), "does not exist"),
        (("--bert", "none"), "none holds no model"),
        (("--images", "none"), "there is no folder none"),
        (("--split", "train"), "no row of the split 'train'"),
        (("--batch-size", "0"), "batch size 0"),
        (("--model-option", "nosuch=1"), "unknown option 'nosuch'"),
        (("--model", "irmad"), "irmad learns from the pair"),
    ],
)
def test_options_that_make_no_sense(refused, rows, arguments, names):
    refused("evaluate", rows, *MARKER, *arguments, names=names)


def test_options_for_rows_are_refused_beside_pairs(refused, geochg, tmp_path):
    write_pictures(tmp_path / "pairs")
    (tmp_path / "pairs" / "label").mkdir()
    for name in "abcd":
        Image.fromarray(np.zeros((66, 66), np.uint8)).save(tmp_path / "pairs/label" / f"{name}.png")
    pairs, report = tmp_path / "pairs", tmp_path / "scores.md"
    refused("evaluate", pairs, "--published", names="--published does not go with labelled pairs")
    refused("evaluate", pairs, "--resume", names="--resume does not go with labelled pairs")
    code, out, errors = geochg("evaluate", pairs, "--model", "marker", "--markdown", report)
    assert code == 0, errors
    assert out.splitlines()[0] == str(report)
    assert "4 scored" in report.read_text()


def test_bad_rows_are_named_in_a_line(refused, rows, tmp_path):
    rows.write_text('[{"id": 1,\n "image": ]')
    refused("evaluate", rows, *MARKER, names=f"{rows}, line 2, column 11: not JSON")
    row = instruction(5, "a", Task.PRESENCE, ["Yes"])
    write_rows(rows, [row, row | {"image": ["A/a.png", "B/none.png"]}])
    refused("evaluate", rows, *MARKER, names="row 2 (id '5'): there is no file")
    write_rows(rows, [instruction(5, "a", Task.PRESENCE, ["Perhaps"])])
    refused("evaluate", rows, *MARKER, names="row 1 (id '5'): its answer is outside the grammar")
    write_rows(rows, [])
    refused("evaluate", rows, *MARKER, names="there are no rows")
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(rows.parent / "B" / "a.png")
    write_rows(rows, [row])
    refused("evaluate", rows, *MARKER, names="a.png has 9 x 8 px")


def test_predictions_of_another_kind_or_version(refused, geochg, rows, tmp_path):
    kept = tmp_path / "said.jsonl"
    told(geochg, rows, *MARKER, "--predictions", kept)
    given = ("--from-predictions", kept)
    refused("evaluate", *given, "--split", "test", names="--split does not go with")
    refused("evaluate", *given, "--fit-threshold", names="does not go with rows of questions")
    refused("evaluate", *given, "--predictions", kept, names="--predictions does not go with")
    newer = kept.read_text().replace('"format": 4', '"format": 7', 1)
    kept.write_text(newer)
    refused("evaluate", *given, names="is of format 7")
    refused("evaluate", "--from-predictions", rows, names="line 1 is no JSON object")
