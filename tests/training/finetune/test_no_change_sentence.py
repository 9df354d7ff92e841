"""How pairs without change are worded after tuning."""

import json

import deltavlm_factory
import pytest
from tuning_rows import tuned, write_rows

from geochg.errors import ModelError
from geochg.models.registry import load_model
from geochg.records import Task
from geochg.tasks import ask

REGISTER = {"A new building appears.": "building erected", "There is no difference.": "no entry"}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    deltavlm_factory.save(deltavlm_factory.tiny_model(), folder)
    return f"deltavlm:{folder}"


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Rows in the words of a land register."""
    file = write_rows(tmp_path_factory.mktemp("rows") / "data")
    rows = json.loads(file.read_text(encoding="utf-8"))
    for row in rows:
        turn = row["conversations"][-1]
        turn["value"] = REGISTER.get(turn["value"], turn["value"])
    file.write_text(json.dumps(rows), encoding="utf-8")
    return file


def caption_of_nothing(source, **options):
    """What is said of a pair in which the dense head, held to it, sees no change."""
    model = load_model(source, {"threshold": 1.0, **options}, "cpu")
    return model.answer([deltavlm_factory.tile(1)], [ask(Task.CAPTION)])[0][0].text


@pytest.mark.parametrize(
    "how", [{}, {"merge": True}, {"quantize": "4bit"}, {"quantize": "4bit", "merge": True}]
)
def test_no_change_is_worded_as_the_rows_do(how, base, rows, tmp_path):
    assert caption_of_nothing(base) == "There is no difference."
    tuned(base, rows, tmp_path, rank=2, **how)
    out = str(tmp_path / "out")
    whole = how.get("merge", False)
    said = caption_of_nothing(f"deltavlm:{out}") if whole else caption_of_nothing(base, adapter=out)
    assert said == "no entry"


def test_a_sentence_that_is_no_text_is_refused_and_part_of_what_an_adapter_is(base, rows, tmp_path):
    tuned(base, rows, tmp_path, rank=2)
    adapter = tmp_path / "out"
    before = load_model(base, {"adapter": str(adapter)}, "cpu").identity.adapter
    (adapter / "wording.json").write_text('{"no_change_sentence": "nothing"}', encoding="utf-8")
    assert load_model(base, {"adapter": str(adapter)}, "cpu").identity.adapter != before
    (adapter / "wording.json").write_text('{"no_change_sentence": 3}', encoding="utf-8")
    with pytest.raises(ModelError, match="is no text"):
        load_model(base, {"adapter": str(adapter)}, "cpu")
