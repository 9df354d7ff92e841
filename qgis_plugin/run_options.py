"""The options of a run as the worker tells them, of which the panel and Processing make fields.

They are those of the running worker, else of the one that ran last, else of the geochg that the
plugin was made with (`options.json`, which `make plugin-options` writes). So are those of drawing
a sample, and of checking a layer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geochg_qgis.i18n import tr
from geochg_qgis.settings import store_setting, stored_setting

_RUN, _SAMPLE, _CHECK = "options", "sample_options", "check_options"
"""Kinds of options, by their names in `hello`, among the settings, and of the packaged files."""

_MODELS = "models"
_USUAL_MODELS = "builtin,irmad,cva"
_COMMANDS = ("analyze", "info", "ask")

SET_ELSEWHERE = frozenset(
    {
        *("model", "device", "aoi", "layer", "tiles_layer", "resume", "overwrite", "in_turn"),
        *("zones", "zone_name"),
    }
)
"""Options that the panel and Processing set by fields of their own, or that are not for pairs."""


_SAMPLE_ELSEWHERE = frozenset({"heatmap", "before", "after", "overwrite"})
"""Likewise of those of a sample."""

_CHECK_ELSEWHERE = frozenset(
    {"class_name", "model", "device", "output_layer", "resume", "overwrite"}
)
"""Likewise of those of a check."""


@dataclass(frozen=True)
class RunOption:
    """An option of a run; see `hello` in docs/worker.md.

    Attributes:
        name: Its name in requests.
        label: Its name in words, for the user.
        kind: `boolean`, `integer`, `number`, `string` or `array`.
        default: Its default; None where something else follows from the rest.
        unit: Unit of numbers; may be empty.
        least: Least value of numbers; None for none.
        greatest: Greatest value of numbers; None for none.
        choices: Values and their texts, the default first; empty for any value.
        usual: What the default comes to, in words; may be empty.
        help: What it is.
        commands: What takes it, of `analyze`, `info` and `ask`.
    """

    name: str
    label: str
    kind: str
    default: Any
    unit: str
    least: float | None
    greatest: float | None
    choices: tuple[tuple[str, str], ...]
    usual: str
    help: str
    commands: tuple[str, ...]

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> RunOption:
        """An option as the worker tells it."""
        name, default = str(entry["name"]), entry.get("default")
        values = sorted(map(str, entry.get("choices") or ()), key=lambda value: value != default)
        label = str(entry.get("label") or name.replace("_", " "))
        return cls(
            name,
            _labels().get(name) or tr(label[:1].upper() + label[1:]),
            str(entry.get("type", "string")),
            default,
            str(entry.get("unit") or ""),
            entry.get("least"),
            entry.get("greatest"),
            tuple((value, _choice_texts().get((name, value)) or tr(value)) for value in values),
            tr(str(entry.get("usual") or "")),
            tr(str(entry.get("help") or "")),
            _COMMANDS if entry.get("commands") is None else tuple(entry["commands"]),
        )

    def parsed(self, text: str) -> Any:  # noqa: ANN401
        """A value that was written as text; the default where nothing is written."""
        if self.kind == "array":
            return [part.strip() for part in text.split(",") if part.strip()]
        return text.strip() or self.default


def run_options(hello: Mapping[str, Any], command: str) -> list[RunOption]:
    """The options that a command takes and that have no field of their own.

    Args:
        hello: The running worker's, or empty.
        command: `analyze`, `info` or `ask`.
    """
    options = [RunOption.of(e) for e in _told_options(hello, _RUN) if e.get("type") != "object"]
    return [o for o in options if o.name not in SET_ELSEWHERE and command in o.commands]


def sample_options(hello: Mapping[str, Any]) -> list[RunOption]:
    """The options of drawing a sample that have no field of their own.

    Args:
        hello: The running worker's, or empty.
    """
    options = map(RunOption.of, _told_options(hello, _SAMPLE))
    return [option for option in options if option.name not in _SAMPLE_ELSEWHERE]


def check_options(hello: Mapping[str, Any]) -> list[RunOption]:
    """The options of checking a layer that have no field of their own.

    Args:
        hello: The running worker's, or empty.
    """
    entries = _told_options(hello, _CHECK)
    options = [RunOption.of(entry) for entry in entries if entry.get("type") != "object"]
    return [option for option in options if option.name not in _CHECK_ELSEWHERE]


def model_text(options: Mapping[str, Any]) -> str:
    """The model of a run's options, with its adapter."""
    model, own_options = str(options.get("model", "")), options.get("model_options")
    adapter = own_options.get("adapter") if isinstance(own_options, dict) else ""
    return f"{model} + {adapter}" if adapter else model


