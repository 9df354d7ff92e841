"""`geochg train trees`, and what its trees say in `evaluate` and on the map."""

import hashlib
import json
import shutil

import numpy as np
import onnx
import pytest
from clip_factory import save, tiny_clip
from labelled_pairs import blocks, write_pair
from PIL import Image

from geochg.models.registry import load_model
from geochg_cli.main import main

TILES = ("--tile-size", 64)
QUICK = (*TILES, "--features", "posteriors", "--classifier", "forest")


def write_towns(folder, count=24, size_px=64):
    """Pairs of four towns, every other changed: another picture, else in a little other light."""
    for number in range(count):
        before = blocks(number, size_px)
        changed = number % 2 == 1
        after = blocks(1000 + number, size_px) if changed else np.clip(before, 0, 250) + 5
        mask = np.full((size_px, size_px), 255 * changed, np.uint8)
        name = f"town{number % 8 // 2}_{number}"
        write_pair(folder, name, before, after.astype(np.uint8), mask)
    return folder


@pytest.fixture(scope="module")
def towns(tmp_path_factory):
    return write_towns(tmp_path_factory.mktemp("towns"))


@pytest.fixture(scope="module")
def trees(towns, tmp_path_factory):
    """Trees of the built-in model on its pooled features."""
    folder = tmp_path_factory.mktemp("made") / "trees"
    with pytest.raises(SystemExit) as stop:
        main(["train", "trees", str(towns), "-o", str(folder), *map(str, TILES)])
    assert not stop.value.code
    return folder


@pytest.fixture
def copied(trees, tmp_path):
    return shutil.copytree(trees, tmp_path / "copied")


def card_of(folder):
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))


def write_card(folder, **changes):
    (folder / "card.json").write_text(json.dumps(card_of(folder) | changes), encoding="utf-8")


def test_the_card_tells_what_the_trees_learned_from(trees):
    card = card_of(trees)
    assert card["tiles"] == {"changed": 12, "unchanged": 12}
    assert card["places"] == 4
    assert "town0_0 lies in town0" in card["divided_by"]
    assert card["identity"]["checksum"] == load_model("builtin").identity.checksum
    assert card["features"] == "pooled"
    assert set(card["scores"]) == {"trees", "zero-shot threshold", "differencing", "all changed"}
    assert card["scores"]["all changed"]["balanced_accuracy"]["value"] == 0.5
    assert card["scores"]["trees"]["auroc"]["value"] > 0.8
    assert "tile-size 64" in (trees / "README.md").read_text(encoding="utf-8")
    assert sorted(path.name for path in trees.iterdir()) == ["README.md", "card.json", "trees.onnx"]


def test_trees_are_scored_beside_the_zero_shot_threshold(geochg, trees, tmp_path):
    others = write_towns(tmp_path / "others", 8)
    for path in others.rglob("*.png"):
        path.rename(path.with_name(f"b{path.name}"))
    kept, model = tmp_path / "kept.jsonl", f"trees:{trees}"
    code, out, errors = geochg(
        *("evaluate", others, "--model", model, *TILES, "--json", "--predictions", kept)
    )
    assert code == 0, errors
    told = json.loads(out)
    scores = told["presence"]["scores"]
    assert {"the_model", "zero-shot_threshold", "all_changed", "differencing"} <= scores.keys()
    assert scores["the_model"]["balanced_accuracy"] > 0.8
    assert scores["zero-shot_threshold"]["auroc"] > 0.6
    limit = card_of(trees)["zero_shot_threshold"]
    assert told["presence"]["zero_shot_threshold"] == limit
    rows = [json.loads(line) for line in kept.read_text().splitlines()[1:]]
    called = sum(row["zero_shot"] > limit for row in rows)
    zero_shot = scores["zero-shot_threshold"]
    assert zero_shot["true_positives"] + zero_shot["false_positives"] == called
    again = geochg("evaluate", "--from-predictions", kept, "--json")
    assert json.loads(again[1])["presence"]["scores"] == scores
    fitted = geochg("evaluate", "--from-predictions", kept, "--fit-threshold", "--json")
    assert fitted[0] == 0, fitted[2]
    assert "threshold" in json.loads(fitted[1])["presence"]["fit"]["options"]
    assert "zero-shot_threshold" in json.loads(fitted[1])["presence"]["scores"]


