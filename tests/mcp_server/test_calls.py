"""Calls under way: cancelled, several at once, and the model that is kept between them."""

import time
from concurrent.futures import CancelledError

import pytest

PAIR = {"before": "before.tif", "after": "after.tif"}
PART = {"aoi": "EPSG:32633;500000,4999000,501500,5000000", "picture": False}


def wait_until(is_so, timeout_s=30):
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_cancelled_run_stops_at_the_next_tile_and_goes_on_later(slow_server):
    progress = []
    call = slow_server.start("analyze", {**PAIR, **PART, "output": "cut.gpkg"}, progress)
    wait_until(lambda: any(message.startswith("tiles: 2") for _, message in progress))
    call.cancel()
    with pytest.raises(CancelledError):
        call.result(5)
    # The next call waits for the tile under way only.
    assert slow_server.answer("info")["folders"]
    assert (slow_server.folder / "cut.gpkg.journal").exists()
    assert not (slow_server.folder / "cut.gpkg").exists()
    progress.clear()
    values = slow_server.answer("analyze", progress, **PAIR, **PART, output="cut.gpkg", resume=True)
    assert values["features"]["count"] == 1
    first = next(message for _, message in progress if message.startswith("tiles"))
    assert not first.startswith("tiles: 0 of")


def test_of_two_calls_at_once_one_waits_and_says_so(slow_server):
    notes = [], []
    calls = [
        slow_server.start("analyze", {**PAIR, **PART, "output": f"{n}.gpkg"}, notes[n])
        for n in (0, 1)
    ]
    results = [call.result(60) for call in calls]
    assert [result.is_error for result in results] == [False, False]
    waiting = [note for note in notes if note and note[0][1].startswith("waiting")]
    assert len(waiting) == 1
    assert waiting[0][0][0] < waiting[0][1][0]


def test_a_call_that_waits_can_be_cancelled(slow_server):
    first = slow_server.start("analyze", {**PAIR, **PART, "output": "w0.gpkg"})
    notes = []
    second = slow_server.start("analyze", {**PAIR, **PART, "output": "w1.gpkg"}, notes)
    wait_until(lambda: notes)
    second.cancel()
    assert first.result(60).is_error is False
    assert slow_server.answer("info")["folders"]
    assert not (slow_server.folder / "w1.gpkg").exists()
