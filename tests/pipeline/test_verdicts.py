"""Verdicts of reviewed layers: one reading for `learn` and for `dataset build`."""

from threading import Event

import numpy as np
import pytest
from reviewed_layers import analysed, change, pair, rewritten

import geochg
from geochg.datasets.builder.reviewed_layers import reviewed_scenes
from geochg.features.review import ReviewVerdict
from geochg.models.loading import load_configured_model
from geochg.pipeline.examples import LearnOptions, described_changes
from geochg.pipeline.verdicts import read_reviewed_layer, settled_verdicts

PLACE = (20, 40), (10, 30)


@pytest.fixture
def layer(tmp_path):
    return analysed(tmp_path)


def test_what_was_drawn_is_accepted_unless_it_was_rejected(layer):
    words = ("rejected", "accepted", None)
    rewritten(
        layer,
        [
            change(number, (10 + 30 * number, 30 + 30 * number), (10, 30), word, source="hand")
            for number, word in enumerate(words)
        ],
    )
    expected = [ReviewVerdict.REJECTED, ReviewVerdict.ACCEPTED, ReviewVerdict.ACCEPTED]
    assert read_reviewed_layer(str(layer)).verdict.tolist() == expected
    (scene,) = reviewed_scenes([str(layer)], {})
    assert [judged.verdict for judged in scene.verdict_map.changes] == expected


def test_two_classes_in_one_place_are_judged_apart(layer):
    classes = {"building": "accepted", "tree": "rejected"}
    features = [
        change(number, *PLACE, word, **{"class": name})
        for number, (name, word) in enumerate(classes.items(), 1)
    ]
    rewritten(layer, features)
    of_another_person = rewritten(layer, features, layer.with_name("other.geojson"))
    layers = [read_reviewed_layer(str(file)) for file in (layer, of_another_person)]
    assert settled_verdicts(layers) == []
    # Both agree, and each verdict counts once.
    counted = np.concatenate([reviewed.verdict for reviewed in layers])
    assert sorted(counted.tolist()) == [-1, -1, 0, 1]


def test_two_verdicts_on_one_change_contradict_each_other(layer):
    rewritten(layer, [change(3, *PLACE, "accepted"), change(4, *PLACE, "rejected", source="hand")])
    reviewed = read_reviewed_layer(str(layer))
    (note,) = settled_verdicts([reviewed])
    assert note == (
        "accepted in changes.geojson, feature 3, rejected in changes.geojson, feature 4"
    )
    assert (reviewed.verdict == ReviewVerdict.UNDECIDED).all()


def test_images_are_learned_from_in_the_order_of_the_run_whatever_their_dates_say(tmp_path):
    images = pair(tmp_path)
    dates = {"dates": ("2025-06-01", "2024-06-01"), "dates_as_given": True}
    options = geochg.AnalyzeOptions(model="cva", align="off", **dates)
    file = tmp_path / "changes.gpkg"
    geochg.analyze(*map(str, images), options, outputs=geochg.Outputs(features=file))
    layer = read_reviewed_layer(str(file))
    described = described_changes(
        layer,
        np.ones(len(layer), bool),
        LearnOptions("cva"),
        load_configured_model(LearnOptions("cva").analyze_options()),
        lambda event: None,
        Event(),
    )
    assert len(layer) > 0
    assert described.seen.all()
