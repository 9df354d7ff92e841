"""From a review to a head, and from the head to the next layer."""

import json
import shutil

import geopandas as gpd
import numpy as np
import onnx
import pytest
import rasterio
from affine import Affine
from judged_ground import drawn_pair, is_light
from odc.geo.geobox import GeoBox

import geochg
from geochg.errors import InputError, OptionError
from geochg.events import Notice
from geochg.learning.card import CARD_FILE, GRAPH_FILE
from geochg.learning.head import Head
from geochg.models.registry import load_model
from geochg.pipeline.learn import learn, rank_layer
from geochg.pipeline.outputs import Outputs
from geochg.writers.layer_metadata import read_metadata
from geochg.writers.layers import write_features

TRANSFORM = Affine(1, 0, 500_000, 0, -1, 5_000_000)
OPTIONS = {"align": "off"}


@pytest.fixture(scope="module")
def model():
    return load_model("builtin", {}, "auto")


def write_pair(folder, seed):
    names = []
    for name, date in zip(("before.tif", "after.tif"), drawn_pair(seed), strict=True):
        path = folder / name
        profile = {"count": 3, "height": date.shape[1], "width": date.shape[2], "dtype": "uint8"}
        with rasterio.open(
            path, "w", driver="GTiff", crs="EPSG:32633", transform=TRANSFORM, **profile
        ) as dataset:
            dataset.write(date)
        names.append(str(path))
    return names


def map_of(folder, seed, model, **options):
    """Analyses a drawn pair; gives the layer's file and the result."""
    folder.mkdir(exist_ok=True)
    names = write_pair(folder, seed)
    layer = folder / "changes.gpkg"
    settings = geochg.AnalyzeOptions.from_dict(OPTIONS | options)
    result = geochg.analyze(*names, settings, model=model, outputs=Outputs(features=layer))
    return layer, result


def review(layer, frame, metadata, **columns):
    for name, values in columns.items():
        frame[name] = values
        frame[name] = frame[name].astype("string")
    write_features(frame, layer, metadata)


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory, model):
    """A layer in which light changes are accepted, and dark ones rejected."""
    folder = tmp_path_factory.mktemp("reviewed")
    layer, result = map_of(folder, 0, model)
    frame = result.features
    light = is_light(frame, drawn_pair(0)[1], TRANSFORM)
    verdict = np.where(light, "accepted", "rejected").astype(object)
    verdict[::9] = None  # not everything is reviewed
    review(layer, frame, result.metadata, review=verdict)
    return layer


@pytest.fixture(scope="module")
def head(tmp_path_factory, reviewed, model):
    folder = tmp_path_factory.mktemp("head") / "my-changes"
    learn([str(reviewed)], folder, model=model)
    return folder


@pytest.fixture
def copied_layer(reviewed, tmp_path):
    """The reviewed layer with its images in a folder of its own, and its frame and metadata."""
    folder = tmp_path / "copy"
    shutil.copytree(reviewed.parent, folder)
    layer = folder / reviewed.name
    return layer, gpd.read_file(layer), read_metadata(str(layer))[1]


def test_what_was_rejected_is_left_out_of_the_next_layer(head, tmp_path, model):
    card = json.loads((head / CARD_FILE).read_text())
    assert card["precision"]["value"] > 0.9
    assert card["recall"]["value"] > 0.9
    _, plain = map_of(tmp_path / "plain", 1, model)
    _, judged = map_of(tmp_path / "judged", 1, model, learned=str(head))
    after = drawn_pair(1)[1]
    assert (~is_light(plain.features, after, TRANSFORM)).sum() > 15
    light = is_light(judged.features, after, TRANSFORM)
    assert light.mean() > 0.95
    found = is_light(plain.features, after, TRANSFORM).sum()
    facts = judged.metadata["learned"]
    assert light.sum() >= 0.95 * found
    assert facts["rejected"] == len(plain.features) - (len(judged.features) - facts["added"])
    # Confidence is the head's, and the model's stands beside it.
    own = plain.features["confidence"]
    assert judged.features["model_confidence"].dropna().isin(own).mean() > 0.9
    assert judged.features["confidence"].min() >= 0.5
    # Nothing is invented: outlines are those that the model drew.
    assert set(judged.features.geometry.to_wkt()) <= set(plain.features.geometry.to_wkt())
    assert "learned" not in plain.metadata
    assert "model_confidence" not in plain.features


