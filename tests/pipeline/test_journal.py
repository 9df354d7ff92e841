import sqlite3
from dataclasses import replace

import numpy as np
import pytest
import shapely

from geochg.errors import CancelledRunError, InputError, OptionError, RunError
from geochg.features.tile_results import Ballot, Cell, TileResult, Vote
from geochg.pipeline.journal import Journal, Tallies
from geochg.pipeline.journal_file import journal_path
from geochg.records import Box, Change, Direction, GridCell, PixelWindow, Task
from geochg.tiling.layout import Layout

LAYOUT = Layout(100, 100, 50, 0)
FACTS = {"option a": 1, "option b": [1, 2], "model": "m"}


def result(index, heat=True):
    window = LAYOUT[index]
    ring = shapely.box(1, 2, 30, 40).difference(shapely.box(5, 5, 10, 10))
    cell = Cell("water", Change.APPEARED, 0.123456789, ring, ("top-left", "center-center"), "ä")
    rng = np.random.default_rng(index)
    return TileResult(
        window=window,
        changed=True,
        probability=0.75,
        caption="Wasser: größer “now”",
        counts={"building": 3},
        cells=(cell,),
        heat=rng.integers(0, 255, (50, 50), dtype=np.uint8) if heat else None,
        unparsed=(Task.COUNT,),
    )


def same(one, other):
    assert one.window == other.window
    for name in ("changed", "probability", "caption", "counts", "unparsed"):
        assert getattr(one, name) == getattr(other, name)
    assert [c.polygon.wkb for c in one.cells] == [c.polygon.wkb for c in other.cells]
    assert [c.probability for c in one.cells] == [c.probability for c in other.cells]
    assert [c.grid_cells for c in one.cells] == [c.grid_cells for c in other.cells]
    assert [c.caption for c in one.cells] == [c.caption for c in other.cells]


def begin(path, facts=FACTS, resume=False):
    return Journal.begin(path, LAYOUT, facts, resume=resume)


@pytest.mark.parametrize("on_disk", [True, False])
def test_results_come_back_as_they_went_in_and_in_order(tmp_path, on_disk):
    with begin(tmp_path / "j" if on_disk else None) as journal:
        journal.add([result(3), result(1, heat=False)], [LAYOUT[0]])
        kept = list(journal.results())
        assert journal.finished_tiles() == {0, 1, 3}
        assert journal.skipped_tiles() == [LAYOUT[0]]
    assert [each.window.index for each in kept] == [1, 3]
    same(kept[0], result(1))
    same(kept[1], result(3))


@pytest.mark.parametrize("abstains", [False, True])
def test_ballots_come_back_as_they_went_in(tmp_path, abstains):
    direction = Direction(Change.APPEARED, None)
    box = Box(PixelWindow(-3, 20, 7, 50), GridCell(0, 2), 0.1 + 0.2, direction)
    vote = Vote("water", Change.DISAPPEARED, box)
    valid = np.random.default_rng(0).random((50, 50)) > 0.5
    said_only = Vote("road", Change.ALTERED, Box(PixelWindow(0, 9, 7, 9), GridCell(0, 2), None))
    ballot = Ballot(None if abstains else (vote, said_only), valid)
    with begin(tmp_path / "j") as journal:
        journal.add([replace(result(2), ballot=ballot), result(3)], [])
        voting, plain = journal.results()
    assert plain.ballot is None
    assert voting.ballot.votes == ballot.votes
    assert voting.ballot.valid.dtype == bool
    np.testing.assert_array_equal(voting.ballot.valid, valid)


def test_heat_comes_back_by_its_core(tmp_path):
    with begin(tmp_path / "j") as journal:
        journal.add([result(2), result(1, heat=False)], [])
        ((core, heat),) = journal.heat()
    assert core == LAYOUT[2].core
    assert (heat == result(2).heat).all()


def test_tallies_need_no_reading():
    with begin(None) as journal:
        journal.add([result(2), result(1)], [LAYOUT[0]])
        assert journal.tallies() == Tallies(total=4, read=2, changed=2, unparsed=2, skipped=1)


