"""Model folders on this machine, and those that have to be fetched from the hub first."""

from collections.abc import Callable, Sequence
from pathlib import Path

from geochg.errors import ModelError
from geochg.models.model_files import CONFIG
from geochg.safety.untrusted_text import cleaned

WANTED = ("*.json", "*.jinja", "*.safetensors", "*.onnx", "*.txt", "*.model")
"""The files of a hub model that are fetched: no pickles, no code."""

UNWANTED = ("*/*.safetensors", "*/*.onnx", "consolidated*")
"""The files among these that models hold for other libraries."""


def find_folder(
    source: str,
    backend: str,
    revision: str = "",
    refuse: Callable[[Path], None] | None = None,
) -> Path:
    """The folder that `--model BACKEND:SOURCE` means; a hub id is fetched first.

    Args:
        source: A folder, or a hub id such as `owner/name`.
        backend: The backend's name, for the messages.
        revision: Branch, tag or commit of the hub id; empty for the newest.
        refuse: Looks at a folder that holds no more than the `config.json` of the hub id, before
            the weights are fetched, and raises a ModelError where they would be of no use.

    Raises:
        ModelError: If there is no such folder and nothing to fetch, or as `refuse`.
    """
    if not source:
        raise ModelError(f"{backend} needs a model", f"write --model {backend}:FOLDER or a hub id")
    folder = Path(source).expanduser()
    try:
        if folder.is_dir():
            return folder
        is_file = folder.exists()
    except OSError as error:  # such as a name that is longer than file systems take
        raise ModelError(
            f"{source} is no model folder: {cleaned(error)}", "check the path"
        ) from error
    if is_file:
        raise ModelError(f"{source} is a file, not a model folder", "name its folder")
    if source.count("/") != 1 or source.startswith((".", "/", "~")):
        raise ModelError(f"there is no model folder {source}", "check the path")
    if refuse is not None:
        refuse(_fetch(source, revision, [CONFIG]))
    return _fetch(source, revision, WANTED)


def _fetch(source: str, revision: str, patterns: Sequence[str]) -> Path:
    """Downloads files of a hub model into its cache, unless they lie there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(
            snapshot_download(
                source,
                revision=revision or None,
                allow_patterns=list(patterns),
                ignore_patterns=list(UNWANTED),
            )
        )
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        raise ModelError(
            f"{source} is no folder here and cannot be fetched from the hub",
            f"check the name and the network ({type(error).__name__}: {cleaned(error, 200)})",
        ) from error


def model_id(backend: str, source: str, revision: str = "") -> str:
    """The `ModelIdentity.id` of a model folder or a hub model, such as `vlm:owner/name@main`."""
    return f"{backend}:{source}" + (f"@{revision}" if revision else "")
