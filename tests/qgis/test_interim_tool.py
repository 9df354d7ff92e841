"""Tools that stand in for the map's tool give it back, where it is still there."""

import pytest
from qgis.gui import QgsMapToolPan
from qgis.PyQt import sip

from geochg_qgis.panel.shape_tool import ShapeTool


@pytest.fixture
def tool(qgis_iface):
    tool = ShapeTool(qgis_iface.mapCanvas())
    yield tool
    qgis_iface.mapCanvas().unsetMapTool(tool)


def test_the_former_tool_comes_back(tool):
    canvas = tool.canvas()
    former = QgsMapToolPan(canvas)
    canvas.setMapTool(former)
    tool.begin(is_polygon=True)
    tool.begin(is_polygon=False)
    assert canvas.mapTool() is tool
    tool.end()
    assert canvas.mapTool() is former
    canvas.unsetMapTool(former)


def test_one_that_is_gone_does_not(tool):
    canvas = tool.canvas()
    former = QgsMapToolPan(canvas)
    canvas.setMapTool(former)
    tool.begin(is_polygon=True)
    sip.delete(former)
    tool.end()
    assert canvas.mapTool() is None