def test_measurements_are_kept_for_the_next_run(tmp_path):
    path = tmp_path / "j"
    with begin(path) as journal:
        assert journal.measurement("shift") is None
        journal.keep_measured("shift", {"dx": 0.1 + 0.2})
    with begin(path, resume=True) as journal:
        assert journal.measurement("shift") == {"dx": 0.1 + 0.2}


def test_an_error_before_the_first_answer_leaves_no_journal(tmp_path):
    def run():
        with begin(tmp_path / "j") as journal:
            journal.add([], [LAYOUT[0]])
            raise InputError("bad luck")

    with pytest.raises(InputError, match="bad luck"):
        run()
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_run_keeps_what_it_has(tmp_path):
    path = tmp_path / "j"

    def run():
        with begin(path) as journal:
            journal.add([], [LAYOUT[0]])
            raise CancelledRunError("cancelled")

    with pytest.raises(CancelledRunError):
        run()
    with begin(path, resume=True) as journal:
        assert journal.count() == 1


def test_another_programs_database_is_left_alone(tmp_path):
    path = tmp_path / "j"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    content = path.read_bytes()
    with pytest.raises(InputError, match="another program's"):
        begin(path, resume=True)
    assert path.read_bytes() == content


def test_a_damaged_journal_says_so(tmp_path):
    path = tmp_path / "j"
    with begin(path) as journal:
        for index in range(4):
            journal.add([result(index)], [])
    content = bytearray(path.read_bytes())
    content[5000:] = b"\xff" * (len(content) - 5000)
    path.write_bytes(content)

    def run():
        with begin(path, resume=True) as journal:
            return [*journal.results(), *journal.heat()]

    with pytest.raises(InputError, match="cannot use"):
        run()


def test_what_was_added_is_there_after_reopening(tmp_path):
    path = tmp_path / "j"
    with begin(path) as journal:
        journal.add([result(0)], [])
    with begin(path, resume=True) as journal:
        assert journal.count() == 1
        same(next(iter(journal.results())), result(0))
        journal.remove()
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_run_is_named_with_how_far_it_was(tmp_path):
    path = tmp_path / "j"
    with begin(path) as journal:
        journal.add([result(0)], [LAYOUT[1]])
    with pytest.raises(InputError, match="2 of 4 tiles"):
        begin(path)


def test_another_run_is_refused_by_what_differs(tmp_path):
    path = tmp_path / "j"
    begin(path).close()
    with pytest.raises(OptionError, match=r"differs in model \(m, not n\), option b\n"):
        begin(path, {"option a": 1, "option b": [1], "model": "n"}, resume=True)


def test_a_journal_that_died_before_its_first_word_starts_anew(tmp_path):
    path = tmp_path / "j"
    path.touch()
    with begin(path) as journal:
        assert journal.count() == 0


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    path = tmp_path / "j"
    path.write_text("something else altogether, long enough to be read as a header" * 20)
    with pytest.raises(InputError, match="cannot use the journal"):
        begin(path, resume=True)
    assert path.read_text().startswith("something else")


def test_a_batch_is_added_whole_or_not_at_all(tmp_path, monkeypatch):
    with begin(tmp_path / "j") as journal:
        journal.add([result(0)], [])
        broken = result(1)
        object.__setattr__(broken, "probability", object())
        with pytest.raises(TypeError):
            journal.add([result(2), broken], [])
        assert journal.finished_tiles() == {0}


def test_a_full_disk_says_so_and_keeps_what_was_done(tmp_path):
    with begin(tmp_path / "j") as journal:
        journal.add([result(0)], [])
        journal._database.execute("PRAGMA max_page_count = 1")
        with pytest.raises(RunError, match="full") as caught:
            journal.add([result(index) for index in (1, 2, 3)], [])
        assert "--resume" in caught.value.hint
    with begin(tmp_path / "j", resume=True) as journal:
        assert journal.finished_tiles() == {0}


def test_the_journal_lies_beside_the_output(tmp_path):
    assert journal_path(tmp_path / "c.geojson") == tmp_path / "c.geojson.journal"


def test_the_file_is_a_database_others_can_read(tmp_path):
    path = tmp_path / "j"
    with begin(path) as journal:
        journal.add([result(0)], [])
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM tile").fetchone() == (1,)
