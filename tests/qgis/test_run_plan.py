"""Which runs are resumed, and which areas they and questions take; no worker is started."""

from pathlib import Path

import pytest
from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsVectorLayer

from geochg_qgis.layers.result_layers import RESULT
from geochg_qgis.link.errors import Cancelled, LinkError, Refused
from geochg_qgis.panel.area_widget import SELECTION


class NoTask:
    """Parameters are made as if nobody cancelled."""

    def isCanceled(self):
        return False

    def warn(self, text):
        raise AssertionError(text)


@pytest.fixture
def polygons(pair):
    """A layer with one selected polygon that covers the pair."""
    layer = QgsVectorLayer(f"Polygon?crs={pair[0].crs().authid()}", "polygons", "memory")
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromRect(pair[0].extent()))
    layer.dataProvider().addFeatures([feature])
    layer.selectAll()
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.mark.parametrize(
    ("error", "is_kept"),
    [
        (LinkError("the worker stopped"), True),
        (Cancelled("cancelled"), True),
        (Refused("the journal is of another run"), False),
    ],
)
def test_a_resumed_run_is_forgotten_only_when_refused(qgis_app, monkeypatch, error, is_kept):
    from types import SimpleNamespace

    from geochg_qgis.connection import Connection
    from geochg_qgis.panel import run_controller

    forgotten = []
    monkeypatch.setattr(run_controller, "forget_run", forgotten.append)
    runs = run_controller.RunController(Connection())
    output = Path("c.gpkg").absolute()
    runs._plan = SimpleNamespace(options={"resume": True}, output=output)
    runs._fail(error)
    assert forgotten == ([] if is_kept else [output])


def test_a_result_is_never_the_area(dock, polygons, qgis_iface):
    qgis_iface.setActiveLayer(polygons)
    dock.area.choose(SELECTION)
    assert dock.area.area(*dock.pair.layers()).aoi
    polygons.setCustomProperty(RESULT, True)
    with pytest.raises(LinkError, match="result") as caught:
        dock.area.area(*dock.pair.layers())
    assert caught.value.hint


def test_a_question_needs_no_area(dock, polygons, qgis_iface):
    polygons.removeSelection()
    qgis_iface.setActiveLayer(polygons)
    dock.area.choose(SELECTION)
    with pytest.raises(LinkError):
        dock.choice.pair_parameters()
    parameters = dock.choice.ask_parameters(dock.changes.layer)(NoTask())
    assert parameters["options"]["aoi"] is None
    assert Path(parameters["before"]).stem == "dubai_2015"
