"""What of a base is trained: adapters in some layers, own weights of some parts."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from geochg.errors import ModelError
from geochg.models.adapters import apply_adapter, read_sentence
from geochg.training.finetune.base import Base
from geochg.training.finetune.module_groups import adapted_modules, tuned_parameters
from geochg.training.finetune.options import TuneOptions
from geochg.training.finetune.trainable_model import Pupil

# PEFT and we ask models by names that the newest transformers no longer likes.
warnings.filterwarnings("ignore", "`(is_)?gradient_checkpointing", FutureWarning)

_CHECKPOINTING = {"use_reentrant": False}
"""How activations are computed again; the other way needs inputs with gradients."""


def make_trainable(pupil: Pupil, base: Base, options: TuneOptions) -> None:
    """Freezes the base but for what is trained, and puts adapters in, in place.

    Raises:
        ModelError: If the base lacks a part, two ways of training meet in one, or PEFT is missing.
    """
    network = pupil.network
    whole = tuned_parameters(network, base.kind, options.full)
    layers = adapted_modules(network, base.kind, options.lora)
    layers = layers if options.lora else []
    if both := next((name for name in layers if f"{name}.weight" in set(whole)), ""):
        raise ModelError(
            f"{both} is both adapted and trained itself", "name each part in --lora or --full only"
        )
    if options.bits is not None:
        _prepare_quantised(network, options)
    network.requires_grad_(False)
    if layers:
        _put_adapters(pupil, base, layers, options)
    chosen = set(whole)
    for name, parameter in network.named_parameters():
        if _plain_name(name) in chosen:
            parameter.requires_grad_(True)
    pupil.wants_masks = pupil.learns_to_see()
    if options.checkpointing:
        network.gradient_checkpointing_enable(_CHECKPOINTING)


def save_adapter(pupil: Pupil, folder: Path) -> None:
    """Writes the adapter alone, as PEFT and `--adapter` read it."""
    # Without a look at the hub for embeddings that might have grown: none are ever adapted.
    pupil.adapter.save_pretrained(folder, save_embedding_layers=False)
    # PEFT's own card says nothing yet; ours is written later.
    (folder / "README.md").unlink(missing_ok=True)
    pupil.save_wording(folder)


def merge(pupil: Pupil) -> None:
    """Adds the adapter to the network's weights, in place; these must not be quantised."""
    if pupil.adapter is not None:
        pupil.adapter.merge_and_unload()
        pupil.adapter = None


def merge_into(pupil: Pupil, adapter: Path) -> None:
    """Adds a saved adapter to a network in full precision, in place."""
    pupil.network = apply_adapter(pupil.network, str(adapter), merge=True)
    if sentence := read_sentence(adapter):
        pupil.reword(sentence)


def _put_adapters(pupil: Pupil, base: Base, layers: list[str], options: TuneOptions) -> None:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,  # type: ignore[arg-type]
        lora_dropout=options.dropout,
        target_modules="|".join(map(re.escape, layers)),
        revision=base.revision or None,
    )
    peft = get_peft_model(pupil.network, config)
    # A folder's path is of no use on another machine.
    peft.peft_config["default"].base_model_name_or_path = base.source
    pupil.adapter = peft


def _prepare_quantised(network: Any, options: TuneOptions) -> None:  # noqa: ANN401
    try:
        from peft import prepare_model_for_kbit_training
    except ImportError as error:
        raise ModelError("adapters need peft", 'pip install "geochg[train]"') from error
    prepare_model_for_kbit_training(  # type: ignore[no-untyped-call]
        network,
        use_gradient_checkpointing=options.checkpointing,
        gradient_checkpointing_kwargs=_CHECKPOINTING,
    )


def _plain_name(name: str) -> str:
    """The name of a parameter before adapters were put in."""
    return name.replace(".base_layer.", ".")