def test_trees_draw_the_map_tile_by_tile(geochg, trees, make_raster, tmp_path):
    before = np.concatenate([blocks(seed, 64).transpose(2, 0, 1) for seed in (1, 2, 3)], axis=2)
    after = np.clip(before, 0, 250) + 5
    after[:, :, 64:128] = blocks(77, 64).transpose(2, 0, 1)
    rasters = [make_raster(n, p.astype(np.uint8)) for n, p in (("b.tif", before), ("a.tif", after))]
    layer, model = tmp_path / "map.geojson", f"trees:{trees}"
    asked = ("analyze", *rasters, "-o", layer, "--model", model, "--align", "off")
    code, _, errors = geochg(*asked, *TILES, "--overlap", 0)
    assert code == 0, errors
    (feature,) = json.loads(layer.read_text())["features"]
    facts = feature["properties"]
    assert facts["tiles"] == ["r0c1"]
    assert (facts["class"], facts["change"]) == ("other", "altered")
    assert facts["area_m2"] == pytest.approx(64 * 64 * 100, rel=0.01)
    assert facts["confidence"] > 0.5
    other_size = geochg(*asked[:3], "-o", tmp_path / "x.geojson", "--model", model)
    assert other_size[0] == 2
    assert "tiles of 64 px" in other_size[2]
    assert "--tile-size 64" in other_size[2]


def test_posteriors_of_clip(geochg, towns, tmp_path):
    clip = save(tiny_clip(), tmp_path / "clip")
    made = tmp_path / "trees"
    code, out, errors = geochg(
        *("train", "trees", towns, "-o", made, "--model", f"clip:{clip}", *QUICK, "--json")
    )
    assert code == 0, errors
    card = json.loads(out)["card"]
    assert card["columns"] % 3 == 0
    model = load_model(f"trees:{made}")
    assert model.identity.id == f"trees:{made}"
    moved = clip.rename(tmp_path / "moved")
    with_options = ("evaluate", towns, "--model", f"trees:{made}", *TILES)
    code, _, errors = geochg(*with_options)
    assert code == 2
    assert "which is not there" in errors
    code, _, errors = geochg(*with_options, "--model-option", f"model=clip:{moved}")
    assert code == 0, errors
    weights = moved / "preprocessor_config.json"
    weights.write_text(weights.read_text().replace("0.48145466", "0.5"), encoding="utf-8")
    (moved / "notes.json").write_text("{}", encoding="utf-8")
    code, _, errors = geochg(*with_options, "--model-option", f"model=clip:{moved}")
    assert code == 2
    assert "another version of the model" in errors


# --- refused -------------------------------------------------------------------------------------


def test_too_little_to_learn_from_is_refused(refused, tmp_path):
    few = write_towns(tmp_path / "few", 12)
    told = "6 changed and 6 unchanged tiles are too few"
    refused("train", "trees", few, "-o", tmp_path / "x", *QUICK, names=told)
    table = tmp_path / "all.csv"
    rows = [f"few/A/{path.name},few/B/{path.name},1" for path in (few / "A").iterdir()]
    table.write_text("\n".join(["before,after,changed", *rows]))
    refused("train", "trees", table, "-o", tmp_path / "x", *QUICK, names="all 12 pairs are changed")


