"""The base model that fine-tuning starts from: found, checked against memory, and opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import torch

from geochg.errors import ModelError
from geochg.files.new_files import make_folder_aside
from geochg.models.library_guards import quiet_libraries
from geochg.models.model_files import checksum, saved_json, tensor_shapes, weight_files
from geochg.models.pretrained import loading_errors
from geochg.models.vlm.loading import How, open_vlm
from geochg.training.checkpoints import check_checksums, explain_write_errors, write_checksums
from geochg.training.finetune.options import TuneOptions
from geochg.training.finetune.pruning import (
    PruningMasks,
    apply_masks,
    check_pruning_masks,
    load_pruning_masks,
    magnitude_masks,
    save_pruning_masks,
)
from geochg.training.finetune.run_state import PRUNED_BASE
from geochg.training.finetune.trainable_model import TrainableModel, batch_memory_errors
from geochg.training.processes import is_first, make_on_first

BUILTIN = "builtin"
KINDS = ("deltavlm", "vlm")


_NOT_QUANTISED = tuple(
    rf".*{part}.*"
    for part in ("vision", "dense", "qformer", "relation", "language_projection", "summary")
)
"""Modules of a DeltaVLM that are small, or see, and are not quantised."""

_ANSWER_TOKENS = 128

_FULL_BYTES, _HALF_BYTES = 4.0, 2.0
_QUANTISED_BYTES = {4: 0.56, 8: 1.06}
"""Bytes of a quantised weight, its scales included."""

_TRAINED_BYTES = 12
"""Bytes of a trained parameter's gradient and of AdamW's two moments."""


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A model folder, and the name that the user gave it.

    Attributes:
        kind: `deltavlm` or `vlm`.
        source: The value of `--model`.
        revision: Revision of a hub id; empty for none.
        folder: The model's folder.
    """

    kind: str
    source: str
    revision: str
    folder: Path

    @property
    def checksum(self) -> str:
        """`sha256:...` of its weights."""
        return checksum(weight_files(self.folder))


def find_base(model: str, revision: str = "") -> BaseModel:
    """The base model that `--model` means; a hub id is fetched first.

    Raises:
        ModelError: If it is not a model that can be tuned, or is not there.
    """
    from geochg.models.hub import find_folder

    kind, _, source = model.partition(":")
    if model == BUILTIN:
        from geochg.models.builtin import FOLDER

        return BaseModel("deltavlm", BUILTIN, "", FOLDER)
    if kind not in KINDS:
        raise ModelError(
            f"{model!r} is not a model that can be trained",
            "write builtin, deltavlm:FOLDER or vlm:FOLDER",
        )
    folder = find_folder(source, kind, revision)
    base = BaseModel(kind, model, revision, folder)
    weight_files(folder)
    if not saved_json(folder / "config.json"):
        raise ModelError(f"{folder} has no config.json", "name the folder of a model")
    return base


# --- opening -------------------------------------------------------------------------------------


def open_base(
    base: BaseModel, options: TuneOptions, device: str, work_dir: Path
) -> tuple[TrainableModel, PruningMasks]:
    """Opens the base ready to be adapted, with the pruning masks.

    The order is: prune, keep the masks in the run's folder, quantise. A pruned base that is
    quantised lies there in full precision, since it is needed again when the adapter is merged.

    Args:
        base: The base model.
        options: Options of pruning and quantisation.
        device: A torch device.
        work_dir: The run's folder.

    Raises:
        ModelError: If it cannot be opened, pruned or quantised.
    """
    if not options.prune:
        return _open(base, options, device, options.bits), {}
    if options.bits is None:
        model = _open(base, options, device, None)
        masks = load_pruning_masks(work_dir)
        if not masks:
            masks = magnitude_masks(model.network, options.prune)
            if is_first():
                with explain_write_errors(work_dir):
                    save_pruning_masks(masks, work_dir)
        check_pruning_masks(model.network, masks, options.prune)
        apply_masks(model.network, masks)
        return model, masks
    make_on_first("pruned base", lambda: _save_pruned_base(base, options, work_dir))
    pruned = replace(base, folder=work_dir / PRUNED_BASE)
    model, masks = _open(pruned, options, device, options.bits), load_pruning_masks(work_dir)
    check_pruning_masks(model.network, masks, options.prune)
    return model, masks


def open_whole_base(base: BaseModel, options: TuneOptions, work_dir: Path) -> TrainableModel:
    """Opens the base in full precision, pruned where that was asked, to merge an adapter into."""
    if not options.prune:
        return _open(base, options, "cpu", None)
    _save_pruned_base(base, options, work_dir)
    model = _open(replace(base, folder=work_dir / PRUNED_BASE), options, "cpu", None)
    # The run's folder holds the weights only, not what was exported from the base.
    model.folder = base.folder
    return model


