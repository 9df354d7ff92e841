"""Labels of one image by tiny CLIP and SigLIP models."""

from dataclasses import replace

import numpy as np
import pytest
from clip_factory import load, make_tile, noisy_tile, save, tiny_clip, tiny_siglip

from geochg.class_list import ClassList
from geochg.geometry.grid_cells import cell_slices
from geochg.models.clip.scene_labels import SceneLabels
from geochg.records import GRID_CELLS, Task, TileFailure
from geochg.tasks.scene import scene_questions

LABELS = ClassList.of_names(["lake", "forest", "swimming pool"])
QUESTIONS = scene_questions(LABELS, {Task.PRESENCE})


def image(seed=0):
    tile = noisy_tile(seed)
    return replace(tile, dates=tile.dates[:1])


@pytest.mark.parametrize("make", [tiny_clip, tiny_siglip])
def test_a_label_is_as_likely_as_in_the_view_that_shows_it_best(tmp_path, make):
    model = load(save(make(), tmp_path / "model"), class_list=LABELS.to_dict())
    (tile,) = [image()]
    (row,) = model.describe([tile], QUESTIONS)
    views = [tile.before, *(tile.before[:, *cell_slices((48, 48), cell)] for cell in GRID_CELLS)]
    likely = model.encoder.probabilities(views)
    names = [item.class_name for item in model.classes]
    assert len(names) > 3  # what else a place may show
    for name in LABELS.names:
        best = likely[:, names.index(name)].max()
        assert row[0].labels[name].probability == pytest.approx(best, abs=1e-4)
    other = model.describe([image(5)], QUESTIONS)[0][0]
    assert other.labels != row[0].labels


class ColorClassifier:
    """Tells water by blue and woods by green, surely."""

    def probabilities(self, dates):
        rows = []
        for date in dates:
            red, green, blue = date.mean(axis=(1, 2))
            rows.append([blue, green, red])
        return np.array(rows) / np.sum(rows, axis=1, keepdims=True)


def test_several_labels_are_found_by_several_views():
    pixels = np.zeros((3, 48, 48), np.uint8)
    pixels[0] = 200  # red: none of the labels
    pixels[:, :16, :16] = np.array([0, 0, 250]).reshape(3, 1, 1)
    pixels[:, 32:, 32:] = np.array([0, 250, 0]).reshape(3, 1, 1)
    tile = make_tile(pixels, pixels)
    tile = replace(tile, dates=(pixels,))
    classes = ClassList.of_names(["lake", "forest", "bare ground"]).classes
    questions = scene_questions(ClassList.of_names(["lake", "forest"]), {Task.PRESENCE})
    labels = SceneLabels(ColorClassifier(), classes)
    (row,) = labels.answer([tile], questions)
    assert row[0].present == ("lake", "forest")
    # Where that cell has no data, nothing is told of it.
    valid = np.ones((48, 48), bool)
    valid[:16, :16] = False
    (row,) = labels.answer([replace(tile, valid=valid)], questions)
    assert row[0].present == ("forest",)


def test_a_tile_without_finite_numbers_fails(tmp_path):
    class Broken:
        def probabilities(self, dates):
            return np.full((len(dates), 3), np.nan)

    classes = ClassList.of_names(["lake", "forest", "bare ground"]).classes
    (row,) = SceneLabels(Broken(), classes).answer([image()], QUESTIONS)
    assert isinstance(row, TileFailure)
