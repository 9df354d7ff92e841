"""Readings of a result that break off are noticed, and made again."""

import pytest
from qgis.core import QgsFeature, QgsVectorLayer

from geochg_qgis.layers import changes, record_reader
from geochg_qgis.layers.changes import ChangeReader

COUNT = 5


@pytest.fixture
def layer(qgis_new_project):
    layer = QgsVectorLayer("Polygon?crs=EPSG:32640&field=class:string", "result", "memory")
    layer.dataProvider().addFeatures([QgsFeature(layer.fields()) for _ in range(COUNT)])
    return layer


@pytest.fixture
def read(layer, qtbot, monkeypatch):
    """The numbers of changes that each reading gives, where some of them break off."""

    def read(*lengths):
        real, left = changes._changes, list(lengths)

        def broken(target, request):
            records = list(real(target, request))
            return iter(records[: left.pop(0)] if left else records)

        monkeypatch.setattr(changes, "_changes", broken)
        reader, told = ChangeReader(), []
        reader.done.connect(lambda records: told.append(len(records)))
        reader.read(layer)
        qtbot.wait(2 * record_reader._AGAIN_MS)
        qtbot.waitUntil(lambda: not reader._again_timer.isActive())
        qtbot.wait(2 * record_reader._AGAIN_MS)
        return told

    return read


def test_a_whole_reading_is_the_only_one(read):
    assert read() == [COUNT]


def test_what_was_missing_is_read_again(read):
    assert read(2) == [2, COUNT]


def test_twice_the_same_is_what_there_is(read):
    assert read(2, 2) == [2, 2]


def test_a_layer_that_is_gone_is_not_read_again(read, layer, qtbot, monkeypatch):
    reader, told = ChangeReader(), []
    reader.done.connect(lambda records: told.append(len(records)))
    monkeypatch.setattr(changes, "_changes", lambda *_: iter(()))
    reader.read(layer)
    reader.stop()
    qtbot.wait(2 * record_reader._AGAIN_MS)
    assert told == [0]
