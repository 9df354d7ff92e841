import json
import shutil

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from rasters import ORIGIN, put, texture
from report_pages import Page, drawn_changes, image_pair, run_metadata

from geochg.errors import InputError, OptionError
from geochg.report.of_layer import report_layer
from geochg.writers.layers import LAYER_SUFFIXES, write_features
from geochg.writers.recognition import is_ours


@pytest.fixture
def layer(tmp_path):
    """A layer of five changes, its images beside it."""
    return written(tmp_path, "changes.gpkg", image_pair(tmp_path))


def written(folder, name, images, frame=None, layer="changes", **members):
    path = folder / name
    frame = drawn_changes(5) if frame is None else frame
    write_features(frame, path, run_metadata(images, **members), layer=layer)
    return path


def page_of(layer, **options):
    path = layer.parent / "page.html"
    made = report_layer(str(layer), path, **options)
    return made, Page(path.read_bytes())


@pytest.mark.parametrize("suffix", LAYER_SUFFIXES)
def test_layers_of_all_formats_are_read(tmp_path, suffix):
    layer = written(tmp_path, f"changes{suffix}", image_pair(tmp_path))
    made, page = page_of(layer)
    assert (made.features, made.pictures, made.notes) == (5, 2, ())
    rows = page.rows()
    assert [row["data-id"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert "Change 2 of the place." in rows[1]["text"]
    assert "water disappeared" in rows[1]["text"]
    (block,) = page.all("script", id="data")
    left, top, right, bottom = json.loads(block["text"])["boxes"][0]
    assert (left, top) == pytest.approx((1, 1), abs=0.1)
    assert (right, bottom) == pytest.approx((17, 17), abs=0.1)


def test_a_report_replaces_only_what_geochg_wrote(tmp_path, layer):
    path = tmp_path / "page.html"
    report_layer(str(layer), path)
    assert is_ours(path)
    report_layer(str(layer), path)
    path.write_text("<html>mine</html>")
    with pytest.raises(InputError, match="geochg did not write it"):
        report_layer(str(layer), path)
    assert path.read_text() == "<html>mine</html>"
    report_layer(str(layer), path, overwrite=True)
    assert is_ours(path)
    with pytest.raises(OptionError, match=r"known suffixes: \.html"):
        report_layer(str(layer), tmp_path / "page.pdf")


def test_images_that_moved_with_the_layer_are_found(tmp_path, layer):
    there = tmp_path / "elsewhere"
    there.mkdir()
    for name in ("changes.gpkg", "before.tif", "after.tif"):
        shutil.move(tmp_path / name, there / name)
    made, page = page_of(there / "changes.gpkg")
    assert (made.pictures, made.notes) == (2, ())
    assert len(page.all("img")) == 2


def test_a_report_without_pictures_says_so(tmp_path, layer):
    (tmp_path / "after.tif").unlink()
    made, page = page_of(layer)
    assert made.pictures == 0
    assert made.notes[0] == "after.tif was not found."
    assert len(page.rows()) == 5
    assert not page.all("img")
    assert "after.tif was not found." in page.all("section", _class="warnings")[0]["text"]


def test_another_file_in_the_place_of_an_image_is_not_shown(tmp_path, layer):
    put(tmp_path / "after.tif", texture(200, 300, 4))
    made, _ = page_of(layer)
    assert made.pictures == 0
    assert "after.tif is not the file that the run read" in made.notes[0]
    named, page = page_of(layer, images={-1: str(tmp_path / "after.tif")})
    assert named.pictures == 2
    assert "it was named by hand" in named.notes[0]
    assert len(page.all("img")) == 2


def test_an_image_of_another_time_is_not_shown(tmp_path):
    images = image_pair(tmp_path)
    tagged = put(tmp_path / "tagged.tif", texture(200, 300, 3))
    layer = written(tmp_path, "c.geojson", images)
    text = json.loads(layer.read_text())
    text["geochg"]["sources"]["after"] |= {
        "path": str(tagged),
        "size_bytes": None,
        "acquired": "2019-01-01",
    }
    layer.write_text(json.dumps(text))
    import rasterio

    with rasterio.open(tagged, "r+") as dataset:
        dataset.update_tags(ACQUISITIONDATETIME="2020-02-02")
    made, _ = page_of(layer)
    assert "it was taken 2020-02-02" in made.notes[0]


@pytest.mark.parametrize(
    "path",
    [
        "https://e.example/a.tif",
        "/vsicurl/https://e.example/a.tif",
        "\\\\host\\share\\a.tif",
        "//host/share/a.tif",
        "<VRTDataset/>",
        "array",
        "",
    ],
)
def test_no_other_machine_is_asked_because_a_layer_names_it(tmp_path, path, monkeypatch):
    images = image_pair(tmp_path)
    layer = written(tmp_path, "c.geojson", images)
    text = json.loads(layer.read_text())
    text["geochg"]["sources"]["after"]["path"] = path
    layer.write_text(json.dumps(text))
    from geochg.report import layer_images

    opened, read_source = [], layer_images.read_source

    def noted(name, *options):
        opened.append(name)
        return read_source(name, *options)

    monkeypatch.setattr(layer_images, "read_source", noted)
    made, _ = page_of(layer)
    assert made.pictures == 0
    assert len(made.notes) == 2
    assert opened == [str(images[0])]


def test_an_image_of_another_place_is_refused(tmp_path, layer):
    away = put(
        tmp_path / "away.tif", texture(20, 30, 3), transform=ORIGIN.translation(0, 0) * ORIGIN
    )
    far = put(tmp_path / "far.tif", texture(20, 30, 3), crs="EPSG:32633", transform=_far())
    assert page_of(layer, images={0: str(away)})[0].pictures == 2
    with pytest.raises(InputError, match="does not show the place of the layer"):
        page_of(layer, images={0: str(far)})


def _far():
    from affine import Affine

    return Affine(10, 0, 600_000, 0, -10, 4_000_000)


def test_an_image_of_a_date_that_is_not_there_is_refused(layer):
    with pytest.raises(OptionError, match="there is no image 3 of a layer of 2 images"):
        page_of(layer, images={2: "x.tif"})


def test_rejected_changes_can_be_left_out(tmp_path):
    review = pd.array(["accepted", "rejected", None, None, "rejected"], "string")
    frame = drawn_changes(5, review=review)
    layer = written(tmp_path, "c.gpkg", image_pair(tmp_path), frame)
    assert [row.get("class") for row in page_of(layer)[1].rows()].count("rejected") == 2
    made, page = page_of(layer, with_rejected=False)
    assert made.features == 3
    assert [row["data-id"] for row in page.rows()] == ["1", "3", "4"]


def test_of_a_package_the_layer_of_changes_is_taken(tmp_path):
    images = image_pair(tmp_path)
    layer = written(tmp_path, "c.gpkg", images)
    tiles = drawn_changes(2)[["geometry"]].assign(tile=pd.array(["r0c0", "r0c1"], "string"))
    package = tmp_path / "tiles.gpkg"
    write_features(tiles, package, run_metadata(images), layer="tiles")
    from geochg.writers.geopackage import LayerChange

    LayerChange(layer, {"tiles": package}).commit()
    assert page_of(layer)[0].features == 5
    with pytest.raises(InputError, match="is a layer of tiles"):
        report_layer(f"{layer}|layername=tiles", tmp_path / "t.html")
    second = tmp_path / "second.gpkg"
    write_features(drawn_changes(3), second, run_metadata(images), layer="more")
    LayerChange(layer, {"more": second}).commit()
    with pytest.raises(InputError, match="has 2 layers of geochg's and none is named"):
        report_layer(str(layer), tmp_path / "t.html")
    assert report_layer(f"{layer}|layername=more", tmp_path / "t.html").features == 3


def test_ground_that_was_described_has_a_report_of_its_own(tmp_path):
    (image, _) = image_pair(tmp_path)
    frame = drawn_changes(2)[["id", "caption", "area_m2", "geometry"]].assign(
        labels=[["water", "forest"], []]
    )
    metadata = run_metadata([image, image], labels=["water", "forest"])
    metadata["sources"] = {"image": metadata["sources"]["before"]}
    for suffix in (".gpkg", ".geojson"):
        layer = tmp_path / f"scenes{suffix}"
        write_features(frame, layer, metadata)
        made, page = page_of(layer)
        assert made.pictures == 1
        assert "water, forest" in page.rows()[0]["text"]
        assert "no class" in page.rows()[1]["text"]
        assert page.all("p", _class="eyebrow")[0]["text"] == "Scene report"
        assert page.all("h1")[0]["text"] == "What before.tif shows"
        assert "no measure of confidence" in page.all("main")[0]["text"]


@pytest.mark.parametrize("name", ["a.geojson", "a.gpkg", "a.fgb", "a.shp", "a.parquet"])
def test_layers_of_others_are_refused_in_a_line(tmp_path, name):
    frame = drawn_changes(3)[["id", "area_m2", "geometry"]]
    path = tmp_path / name
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_file(path)
    with pytest.raises(InputError, match="is no layer that geochg wrote"):
        report_layer(str(path), tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize("content", [b"", b"{", b'{"geochg": 3}', b"\xff\xfe\x00", b"[1, 2]"])
def test_damaged_files_are_refused_in_a_line(tmp_path, content):
    for name in ("a.geojson", "a.gpkg", "a.fgb", "a.parquet"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError):
            report_layer(str(tmp_path / name), tmp_path / "x.html")
    with pytest.raises(InputError, match="is not there"):
        report_layer(str(tmp_path / "none.gpkg"), tmp_path / "x.html")


@pytest.mark.parametrize(
    "grid",
    [
        None,
        {"crs": "no CRS", "transform": list(ORIGIN[:6]), "width_px": 3, "height_px": 2},
        {"crs": "EPSG:32633", "transform": [1, 2], "width_px": 3, "height_px": 2},
        {"crs": "EPSG:32633", "transform": [0] * 6, "width_px": 3, "height_px": 2},
        {"crs": "EPSG:32633", "transform": list(ORIGIN[:6]), "width_px": 0, "height_px": 2},
        {"crs": "EPSG:32633", "transform": list(ORIGIN[:6]), "width_px": 1e300, "height_px": 2},
    ],
)
def test_a_layer_without_a_grid_that_makes_sense_is_refused(tmp_path, grid):
    layer = written(tmp_path, "c.geojson", image_pair(tmp_path), grid=grid)
    with pytest.raises(InputError, match="does not tell the grid of its run"):
        page_of(layer)


def test_metadata_of_any_shape_makes_a_page_or_a_line(tmp_path):
    """Whatever a file says of itself, nothing ends in a traceback."""
    images = image_pair(tmp_path)
    strange = [None, 3, "text", [], {}, [1, {}], {"dx_px": "a", "corrected": True}, True]
    names = [*("model", "sources", "options", "alignment", "tiles", "failed_tiles", "series")]
    names += ["not_seen_m2", "caption", "bands", "colors", "labels", "version", "questions"]
    # All members are strange in turn, in as many layers as there are strange values.
    for start in range(len(strange)):
        members = {name: strange[(start + n) % len(strange)] for n, name in enumerate(names)}
        layer = written(tmp_path, f"{start}.geojson", images, drawn_changes(2), **members)
        made, page = page_of(layer)
        assert len(page.rows()) == made.features == 2


def test_features_of_another_place_are_told_and_left_out(tmp_path):
    frame = drawn_changes(3)
    frame.loc[1, "geometry"] = None
    layer = written(tmp_path, "c.gpkg", image_pair(tmp_path), drawn_changes(3))
    stored = gpd.read_file(layer)
    assert len(stored) == 3
    import sqlite3

    with sqlite3.connect(layer) as database:
        for (trigger,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            database.execute(f'DROP TRIGGER "{trigger}"')
        database.execute("UPDATE changes SET geom = NULL WHERE id = 2")
    database.close()
    made, page = page_of(layer)
    assert [row["data-id"] for row in page.rows()] == ["1", "3"]
    assert "1 change without a place on the map" in page.all("ul")[0]["text"]
    assert np.isfinite(made.features)
