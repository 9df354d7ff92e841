"""Areas, however far they reach, brought to the pair."""

import pytest
from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry, QgsRasterLayer, QgsRectangle

from geochg_qgis.layers.extents import aoi_parameter, area_of_interest, crs_parameter, shared_extent
from geochg_qgis.link.errors import LinkError
from geochg_qgis.panel.area_widget import VIEW

DUBAI = QgsRectangle(320_000, 2_760_000, 340_000, 2_780_000)
FIJI = QgsRectangle(800_000, 8_000_000, 880_000, 8_060_000)
"""Across the antimeridian."""


def crs(code):
    return QgsCoordinateReferenceSystem(code)


def share(rectangle, code, ground, ground_code):
    """The share of the ground that an area covers."""
    area = area_of_interest(QgsGeometry.fromRect(rectangle), crs(code), ground, crs(ground_code))
    whole = QgsGeometry.fromRect(ground)
    return area.intersection(whole).area() / whole.area()


@pytest.mark.parametrize(
    ("code", "half_width"),
    [
        ("EPSG:3857", 6e7),
        ("EPSG:4326", 400),
        ("EPSG:3031", 4e7),  # the other pole
        ("EPSG:3995", 4e7),
        ("EPSG:32633", 6e7),
        ("EPSG:32640", 6e7),
    ],
)
@pytest.mark.parametrize("ground", [(DUBAI, "EPSG:32640"), (FIJI, "EPSG:32760")])
def test_a_view_of_the_whole_world_covers_the_pair(code, half_width, ground):
    world = QgsRectangle(-half_width, -half_width, half_width, half_width)
    assert share(world, code, *ground) == pytest.approx(1)


def test_a_wide_view_is_cut_where_it_ends():
    # The meridian of 55.3 degrees parts the ground.
    wide = QgsRectangle(-400, -200, 55.3, 200)
    west = share(wide, "EPSG:4326", DUBAI, "EPSG:32640")
    east = share(QgsRectangle(55.3, -200, 400, 200), "EPSG:4326", DUBAI, "EPSG:32640")
    assert 0.3 < west < 0.7
    assert west + east == pytest.approx(1, abs=1e-4)


def test_an_area_beside_the_antimeridian_is_a_part():
    area = QgsRectangle(179, -19, 180, -17)
    assert 0.1 < share(area, "EPSG:4326", FIJI, "EPSG:32760") < 0.5


def test_an_area_elsewhere_is_refused():
    with pytest.raises(LinkError, match="outside") as caught:
        share(QgsRectangle(0, 0, 1, 1), "EPSG:4326", DUBAI, "EPSG:32640")
    assert caught.value.hint


def test_an_area_in_the_same_crs_stays_as_it_is(qgis_app):
    inner = QgsRectangle(322_000, 2_762_000, 330_000, 2_770_000)
    area = area_of_interest(
        QgsGeometry.fromRect(inner), crs("EPSG:32640"), DUBAI, crs("EPSG:32640")
    )
    assert area.boundingBox() == inner
    assert aoi_parameter(area, crs("EPSG:32640")).startswith("EPSG:32640;Polygon")


def test_a_custom_crs_goes_along_as_wkt(qgis_app):
    custom = QgsCoordinateReferenceSystem()
    custom.createFromProj("+proj=laea +lat_0=25 +lon_0=55 +datum=WGS84")
    assert crs_parameter(custom).startswith("PROJCRS")


def test_a_layer_as_wide_as_the_world_overlaps(pair):
    world = QgsRasterLayer(
        "type=xyz&url=http://localhost/{z}/{x}/{y}.png&zmax=0&zmin=0", "world", "wms"
    )
    utm = QgsRasterLayer(pair[0].source(), "utm")
    shared = shared_extent(utm, world)
    assert shared.width() == pytest.approx(utm.extent().width(), rel=0.01)
    assert shared_extent(world, utm).area() > 0


def test_panning_looks_at_the_pair_anew(dock, qtbot, qgis_iface, pair):
    canvas = qgis_iface.mapCanvas()
    canvas.setDestinationCrs(crs("EPSG:3857"))
    canvas.setExtent(QgsRectangle(-6e7, -6e7, 6e7, 6e7))
    dock.options.model.setEditText("cva")
    dock.area.choose(VIEW)
    world = dock.area.area(*dock.pair.layers())
    assert world.bounds == dock.pair.layers()[0].extent().intersect(world.bounds)
    looks = []
    dock._describe_later.timeout.connect(lambda: looks.append(dock.area.area(*dock.pair.layers())))
    with qtbot.waitSignal(dock._describe_later.timeout, timeout=5000):
        canvas.setExtent(QgsRectangle(6_144_000, 2_880_000, 6_147_000, 2_883_000))
        canvas.setExtent(QgsRectangle(6_144_000, 2_880_000, 6_146_000, 2_882_000))
    assert len(looks) == 1
    assert looks[0].bounds.area() < world.bounds.area() / 4
    dock.area.choose("overlap")
    dock._describe_later.stop()
    canvas.setExtent(QgsRectangle(6_144_000, 2_880_000, 6_145_000, 2_881_000))
    assert not dock._describe_later.isActive()