def _save_pruned_base(base: BaseModel, options: TuneOptions, work_dir: Path) -> None:
    if (work_dir / PRUNED_BASE).is_dir():
        check_checksums(work_dir / PRUNED_BASE, f"remove {work_dir}, and start anew")
        return
    with explain_write_errors(work_dir), make_folder_aside(work_dir / PRUNED_BASE) as folder:
        model = _open(base, options, "cpu", None)
        masks = magnitude_masks(model.network, options.prune)
        apply_masks(model.network, masks)
        save_pruning_masks(masks, work_dir)
        with quiet_libraries():
            model.save(folder)
        write_checksums(folder)


def _open(base: BaseModel, options: TuneOptions, device: str, bits: int | None) -> TrainableModel:
    settings = How(device, _dtype(options, device), bits, "", _ANSWER_TOKENS, double=True)
    # Settings may be sensible one by one and fail together, wherever they are used.
    with loading_errors(base.folder, "its files do not fit each other: download or make it again"):
        if base.kind == "vlm":
            from geochg.training.finetune.vlm import trainable_vlm

            return trainable_vlm(open_vlm(base.folder, settings), base.folder, options.max_tokens)
        return _open_deltavlm(base, options, settings)


def _open_deltavlm(base: BaseModel, options: TuneOptions, settings: How) -> TrainableModel:
    from geochg.models.deltavlm.loading import check_folder, open_model
    from geochg.models.quantised import quantised_settings
    from geochg.training.finetune.deltavlm import TrainableDeltaVLM

    check_folder(base.folder)
    quantisation = None
    if settings.bits is not None:
        quantisation = quantised_settings(
            settings.bits, settings.dtype, settings.device, _NOT_QUANTISED, double=settings.double
        )
    network, processor = open_model(base.folder, settings.dtype, settings.device, quantisation)
    return TrainableDeltaVLM(network, processor, base.folder, options.max_tokens, options.seeing)


def _dtype(options: TuneOptions, device: str) -> torch.dtype:
    """The type of frozen weights: halved on a GPU; weights that are trained need all digits."""
    if device == "cpu" or options.full or options.bf16 is False:
        return torch.float32
    if device.startswith("cuda") and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float32


# --- memory --------------------------------------------------------------------------------------


@contextmanager
def explain_failures(work_dir: Path) -> Iterator[None]:
    """Turns what a device or a disk refuses into an error that says what to do."""
    with batch_memory_errors(), explain_write_errors(work_dir):
        yield


def weight_bytes(model: TrainableModel) -> int:
    """Bytes that all weights of a network take."""
    tensors = {id(part): part for part in [*model.parameters(), *model.buffers()]}.values()
    return sum(part.numel() * part.element_size() for part in tensors)


def learning_bytes(model: TrainableModel) -> int:
    """Bytes that gradients and optimizer of the trained parameters take."""
    return sum(part.numel() for part in model.trained_parameters().values()) * _TRAINED_BYTES


def available_bytes(device: str) -> int:
    """Free memory of a device."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    return int(psutil.virtual_memory().available)


def gigabytes(size: float) -> str:
    """A size in bytes as text."""
    return f"{size / 1e9:.3g} GB"


def check_weights_fit(base: BaseModel, options: TuneOptions, device: str) -> None:
    """Refuses a base whose weights alone would not fit.

    Raises:
        ModelError: If memory is too small.
    """
    number = sum(map(_count_weights, weight_files(base.folder)))
    bytes_per_weight = _FULL_BYTES if device == "cpu" or options.full else _HALF_BYTES
    if options.bits is not None:
        bytes_per_weight = _QUANTISED_BYTES[options.bits]
    needed = round(number * bytes_per_weight)
    _check_fits(needed, device, "the weights of the base alone take", options)


def check_learning_fits(model: TrainableModel, options: TuneOptions, device: str) -> None:
    """Refuses a run whose gradients and optimizer would not fit beside the weights.

    Raises:
        ModelError: If memory is too small.
    """
    _check_fits(learning_bytes(model), device, "gradients and optimizer take", options)


def _check_fits(needed: int, device: str, text: str, options: TuneOptions) -> None:
    free = available_bytes(device)
    if needed <= free:
        return
    hint = "lower --rank" if options.bits else "add --quantize 4bit, or use a smaller base"
    if options.full:
        hint = "train fewer module groups, with --lora instead of --full"
    raise ModelError(f"{text} {gigabytes(needed)}, but only {gigabytes(free)} are free", hint)


def _count_weights(file: Path) -> int:
    """The number of weights in a file, read off its head."""
    return sum(map(prod, tensor_shapes(file).values()))
