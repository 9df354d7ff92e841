import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from paired_ground import built_ground, covered_ground

from geochg.datasets.ground.covers import ANY, Cover
from geochg.errors import GeochgError, InputError, OptionError
from geochg.training.builtin import language_pairs
from geochg.training.builtin import pairs as pairs_module
from geochg.training.builtin.language_pairs import LanguagePairs, make_language_pairs

SIDE_PX = 64
GROUNDS = [built_ground(seed) for seed in range(3)]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for module in (pairs_module, language_pairs):
        monkeypatch.setattr(module, "SIDE_PX", SIDE_PX)


def test_pairs_have_images_and_rows_of_all_tasks(tmp_path):
    pairs = make_language_pairs(tmp_path, 24, GROUNDS)
    assert len(pairs) == 24
    changed = 0
    for index in range(24):
        pair = pairs[index]
        for date in (pair.before, pair.after):
            assert date.shape == (3, SIDE_PX, SIDE_PX)
            assert date.dtype == np.uint8
            assert np.ptp(date) > 30
        assert pairs.has_changed(index) == bool(pair.counts)
        assert all(question and answer for _, question, answer in pair.turns)
        texts = {task: answer for task, _, answer in pair.turns}
        assert texts["presence"] == ("Yes" if pair.counts else "No")
        assert set(texts) == {"caption", "presence", "count", "locate", "dialogue", "question"}
        assert {name for name, _, _ in pair.counts} <= {"building"}
        changed += bool(pair.counts)
    assert 0 < changed < 24


def test_neither_workers_nor_an_interruption_change_the_pairs(tmp_path, monkeypatch):
    monkeypatch.setattr(language_pairs, "_CHUNK", 2)
    whole = make_language_pairs(tmp_path / "whole", 5, GROUNDS, workers=2)
    write = Path.write_text

    def killed(path, text, *args, **kwargs):
        if path.name.endswith("1.json"):
            write(path, text[:20], *args, **kwargs)
            raise KeyboardInterrupt
        return write(path, text, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            make_language_pairs(tmp_path / "part", 5, GROUNDS)
    assert len(LanguagePairs(tmp_path / "part")) == 2
    part = make_language_pairs(tmp_path / "part", 5, GROUNDS)
    for index in range(5):
        one, other = part[index], whole[index]
        assert (one.before == other.before).all()
        assert (one.after == other.after).all()
        assert json.dumps(one[2:]) == json.dumps(other[2:])


@pytest.mark.parametrize(
    "others",
    [{"count": 2}, {"seed": 1}, {"grounds": GROUNDS[:2]}],
    ids=("count", "seed", "grounds"),
)
def test_a_folder_of_other_pairs_is_refused(tmp_path, others):
    given = {"count": 1, "grounds": GROUNDS, "seed": 0}
    make_language_pairs(tmp_path, **given)
    with pytest.raises(OptionError, match=r"differs in (count|seed|grounds)") as caught:
        make_language_pairs(tmp_path, **{**given, **others})
    assert len(str(caught.value).splitlines()) == 2


def test_ground_that_does_not_tell_what_changed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(language_pairs, "_TRIES", 8)
    # All that can be put in is of any cover and looks different.
    plain = [covered_ground(seed, ANY | Cover.NOT_SEEN, 60 + 70 * seed) for seed in range(3)]
    with pytest.raises(InputError, match="hardly any pair"):
        make_language_pairs(tmp_path, 30, plain)


def test_a_spawned_process_is_sent_a_path_and_no_pixels(tmp_path):
    pairs = make_language_pairs(tmp_path, 2, GROUNDS)
    assert pairs[1].before.size
    sent = pickle.dumps(pairs)
    assert len(sent) < 1000
    assert (pickle.loads(sent)[1].before == pairs[1].before).all()


@pytest.mark.parametrize("file", ["before.npy", "after.npy", "facts.json", "texts/0.json"])
@pytest.mark.parametrize("damage", ["cut short", "empty", "other", "gone"])
def test_damaged_pairs_are_refused(tmp_path, file, damage):
    make_language_pairs(tmp_path, 2, GROUNDS)
    language_pairs._texts.cache_clear()
    path, content = tmp_path / file, (tmp_path / file).read_bytes()
    path.unlink()
    if damage != "gone":
        contents = {"cut short": content[:-9], "empty": b"", "other": b'[{"counts": 1}, null]'}
        path.write_bytes(contents[damage])
    elif file.startswith("texts"):
        pytest.skip("nothing says then that the pairs were made, and they are made again")
    with pytest.raises(GeochgError) as caught:
        make_language_pairs(tmp_path, 2, GROUNDS)
    assert caught.value.exit_code == 2
    assert str(path) in caught.value.message
    assert str(tmp_path) in caught.value.hint
