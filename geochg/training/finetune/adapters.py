"""The modules of a base model that are trained: by adapters in their layers, or by own weights."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from geochg.errors import ModelError, OptionError
from geochg.models.adapters import apply_adapter, read_sentence
from geochg.training.finetune.options import TuneOptions
from geochg.training.finetune.trainable_model import TrainableModel

if TYPE_CHECKING:
    from geochg.training.finetune.base import BaseModel

# PEFT and we ask models by names that the newest transformers no longer likes.
warnings.filterwarnings("ignore", "`(is_)?gradient_checkpointing", FutureWarning)

_CHECKPOINTING = {"use_reentrant": False}
"""How activations are computed again; the reentrant way needs inputs with gradients."""


def make_trainable(model: TrainableModel, base: BaseModel, options: TuneOptions) -> None:
    """Freezes the base but for what is trained, and puts adapters in, in place.

    Raises:
        ModelError: If the base lacks a module group, one is both adapted and trained itself, or
            PEFT is missing.
    """
    network = model.network
    parameters = set(own_parameters(network, base.kind, options.full))
    layers = adapted_modules(network, base.kind, options.lora)
    if doubled_layer := next((name for name in layers if f"{name}.weight" in parameters), ""):
        raise ModelError(
            f"{doubled_layer} is both adapted and trained itself",
            "name each module group in --lora or --full only",
        )
    if options.bits is not None:
        _prepare_quantised(network, options)
    network.requires_grad_(False)
    if layers:
        _put_adapters(model, base, layers, options)
    for name, parameter in network.named_parameters():
        # PEFT moves the parameters of an adapted layer into a `base_layer`.
        if name.replace(".base_layer.", ".") in parameters:
            parameter.requires_grad_(True)
    model.wants_masks = model.learns_from_masks()
    if options.checkpointing:
        network.gradient_checkpointing_enable(_CHECKPOINTING)


def save_adapter(model: TrainableModel, folder: Path) -> None:
    """Writes the adapter alone, as PEFT and `--adapter` read it."""
    # Without a look at the hub for embeddings that might have grown: none are ever adapted.
    model.adapter.save_pretrained(folder, save_embedding_layers=False)
    # PEFT's own card says nothing yet; ours is written later.
    (folder / "README.md").unlink(missing_ok=True)
    model.save_no_change_sentence(folder)


def merge_adapter(model: TrainableModel) -> None:
    """Adds the adapter to the network's weights, in place; these must not be quantised."""
    if model.adapter is not None:
        model.adapter.merge_and_unload()
        model.adapter = None


def merge_saved_adapter(model: TrainableModel, adapter: Path) -> None:
    """Adds a saved adapter to a network in full precision, in place."""
    model.network = apply_adapter(model.network, str(adapter), merge=True)
    if sentence := read_sentence(adapter):
        model.set_no_change_sentence(sentence)


def _put_adapters(
    model: TrainableModel, base: BaseModel, layers: list[str], options: TuneOptions
) -> None:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,  # type: ignore[arg-type]
        lora_dropout=options.dropout,
        target_modules="|".join(map(re.escape, layers)),
        revision=base.revision or None,
    )
    model.adapter = get_peft_model(model.network, config)
    # A folder's path is of no use on another machine.
    model.adapter.peft_config["default"].base_model_name_or_path = base.source


def _prepare_quantised(network: Any, options: TuneOptions) -> None:  # noqa: ANN401
    from peft import prepare_model_for_kbit_training

    prepare_model_for_kbit_training(  # type: ignore[no-untyped-call]
        network,
        use_gradient_checkpointing=options.checkpointing,
        gradient_checkpointing_kwargs=_CHECKPOINTING,
    )


# --- module groups -------------------------------------------------------------------------------

_LLAMA = r"(?:q|k|v|o|gate|up|down)_proj"

MODULE_GROUPS: Mapping[str, Mapping[str, str]] = {
    "deltavlm": {
        "language": rf"language_model\..*\.{_LLAMA}",
        "language_all": r"language_model\..*",
        "projection": r"language_projection",
        "queries": r"query_tokens",
        "qformer": r"qformer\..*",
        "relation": r"relation\..*",
        "vision": r"vision\..*",
        "vision_top": "",
        "dense": r"dense\..*",
        "summary": r"summary\..*",
    },
    "vlm": {
        "language": rf".*(?:language_model|text_model)\..*\.{_LLAMA}",
        "language_all": r".*(?:language_model|text_model)\..*|lm_head",
        "projector": r".*(?:multi_modal_projector|connector|merger|language_projection)(?:\..*)?",
        "qformer": r".*qformer\..*",
        "vision": r".*(?:vision_tower|vision_model|visual|video_tower|image_tower)\..*",
    },
}
"""Regular expressions of module names by the model's kind and the group's name; `vision_top`
depends on the depth of the model."""

