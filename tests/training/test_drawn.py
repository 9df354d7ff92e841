import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from geochg.datasets.world import WorldOptions, scene
from geochg.errors import InputError
from geochg.training import drawn
from geochg.training.drawn import draw

OPTIONS = WorldOptions(size_px=64)


def test_drawn_pairs_are_the_worlds(tmp_path):
    pairs = draw(tmp_path, 3, OPTIONS, first_seed=40)
    assert len(pairs) == 3
    for index in range(3):
        truth, pair = scene(40 + index, OPTIONS), pairs[index]
        for name in ("before", "after", "classes", "directions"):
            assert (getattr(pair, name) == getattr(truth, name)).all()
        assert {(c, d): n for c, d, n in pair.counts} == {
            (c, str(d)): n for (c, d), n in truth.counts.items()
        }
        tasks = [task for task, _, _ in pair.turns]
        assert {"caption", "presence", "count", "locate", "dialogue", "question"} <= set(tasks)
        assert all(question and answer for _, question, answer in pair.turns)


def test_an_interrupted_drawing_goes_on_to_the_same_pairs(tmp_path, monkeypatch):
    monkeypatch.setattr(drawn, "_CHUNK", 2)
    whole = draw(tmp_path / "whole", 6, OPTIONS)

    def stop(done, total):
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path / "part", 6, OPTIONS, progress=stop)
    assert len(drawn.DrawnPairs(tmp_path / "part")) == 4
    seen = []
    part = draw(tmp_path / "part", 6, OPTIONS, progress=lambda done, total: seen.append(done))
    assert seen == [6]
    for index in range(6):
        assert (part[index].after == whole[index].after).all()
        assert json.dumps(part[index].turns) == json.dumps(whole[index].turns)


def test_a_folder_of_other_pairs_is_refused(tmp_path):
    draw(tmp_path, 1, OPTIONS)
    with pytest.raises(InputError, match="drawn otherwise"):
        draw(tmp_path, 1, WorldOptions(size_px=96))


def test_arrays_are_uint8(tmp_path):
    pair = draw(tmp_path, 1, OPTIONS)[0]
    assert {array.dtype for array in pair[:4]} == {np.dtype(np.uint8)}


def test_what_was_being_written_when_a_drawing_was_killed_is_drawn_again(tmp_path, monkeypatch):
    monkeypatch.setattr(drawn, "_CHUNK", 2)
    write = Path.write_text

    def killed(path, text, *args, **kwargs):
        if path.name.endswith("1.json"):
            write(path, text[:20], *args, **kwargs)
            raise KeyboardInterrupt
        return write(path, text, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            draw(tmp_path, 4, OPTIONS)
    assert len(drawn.DrawnPairs(tmp_path)) == 2
    pairs = draw(tmp_path, 4, OPTIONS)
    assert [bool(pairs[index].turns) for index in range(4)] == [True] * 4


def test_a_spawned_process_is_sent_a_path_and_no_pixels(tmp_path):
    pairs = draw(tmp_path, 2, OPTIONS)
    assert pairs[1].before.size
    sent = pickle.dumps(pairs)
    assert len(sent) < 1000
    assert (pickle.loads(sent)[1].before == pairs[1].before).all()
