"""From a reviewed layer to trained models, by the command line."""

import json

import deltavlm_factory
import pytest
from reviewed_layers import analysed, change, rewritten
from vlm_factory import save_vlm

from geochg.datasets.ground.series import all_grounds
from geochg.training.builtin import pairs as pairs_module
from geochg.training.builtin.vision_stage import VisionOptions, train_vision

FEW = ("--steps", 2, "--batch-size", 2, "--device", "cpu", "--no-bf16")
SHARES = ("--tile-size", 64, "--block", 1, "--gap", 0, "--shares", 0.6, 0.4, 0)


@pytest.fixture(scope="module")
def layer(tmp_path_factory):
    path = analysed(tmp_path_factory.mktemp("run"))
    return rewritten(
        path,
        (
            change(1, (10, 40), (10, 40), "accepted"),
            change(2, (20, 50), (80, 110), "rejected"),
            change(3, (20, 50), (140, 170), None),
            change(4, (80, 110), (10, 50), "accepted", change="disappeared"),
            change(5, (140, 170), (80, 110), "accepted", review_class="road"),
            change(6, (140, 170), (150, 180), "rejected"),
        ),
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    deltavlm_factory.save(deltavlm_factory.tiny_model(), folder / "deltavlm")
    save_vlm("llava", folder / "llava")
    return folder


@pytest.fixture
def rows(geochg, layer, tmp_path):
    code, out, errors = geochg(
        "dataset", "build", tmp_path / "rows", "--reviewed", layer, *SHARES, "--json"
    )
    assert code == 0, errors
    assert "5 of 6 changes were decided on" in errors
    told = json.loads(out)
    assert told["verdicts"] == {"changes": {"accepted": 3, "rejected": 2, "undecided": 1}}
    assert told["left_out"]["nothing decided"] == 4
    assert sum(split["tiles"] for split in told["splits"].values()) == 5
    return tmp_path / "rows"


@pytest.mark.parametrize(
    ("model", "groups"), [("deltavlm", "language,dense,vision"), ("llava", "language")]
)
def test_an_adapter_learns_from_a_review(geochg, rows, models, tmp_path, model, groups):
    assert geochg("dataset", "check", rows)[0] == 0
    kind = "vlm" if model == "llava" else model
    code, out, errors = geochg(
        "train", rows, "--model", f"{kind}:{models / model}", "--lora", groups, "--rank", 2, *FEW,
        "-o", tmp_path / "adapter", "--json",
    )  # fmt: skip
    assert code == 0, errors
    card = json.loads(out)
    assert card["kind"] == "adapter"
    assert card["results"]["steps"] == 2
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()


def test_the_vision_part_learns_by_its_recipe(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(pairs_module, "SIDE_PX", 64)
    (tmp_path / "imagery" / "reviewed").mkdir(parents=True)
    rows.rename(tmp_path / "imagery" / "reviewed" / "mine")
    grounds = all_grounds(tmp_path / "imagery")
    assert {ground.kind for ground in grounds} == {"reviewed"}
    model = deltavlm_factory.tiny_model(
        deltavlm_factory.tiny_config(image_mean=(0.5,) * 3, image_std=(0.5,) * 3)
    )
    before = {name: part.clone() for name, part in model.dense.named_parameters()}
    options = VisionOptions(steps=2, batch_size=2, save_steps=1000, learning_rate=1e-2)
    train_vision(model, grounds, tmp_path / "work", options)
    assert any((part != before[name]).any() for name, part in model.dense.named_parameters())
    assert all(part.isfinite().all() for part in model.dense.parameters())


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("--reviewed", "nowhere.gpkg"), "nowhere.gpkg"),
        ((), "--reviewed LAYER"),
    ],
)
def test_what_is_missing_is_told(refused, tmp_path, arguments, names):
    refused("dataset", "build", tmp_path / "rows", *arguments, names=names)