def test_what_was_missed_is_added_where_the_head_is_sure(head, tmp_path, model):
    def faint_pair(folder, **options):
        """Some of the roofs are so faint that a run of low sensitivity misses them."""
        folder.mkdir()
        before, after = (date.astype(float) for date in drawn_pair(1))
        after[:, :, 150:] = before[:, :, 150:] + 0.5 * (after - before)[:, :, 150:]
        settings = geochg.AnalyzeOptions.from_dict(OPTIONS | {"sensitivity": "low"} | options)
        grid = GeoBox(before.shape[1:], TRANSFORM, "EPSG:32633")
        dates = [date.round().astype(np.uint8) for date in (before, after)]
        return geochg.analyze(*dates, settings, geobox=grid, model=model)

    plain = faint_pair(tmp_path / "plain").features
    result = faint_pair(tmp_path / "judged", learned=str(head))
    judged = result.features
    is_new = ~judged.geometry.to_wkt().isin(set(plain.geometry.to_wkt()))
    assert is_new.sum() == result.metadata["learned"]["added"] > 0
    assert judged["confidence"][is_new].min() >= 0.8
    assert not any(plain.intersects(shape).any() for shape in judged.geometry[is_new])


def test_a_resumed_run_is_judged_as_an_unbroken_one(head, tmp_path, model):
    names = write_pair(tmp_path, 1)
    settings = geochg.AnalyzeOptions.from_dict(OPTIONS | {"learned": str(head)})
    whole = geochg.analyze(*names, settings, model=model).features

    class StopError(Exception):
        pass

    def stop(event):
        if getattr(event, "stage", "") == "tiles" and event.done >= 2:
            raise StopError

    outputs = Outputs(features=tmp_path / "c.geojson")
    settings = geochg.AnalyzeOptions.from_dict(
        OPTIONS | {"learned": str(head), "batch_size": 1, "resume": True}
    )
    with pytest.raises(StopError):
        geochg.analyze(*names, settings, model=model, outputs=outputs, listener=stop)
    resumed = geochg.analyze(*names, settings, model=model, outputs=outputs).features
    assert resumed.geometry.to_wkt().tolist() == whole.geometry.to_wkt().tolist()
    assert resumed["confidence"].tolist() == whole["confidence"].tolist()


def test_features_of_a_layer_are_those_of_the_run(head, tmp_path, model):
    """What is read of the images anew is what the run told its head."""
    layer, judged = map_of(tmp_path / "judged", 1, model, learned=str(head))
    ranked = {change.id: change.probability for change in rank_layer(str(layer), head, model=model)}
    frame = judged.features
    differences = np.abs(frame["confidence"] - [ranked[number] for number in frame["id"]])
    # Outlines are smoothed in the layer, so that a few pixels differ.
    assert differences.median() < 0.02
    assert differences.max() < 0.3
    order = [change.probability for change in rank_layer(str(layer), head, model=model)]
    assert np.abs(np.array(order) - 0.5).tolist() == sorted(np.abs(np.array(order) - 0.5))


def test_a_layer_is_ranked_by_its_own_confidence_without_a_head(reviewed):
    frame = gpd.read_file(reviewed)
    ranked = rank_layer(str(reviewed))
    left = frame[frame["review"].isna()].set_index("id")["confidence"]
    assert {change.id for change in ranked} == set(left.index)
    certainty = [abs(left[change.id] - 0.5) for change in ranked]
    assert certainty == sorted(certainty)


def test_other_classes_are_learned_and_given(copied_layer, tmp_path, model):
    layer, frame, metadata = copied_layer
    light = is_light(frame, drawn_pair(0)[1], TRANSFORM)
    names = np.where(light, "building", "water").astype(object)
    # All count, so that a few that do not must be made of the rest.
    verdict = np.where(np.arange(len(frame)) % 4 == 3, "rejected", "accepted").astype(object)
    review(layer, frame, metadata, review=verdict, review_class=names)
    notes = []
    result = learn([str(layer)], tmp_path / "h", model=model, listener=notes.append)
    assert set(result.card.class_names) == {"building", "water"}
    assert any(
        "classes are learned too" in note.message for note in notes if isinstance(note, Notice)
    )
    _, judged = map_of(tmp_path / "next", 1, model, learned=str(tmp_path / "h"))
    features = judged.features
    light = is_light(features, drawn_pair(1)[1], TRANSFORM)
    assert len(features) > 10
    assert ((features["class"] == "building") == light).mean() > 0.9
    assert judged.metadata["learned"]["relabelled"] > 5