def option_labels() -> dict[str, str]:
    """Labels of all options, by their names in words as flags of the command line have them."""
    kinds = (_CHECK, _SAMPLE, _RUN)
    entries = [entry for kind in kinds for entry in _told_options({}, kind)]
    return {str(entry.get("label", "")): RunOption.of(entry).label for entry in entries}


def store_options(hello: Mapping[str, Any]) -> None:
    """Stores the options and models of a worker for when none runs."""
    for kind in (_RUN, _SAMPLE, _CHECK):
        if hello.get(kind):
            store_setting(kind, json.dumps(hello[kind]))
    names = [str(model["name"]) for model in hello.get("models", ()) if not model.get("broken")]
    if names:
        store_setting(_MODELS, ",".join(names))


def known_models() -> list[str]:
    """Names of the models that a worker told last, else of those that every geochg has."""
    return (stored_setting(_MODELS) or _USUAL_MODELS).split(",")


def _told_options(hello: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    """The options of a kind: the running worker's, else the last one's, else the packaged ones."""
    return _entries(hello.get(kind)) or _stored_options(kind) or _packaged_options(kind)


def _stored_options(kind: str) -> list[Mapping[str, Any]]:
    try:
        return _entries(json.loads(stored_setting(kind) or "[]"))
    except ValueError:
        return []


def _packaged_options(kind: str) -> list[Mapping[str, Any]]:
    path = Path(__file__).parent / f"{kind}.json"
    return _entries(json.loads(path.read_text(encoding="utf-8")))


def _entries(stored_value: object) -> list[Mapping[str, Any]]:
    entries: Iterable[Any] = stored_value if isinstance(stored_value, list) else ()
    return [entry for entry in entries if isinstance(entry, dict) and "name" in entry]


def _labels() -> dict[str, str]:
    """Labels that say more than an option's name."""
    return {
        "align": tr("Shift"),
        "near_m": tr("Near changes within"),
        "with_map": tr("Tell what the map says"),
        "dates_as_given": tr("Take the dates in the order given"),
        "learned": tr("Learned from a review"),
        "match": tr("Match the values of the dates"),
        "min_area_m2": tr("Least area"),
        "missing": tr("Look for what is missing"),
        "most_shift_m": tr("Largest shift"),
        "max_area_m2": tr("Greatest area"),
        "min_confidence": tr("Least confidence"),
        "regularize": tr("Square buildings"),
        "regularize_share": tr("Share that squaring may change"),
        "tile_size_px": tr("Tile size"),
    }


def _choice_texts() -> dict[tuple[str, str], str]:
    """Texts of choices, by option and value."""
    return {
        ("align", "auto"): tr("Correct it when it is clear"),
        ("align", "shift"): tr("Correct one shift for all of it"),
        ("align", "field"): tr("Correct a field of shifts"),
        ("align", "report"): tr("Only report it"),
        ("align", "off"): tr("Do not measure it"),
        ("allocation", "equal"): tr("As many of each stratum"),
        ("allocation", "optimal"): tr("By area and expected spread"),
        ("geometry", "outline"): tr("Outlines where the model gives them"),
        ("geometry", "cells"): tr("Cells of the 3x3 grid"),
        ("sensitivity", "normal"): tr("Normal"),
        ("sensitivity", "low"): tr("Low"),
        ("sensitivity", "high"): tr("High"),
    }
