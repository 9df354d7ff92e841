"""Damaged tokenizers are refused in a line, whether a model maps, talks or is trained."""

import json
import re

import pytest
from deltavlm_factory import save as save_deltavlm
from deltavlm_factory import tile, tiny_model
from tuning_rows import tuned, write_rows
from vlm_factory import save_vlm

from geochg.errors import ModelError
from geochg.models.registry import load_model
from geochg.records import Task
from geochg.tasks import ask

TOKENIZER, CONFIG = "tokenizer.json", "tokenizer_config.json"


def with_values(file, **changes):
    """A damage that gives some settings of a file another value; None removes them."""

    def damage(folder):
        values = json.loads((folder / file).read_text(encoding="utf-8"))
        kept = {name: value for name, value in values.items() if name not in changes}
        given = {name: value for name, value in changes.items() if value is not None}
        (folder / file).write_text(json.dumps(kept | given), encoding="utf-8")

    return damage


def with_text(pattern, replacement):
    """A damage that replaces text of `tokenizer.json`."""

    def damage(folder):
        text = (folder / TOKENIZER).read_text(encoding="utf-8")
        spoiled = re.sub(pattern, replacement, text, flags=re.DOTALL)
        assert spoiled != text
        (folder / TOKENIZER).write_text(spoiled, encoding="utf-8")

    return damage


DAMAGES = {
    "version NaN": with_text('"version": "1.0"', '"version": NaN'),
    "token number NaN": with_text('"id": 1,', '"id": NaN,'),
    "half of the file": with_text("^(.{500}).*", r"\1"),
    "no model": with_values(TOKENIZER, model={}),
    "no words": with_values(TOKENIZER, model={"type": "BPE", "vocab": {}, "merges": []}),
    "a number as splitter": with_values(TOKENIZER, pre_tokenizer=5),
    "a template without text": with_values(
        TOKENIZER,
        post_processor={
            "type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}
        },
    ),
    "neither end nor filler": with_values(CONFIG, eos_token=None, pad_token=None),
    "a number as end": with_values(CONFIG, eos_token=7),
    "text as length": with_values(CONFIG, model_max_length="many"),
    "no such side": with_values(CONFIG, padding_side="up"),
}  # fmt: skip


@pytest.fixture(scope="module", params=["deltavlm", "vlm"])
def sound(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound") / request.param
    if request.param == "vlm":
        return save_vlm("llava", folder)
    return save_deltavlm(tiny_model(), folder)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("rows") / "data", pairs=2)


@pytest.fixture
def copied(sound, tmp_path):
    import shutil

    return shutil.copytree(sound, tmp_path / sound.name)


def refused(run):
    with pytest.raises(ModelError) as caught:
        run()
    assert caught.value.exit_code == 2
    assert len(caught.value.message.splitlines()) == 1
    return caught.value.message


def loaded(folder):
    options = {"max_tokens": 4} if folder.name == "vlm" else {}
    return load_model(f"{folder.name}:{folder}", options, "cpu")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_tokenizer_is_refused_when_a_model_is_loaded(copied, damage):
    DAMAGES[damage](copied)
    assert "tokenizer" in refused(lambda: loaded(copied))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_tokenizer_is_refused_before_training(copied, rows, tmp_path, damage):
    DAMAGES[damage](copied)
    model = f"{copied.name}:{copied}"
    assert "tokenizer" in refused(lambda: tuned(model, rows, tmp_path / "out", steps=1))
    assert not (tmp_path / "out" / "out.work").exists()


@pytest.mark.parametrize("name", ["eos_token", "pad_token"])
def test_a_deltavlm_needs_the_tokens_that_end_and_fill_answers(sound, copied, name):
    if sound.name != "deltavlm":
        pytest.skip("other models name these tokens elsewhere too")
    with_values(CONFIG, **{name: None})(copied)
    assert name in refused(lambda: loaded(copied))


@pytest.mark.parametrize("word", ["<|unheard-of|>", "zzz", "\u2603"])
def test_an_end_that_the_weights_do_not_know_is_refused_in_the_first_batch(
    sound, copied, rows, tmp_path, word
):
    if sound.name != "deltavlm":
        pytest.skip("the other's weights have room for it")
    with_values(CONFIG, eos_token=word)(copied)
    message = refused(lambda: tuned(f"deltavlm:{copied}", rows, tmp_path / "out", steps=1))
    assert str(copied) in message
    assert not (tmp_path / "out" / "out.work").exists()


def test_a_sound_tokenizer_answers_and_learns(copied, rows, tmp_path):
    (answers,) = loaded(copied).answer([tile()], [ask(Task.PRESENCE)])
    assert answers
    card = tuned(f"{copied.name}:{copied}", rows, tmp_path / "out", steps=1)
    assert card["results"]["steps"] == 1