def test_verdicts_of_layers_add_up_and_contradictions_do_not_count(copied_layer, tmp_path, model):
    layer, frame, metadata = copied_layer
    half = np.arange(len(frame)) < len(frame) // 2
    first, second = layer.with_name("a.gpkg"), layer.with_name("b.gpkg")
    verdict = frame["review"].astype(object).where(frame["review"].notna(), None)
    contradictory = np.flatnonzero(half & verdict.notna())[:3]
    review(first, frame.copy(), metadata, review=verdict.where(half, None))
    others = verdict.where(~half, None)
    others.iloc[contradictory] = [
        "rejected" if verdict.iloc[row] == "accepted" else "accepted" for row in contradictory
    ]
    same = np.flatnonzero(half & verdict.notna())[3:6]
    others.iloc[same] = verdict.iloc[same]
    review(second, frame.copy(), metadata, review=others)
    notes = []
    result = learn([str(first), str(second)], tmp_path / "h", model=model, listener=notes.append)
    counts = result.card.verdicts
    assert counts["accepted"] + counts["rejected"] == verdict.notna().sum() - 3
    assert counts["contradictory"] == 3
    told = [note.message for note in notes if isinstance(note, Notice) and note.warning]
    assert sum("two verdicts on one change" in text for text in told) == 3
    assert "in a.gpkg, feature" in told[0]


def test_what_was_drawn_is_accepted(copied_layer, tmp_path, model):
    layer, frame, metadata = copied_layer
    source = np.array([None] * len(frame), object)
    verdict = frame["review"].astype(object).where(frame["review"].notna(), None)
    drawn = np.flatnonzero(verdict == "accepted")[:4]
    source[drawn] = "hand"
    verdict.iloc[drawn] = None
    review(layer, frame, metadata, review=verdict, source=source)
    result = learn([str(layer)], tmp_path / "h", model=model)
    assert result.card.verdicts["drawn"] == 4
    assert result.card.verdicts["accepted"] == (verdict == "accepted").sum() + 4


def refusal(layer, model, tmp_path, *further_layers):
    folder = tmp_path / "h"
    with pytest.raises(InputError) as caught:
        learn([str(layer), *map(str, further_layers)], folder, model=model)
    assert not folder.exists()
    assert caught.value.exit_code == 2
    text = f"{caught.value.message}: {caught.value.hint}"
    assert "\n" not in text
    return text


def test_too_few_verdicts_are_told_and_nothing_is_made(copied_layer, tmp_path, model):
    layer, frame, metadata = copied_layer
    verdict = frame["review"].astype(object).where(frame["review"].notna(), None)
    review(layer, frame, metadata, review=verdict.where(verdict != "rejected", None))
    text = refusal(layer, model, tmp_path)
    assert "0 rejected changes are too few" in text
    assert "review 20 more that are rejected" in text
    few = verdict.copy()
    few[np.flatnonzero(verdict == "accepted")[5:]] = None
    few[np.flatnonzero(verdict == "rejected")[7:]] = None
    review(layer, frame, metadata, review=few)
    text = refusal(layer, model, tmp_path)
    assert "15 more that are accepted and 13 more that are rejected" in text
    review(layer, frame, metadata, review=None)
    assert "has no verdicts" in refusal(layer, model, tmp_path)
    review(layer, frame.drop(columns="review"), metadata)
    assert "has no verdicts" in refusal(layer, model, tmp_path)


def test_words_that_are_no_verdicts_and_no_classes_are_refused(copied_layer, tmp_path, model):
    layer, frame, metadata = copied_layer
    words = frame["review"].astype(object).where(frame["review"].notna(), None)
    words.iloc[1] = "maybe\nnot"
    review(layer, frame, metadata, review=words)
    assert "the verdict 'maybe not', which is none" in refusal(layer, model, tmp_path)
    review(layer, frame, metadata, review="accepted", review_class="castle")
    assert "the class 'castle'" in refusal(layer, model, tmp_path)


def test_images_that_are_gone_or_others_are_told(copied_layer, tmp_path, model):
    layer, frame, metadata = copied_layer
    names = [metadata["sources"][date]["path"] for date in ("before", "after")]
    for date, name in zip(("before", "after"), names, strict=True):
        metadata["sources"][date]["path"] = name.replace("reviewed", "moved")
    write_features(frame, layer, metadata)
    assert (layer.parent / "after.tif").is_file()  # found beside the layer
    learn([str(layer)], tmp_path / "found", model=model)
    (layer.parent / "after.tif").unlink()
    text = refusal(layer, model, tmp_path)
    assert "cannot be learned from: after.tif was not found" in text
    with rasterio.open(layer.parent / "before.tif") as dataset:
        profile, date = dataset.profile, dataset.read()
    with rasterio.open(layer.parent / "after.tif", "w", **profile | {"width": 300}) as dataset:
        dataset.write(date[:, :, :300])
    assert "is not the file that the run read" in refusal(layer, model, tmp_path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"checksum": "sha256:0"}, "another version of the model builtin"),
        ({"id": "clip:x"}, "made by the model clip:x, and not by builtin"),
        ({"id": ""}, "made by the model of an unknown name"),
    ],
)
def test_layers_of_other_models_are_refused(copied_layer, tmp_path, model, change, text):
    layer, frame, metadata = copied_layer
    metadata["model"] |= change
    write_features(frame, layer, metadata)
    assert text in refusal(layer, model, tmp_path)


