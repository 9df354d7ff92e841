"""Magnitude pruning: the smallest weights become zero, and stay zero.

Own pruning masks rather than `torch.nn.utils.prune`, whose reparametrised layers lose a merged
adapter and save weights under names that nothing reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from geochg.errors import InputError, ModelError, RunError
from geochg.files.new_files import write_aside
from geochg.models.model_files import first_line
from geochg.training.finetune.adapters import pruned_modules
from geochg.training.finetune.run_state import PRUNING_MASKS

PruningMasks = Mapping[str, Tensor]
"""True where a weight stays, by the name of its layer."""


@torch.no_grad()
def magnitude_masks(model: nn.Module, share: float) -> PruningMasks:
    """Pruning masks of the smallest weights of each linear layer of the language model.

    A layer loses the same share as the whole (Elgendi et al., Eqs. 6-7: a threshold a layer, a
    target for all); embeddings, the output layer and the vision part are left out. Of equal
    weights the first ones go, so that the number that goes is exact.

    Args:
        model: A network with weights in full precision.
        share: Share (0-1) of the weights that is pruned.

    Raises:
        ModelError: If there is no such layer, or its weights are packed by quantisation.
    """
    names = pruned_modules(model)
    if not names:
        raise ModelError("the base model has no language model to prune", "leave out --prune")
    masks: dict[str, Tensor] = {}
    target, removed = 0.0, 0
    for name in names:
        weight = model.get_submodule(name).weight
        assert isinstance(weight, Tensor)
        _refuse_packed(name, weight)
        target += share * weight.numel()
        # What one layer could not lose as a fraction of a weight, the next one does.
        number = round(target) - removed
        removed += number
        order = weight.float().abs().flatten().argsort(stable=True)
        mask = torch.ones(weight.numel(), dtype=torch.bool, device=weight.device)
        mask[order[:number]] = False
        masks[name] = mask.view_as(weight)
    return masks


@torch.no_grad()
def apply_masks(model: nn.Module, masks: PruningMasks) -> None:
    """Sets the pruned weights to zero, in place.

    Raises:
        ModelError: If the weights are packed, or are not those that the masks are of.
    """
    for name, mask in masks.items():
        weight = _weight(model, name, mask)
        _refuse_packed(name, weight)
        weight.mul_(mask.to(weight.device, weight.dtype))


def keep_masks_applied(model: nn.Module, masks: PruningMasks, optimizer: Optimizer) -> None:
    """Applies masks again after each step of an optimizer, which would let weights grow back."""
    trained = {
        name: mask for name, mask in masks.items() if _weight(model, name, mask).requires_grad
    }
    if trained:
        optimizer.register_step_post_hook(lambda *_: apply_masks(model, trained))


@torch.no_grad()
def sparsity(model: nn.Module, masks: PruningMasks) -> float:
    """The share (0-1) of zeros among the weights of the layers that have masks."""
    weights = [_weight(model, name, mask) for name, mask in masks.items()]
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    return zeros / sum(weight.numel() for weight in weights)


def check_sparsity(model: nn.Module, masks: PruningMasks, share: float) -> float:
    """The sparsity of a model in which all pruned weights are still zero.

    Args:
        model: The network that comes out of a run.
        masks: Its pruning masks.
        share: Share (0-1) of the weights that was to be pruned.

    Raises:
        InputError: As `check_pruning_masks`.
        RunError: If weights grew back.
    """
    check_pruning_masks(model, masks, share)
    for name, mask in masks.items():
        weight = _weight(model, name, mask)
        if bool(weight.masked_fill(mask.to(weight.device), 0).any()):
            raise RunError(f"pruned weights of {name} grew back", "report this as a fault")
    return sparsity(model, masks)


def check_pruning_masks(model: nn.Module, masks: PruningMasks, share: float) -> None:
    """Refuses masks that do not prune a share of the weights of a model.

    Args:
        model: The pruned network; its weights may be quantised.
        masks: The pruning masks that a run has left.
        share: Share (0-1) of the weights that was to be pruned.

    Raises:
        InputError: If a layer has no mask, a mask no layer, or the masks prune another share.
    """
    hint = "remove the run's folder, and start anew"
    if other := min(set(pruned_modules(model)) ^ masks.keys(), default=""):
        raise InputError(f"the pruning masks of the run are of other layers: {other}", hint)
    if other := next((name for name, mask in masks.items() if mask.dtype is not torch.bool), ""):
        raise InputError(f"the pruning mask of {other} holds no truth values", hint)
    weights = sum(mask.numel() for mask in masks.values())
    pruned = sum(int((~mask).sum()) for mask in masks.values())
    if abs(pruned - share * weights) > 1:
        raise InputError(
            f"the masks cut {pruned} of {weights} weights, not a share of {share}", hint
        )


def save_pruning_masks(masks: PruningMasks, folder: Path) -> None:
    """Writes pruning masks beside a model or its checkpoints."""
    from safetensors.torch import save_file

    with write_aside(folder / PRUNING_MASKS) as new_file:
        save_file({name: mask.cpu().contiguous() for name, mask in masks.items()}, new_file)


def load_pruning_masks(folder: Path) -> PruningMasks:
    """Reads the pruning masks of a folder; none where there are none.

    Raises:
        InputError: If they cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = folder / PRUNING_MASKS
    if not file.is_file():
        return {}
    try:
        masks = load_file(file)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{file} cannot be read: {first_line(error)}", f"remove {folder}, and start anew"
        ) from error
    # Copies: a tensor that lies in the file keeps it open, and Windows then replaces no such file.
    return {name: mask.clone() for name, mask in masks.items()}


def _weight(model: nn.Module, name: str, mask: Tensor) -> Tensor:
    try:
        module = model.get_submodule(name)
    except AttributeError as error:
        raise ModelError(f"the model has no layer {name} to prune", "prune it anew") from error
    weight = getattr(module, "base_layer", module).weight
    assert isinstance(weight, Tensor)
    if weight.numel() != mask.numel() and not _is_packed(weight):
        raise ModelError(f"the mask of {name} is of another shape", "prune the model anew")
    return weight


def _refuse_packed(name: str, weight: Tensor) -> None:
    if _is_packed(weight):
        raise ModelError(
            f"the weights of {name} are packed by quantisation and cannot be pruned",
            "start from weights that are not quantised; --quantize comes after pruning",
        )


def _is_packed(weight: Tensor) -> bool:
    return not weight.is_floating_point()
