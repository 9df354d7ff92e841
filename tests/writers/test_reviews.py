"""A layer with decisions of people is replaced only where they say so."""

import geopandas
import pytest
import shapely

from geochg.errors import InputError
from geochg.writers.checks import Output, check_outputs
from geochg.writers.layers import write_frames

NAMES = ("changes.gpkg", "changes.geojson", "changes.fgb", "changes.parquet")


def write_layer(path, **columns):
    boxes = [shapely.box(number, 0, number + 1, 1) for number in range(3)]
    frame = geopandas.GeoDataFrame({"id": [1, 2, 3], **columns}, geometry=boxes, crs="EPSG:4326")
    write_frames([frame], path, {"version": "1"}, layer="changes")
    return Output(path, (path.suffix,), "changes")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"review": ["accepted", None, "rejected"]}, "2 reviewed changes"),
        ({"review": [None, None, "accepted"], "source": [None, "hand", None]}, "2 reviewed"),
        ({"source": [None, "hand", None]}, "a reviewed change"),
    ],
)
def test_a_reviewed_layer_is_kept_unless_told_otherwise(tmp_path, name, columns, message):
    output = write_layer(tmp_path / name, **columns)
    with pytest.raises(InputError, match=message) as caught:
        check_outputs([output], [])
    assert "--overwrite" in caught.value.hint
    check_outputs([output], [], overwrite=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_that_nobody_judged_is_replaced(tmp_path, name):
    check_outputs([write_layer(tmp_path / name)], [])
    check_outputs([write_layer(tmp_path / name, source=["model", None, "model"])], [])


def test_another_layer_of_a_reviewed_geopackage_is_written(tmp_path):
    output = write_layer(tmp_path / "changes.gpkg", review=["accepted", None, None])
    check_outputs([output._replace(layer="changes_2")], [])
    with pytest.raises(InputError, match="a reviewed change"):
        check_outputs([output._replace(layer="CHANGES")], [])
