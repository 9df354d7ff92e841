"""The algorithms about a change layer: its table, its sample, and its assessment."""

import csv
import shutil

import pytest
from processing_models import context_of_project
from qgis.core import QgsProcessingException, QgsProcessingFeedback, QgsVectorLayer

UNITS = 60


def run(name, parameters, feedback=None):
    import processing

    context, feedback = context_of_project(), feedback or QgsProcessingFeedback()
    return processing.run(f"geochg:{name}", parameters, context=context, feedback=feedback)


@pytest.fixture
def changes(pair, written, tmp_path):
    return str(shutil.copy(written / "c.gpkg", tmp_path / "c.gpkg"))


def test_a_sample_is_drawn_judged_in_a_table_and_assessed(provider, changes, tmp_path):
    sample, page = str(tmp_path / "s.gpkg"), str(tmp_path / "a.md")
    options = {"UNITS": UNITS, "SEED": 5, "NEAR": 30, "ALLOCATION": 1}
    drawn = run("sample", {"CHANGES": changes, "OUTPUT": sample, **options})
    assert drawn["COUNT"] == UNITS
    layer = QgsVectorLayer(sample, "s", "ogr")
    assert layer.featureCount() == UNITS
    assert not [f for f in layer.fields() if f.name() in ("map", "class", "change")]
    asked = {"SAMPLE": sample, "CHANGES": changes, "OUTPUT": page}
    with pytest.raises(QgsProcessingException, match="has no judgement"):
        run("assess", asked)
    verdicts = tmp_path / "v.csv"
    rows = [["id", "reference_class", "reference_change"]]
    rows += [[unit, "", "unchanged"] for unit in range(1, UNITS + 1)]
    with verdicts.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    found = run("assess", {**asked, "VERDICTS": str(verdicts)})
    assert 0 < found["OVERALL_LOW"] <= found["OVERALL"] <= found["OVERALL_HIGH"] < 1
    assert found["OUTPUT"] == page
    assert "Accuracy" in (tmp_path / "a.md").read_text(encoding="utf-8")


def test_tables_of_a_layer_that_was_reviewed(provider, changes, tmp_path):
    layer = QgsVectorLayer(f"{changes}|layername=changes", "c", "ogr")
    total = layer.featureCount()
    area = sum(feature["area_m2"] for feature in layer.getFeatures())
    table = str(tmp_path / "t.csv")
    found = run("table", {"CHANGES": changes, "TABLE": table})
    assert found == {"COUNT": total, "TABLE": table}
    with open(table, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sum(float(row["area_m2"]) for row in rows) == pytest.approx(area, abs=1)
    with pytest.raises(QgsProcessingException, match="needs zones"):
        run("table", {"CHANGES": changes, "ZONES_TABLE": str(tmp_path / "z.csv")})


def test_what_is_no_layer_of_a_run_is_refused(provider, changes, tmp_path):
    memory = QgsVectorLayer("Polygon?crs=EPSG:4326", "m", "memory")
    request = {"CHANGES": memory, "OUTPUT": str(tmp_path / "s.gpkg")}
    feedback = QgsProcessingFeedback()
    with pytest.raises(QgsProcessingException):
        run("sample", request, feedback)
    assert "no file that the worker can read" in feedback.textLog()
    with pytest.raises(QgsProcessingException, match="is no sample"):
        run("assess", {"SAMPLE": changes, "CHANGES": changes, "OUTPUT": str(tmp_path / "a.md")})