def test_layers_of_others_and_without_a_grid_are_refused(copied_layer, tmp_path, model):
    layer, frame, metadata = copied_layer
    frame.to_file(tmp_path / "other.gpkg")
    assert "no layer that geochg wrote" in refusal(tmp_path / "other.gpkg", model, tmp_path)
    del metadata["grid"]
    write_features(frame, layer, metadata)
    assert "does not tell the grid" in refusal(layer, model, tmp_path)


def test_a_folder_with_other_files_stays_as_it_is(head, reviewed, tmp_path, model):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files .* such as notes\.txt"):
        learn([str(reviewed)], folder, model=model)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    # A head may be made anew.
    again = tmp_path / "again"
    shutil.copytree(head, again)
    learn([str(reviewed)], again, model=model)
    assert (again / GRAPH_FILE).read_bytes() == (head / GRAPH_FILE).read_bytes()


def changed_card(folder, **values):
    card = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps(card | values))


def altered_graph(folder, alter):
    """Alters the graph, with a card that tells of it."""
    graph = onnx.load(folder / GRAPH_FILE)
    alter(graph)
    content = graph.SerializeToString()
    (folder / GRAPH_FILE).write_bytes(content)
    from geochg.learning.card import checksum_of

    changed_card(folder, head_sha256=checksum_of(content))


def outer_weights(graph):
    tensor = graph.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda f: (f / CARD_FILE).unlink(), "has no card.json"),
        (lambda f: (f / GRAPH_FILE).unlink(), "has no head.onnx"),
        (lambda f: (f / GRAPH_FILE).write_bytes(b"x"), "not the file that its card tells"),
        (lambda f: (f / CARD_FILE).write_text("[1]"), "makes no sense"),
        (lambda f: (f / CARD_FILE).write_text("{" * 9_000), "makes no sense"),
        (lambda f: (f / CARD_FILE).write_bytes(b"\xff" * 99), "makes no sense"),
        (lambda f: (f / CARD_FILE).write_text(" " * (1 << 21)), "it is too large"),
        (lambda f: changed_card(f, features_version=99), "not those of version"),
        (lambda f: changed_card(f, columns=7), "takes or gives other values"),
        (lambda f: changed_card(f, class_names=["a"]), "takes or gives other values"),
        (lambda f: changed_card(f, class_names=["a\x1b[2J"]), "a class is no plain name"),
        (lambda f: changed_card(f, verdicts=[]), "verdicts is no object"),
        (lambda f: changed_card(f, names_checksum="0"), "learned from other features"),
        (lambda f: changed_card(f, model={"id": "clip:x"}), "learned with the model clip:x"),
        (lambda f: changed_card(f, geometry="cells"), "drawn as cells"),
        (lambda f: altered_graph(f, outer_weights), "weights lie in another file"),
        (lambda f: altered_graph(f, lambda g: g.graph.ClearField("node")), "cannot be loaded"),
    ],
)
def test_damaged_heads_and_those_of_others_are_refused(head, tmp_path, model, damage, text):
    folder = tmp_path / "head"
    shutil.copytree(head, folder)
    damage(folder)
    with pytest.raises(InputError, match=text) as caught:
        map_of(tmp_path / "p", 1, model, learned=str(folder), aoi="15,45.14,15.001,45.2")
    assert "\n" not in caught.value.message
    assert not (tmp_path / "p" / "changes.gpkg").exists()


def test_a_head_does_not_go_with_votes(head, marker_plugin):
    options = geochg.AnalyzeOptions(model="marker", vote=True, overlap_px=128, learned=str(head))
    from geochg.pipeline.judging import judge_of

    with pytest.raises(OptionError, match="--vote"):
        judge_of(options, load_model("marker", {}, "auto"))


def test_applying_takes_less_than_a_millisecond_a_feature(head):
    import time

    opened = Head.open(head)
    from geochg.learning.example_features import FeatureTable

    values = np.zeros((200, opened.card.columns), np.float32)
    begin = time.perf_counter()
    opened.session.run(None, {"features": values})
    assert time.perf_counter() - begin < 0.2
    with pytest.raises(InputError, match="other features"):
        opened.probability(FeatureTable(("a",), values[:, :1]))
