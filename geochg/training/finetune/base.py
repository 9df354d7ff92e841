"""The model that a run starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from geochg.errors import ModelError
from geochg.models.model_files import checksum, saved_json, weight_files

BUILTIN = "builtin"
KINDS = ("deltavlm", "vlm")


@dataclass(frozen=True, slots=True)
class Base:
    """A model folder, and what it was called.

    Attributes:
        kind: `deltavlm` or `vlm`.
        source: What `--model` was given.
        revision: Of a hub id; empty for none.
        folder: Where it lies.
    """

    kind: str
    source: str
    revision: str
    folder: Path

    @property
    def checksum(self) -> str:
        """`sha256:...` of its weights."""
        return checksum(weight_files(self.folder))

    @property
    def size_bytes(self) -> int:
        """Of its weights on disk."""
        return sum(path.stat().st_size for path in weight_files(self.folder))

    @property
    def analyzed_with(self) -> str:
        """What `geochg analyze --model` takes for it."""
        return self.source


def find_base(model: str, revision: str = "") -> Base:
    """The base that `--model` means; a hub id is fetched first.

    Raises:
        ModelError: If it is not a model that can be tuned, or is not there.
    """
    from geochg.models.hub import find_folder

    kind, _, source = model.partition(":")
    if model == BUILTIN:
        from geochg.models.builtin import FOLDER

        return Base("deltavlm", BUILTIN, "", FOLDER)
    if kind not in KINDS:
        raise ModelError(
            f"{model!r} is not a model that can be trained",
            "write builtin, deltavlm:FOLDER or vlm:FOLDER",
        )
    folder = find_folder(source, kind, revision)
    base = Base(kind, model, revision, folder)
    weight_files(folder)
    if not saved_json(folder / "config.json"):
        raise ModelError(f"{folder} has no config.json", "name the folder of a model")
    return base
