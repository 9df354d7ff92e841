"""The tool `report`: a page of a layer, whose images must lie in the folders."""

import json

import pytest

PAIR = {"before": "before.tif", "after": "after.tif"}


@pytest.fixture(scope="module")
def layer(server):
    server.answer("analyze", **PAIR, output="told.geojson", report="at_once.html", picture=False)
    return server.folder / "told.geojson"


def test_a_report_is_written_with_its_pictures(server, layer):
    assert b"<html" in (server.folder / "at_once.html").read_bytes()[:500]
    values = server.answer("report", changes="told.geojson", output="told.html", title="A title")
    assert (values["features"], values["pictures"], values["notes"]) == (3, 2, [])
    assert "A title" in (server.folder / "told.html").read_text(encoding="utf-8")


def test_images_outside_the_folders_that_a_layer_names_are_not_opened(server, layer, tmp_path):
    """Whoever wrote the layer would else see the pixels of any file in the report."""
    secret = tmp_path / "secret.tif"
    secret.write_bytes((server.folder / "before.tif").read_bytes())
    content = json.loads(layer.read_text())
    content["geochg"]["sources"]["before"]["path"] = str(secret)
    (server.folder / "forged.geojson").write_text(json.dumps(content))
    values = server.answer("report", changes="forged.geojson", output="forged.html")
    assert values["pictures"] == 0
    assert "secret.tif was not found" in values["notes"][0]
    named = server.answer("report", changes="forged.geojson", output="forged.html", **PAIR)
    assert named["pictures"] == 2


def test_an_image_that_was_moved_may_be_named(server, layer):
    content = json.loads(layer.read_text())
    content["geochg"]["sources"]["after"]["path"] = "gone.tif"
    (server.folder / "moved.geojson").write_text(json.dumps(content))
    files = {"changes": "moved.geojson", "output": "moved.html"}
    assert server.answer("report", **files)["pictures"] == 0
    assert server.answer("report", **files, after="after.tif")["pictures"] == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"changes": "../told.geojson"}, "leads upwards"),
        ({"changes": "before.tif"}, "none of the vector files"),
        ({"output": "/tmp/never.html"}, "outside the folders"),
        ({"output": "never.txt"}, ".html"),
        ({"before": "/etc/passwd"}, "outside the folders"),
        ({"title": 5}, "'title' is no text"),
        ({"without_rejected": 1}, "neither true nor false"),
        ({"overwrite": True}, "unknown argument"),
    ],
)
def test_bad_arguments_of_a_report_are_refused(server, layer, arguments, text):
    given = {"changes": "told.geojson", "output": "never.html", **arguments}
    assert text in server.refusal("report", **given)
    assert not (server.folder / "never.html").exists()
