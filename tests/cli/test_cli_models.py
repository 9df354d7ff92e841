"""`geochg models convert`: a release, small but with the names of the real one, made a model."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from deltavlm_factory import dates, tile, tiny_config, tiny_model
from deltavlm_release import write_release

from geochg.models.deltavlm.backend import DeltaVLMModel
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.records import Task
from geochg.tasks import ask


@pytest.fixture
def source(monkeypatch):
    """The model that was released, in place of the one of eight thousand million parameters."""
    config = tiny_config(vit=True, dense=False)
    monkeypatch.setattr("geochg.models.deltavlm.release.convert.full_config", lambda: config)
    return tiny_model(tiny_config(vit=True, dense=False))


@pytest.fixture
def release(source, tmp_path):
    return write_release(source, tmp_path)


@pytest.fixture
def command(release, tmp_path):
    """The arguments that convert the release to the folder `out`."""
    parts = ("--eva", release.eva, "--vicuna", release.vicuna, "--bert", release.bert)
    out = ("-o", tmp_path / "out")
    return ["models", "convert", "deltavlm", release.checkpoint, *parts, *out]


def test_a_release_becomes_a_model_that_answers(geochg, command, source, tmp_path):
    code, out, errors = geochg(*command)
    assert (code, errors) == (0, "")
    assert out == f"{tmp_path / 'out'}\nuse it with --model deltavlm:{tmp_path / 'out'}\n"
    model = DeltaVLMModel.load(str(tmp_path / "out"), DeltaVLMOptions(max_tokens=4), "cpu")
    before, after = dates(2, 28)
    wanted = source.encode_pair(before, after).visual
    # Half precision.
    assert torch.allclose(model.language.model.encode_pair(before, after).visual, wanted, atol=0.05)
    assert wanted.std() > 0.05
    assert len(model.answer([tile()], [ask(Task.CAPTION)])[0]) == 1


def test_the_folder_is_a_model_of_the_command_line(geochg, command, make_raster, tmp_path):
    told = json.loads(geochg(*command, "--json")[1])
    assert told == {"folder": str(tmp_path / "out"), "model": f"deltavlm:{tmp_path / 'out'}"}
    pair = [make_raster(f"{n}.tif", tile(n).before, crs="EPSG:32633") for n in range(2)]
    given = ("--model", told["model"], "--model-option", "max_tokens=4", "--tile-size", 64)
    code, out, errors = geochg(
        *("analyze", *pair, *given, "--overlap", 0, "--align", "off", "--device", "cpu"),
        *("--tiles", tmp_path / "t.geojson", "--allow-failed-tiles", "--json"),
    )
    assert code == 0, errors
    assert json.loads(out)["geochg"]["model"]["id"] == told["model"]


def pop(key):
    def change(weights):
        del weights[key]

    return change


def add(key):
    def change(weights):
        weights[key] = torch.zeros(1)

    return change


@pytest.mark.parametrize(
    ("part", "change", "names"),
    [
        ("checkpoint", pop("gate1.weight"), "the checkpoint has no weight 'gate1.weight'"),
        ("checkpoint", add("context4.weight"), "does not need: 'context4.weight'"),
        ("eva", pop("pos_embed"), "EVA-ViT-g's file has no weight 'pos_embed'"),
        ("eva", add("rel_pos"), "does not need: 'rel_pos'"),
        ("eva", add("cls_token"), "has the shape (1,)"),
    ],
)
def test_weights_that_do_not_fit_are_named(refused, command, release, part, change, names):
    path = getattr(release, part)
    weights = torch.load(path)
    change(weights.get("model", weights))
    torch.save(weights, path)
    refused(*command, names=names)


def test_a_language_model_with_a_hole_is_refused_in_a_line(refused, command, release):
    weights = {"model.embed_tokens.weight": torch.zeros(2, 2)}
    (release.vicuna / "model.safetensors").unlink()
    torch.save(weights, release.vicuna / "pytorch_model.bin")
    refused(*command, names="has no weight 'model.layers.0.")


@pytest.mark.parametrize("part", ["checkpoint", "eva", "vicuna", "bert"])
def test_what_is_not_there_is_named(refused, command, release, part):
    path = getattr(release, part)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    refused(*command, names=f"there is no {'folder' if part in ('vicuna', 'bert') else 'file'}")
    refused(*command, names=str(path))


@pytest.mark.parametrize("part", ["checkpoint", "eva"])
def test_a_pickle_that_could_run_code_is_named(refused, command, release, part):
    path = getattr(release, part)
    torch.save({"model": {}, "config": Path("x")}, path)
    refused(*command, names=f"{path} is no checkpoint of tensors")


def test_a_folder_that_cannot_be_made_is_named(refused, command, tmp_path):
    (tmp_path / "out").mkdir()
    refused(*command, names=f"{tmp_path / 'out'} exists already")
    refused(*command[:-1], tmp_path / "nowhere" / "out", names="nowhere does not exist")


def test_a_full_disk_leaves_nothing_behind(refused, command, tmp_path):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        refused(*command, names=f"cannot write {tmp_path / 'out'}", code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_interruption_leaves_nothing_behind(monkeypatch, geochg, command, tmp_path):
    def interrupted(release, folder):
        folder.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr("geochg.models.deltavlm.release.convert.convert_release", interrupted)
    there = sorted(tmp_path.iterdir())
    assert geochg(*command)[0] == 130
    assert sorted(tmp_path.iterdir()) == there


def test_the_list_stands_without_a_command(geochg):
    code, out, _ = geochg("models")
    assert code == 0
    assert {line.split()[0] for line in out.splitlines()} >= {"cva", "deltavlm", "irmad"}
    assert "convert" in geochg("models", "--help")[1]
    assert geochg("models", "nosuch")[0] == 2
    assert geochg("models", "--json", "convert", "deltavlm")[0] == 2
