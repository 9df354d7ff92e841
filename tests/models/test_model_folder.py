"""What a model folder is and can do is told from its files, without loading the model."""

import json
import subprocess
import sys

import pytest
from clip_factory import save as save_clip
from clip_factory import tiny_clip
from deltavlm_factory import CLASSES as TINY_CLASSES
from deltavlm_factory import save as save_deltavlm
from deltavlm_factory import tiny_config, tiny_model
from vlm_factory import save_adapter, save_vlm

from geochg.errors import ModelError
from geochg.models.builtin import FOLDER
from geochg.models.clip import loading as clip_loading
from geochg.models.clip.model_types import MODEL_CLASSES
from geochg.models.model_folder import inspect_model_folder
from geochg.models.registry import find_backend, load_model
from geochg.models.vlm.loading import FAMILIES
from geochg.models.vlm.model_types import FAMILY_CLASSES


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder of model folders."""
    folder = tmp_path_factory.mktemp("models")
    save_deltavlm(tiny_model(tiny_config()), folder / "dense")
    save_deltavlm(tiny_model(tiny_config(vit=True)), folder / "plain")
    save_vlm("llava", folder / "llava")
    save_clip(tiny_clip(), folder / "clip")
    save_adapter(folder / "llava", folder / "adapter")
    return folder


@pytest.mark.parametrize(
    ("name", "kind"),
    [("dense", "deltavlm"), ("plain", "deltavlm"), ("llava", "vlm"), ("clip", "clip")],
)
def test_a_folder_is_told_as_the_loaded_model_is(models, name, kind):
    folder = inspect_model_folder(models / name)
    assert (folder.kind, folder.model, folder.broken) == (kind, f"{kind}:{models / name}", None)
    model = load_model(folder.model)
    assert folder.capabilities.tasks == model.capabilities.tasks
    assert folder.capabilities.location == model.capabilities.location
    assert folder.capabilities.asked_in_words == model.capabilities.asked_in_words
    assert folder.size_bytes == (models / name / "model.safetensors").stat().st_size
    assert folder.parameters > 1000


def test_the_classes_are_those_of_the_dense_head(models):
    assert inspect_model_folder(models / "dense").capabilities.classes == TINY_CLASSES
    assert inspect_model_folder(models / "dense").capabilities.location == "mask"
    assert inspect_model_folder(models / "plain").capabilities.location == "grid"


def test_an_adapter_names_its_base(models, tmp_path):
    settings_file = models / "adapter" / "adapter_config.json"
    settings = json.loads(settings_file.read_text())
    for base, model in (
        (str(models / "llava"), f"vlm:{models / 'llava'}"),
        ("owner/name", ""),
        ("builtin", "builtin"),
        ("vlm:owner/name", "vlm:owner/name"),
        ("deltavlm:../elsewhere", ""),
        ("openai:http://host/v1", ""),
    ):
        settings_file.write_text(json.dumps({**settings, "base_model_name_or_path": base}))
        folder = inspect_model_folder(models / "adapter")
        assert (folder.kind, folder.model, folder.broken) == ("adapter", model, None), base
        assert folder.options == {"adapter": str(models / "adapter")}
    card = {"base": {"model": f"vlm:{models / 'llava'}"}}
    (models / "adapter" / "card.json").write_text(json.dumps(card))
    folder = inspect_model_folder(models / "adapter")
    assert folder.model == f"vlm:{models / 'llava'}"
    assert 0 < folder.parameters < inspect_model_folder(models / "llava").parameters
    assert folder.capabilities == inspect_model_folder(models / "llava").capabilities
    model = load_model(folder.model, folder.options)
    assert model.identity.adapter


def test_an_adapter_without_its_base_cannot_be_used(models, tmp_path):
    (tmp_path / "adapter").mkdir()
    for path in (models / "adapter").iterdir():
        (tmp_path / "adapter" / path.name).write_bytes(path.read_bytes())
    card = tmp_path / "adapter" / "card.json"
    for base in (tmp_path / "gone", tmp_path / "adapter"):
        card.write_text(json.dumps({"base": {"model": f"vlm:{base}"}}))
        folder = inspect_model_folder(tmp_path / "adapter")
        assert "base model of this adapter is not there" in folder.broken.message
        assert folder.to_dict()["broken"]["hint"]
    card.write_text(json.dumps({"base": {"model": f"vlm:{models / 'clip'}"}}))
    assert "takes none" in inspect_model_folder(tmp_path / "adapter").broken.message


@pytest.mark.parametrize("name", ["dense", "llava", "clip"])
def test_a_folder_that_lacks_its_weights_says_so(models, tmp_path, name):
    for path in (models / name).iterdir():
        if path.name != "model.safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    folder = inspect_model_folder(tmp_path)
    assert "is a pickle" in folder.broken.message
    assert folder.capabilities is None
    assert folder.to_dict()["capabilities"] is None


def test_missing_packages_are_told_with_the_command(models, monkeypatch):
    monkeypatch.setattr("geochg.extras.is_installed", lambda package: package != "transformers")
    for name in ("dense", "llava", "clip"):
        assert 'pip install "geochg[vlm]"' in inspect_model_folder(models / name).broken.message


def test_what_is_no_model_is_refused_in_one_line(models, tmp_path):
    (tmp_path / "file").touch()
    for path, message, hint in (
        (tmp_path / "nowhere", "is not there", "choose the folder"),
        (tmp_path / "file", "is a file", "choose the folder"),
        (tmp_path, "no model folder: it has no config.json", "with config.json"),
        (models, "it has no config.json", "one of the folders in it: adapter, clip, dense, ..."),
    ):
        with pytest.raises(ModelError, match=message) as caught:
            inspect_model_folder(path)
        assert hint in caught.value.hint
        assert "\n" not in caught.value.message
    (tmp_path / "config.json").write_text('{"model_type": "bert\\u001b[31m"}')
    with pytest.raises(ModelError, match="which no installed backend opens") as caught:
        inspect_model_folder(tmp_path)
    assert "\x1b" not in caught.value.message
    assert "clip, deltavlm" in caught.value.hint
    (tmp_path / "config.json").write_text("nonsense")
    with pytest.raises(ModelError, match="is not JSON"):
        inspect_model_folder(tmp_path)


def test_nothing_heavy_is_loaded():
    check = (
        "import sys; from pathlib import Path; "
        "from geochg.models.model_folder import inspect_model_folder; "
        "print(inspect_model_folder(Path(sys.argv[1])).broken, "
        "[name for name in ('torch', 'transformers', 'rasterio') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", check, str(FOLDER)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "None []"


def test_the_types_that_are_told_are_those_that_are_opened():
    assert set(FAMILIES) == set(FAMILY_CLASSES)
    assert set(clip_loading.TEXT_FORMS) == set(MODEL_CLASSES)
    assert find_backend("builtin")[0].folder_types == frozenset()
