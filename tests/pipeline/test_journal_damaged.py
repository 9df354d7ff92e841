"""Journals that someone has changed or that lay on a broken disk."""

import json
import sqlite3
import zlib
from contextlib import closing

import numpy as np
import pytest
import shapely

from geochg.errors import InputError
from geochg.features.tile_results import Ballot, Cell, TileResult, Vote
from geochg.pipeline.journal import Journal
from geochg.pipeline.journal_kinds import CHANGES, CHANGES_OF_OUTLINES
from geochg.records import Box, Change, GridCell, PixelWindow
from geochg.tiling.layout import Layout
from geochg.tiling.preparation import Preparation
from geochg.tiling.radiometry import RadiometricMatch, Stretch
from geochg.tiling.shift import Shift
from geochg.tiling.shift_field import ShiftField

LAYOUT = Layout(100, 100, 50, 0)
FACTS = {"option": 1}


def result():
    cell = Cell("water", Change.APPEARED, 0.5, shapely.box(1, 2, 30, 40), ("top-left",), "new")
    box = Box(PixelWindow(0, 20, 0, 50), GridCell(0, 2), 0.5)
    return TileResult(
        window=LAYOUT[0],
        changed=True,
        probability=0.75,
        caption="a lake",
        counts={"building": 3},
        cells=(cell,),
        heat=np.zeros((50, 50), np.uint8),
        unparsed=(),
        ballot=Ballot((Vote("water", Change.ALTERED, box),), np.ones((50, 50), bool)),
    )


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "o.gpkg.journal"
    with Journal.begin(path, LAYOUT, FACTS, resume=False) as journal:
        journal.add([result()], [LAYOUT[1]])
        journal.keep_measured("preparation", Preparation().to_dict())
    return path


def resume(path, kind=CHANGES):
    with Journal.begin(path, LAYOUT, FACTS, resume=True, kind=kind) as journal:
        return list(journal.results()), list(journal.heat()), journal.measurement("preparation")


def run(path, *statements):
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(*([statement] if isinstance(statement, str) else statement))
        database.commit()


def refused(path, kind=CHANGES):
    content = path.read_bytes()
    with pytest.raises(InputError, match="cannot use the journal") as caught:
        resume(path, kind)
    assert "o.gpkg.journal" in str(caught.value)
    assert path.read_bytes() == content


def test_an_untouched_journal(path):
    results, heat, _ = resume(path)
    assert len(results) == len(heat) == 1


def cell(**values):
    return lambda record: record["cells"][0].update(values)


def vote(place, value):
    return lambda record: record["votes"][0].__setitem__(place, value)


RECORDS = {
    "class": cell(**{"class": "<b>gold</b>"}),
    "class that cannot be looked up": cell(**{"class": ["water"]}),
    "change": cell(change="stolen"),
    "no shape": cell(polygon="zz"),
    "no text for a shape": cell(polygon=7),
    "point": cell(polygon=shapely.Point(1, 1).wkb_hex),
    "empty shape": cell(polygon=shapely.Polygon().wkb_hex),
    "far shape": cell(polygon=shapely.box(1000, 1000, 1010, 1010).wkb_hex),
    "shape of a neighbour": cell(polygon=shapely.box(40, 0, 60, 10).wkb_hex),
    "bow": cell(polygon=shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)]).wkb_hex),
    "NaN in a shape": cell(polygon=shapely.Polygon([(0, 0), (9, float("nan")), (9, 0)]).wkb_hex),
    "probability of 7": cell(probability=7),
    "probability of everything": cell(probability=10**400),
    "probability that is true": cell(probability=True),
    "probability of NaN": cell(probability=float("nan")),
    "probability in words": cell(probability="very"),
    "no probability": cell(probability=[]),
    "probability of the direction": cell(change_probability=1.5),
    "caption": cell(caption=5),
    "zones": cell(grid_cells=["<script>"]),
    "zones of no kind": cell(grid_cells=3),
    "ground": cell(ground=[[1], [-1], ["x"]]),
    "cells": lambda record: record.update(cells=5),
    "no cells": lambda record: record.pop("cells"),
    "changed": lambda record: record.update(changed="no"),
    "task": lambda record: record.update(unparsed=["gold"]),
    "counts in words": lambda record: record.update(counts={"building": "many"}),
    "count below zero": lambda record: record.update(counts={"building": -1}),
    "count of everything": lambda record: record.update(counts={"building": 10**400}),
    "counts of a foreign class": lambda record: record.update(counts={"<b>": 1}),
    "missing": lambda record: record.update(missing={"gold": "x"}),
    "pixels": lambda record: record.update(valid_px=10**9),
    "calibration": lambda record: record.update(calibration=[[0.5, 0.1], [0.1, 0.2]]),
    "vote for a foreign class": vote(0, "gold"),
    "vote outside": vote(2, [0, 20, 0, 5000]),
    "vote of no size": vote(2, [20, 20, 0, 5]),
    "vote in no cell": vote(3, [5, 5]),
    "vote of 7": vote(4, 7),
    "votes": lambda record: record.update(votes=3),
}


