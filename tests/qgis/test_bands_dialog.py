"""The bands of each date are chosen in a form, which writes the option `bands`."""

import subprocess

import pytest
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtWidgets import QDialogButtonBox, QPushButton
from qgis_worker import WORKER_PYTHON

from geochg_qgis.band_mapping import bands_text, guessed_bands, mapped_bands, swapped_bands
from geochg_qgis.layers.layer_bands import band_names
from geochg_qgis.tasks import request_task, start_unlisted

_MAKE = """
import sys, rasterio
source, target, *names = sys.argv[1:]
with rasterio.open(source) as dataset:
    values, profile = dataset.read(), dataset.profile
if "reversed" in names:
    values = values[::-1]
profile.update(count=4, photometric="minisblack", alpha="unspecified")
with rasterio.open(target, "w", **profile) as dataset:
    dataset.write(values[:3], [1, 2, 3])
    dataset.write(values[1], 4)
    dataset.colorinterp = [rasterio.enums.ColorInterp.gray] + [
        rasterio.enums.ColorInterp.undefined
    ] * 3
"""


@pytest.fixture
def unnamed_pair(dock, pair, tmp_path):
    """The example pair without names of bands; the bands of the later image lie in reverse."""
    layers = []
    for layer, order in zip(pair, ("straight", "reversed"), strict=True):
        path = tmp_path / f"unnamed_{layer.name()[-4:]}.tif"
        command = [str(WORKER_PYTHON), "-c", _MAKE, layer.source(), str(path), order]
        subprocess.run(command, check=True)
        layers.append(QgsRasterLayer(str(path), path.stem))
    QgsProject.instance().addMapLayers(layers)
    dock.pair.before.setLayer(layers[0])
    dock.pair.after.setLayer(layers[1])
    dock.pair._keep_choice(0)
    return layers


def field_of(dock):
    return dock.options.fields["bands"].widget


def choose(dialog, **bands):
    for role, numbers in bands.items():
        for date, number in zip(("before", "after"), numbers, strict=True):
            box = dialog.boxes[role, date]
            box.setCurrentIndex(box.findData(number))


def test_the_form_shows_the_bands_as_qgis_names_them(dock, pair):
    dialog = dock.options.open_bands()
    box = dialog.boxes["red", "before"]
    texts = [box.itemText(row) for row in range(box.count())]
    assert texts == ["none", *band_names(pair[0])]
    # What the names tell is chosen at first.
    assert {key: box.currentData() for key, box in dialog.boxes.items() if box.currentData()} == {
        (role, date): number
        for number, role in enumerate(("red", "green", "blue", "nir"), start=1)
        for date in ("before", "after")
    }


def test_bands_of_unnamed_images_are_mapped_date_by_date(dock, unnamed_pair, qtbot):
    dock.options.model.setEditText("builtin")
    dialog = dock.options.open_bands()
    assert "are not named" in dialog.note.text()
    choose(dialog, red=(1, 3), green=(2, 2), blue=(3, 1), nir=(4, 4))
    dialog.accept()
    assert field_of(dock).text() == "red=1/3,green=2,blue=3/1,nir=4"
    assert dock.options.options()["bands"] == ["red=1/3", "green=2", "blue=3/1", "nir=4"]
    facts = {}
    task = request_task("look", dock._connection, "describe", dock.choice.pair_parameters())
    task.answered.connect(facts.update)
    start_unlisted(task)
    qtbot.waitUntil(lambda: bool(facts), timeout=90_000)
    assert facts["bands"] == ["red", "green", "blue", "nir"]
    # The form opens with what it wrote.
    again = dock.options.open_bands()
    assert again.boxes["red", "after"].currentData() == 3
    again.reset.click()
    assert field_of(dock).text() == ""
    assert "bands" not in dock.options.options()


def test_swapping_the_images_swaps_their_bands(dock, unnamed_pair):
    field_of(dock).setText("red=1/3,green=2,blue=3/1")
    dock.pair._swap()
    assert field_of(dock).text() == "red=3/1,green=2,blue=1/3"


def test_half_a_choice_is_refused_with_the_reason(dock, unnamed_pair):
    dialog = dock.options.open_bands()
    ok = dialog.buttons.button(QDialogButtonBox.StandardButton.Ok)
    choose(dialog, red=(1, 0))
    assert not ok.isEnabled()
    assert dialog.status.text() == "Red: choose a band of both images, or of none"
    choose(dialog, red=(1, 2))
    assert dialog.status.text() == "Red and Green are the same band"
    choose(dialog, red=(0, 0), green=(0, 0))
    assert ok.isEnabled()
    assert "need red, green and blue" in dialog.status.text()
    choose(dialog, blue=(0, 0), nir=(0, 0))
    assert dialog.status.text() == "No band is chosen"
    assert not ok.isEnabled()
    field_of(dock).setText("swir=2")
    dialog.reject()
    assert field_of(dock).text() == "swir=2"


def test_what_the_form_does_not_show_is_told(dock, unnamed_pair):
    field_of(dock).setText("red=2,swir=4,gray")
    dialog = dock.options.open_bands()
    assert "replaces the bands gray" in dialog.note.text()
    assert "The bands swir=4 stay" in dialog.note.text()
    assert dialog.boxes["red", "before"].currentData() == 2
    assert dialog.boxes["green", "before"].currentData() == 0
    dialog.accept()
    assert field_of(dock).text() == "red=2,swir=4"


def test_the_button_tells_that_two_images_are_missing(dock, qgis_iface):
    QgsProject.instance().clear()
    dock.findChild(QPushButton, "GeochgChooseBands").click()
    assert "does not have two raster layers" in qgis_iface.messageBar().currentItem().text()


@pytest.mark.parametrize(
    ("names", "bands"),
    [
        (["Band 1 (Red)", "Band 2 (Green)", "Band 3 (Blue)"], {"red": 1, "green": 2, "blue": 3}),
        (["Band 1 (Gray)", "Band 2", "Band 3", "Band 4"], {"red": 1, "green": 2, "blue": 3}),
        (["Band 1 (Gray)"], {}),
        ([f"Band {n}" for n in range(1, 8)], {}),
        (
            ["Band 1: B02", "Band 2: B03", "Band 3: B04", "Band 4: B08"],
            {"blue": 1, "green": 2, "red": 3, "nir": 4},
        ),
        (["Band 1: red edge", "Band 2: Rot", "Band 3: near_infrared"], {"red": 2, "nir": 3}),
        (["Band 1: infrared", "Band 2: hatred"], {}),
    ],
)
def test_names_tell_the_bands(names, bands):
    assert guessed_bands(names) == bands


def test_the_text_and_the_mapping_are_one():
    text = "red=1/3,green=2,nir=4/5"
    bands, others = mapped_bands(text)
    assert bands == {"red": (1, 3), "green": (2, 2), "nir": (4, 5)}
    assert bands_text(bands, others) == text
    assert mapped_bands(" Red=2 , b5,gray") == ({"red": (2, 2)}, ["b5", "gray"])
    assert swapped_bands("1/4,swir=2/b3,red,nir=4") == "4/1,swir=b3/2,red,nir=4"
    assert swapped_bands("") == ""


def test_pictures_have_three_bands(qgis_new_project):
    source = "type=xyz&url=http://127.0.0.1:1/{z}/{x}/{y}.png&zmax=2&zmin=0"
    layer = QgsRasterLayer(source, "tiles", "wms")
    assert layer.isValid()
    assert band_names(layer) == ["Red", "Green", "Blue"]
