"""What a model folder is and can do, in words for the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geochg_qgis.formatting import formatted_number
from geochg_qgis.i18n import tr
from geochg_qgis.link_messages import without_flags

ADAPTER = "adapter"

_STEP = 1000.0


def folder_facts(folder: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Labels and texts of what the worker tells of a model folder (`model_folder`)."""
    capabilities = folder.get("capabilities") or {}
    classes = ", ".join(tr(str(name)) for name in folder.get("classes") or ())
    facts = [
        (tr("Kind"), _kind(folder)),
        (tr("Base model"), _base(folder)),
        (tr("Tells"), _tasks(capabilities)),
        (tr("Classes"), classes),
        (tr("Looks at"), _bands(capabilities)),
        (tr("Size"), _size(folder)),
    ]
    return [(label, text) for label, text in facts if text]


def folder_problem(folder: Mapping[str, Any]) -> str:
    """Why a model folder cannot be used; empty when it can."""
    broken = folder.get("broken")
    if not isinstance(broken, dict):
        return ""
    texts = (str(broken.get("message") or ""), str(broken.get("hint") or ""))
    return without_flags(". ".join(filter(None, texts)))


def _kind(folder: Mapping[str, Any]) -> str:
    kind, model_type = str(folder.get("kind", "")), str(folder.get("model_type", ""))
    titles = {
        "deltavlm": tr("DeltaVLM, a change vision-language model"),
        "vlm": tr("Vision-language model ({})").format(model_type),
        "clip": tr("Model of images and texts ({})").format(model_type),
        ADAPTER: tr("Adapter (LoRA): trained weights for a base model"),
    }
    return titles.get(kind) or str(folder.get("summary") or kind)


def _base(folder: Mapping[str, Any]) -> str:
    if folder.get("kind") != ADAPTER or folder.get("broken"):
        return ""
    return str(folder.get("model") or "") or tr("not told: it is put on the model of the panel")


def _tasks(capabilities: Mapping[str, Any]) -> str:
    is_mask = capabilities.get("location") == "mask"
    texts = {
        "presence": tr("whether something changed"),
        "locate": tr("where, by outlines") if is_mask else tr("where, by cells of a 3x3 grid"),
        "count": tr("how many"),
        "caption": tr("a sentence about it"),
        "question": tr("answers to questions"),
    }
    tasks = capabilities.get("tasks") or ()
    return ", ".join(text for task, text in texts.items() if task in tasks)


def _bands(capabilities: Mapping[str, Any]) -> str:
    texts = {
        "rgb": tr("red, green and blue"),
        "rgb+nir": tr("red, green and blue, and near infrared where both images have it"),
        "all": tr("all bands that both images have"),
    }
    return texts.get(str(capabilities.get("bands")), "")


def _size(folder: Mapping[str, Any]) -> str:
    parameters, size_bytes = folder.get("parameters") or 0, folder.get("size_bytes") or 0
    if not parameters:
        return ""
    return tr("{0} parameters, {1}").format(_short(parameters), _file_size(size_bytes))


def _short(number: float) -> str:
    """A large number in two or three figures: `7.6 million`."""
    texts = [tr("{} million"), tr("{} billion")]
    value = float(number) / _STEP**2
    if value < 0.1:
        return formatted_number(number)
    text = texts[0]
    if value >= _STEP:
        value, text = value / _STEP, texts[1]
    return text.format(formatted_number(value, 1 if value < 100 else 0))


def _file_size(size_bytes: float) -> str:
    value, unit = float(size_bytes) / _STEP, "kB"
    for larger in ("MB", "GB"):
        if value < _STEP:
            break
        value, unit = value / _STEP, larger
    return f"{formatted_number(value, 1 if value < 10 else 0)} {unit}"
