"""The card of a head: what it was made of, for what, and how well it does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from geochg.errors import InputError
from geochg.files.text_file import parsed_json
from geochg.learning.example_features import VERSION
from geochg.learning.scores import Share
from geochg.safety.untrusted_text import cleaned

GRAPH_FILE, CARD_FILE, README_FILE = "head.onnx", "card.json", "README.md"
"""Files of the folder of a head."""

CUT = 0.5
"""Probability below which a change is left out: it is more likely to be rejected than accepted."""

SURE = 0.8
"""Probability from which on a change is added that was found below the usual threshold."""

FORMAT = "geochg head"
_HINT = "make it again by `geochg learn`"
_MOST_BYTES = 1 << 20
_MOST_CLASSES = 200
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Card:
    """The card of a head.

    Attributes:
        geochg: Version of geochg that made it.
        model: The identity of the model whose changes it judges.
        geometry: `outline` or `cells`: how these changes are drawn.
        columns: Number of its features.
        has_dense: Whether dense features of the model are among these.
        names_checksum: Checksum of their names.
        verdicts: Numbers of verdicts by kind.
        layers: For each layer its name, its verdicts, the dates and the box in degrees.
        classifier: The classifier that cross-validated better.
        places: Number of places between which it was cross-validated.
        precision: Of changes that it keeps, by cross-validation.
        recall: Of changes that were accepted, by cross-validation.
        roc_auc: How often it puts an accepted change before a rejected one.
        adds: Whether it may add changes from below the usual threshold.
        class_names: Classes that it tells; empty where it leaves them as they are.
        head_sha256: Checksum of the graph.
    """

    geochg: str
    model: Mapping[str, str]
    geometry: str
    columns: int
    has_dense: bool
    names_checksum: str
    verdicts: Mapping[str, int]
    layers: tuple[Mapping[str, Any], ...]
    classifier: str
    places: int
    precision: Share
    recall: Share
    roc_auc: float
    adds: bool
    class_names: tuple[str, ...] = ()
    head_sha256: str = ""
    features_version: int = field(default=VERSION)

    def to_json(self) -> str:
        """The card as the text of `CARD_FILE`."""
        values = {"format": FORMAT, **asdict(self)}
        for name in ("precision", "recall"):
            values[name] = getattr(self, name)._asdict()
        return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def read(cls, folder: Path) -> Card:
        """Reads the card of a folder.

        Raises:
            InputError: If there is none, or it makes no sense.
        """
        file = folder / CARD_FILE
        if not folder.is_dir() or not file.is_file():
            raise InputError(
                f"{folder} is no folder that geochg learn made: it has no {CARD_FILE}",
                "give the folder that `geochg learn -o` wrote",
            )
        try:
            if file.stat().st_size > _MOST_BYTES:
                raise ValueError("it is too large")
            return _card_of(parsed_json(file.read_text(encoding="utf-8")))
        except OSError as error:
            raise InputError(f"{file} cannot be read: {error.strerror}", _HINT) from error
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            reason = f"{type(error).__name__}: {cleaned(error, _LONGEST_NAME)}"
            raise InputError(f"{file} makes no sense ({reason})", _HINT) from error

    def readme(self) -> str:
        """The card in words."""
        kinds = ", ".join(f"{count} {name}" for name, count in self.verdicts.items())
        classes = ", ".join(self.class_names) or "none: classes stay as they are"
        dense = (
            "dense features of the model, shape, size, class and pixels"
            if self.has_dense
            else "shape, size, class, confidence and pixels; the model has no dense features"
        )
        lines = [
            "# What was learned from a review",
            "",
            "Made by `geochg learn`; `geochg analyze ... --learned FOLDER` applies it. It is for",
            f"changes of the model `{self.model.get('id', '')}`, drawn as {self.geometry}.",
            "",
            "| | |",
            "|---|---|",
            f"| Verdicts | {kinds} |",
            f"| Classifier | {self.classifier} on {self.columns} features: {dense} |",
            f"| Precision of what it keeps | {self.precision} |",
            f"| Recall of what was accepted | {self.recall} |",
            f"| An accepted change stands before a rejected one | {self.roc_auc:.2f} |",
            f"| Classes that it tells | {classes} |",
            f"| Adds changes from below the threshold | {'yes' if self.adds else 'no'} |",
            f"| Made with | geochg {self.geochg}, features version {self.features_version} |",
            f"| Checksum of `{GRAPH_FILE}` | sha256:{self.head_sha256} |",
            "",
            f"Scores are of {self.places} places, each judged by heads that had not seen it, with",
            "95 % intervals. They hold for places like these:",
            "",
            *(_layer_line(layer) for layer in self.layers),
        ]
        return "\n".join(lines) + "\n"

    def facts(self) -> dict[str, Any]:
        """What the layers tell that the head was applied to."""
        return {
            "sha256": self.head_sha256,
            "features_version": self.features_version,
            "verdicts": dict(self.verdicts),
            "precision": self.precision.value,
            "recall": self.recall.value,
        }


def checksum_of(content: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def _layer_line(layer: Mapping[str, Any]) -> str:
    west, south, east, north = layer["box"]
    dates = " to ".join(str(date) for date in layer["dates"] if date)
    return (
        f"- {layer['name']}: {layer['accepted']} accepted, {layer['rejected']} rejected; "
        f"{west:.2f} to {east:.2f}° E, {south:.2f} to {north:.2f}° N"
        f"{f'; {dates}' if dates else ''}"
    )


def _card_of(values: object) -> Card:
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise ValueError("it is no card of a head")
    if values.get("features_version") != VERSION:
        raise ValueError(f"its features are not those of version {VERSION}")
    for name in ("precision", "recall"):
        values[name] = Share(**values[name])
        if not all(part is None or 0 <= float(part) <= 1 for part in values[name]):
            raise ValueError(f"{name} is no share")
    names = values["class_names"]
    if not isinstance(names, list) or len(names) > _MOST_CLASSES:
        raise ValueError("its classes are no list")
    if any(not isinstance(name, str) or cleaned(name, _LONGEST_NAME) != name for name in names):
        raise ValueError("a class is no plain name")
    for name in ("verdicts", "model"):
        if not isinstance(values[name], dict):
            raise ValueError(f"{name} is no object")
    if not all(type(count) is int and count >= 0 for count in values["verdicts"].values()):
        raise ValueError("verdicts are no counts")
    if not isinstance(values["adds"], bool) or type(values["columns"]) is not int:
        raise ValueError("adds or columns are of another type")
    if not isinstance(values["head_sha256"], str) or not isinstance(values["layers"], list):
        raise ValueError("head_sha256 or layers are of another type")
    return Card(**{**values, "class_names": tuple(names), "layers": tuple(values["layers"])})
