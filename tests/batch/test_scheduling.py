"""Scenes are handed out until each is done, or has failed as often as it may."""

from collections import deque
from threading import Event as Flag

import pytest

from geochg.batch import scheduling
from geochg.batch.scene_checks import BatchScene
from geochg.batch.scene_pool import SceneProgress
from geochg.batch.scene_runner import SceneOutcome, SceneState, SceneTask
from geochg.batch.scheduling import run_scenes
from geochg.errors import CancelledRunError
from geochg.events import Progress
from geochg.options import AnalyzeOptions


class ScriptedPool:
    """Gives each scene the outcomes that are written down for it, one an attempt."""

    def __init__(self, outcomes, room=2):
        self.outcomes = {name: deque(states) for name, states in outcomes.items()}
        self.room, self.running, self.begun, self.most = room, [], [], 0
        self.is_stopped = False

    def has_room(self):
        return len(self.running) < self.room

    def submit(self, task):
        assert task.scene.id not in self.running
        self.running.append(task.scene.id)
        self.begun.append(task.scene.id)
        self.most = max(self.most, len(self.running))

    def messages(self, timeout_s):
        if self.running:
            name = self.running.pop(0)
            yield SceneProgress(name, 1, 4)
            states = self.outcomes.get(name) or deque([SceneState.DONE])
            state = SceneState.CANCELLED if self.is_stopped else states.popleft()
            is_permanent = state == "permanent"
            state = SceneState.FAILED if is_permanent else state
            yield SceneOutcome(name, state, "because", is_permanent, {"n": name})

    def stop(self):
        self.is_stopped = True

    def close(self):
        pass


def run(names, pool, tmp_path, retries=1, listener=lambda event: None, cancel=None):
    options = AnalyzeOptions()
    tasks = [SceneTask(tmp_path, BatchScene(name, "a", "b", options)) for name in names]
    finished = []
    run_scenes(tasks, pool, retries, finished.append, listener, cancel or Flag(), total=len(tasks))
    return {item.outcome.id: (item.outcome.state, item.attempts) for item in finished}


FAILED, DONE, HELD = SceneState.FAILED, SceneState.DONE, SceneState.HELD


def test_a_scene_that_fails_is_tried_again_after_the_others(tmp_path):
    pool = ScriptedPool({"a": [FAILED, DONE], "c": [FAILED, FAILED]}, room=1)
    assert run("abc", pool, tmp_path) == {"a": (DONE, 2), "b": (DONE, 1), "c": (FAILED, 2)}
    assert pool.begun == ["a", "b", "c", "a", "c"]


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (3, 4)])
def test_a_scene_fails_as_often_as_it_is_told(tmp_path, retries, attempts):
    pool = ScriptedPool({"a": [FAILED] * 9})
    assert run("a", pool, tmp_path, retries) == {"a": (FAILED, attempts)}


def test_what_would_fail_in_the_same_way_is_not_tried_again(tmp_path):
    assert run("ab", ScriptedPool({"a": ["permanent"]}), tmp_path, 5)["a"] == (FAILED, 1)


def test_a_scene_that_another_process_holds_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(scheduling, "HELD_PAUSE_S", 0.0)
    pool = ScriptedPool({"a": [HELD] * 5 + [DONE]})
    assert run("ab", pool, tmp_path, 0) == {"a": (DONE, 1), "b": (DONE, 1)}
    monkeypatch.setattr(scheduling, "MOST_HELD_S", -1.0)
    assert run("a", ScriptedPool({"a": [HELD] * 5}), tmp_path, 1) == {"a": (HELD, 2)}


def test_no_more_are_handed_out_than_there_is_room(tmp_path):
    pool = ScriptedPool({}, room=3)
    assert len(run("abcdefgh", pool, tmp_path)) == 8
    assert pool.most == 3


def test_progress_is_told_in_scenes_and_in_tiles(tmp_path):
    events = []
    run("abc", ScriptedPool({}), tmp_path, listener=events.append)
    scenes = [event.done for event in events if event.stage == "batch"]
    assert scenes == [0, 1, 2, 3]
    assert Progress("tiles", 1, 4) in events


def test_cancelled_scenes_stop_and_what_was_done_meanwhile_counts(tmp_path):
    cancel, events = Flag(), []

    def listen(event):
        events.append(event)
        if isinstance(event, Progress) and event.stage == "batch" and event.done == 1:
            cancel.set()

    pool = ScriptedPool({}, room=2)
    with pytest.raises(CancelledRunError):
        run("abcd", pool, tmp_path, listener=listen, cancel=cancel)
    assert pool.is_stopped
    assert not pool.running
    assert len(pool.begun) < 4