_PRUNED = re.compile(r"(?:.*\.)?(?:language_model|text_model)\..*")
"""The modules that pruning cuts: the language model's, so neither vision nor what joins the two."""

_TOP_BLOCKS = 2
"""Blocks of the vision part that the released DeltaVLM trained."""

_MOST_EXAMPLES = 4
"""Names that a message gives as examples."""


def adapted_modules(model: nn.Module, kind: str, groups: Sequence[str]) -> list[str]:
    """The names of the linear and convolution layers of some groups, in the model's order.

    Args:
        model: The network of the base model.
        kind: `deltavlm` or `vlm`.
        groups: Names of groups, or regular expressions that match whole module names.

    Raises:
        OptionError: If one is no regular expression.
        ModelError: If the model has no such layer.
    """
    names = [
        name
        for name, module in model.named_modules()
        if _can_be_adapted(module) and not _is_output(name)
    ]
    return _names_in_groups(names, model, kind, groups, "layers that can be adapted")


def own_parameters(model: nn.Module, kind: str, groups: Sequence[str]) -> list[str]:
    """The names of the parameters of some groups; see `adapted_modules`."""
    names = [name for name, _ in model.named_parameters()]
    return _names_in_groups(names, model, kind, groups, "parameters")


def pruned_modules(model: nn.Module) -> list[str]:
    """The names of the linear layers that pruning cuts; the output layer is an embedding."""
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and _PRUNED.fullmatch(name) and not _is_output(name)
    ]


def _names_in_groups(
    names: Sequence[str], model: nn.Module, kind: str, groups: Sequence[str], content: str
) -> list[str]:
    matches: set[str] = set()
    for group in groups:
        rule = _rule(model, kind, group)
        # A rule means a module, or the module that a parameter belongs to.
        in_group = {
            name
            for name in names
            if rule.fullmatch(name) or rule.fullmatch(name.rpartition(".")[0])
        }
        if not in_group:
            step = max(1, len(names) // _MOST_EXAMPLES)
            examples = names[step // 2 :: step][:_MOST_EXAMPLES]
            raise ModelError(
                f"the base model has no {content} in the module group {group!r}",
                f"groups of a {kind}: {', '.join(MODULE_GROUPS[kind])}; or a regular expression of "
                f"names such as {', '.join(examples)}",
            )
        matches |= in_group
    return [name for name in names if name in matches]


def _rule(model: nn.Module, kind: str, group: str) -> re.Pattern[str]:
    known_groups = MODULE_GROUPS[kind]
    text = known_groups.get(group, group) or _vision_top(model)
    try:
        return re.compile(text)
    except re.error as error:
        raise OptionError(
            f"{group!r} is neither a module group of a {kind} nor a regular expression ({error})",
            f"groups: {', '.join(known_groups)}",
        ) from error


def _vision_top(model: nn.Module) -> str:
    """The last blocks of the vision part, whatever it is made of."""
    numbers = [
        (match[1], int(match[2]))
        for name, _ in model.named_modules()
        if (match := re.match(r"(vision\..*?(?:layers|stages))\.(\d+)", name))
    ]
    if not numbers:
        return r"vision\..*"
    stem, last = max(numbers, key=lambda entry: entry[1])
    blocks = "|".join(str(last - depth) for depth in range(_TOP_BLOCKS) if last >= depth)
    return rf"{re.escape(stem)}\.(?:{blocks})\..*"


def _can_be_adapted(module: nn.Module) -> bool:
    """Whether PEFT can: it makes layers of the same type, so subclasses of one's own are left.

    Convolutions in groups are left too: their adapters fit few ranks and cannot be merged.
    """
    kind = type(module)
    is_quantised = isinstance(module, nn.Linear) and kind.__module__.startswith("bitsandbytes")
    is_whole_convolution = kind is nn.Conv2d and getattr(module, "groups", 1) == 1
    return is_quantised or kind is nn.Linear or is_whole_convolution


def _is_output(name: str) -> bool:
    return name.rpartition(".")[2] == "lm_head"
