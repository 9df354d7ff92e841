"""What a batch keeps of each scene in its folder, and whether a scene is finished.

A scene `ID` has `scenes/ID.gpkg`, its change layer, where zones are named `scenes/ID.csv`, its sums
by zone, and `scenes/ID.json`, its record: the inputs and options it was made with, the state of
every file behind them, and what came out. Whoever runs a scene writes its record when the layer is
whole, so that a batch that was stopped at any moment, on any machine, knows its finished scenes by
what they were made of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from geochg import __version__
from geochg.batch.scene_checks import BatchScene
from geochg.errors import InputError, ModelError, RunError
from geochg.files.new_files import write_text_aside
from geochg.files.sidecars import file_states, files_behind
from geochg.files.text_file import parsed_json, read_text
from geochg.geometry.vector_file import file_of
from geochg.models.registry import find_backend, source_of
from geochg.options import AnalyzeOptions

SCENES_FOLDER = "scenes"
"""Folder of the scenes in that of a batch."""


@dataclass(frozen=True)
class SceneRecord:
    """What came of a finished scene.

    Attributes:
        asked: Inputs and options it was made with, see `asked_facts`.
        files: The state of each file behind them: path, size and time of the last change.
        layer: The state of its change layer.
        crs: CRS of the layer, as pyproj takes it.
        features: Number of its features.
        area_m2: Their area.
        tiles: Numbers of its tiles, as the layer's metadata has them.
        caption: A sentence about the scene.
        has_zones: Whether its changes were summed up by zone.
        warnings: What its user was warned of.
        seconds: Time that it took, from opening its rasters to its layer.
        host: Name of the machine that ran it.
    """

    asked: dict[str, Any]
    files: list[dict[str, Any]]
    layer: dict[str, Any]
    crs: str
    features: int
    area_m2: float
    tiles: dict[str, int]
    caption: str = ""
    has_zones: bool = False
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    host: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` gave.

        Raises:
            ValueError: If it is no such record.
        """
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise ValueError("other members than those of a record")
        record = cls(**values)
        kinds: dict[str, type] = {"asked": dict, "files": list, "layer": dict, "tiles": dict}
        kinds |= {"crs": str, "features": int, "warnings": list}
        if not all(isinstance(values[name], kind) for name, kind in kinds.items()):
            raise ValueError("members of other types than those of a record")
        return record


@dataclass(frozen=True)
class ScenePaths:
    """The files of a scene.

    Attributes:
        layer: Its change layer.
        zones: Its sums by zone, where zones are named.
        record: Its record.
    """

    layer: Path
    zones: Path
    record: Path

    @classmethod
    def of(cls, folder: Path, scene_id: str) -> Self:
        """The files of a scene in the folder of its batch."""
        # Not `with_suffix`: ids may have dots.
        scenes = folder / SCENES_FOLDER
        names = (f"{scene_id}.{suffix}" for suffix in ("gpkg", "csv", "json"))
        return cls(*(scenes / name for name in names))


def asked_facts(scene: BatchScene) -> dict[str, Any]:
    """What a finished scene must have in common with one that is asked for, as JSON keeps it."""
    facts = {
        "version": __version__,
        "before": scene.before,
        "after": scene.after,
        "options": scene.options.shaping(),
        "classes_file": scene.options.classes_file,
        "zones": scene.options.zones,
        "zone_name": scene.options.zone_name,
    }
    plain: dict[str, Any] = json.loads(json.dumps(facts))
    return plain


def option_files(options: AnalyzeOptions) -> list[Path]:
    """The files that options name: areas, classes, the folders of models and adapters."""
    names = [file_of(text) for text in (options.aoi, options.zones) if text]
    names += [options.classes_file, source_of(options.model), source_of(options.clue_model)]
    for model, own_options in (
        (options.model, options.model_options),
        (options.clue_model, options.clue_options),
    ):
        names += _named_by_model(model, own_options)
    return [file for name in names if name for file in files_behind(name)]


def _named_by_model(model: str, own_options: Mapping[str, Any]) -> list[str]:
    if not own_options:
        return []
    try:
        specs = find_backend(model)[0].options_type.specs()
    except ModelError:  # told when it is loaded
        return []
    paths = {spec.name for spec in specs if spec.facts.is_path}
    return [str(value) for name, value in own_options.items() if name in paths and value]


def write_record(path: Path, record: SceneRecord) -> None:
    """Writes the record of a finished scene.

    Raises:
        RunError: If it cannot be written.
    """
    try:
        write_text_aside(path, json.dumps(record.to_dict(), ensure_ascii=False, indent=1) + "\n")
    except (OSError, ValueError) as error:
        raise RunError(f"cannot write {path}: {error}", "make room on that disk") from error


def read_record(path: Path) -> SceneRecord | None:
    """The record of a scene; None where there is none that can be read."""
    if not path.is_file():
        return None
    try:
        content = parsed_json(read_text(path))
        return SceneRecord.from_dict(content) if isinstance(content, dict) else None
    # A damaged record is that of a scene to be run again.
    except (InputError, ValueError, TypeError):
        return None


def finished_record(folder: Path, scene: BatchScene) -> SceneRecord | None:
    """The record of a scene that is finished with these inputs and options; None where it is not.

    The layer may have been edited since, as by a review in QGIS, but must be there.
    """
    paths = ScenePaths.of(folder, scene.id)
    record = read_record(paths.record)
    if record is None or record.asked != asked_facts(scene):
        return None
    if file_states(str(state.get("path")) for state in record.files) != record.files:
        return None
    if record.has_zones and not paths.zones.is_file():
        return None
    return record if _is_layer(paths.layer, record) else None


def _is_layer(path: Path, record: SceneRecord) -> bool:
    """Whether the layer of a scene is as it was written, or at least a GeoPackage with a layer."""
    states = file_states([path])
    if not states:
        return False
    if states[0]["size_bytes"] == record.layer.get("size_bytes"):
        if states[0]["modified_ns"] == record.layer.get("modified_ns"):
            return True
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    from geochg.options import CHANGES_LAYER

    try:
        return CHANGES_LAYER in {str(name) for name, _ in pyogrio.list_layers(path)}
    except (DataSourceError, DataLayerError):
        return False