def test_one_place_is_refused(refused, towns, tmp_path):
    table = tmp_path / "pairs.csv"
    (tmp_path / "towns").symlink_to(towns)
    numbers = {path.name: int(path.stem.split("_")[1]) for path in (towns / "A").iterdir()}
    rows = [f"towns/A/{n},towns/B/{n},{number % 2},north" for n, number in numbers.items()]
    table.write_text("\n".join(["before,after,changed,place", *rows]))
    asked = ("train", "trees", table, "-o", tmp_path / "x", *QUICK)
    refused(*asked, names="all tiles lie in 1 place")
    refused(*asked, "--place", "town", names="no column 'town'")


def test_pictures_of_other_sizes_are_refused(refused, tmp_path):
    pairs = write_towns(tmp_path / "pairs", 4)
    write_pair(pairs, "small", blocks(1, 32), blocks(2, 32))
    asked = ("train", "trees", pairs, "-o", tmp_path / "x", *QUICK)
    refused(*asked, names="32 x 32 px, and tiles 64 x 64")
    for part in ("A", "B", "label"):
        (pairs / part / "small.png").unlink()
    label = pairs / "label" / "town0_0.png"
    Image.open(label).resize((50, 64)).save(label)
    refused(*asked, names="town0_0.png")
    table = tmp_path / "pairs.csv"
    table.write_text("before,after,changed\npairs/A/town1_2.png,pairs/B/town1_2.png,1\n"
                     "pairs/A/town0_1.png,pairs/B/town0_1.png,0\n")  # fmt: skip
    smaller = ("train", "trees", table, "-o", tmp_path / "x", "--tile-size", 32)
    refused(*smaller, names="one label, which does not say which")


def test_models_without_posteriors_are_refused_by_name(refused, towns, tmp_path):
    asked = ("train", "trees", towns, "-o", tmp_path / "x", *TILES, "--model", "irmad")
    refused(*asked, names="builtin, clip, deltavlm")


def test_trees_that_were_altered_are_refused(refused, copied, towns):
    asked = ("evaluate", towns, "--model", f"trees:{copied}", *TILES)
    graph = copied / "trees.onnx"
    content = graph.read_bytes()
    graph.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused(*asked, names="is not the file that its card tells of")
    model = onnx.load_from_string(content)
    model.graph.output[0].name = "other"
    model.graph.node[-1].output[0] = "other"
    graph.write_bytes(model.SerializeToString())
    write_card(copied, sha256=hashlib.sha256(graph.read_bytes()).hexdigest())
    refused(*asked, names="takes or gives other values than its card tells")
    graph.write_bytes(b"no graph")
    write_card(copied, sha256=hashlib.sha256(b"no graph").hexdigest())
    refused(*asked, names="cannot be loaded")
    graph.unlink()
    refused(*asked, names="cannot be read")


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"features_version": 0}, "features of version 0"),
        ({"identity": {"id": "builtin", "checksum": "sha256:1", "adapter": ""}}, "another version"),
        ({"model": "irmad"}, "no posteriors"),
        ({"model": "clip:nobody/nothing"}, "which is not there"),
        ({"threshold": float("nan")}, "card.json is not JSON"),
        ({"threshold": "high"}, "makes no sense: threshold"),
        ({"tile_size_px": -1}, "makes no sense: tile_size_px"),
        ({"columns": 7}, "takes or gives other values"),
        ({"format": "other"}, "no card of trees"),
        ({"more": 1}, "makes no sense"),
        ({"zero_shot_threshold": 3}, "makes no sense: zero_shot_threshold"),
    ],
)
def test_cards_that_make_no_sense_are_refused(refused, copied, towns, changes, names):
    write_card(copied, **changes)
    refused("evaluate", towns, "--model", f"trees:{copied}", *TILES, names=names)


def test_a_folder_of_trees_is_known_as_one(trees, copied):
    from geochg.models.model_folder import inspect_model_folder

    folder = inspect_model_folder(trees)
    assert (folder.kind, folder.model, folder.broken) == ("trees", f"trees:{trees}", None)
    write_card(copied, sha256="0")
    assert inspect_model_folder(copied).broken is not None
