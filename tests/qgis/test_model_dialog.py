"""A model folder is chosen in a dialog that says what it can do before it is taken."""

import json
import shutil
import struct
from pathlib import Path

import pytest

from geochg_qgis.link.protocol import error_of
from geochg_qgis.model_facts import folder_facts
from geochg_qgis.panel.model_widget import taken_models
from geochg_qgis.run_options import model_text
from geochg_qgis.settings import store_setting

BUILTIN = Path(__file__).parent.parent.parent / "geochg" / "models" / "builtin"


@pytest.fixture
def model_folder(tmp_path):
    """The built-in model as a folder of the user's own."""
    return Path(shutil.copytree(BUILTIN, tmp_path / "my model"))


@pytest.fixture
def adapter(tmp_path):
    """An adapter of the built-in model."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    settings = {"peft_type": "LORA", "r": 2, "base_model_name_or_path": "builtin"}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    head = {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
    text = json.dumps(head).encode()
    (folder / "adapter_model.safetensors").write_bytes(
        struct.pack("<Q", len(text)) + text + bytes(24)
    )
    return folder


@pytest.fixture
def dialog(dock):
    store_setting("model_folders", "[]")
    yield dock.options.model_choice.open_dialog()
    store_setting("model_folders", "[]")


def look(dialog, qtbot, folder):
    dialog.folder.setFilePath(str(folder))
    assert not dialog.use.isEnabled()
    waiting = ("", "Looking at the folder")
    qtbot.waitUntil(lambda: dialog.status.text() not in waiting, timeout=60_000)


def test_a_model_is_shown_before_it_is_taken(dock, dialog, qtbot, model_folder):
    look(dialog, qtbot, model_folder)
    facts = dialog.fact_texts()
    assert facts["Kind"] == "DeltaVLM, a change vision-language model"
    assert "where, by outlines" in facts["Tells"]
    assert facts["Classes"] == "building, road, vegetation, water, bare"
    assert facts["Looks at"].startswith("red, green and blue, and near infrared")
    assert facts["Size"] == "7.6 million parameters, 15 MB"
    assert dock.options.options()["model"] == "builtin"
    dialog.use.click()
    options = dock.options.options()
    assert options["model"] == f"deltavlm:{model_folder}"
    assert "model_options" not in options
    assert taken_models() == [f"deltavlm:{model_folder}"]
    names = dock.options.model
    # It is offered again, also after the worker named its models.
    dock.options.set_models([{"name": "builtin"}, {"name": "irmad"}])
    assert [names.itemText(row) for row in range(names.count())] == [
        "builtin", "irmad", f"deltavlm:{model_folder}",
    ]  # fmt: skip
    assert names.currentText() == f"deltavlm:{model_folder}"


def test_an_adapter_is_put_on_its_base_and_taken_off(dock, dialog, qtbot, adapter):
    dock.options.model.setEditText("irmad")
    look(dialog, qtbot, adapter)
    facts = dialog.fact_texts()
    assert facts["Kind"].startswith("Adapter (LoRA)")
    assert facts["Base model"] == "builtin"
    dialog.use.click()
    choice = dock.options.model_choice
    options = dock.options.options()
    assert options["model"] == "builtin"
    assert options["model_options"] == {"adapter": str(adapter)}
    assert model_text(options) == f"builtin + {adapter}"
    # Conversations and results of a model with an adapter are not those of the model.
    assert dock.choice.ask_subject().model == f"builtin + {adapter}"
    assert str(adapter) in choice.adapter_label.text()
    assert not choice.adapter_row.isHidden()
    preset = dock.options._values()
    choice.remove_adapter.click()
    assert choice.adapter_row.isHidden()
    assert "model_options" not in dock.options.options()
    dock.options._set_values(preset)
    assert dock.options.options()["model_options"] == {"adapter": str(adapter)}


def test_the_worker_takes_the_adapter_that_is_sent(dock, adapter, qtbot):
    """This one has weights of no layer, and is refused by what it is, not by the option."""
    dock.options.model_choice.set_adapter(str(adapter))
    dock._describe_later.start()
    qtbot.waitUntil(lambda: "adapter" in dock.run_widget.info.text(), timeout=90_000)
    assert "option" not in dock.run_widget.info.text()


def test_what_cannot_be_used_says_why_in_a_line(dialog, qtbot, tmp_path, model_folder):
    (model_folder / "model.safetensors").unlink()
    for folder, text in (
        (tmp_path / "nowhere", "is not there"),
        (tmp_path, "is no model folder: it has no config.json"),
        (tmp_path, "choose one of the folders in it: my model"),
        (model_folder, "has no model.safetensors"),
    ):
        look(dialog, qtbot, folder)
        assert text.lower() in dialog.status.text().lower()
        assert not dialog.use.isEnabled()
        dialog.accept()
        assert dialog.isVisible()


def test_a_folder_of_a_stranger_is_shown_as_plain_text(dialog, qtbot, tmp_path):
    name = "<b>bold</b>"
    (tmp_path / "config.json").write_text(json.dumps({"model_type": name}))
    look(dialog, qtbot, tmp_path)
    assert name in dialog.status.text()
    from qgis.PyQt.QtCore import Qt

    assert dialog.status.textFormat() == Qt.TextFormat.PlainText


def test_another_path_takes_back_what_was_shown(dialog, qtbot, tmp_path, model_folder):
    look(dialog, qtbot, model_folder)
    assert dialog.use.isEnabled()
    dialog.folder.setFilePath(str(tmp_path / "other"))
    assert not dialog.use.isEnabled()
    assert dialog.fact_texts() == {}


def test_an_older_worker_is_told_to_be_too_old(dock, dialog, qtbot, tmp_path, monkeypatch):
    class OlderClient:
        def ask(self, *_, **__):
            raise error_of({"code": -32601, "message": "no", "data": {"hint": "no"}})

    monkeypatch.setattr(dock._connection, "client", lambda *_: OlderClient())
    look(dialog, qtbot, tmp_path)
    assert dialog.status.text() == "This geochg is too old for that. Set up a newer one"


@pytest.mark.parametrize(
    ("parameters", "text"),
    [(950, "950 parameters"), (1_240_000, "1.2 million"), (7_062_000_000, "7.1 billion")],
)
def test_sizes_have_few_figures(parameters, text):
    folder = {"kind": "x", "parameters": parameters, "size_bytes": 16_060_000_000}
    assert text in dict(folder_facts(folder))["Size"]
    assert "16 GB" in dict(folder_facts(folder))["Size"]


def test_an_adapter_of_an_unknown_base_stays_on_the_panels_model(dock):
    dock.options.model.setEditText("vlm:owner/name")
    dock.options.model_choice.take({"model": "", "options": {"adapter": "/a"}})
    assert dock.options.options()["model"] == "vlm:owner/name"
    assert dock.options.options()["model_options"] == {"adapter": "/a"}