def edit_record(path, edit):
    with closing(sqlite3.connect(path)) as database:
        ((text,),) = database.execute("SELECT record FROM tile WHERE record IS NOT NULL")
    record = json.loads(text)
    edit(record)
    run(path, ("UPDATE tile SET record = ? WHERE record IS NOT NULL", (json.dumps(record),)))


@pytest.mark.parametrize("name", RECORDS)
def test_what_no_run_can_have_said(path, name):
    edit_record(path, RECORDS[name])
    refused(path)


def test_only_models_that_measure_each_shape_cannot_have_left_a_probability_out(path):
    assert resume(path, CHANGES_OF_OUTLINES)[0][0].cells[0].probability == 0.5
    edit_record(path, cell(probability=None))
    assert resume(path)[0][0].cells[0].probability is None
    refused(path, CHANGES_OF_OUTLINES)


STATEMENTS = [
    ["UPDATE tile SET record = 'x{' WHERE record IS NOT NULL"],
    ["UPDATE tile SET record = '[]' WHERE record IS NOT NULL"],
    [("UPDATE tile SET record = ? WHERE record IS NOT NULL", ("[" * 100_000,))],
    [("UPDATE tile SET record = ? WHERE record IS NOT NULL", (b"\xff\xfe",))],
    ["UPDATE tile SET number = 999 WHERE record IS NOT NULL"],
    ["UPDATE tile SET number = -1 WHERE record IS NOT NULL"],
    ["UPDATE tile SET changed = 5 WHERE record IS NOT NULL"],
    ["UPDATE tile SET changed = 'yes' WHERE record IS NOT NULL"],
    [("UPDATE tile SET heat = ?", (b"nonsense",))],
    [("UPDATE tile SET heat = ?", (zlib.compress(b"abc"),))],
    [("UPDATE tile SET heat = ? WHERE heat IS NOT NULL", (zlib.compress(bytes(10**8)),))],
    [("UPDATE tile SET valid = ? WHERE valid IS NOT NULL", (zlib.compress(b"abc"),))],
    ["UPDATE tile SET heat = 'words' WHERE heat IS NOT NULL"],
    ["UPDATE tile SET not_seen = -5 WHERE record IS NOT NULL"],
    [f"UPDATE tile SET not_seen = {10**12} WHERE record IS NOT NULL"],
    ["UPDATE tile SET not_seen = 'x' WHERE record IS NOT NULL"],
    ["DELETE FROM run"],
    ["INSERT INTO run SELECT * FROM run"],
    ["UPDATE run SET fingerprint = '{'"],
    ["UPDATE run SET fingerprint = '[]'"],
    ["UPDATE measured SET value = '{'"],
    ["UPDATE measured SET value = '[]'"],
    ["DROP TABLE tile"],
    ["ALTER TABLE tile RENAME COLUMN record TO record2"],
    ["ALTER TABLE tile ADD COLUMN gold TEXT"],
    ["CREATE TABLE gold (x)"],
    ["CREATE TRIGGER t AFTER INSERT ON tile BEGIN UPDATE tile SET record = NULL; END"],
    ["CREATE TRIGGER t AFTER INSERT ON measured BEGIN DELETE FROM tile; END"],
    ["ALTER TABLE tile RENAME TO t2", "CREATE VIEW tile AS SELECT * FROM t2"],
    [
        "ALTER TABLE tile RENAME TO t2",
        "CREATE VIEW tile AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
        " SELECT x AS number, 0 AS changed, 0 AS unparsed, NULL AS record, NULL AS heat FROM c",
    ],
    ["CREATE INDEX i ON tile(abs(number))"],
    ["PRAGMA application_id = 1"],
]


