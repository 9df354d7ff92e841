"""What a DeltaVLM can do by its configuration, told without loading it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from geochg.extras import require_packages
from geochg.models.base import Capabilities
from geochg.models.deltavlm.loading import check_folder
from geochg.models.deltavlm.runtime.onnx_file import can_run
from geochg.models.deltavlm.runtime.onnx_language import LANGUAGE, QUESTION
from geochg.models.deltavlm.runtime.onnx_vision import FILES
from geochg.models.model_files import CONFIG, saved_json
from geochg.records import Task


def without_head(capabilities: Capabilities) -> Capabilities:
    """Those of a model without a dense head: cells of the grid, and all answers in words."""
    return replace(
        capabilities,
        location="grid",
        clues=True,
        surveys=False,
        tells_land_cover=False,
        gives_features=False,
        asked_in_words=frozenset(Task),
    )


def of_folder(folder: Path, capabilities: Capabilities) -> Capabilities:
    """The capabilities of the model in a folder.

    Args:
        folder: A model folder.
        capabilities: Those of a model with a dense head.

    Raises:
        ModelError: As `check_folder`, or if packages are missing to run it.
    """
    check_folder(folder)
    if not can_run(folder, (*FILES, QUESTION, LANGUAGE), "cpu"):
        require_packages("vlm", "torch", "transformers")
    dense = saved_json(folder / CONFIG).get("dense_config")
    if not isinstance(dense, dict):
        return without_head(capabilities)
    return replace(capabilities, classes=tuple(dense.get("classes") or capabilities.classes))
