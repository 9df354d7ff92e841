import threading

import pytest
from tile_factory import layout, make_tile

from geochg.errors import CancelledRunError
from geochg.pipeline.batching import answered_ahead
from geochg.records import TileFailure

TILES = [make_tile(window) for window in layout(4, 5, 8)]


def indexes(batch):
    return [tile.window.index for tile in batch]


def answers_about(tiles):
    return [[index] for index in indexes(tiles)]


def test_tiles_come_in_order_with_the_answers_about_them():
    found = list(answered_ahead(iter(TILES), 7, answers_about))
    assert [len(batch) for batch, _ in found] == [2, 7, 7, 4]
    assert [index for batch, _ in found for index in indexes(batch)] == list(range(20))
    assert all(answers_about(batch) == answers for batch, answers in found)


def test_the_first_batches_are_small_so_that_results_come_soon():
    many = [make_tile(window) for window in layout(10, 20, 2)]
    found = list(answered_ahead(iter(many), 64, answers_about))
    assert [len(batch) for batch, _ in found] == [2, 8, 16, 32, 64, 64, 14]


def test_what_could_not_be_read_is_passed_on_and_not_asked_about():
    broken = TileFailure(TILES[1].window, "unreadable")
    (first, second) = answered_ahead(iter([TILES[0], broken, TILES[2]]), 8, answers_about)
    assert first.batch[1] is broken
    assert (first.answers, second.answers) == ([[0]], [[2]])


def test_nothing_is_asked_when_nothing_was_read():
    asked = []
    broken = [TileFailure(tile.window, "unreadable") for tile in TILES[:4]]
    assert [answers for _, answers in answered_ahead(iter(broken), 2, asked.append)] == [[], []]
    assert not asked


def test_a_batch_is_answered_while_the_one_before_is_worked_on():
    started = [threading.Event() for _ in TILES]

    def ask(tiles):
        started[tiles[0].window.index].set()
        return answers_about(tiles)

    working = answered_ahead(iter(TILES), 1, ask)
    next(working)
    assert started[1].wait(5), "the second batch waits for the caller to finish with the first"
    working.close()


def test_at_most_one_batch_is_ahead_of_the_caller():
    asked = []
    working = answered_ahead(iter(TILES), 1, lambda tiles: asked.append(tiles[0]) or [[]])
    next(working)
    working.close()
    assert len(asked) == 2


def test_a_model_that_failed_is_not_asked_again():
    asked = []

    def failing(tiles):
        asked.append(tiles)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(answered_ahead(iter(TILES), 2, failing))
    assert len(asked) == 1


def test_what_is_being_answered_when_a_run_is_cancelled_is_kept():
    def cancelled_after(count):
        yield from TILES[:count]
        raise CancelledRunError("cancelled", "")

    working = answered_ahead(cancelled_after(3), 2, answers_about)
    assert next(working).answers == [[0], [1]]
    with pytest.raises(CancelledRunError):
        next(working)


def test_no_thread_outlives_a_caller_that_stops():
    working = answered_ahead(iter(TILES), 2, answers_about)
    next(working)
    working.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("geochg-model")]