@pytest.mark.parametrize("statements", STATEMENTS, ids=lambda each: str(each[0])[:60])
def test_what_no_run_can_have_written(path, statements):
    run(path, *statements)
    refused(path)


@pytest.mark.parametrize(
    "content",
    [bytes(range(256)) * 40, b"hello\n" * 100, b"SQLite format 3\0" + bytes(84)],
    ids=["bytes", "text", "a head alone"],
)
def test_what_is_no_journal_at_all(path, content):
    path.write_bytes(content)
    refused(path)


def test_pages_that_are_overwritten(path):
    run(path, "VACUUM")
    content = bytearray(path.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 + 8 : page * 4096 + 200] = b"\xa5" * 192
    path.write_bytes(content)
    refused(path)


def test_a_folder_and_a_link_are_left_alone(tmp_path):
    place, precious = tmp_path / "j", tmp_path / "precious.txt"
    precious.write_text("")
    for make in (place.mkdir, lambda: place.symlink_to(precious)):
        make()
        with pytest.raises(InputError, match="no journal"):
            resume(place)
        assert place.exists()
        place.unlink() if place.is_symlink() else place.rmdir()
    assert precious.read_text() == ""


def test_a_journal_that_cannot_begin_leaves_nothing(tmp_path, monkeypatch):
    def fail(self, fingerprint):
        raise InputError("no room")

    monkeypatch.setattr(Journal, "_start", fail)
    with pytest.raises(InputError, match="no room"):
        Journal.begin(tmp_path / "j", LAYOUT, FACTS, resume=False)
    assert list(tmp_path.iterdir()) == []


def test_folders_without_locks(tmp_path, monkeypatch):
    """Locks fail as on a share: a run goes on without them."""
    import geochg.pipeline.journal_file as room

    real = room.open_database

    def open_database(path, mode="rw", *, locks=True, wait_s=0.0):
        if locks:
            raise sqlite3.OperationalError("database is locked")
        return real(path, mode, locks=False)

    monkeypatch.setattr(room, "open_database", open_database)
    monkeypatch.setattr(room, "has_locks", lambda folder: False)
    path = tmp_path / "j"
    with Journal.begin(path, LAYOUT, FACTS, resume=False) as journal:
        assert not journal.has_locks
        journal.add([result()], [])
    with Journal.begin(path, LAYOUT, FACTS, resume=True) as journal:
        assert journal.finished_tiles() == {0}
        journal.remove()
    assert list(tmp_path.iterdir()) == []


# --- what was measured ---------------------------------------------------------------------------

PREPARATION = Preparation(
    Shift(0.5, 0.25, 0.1, 9, 9),
    ShiftField(300, 400, 2, 2, (0.5, 0.1 + 0.2, 1.5, 2.0), (0.0,) * 4, 0.1, 1.0, 30, 40),
    corrected=True,
    match=RadiometricMatch((1.0,), (0.0,), (0.9,), 0.5),
    stretches=(Stretch((0.0,), (1.0,)), Stretch((0.0,), (1.0,))),
)


def test_measurements_come_back():
    kept = json.loads(json.dumps(PREPARATION.to_dict()))
    assert Preparation.from_dict(kept) == PREPARATION


CHANGES = {
    "gold": lambda kept: kept.update(gold=1),
    "no shift": lambda kept: kept.pop("shift"),
    "a list": lambda kept: kept.update(shift=[1]),
    "words": lambda kept: kept["shift"].update(dx_px="far"),
    "NaN": lambda kept: kept["shift"].update(dx_px=float("nan")),
    "no field": lambda kept: kept.pop("field"),
    "a bent field": lambda kept: kept["field"]["dx_px"].pop(),
    "a field of words": lambda kept: kept["field"].update(dx_px=["far"] * 4),
    "a field without an end": lambda kept: kept["field"]["dy_px"].append(float("inf")),
    "more": lambda kept: kept["match"].update(gold=1),
    "half": lambda kept: kept["match"].update(gain=[None]),
    "one stretch": lambda kept: kept.update(stretches=[kept["stretches"][0]]),
    "corrected": lambda kept: kept.update(corrected="yes"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_measurements_that_are_none(name):
    kept = json.loads(json.dumps(PREPARATION.to_dict()))
    CHANGES[name](kept)
    with pytest.raises(ValueError, match=r"\S"):
        Preparation.from_dict(kept)
