"""The land cover of both dates in the list and in the legend."""

import pytest
from qgis.core import QgsFeature, QgsGeometry, QgsRectangle, QgsVectorLayer

from geochg_qgis.layers.changes import ChangeRecord, changes_of
from geochg_qgis.layers.style import apply_style
from geochg_qgis.panel.change_table_model import COVER, ChangeTableModel
from geochg_qgis.panel.change_table_widget import ChangeTableWidget

ROWS = [
    ("building", "appeared", "low plants", "building"),
    ("building", "appeared", "bare", "building"),
    ("building", "disappeared", "building", None),
    ("water", "altered", None, None),
]


@pytest.fixture
def layer(qgis_app):
    fields = "field=class:string&field=change:string&field=area_m2:double&field=confidence:double"
    covers = "field=caption:string&field=before_class:string&field=after_class:string"
    made = QgsVectorLayer(f"Polygon?crs=EPSG:32633&{fields}&{covers}", "changes", "memory")
    features = []
    for number, (name, change, before, after) in enumerate(ROWS):
        feature = QgsFeature(made.fields())
        feature.setAttributes([name, change, 10.0, 0.5, "words", before, after])
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(number, 0, number + 1, 1)))
        features.append(feature)
    made.dataProvider().addFeatures(features)
    return made


def test_the_legend_says_what_was_there_before(layer):
    apply_style(layer)
    labels = [category.label() for category in layer.renderer().categories()]
    assert labels == [
        "building appeared (was bare, low plants)",
        "building disappeared",
        "water altered",
    ]


def test_the_list_says_what_the_ground_was_and_is(layer):
    changes = changes_of(layer, [feature.id() for feature in layer.getFeatures()])
    model = ChangeTableModel()
    table = ChangeTableWidget(model)
    model.set_records([ChangeRecord(*change[:7]) for change in changes])
    assert table.isColumnHidden(COVER)
    model.set_records(changes)
    assert not table.isColumnHidden(COVER)
    shown = {model.index(row, COVER).data() for row in range(model.rowCount())}
    assert shown == {"low plants\n→ building", "bare\n→ building", "building\n→ ?", ""}
    model.set_filter_text("low plants")
    assert model.rowCount() == 1
