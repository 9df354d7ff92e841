"""Sentences of the command line: areas in a unit that shows them, shifts and fields of shifts."""

import pytest
from tile_factory import make_grid

from geochg.features.layer import FeatureLayer, FeatureRow
from geochg.tasks.quantities import listed_area
from geochg.tiling.preparation import Preparation
from geochg.tiling.shift import Shift
from geochg.tiling.shift_field import ShiftField
from geochg_cli.analyze import _in_words
from geochg_cli.info import _in_words as info_words
from geochg_cli.info import _shift_in_words


@pytest.mark.parametrize(
    ("area_m2", "words"),
    [
        (0, "0.0 m²"), (2e-6, "0.02 cm²"), (0.003, "30 cm²"), (0.04, "0.04 m²"), (2.04, "2.0 m²"),
        (99, "99.0 m²"), (12_345, "1.23 ha"),
    ],
)  # fmt: skip
def test_areas_of_a_summary(area_m2, words):
    assert listed_area(area_m2) == words


class _Result:
    """As much of a run's result as its summary tells."""

    zones = None

    class outputs:
        """Where it was written."""

        @staticmethod
        def paths():
            return ["changes.gpkg"]

    def __init__(self, area_m2, count):
        self.layer = FeatureLayer(make_grid((24, 24)))
        row = FeatureRow(
            0, 0, "other", "altered", None, None, 1, None, "", None, area_m2, "", "", b""
        )
        self.layer.add([row] * count)
        tiles = {"changed": 1, "read": 1, "failed": 0, "incomplete": 0, "unparsed": 0}
        self.metadata = {"tiles": tiles, "not_seen_m2": area_m2}


@pytest.mark.parametrize("area_m2", [0.0001, 0.001, 1e-8])
def test_many_tiny_changes_are_not_told_to_be_nothing(area_m2):
    told = _in_words(_Result(area_m2, 204))
    assert "204 changes on" in told
    assert " 0 " not in told
    assert "0.0 m²" not in told


@pytest.mark.parametrize(("km2", "words"), [(2.5, "2.5 km²"), (1e-4, "100 m²"), (4e-9, "40 cm²")])
def test_info_tells_tiny_overlaps(km2, words):
    date = {"path": "a.tif", "driver": "GTiff", "width_px": 9, "height_px": 9, "dtype": "uint8"}
    date |= {"bands": ["red"], "crs": "EPSG:32633", "acquired": "", "validity": "none"}
    grid = {"width_px": 9, "height_px": 9, "pixel_m": 0.01, "overlap_km2": km2, "crs": "EPSG:32633"}
    facts = {"before": date, "after": date, "grid": grid, "bands": ["red"], "remarks": []}
    told = "\n".join(info_words(facts | {"alignment": None, "tiles": 1, "seconds": 1.0}))
    assert f" {words}, EPSG:32633" in told


SHIFT = Shift(3.0, -4.0, 0.1, 7, 9)
FIELD = ShiftField(300, 400, 2, 2, (0.0, 6.0) * 2, (0.0,) * 4, 0.25, 1.5, 30, 40)


@pytest.mark.parametrize(
    ("preparation", "words"),
    [
        (Preparation(), "not measured"),
        (Preparation(SHIFT, corrected=True), "5.00 px (x +3.00, y -4.00"),
        (Preparation(SHIFT), "not corrected"),
        (Preparation(SHIFT, FIELD, corrected=True), "a field of 0.00 to 6.00 px (median x +3.00"),
        (Preparation(SHIFT, FIELD, corrected=True), "30 of 40 windows to 0.25 px (1.50 px with"),
        (Preparation(SHIFT, FIELD), "one shift): not corrected"),
    ],
)
def test_info_tells_shifts_and_fields(preparation, words):
    assert words in _shift_in_words(preparation.alignment(10.0))
