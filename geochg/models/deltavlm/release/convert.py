"""Converts the released weights into a model folder."""

import pickle
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from tokenizers.processors import TemplateProcessing
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from geochg.errors import ModelError
from geochg.models.deltavlm.configuration import DeltaVLMConfig
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.models.deltavlm.processing import QFORMER_TOKENIZER
from geochg.models.deltavlm.release.key_map import map_weights
from geochg.models.deltavlm.sizes import full_config, full_generation
from geochg.models.pretrained import refuse_misfits

PAD, START = "[PAD]", "</s>"
"""The pad token that DeltaVLM adds to Vicuna, and Vicuna's end token, with which prompts begin."""

DECODE = "[DEC]"
"""The token that BLIP-2 adds to BERT."""

_WIDENED = ("model.embed_tokens.weight", "lm_head.weight")
"""The weights to which the pad token adds a row."""

_PICKLE_ERRORS = (
    *(pickle.UnpicklingError, struct.error, RuntimeError, EOFError, LookupError),
    *(ValueError, TypeError, AttributeError, AssertionError, OverflowError),
)
"""The errors of reading a damaged pickle."""


@dataclass(frozen=True, slots=True)
class Release:
    """The files that make up the released model.

    Attributes:
        checkpoint: `checkpoint_best.pth` of the hub's `hlwu/DeltaVLM`.
        eva: `eva_vit_g.pth`.
        vicuna: Folder of Vicuna-7B-v1.5.
        bert: Folder of bert-base-uncased, for its tokenizer.
    """

    checkpoint: Path
    eva: Path
    vicuna: Path
    bert: Path


def convert_release(
    release: Release,
    folder: Path,
    config: DeltaVLMConfig | None = None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Writes the model folder that `--model deltavlm:FOLDER` loads.

    Args:
        release: The released files.
        folder: The folder to write; made if need be.
        config: Sizes of the vision part and the Q-Former; the released ones when None. The
            language model's come from its folder.
        dtype: Number type of the written weights.

    Raises:
        ModelError: If a file cannot be read or a weight is missing, left over or misshapen.
    """
    config = config or full_config()
    trained = read_pickle(release.checkpoint)
    weights = map_weights(config, _model_of(trained), _model_of(read_pickle(release.eva)))
    text_config, text = read_language_model(release.vicuna, dtype)
    config.text_config = text_config
    weights |= {f"language_model.{key}": value for key, value in text.items()}
    with torch.device("meta"):
        model = DeltaVLMForConditionalGeneration(config)
    check_shapes(model, weights)
    model.load_state_dict({key: value.to(dtype) for key, value in weights.items()}, assign=True)
    model.generation_config = full_generation()
    model.generation_config.pad_token_id = text_config.pad_token_id
    tokenizers = _tokenizers(release)
    model.save_pretrained(folder)
    tokenizers[0].save_pretrained(folder)
    tokenizers[1].save_pretrained(folder / QFORMER_TOKENIZER)


def read_pickle(path: Path) -> dict[str, Any]:
    """A checkpoint, read so that it cannot run code.

    Raises:
        ModelError: If it cannot be read, or holds more than tensors and plain values.
    """
    try:
        with warnings.catch_warnings():
            # The protocol of a damaged file helps nobody.
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(
            f"cannot read {path}: {error.strerror or error}", "check the path"
        ) from error
    except _PICKLE_ERRORS as error:
        raise ModelError(
            f"{path} is no checkpoint of tensors and plain values", "download it again"
        ) from error
    if not isinstance(checkpoint, dict):
        raise ModelError(
            f"{path} holds a {type(checkpoint).__name__}, no dict", "download it again"
        )
    return checkpoint


def _model_of(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    inner = checkpoint.get("model", checkpoint)
    items = inner.items() if isinstance(inner, Mapping) else ()
    return {key: value for key, value in items if isinstance(value, torch.Tensor)}


def read_language_model(folder: Path, dtype: torch.dtype) -> tuple[Any, dict[str, Tensor]]:
    """Configuration and weights of the language model, with a pad token added.

    Raises:
        ModelError: If it cannot be read, could run code, is no Llama, or a weight is missing, left
            over or misshapen.
    """
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    except (OSError, SafetensorError, *_PICKLE_ERRORS) as error:
        raise ModelError(
            f"cannot read the language model in {folder}", "check the folder"
        ) from error
    model, loading_info = loaded
    refuse_misfits(f"the language model in {folder}", loading_info, "download it again")
    config, state = model.config, model.state_dict()
    if config.model_type != "llama":
        raise ModelError(
            f"{folder} holds a model of type {config.model_type!r}, not 'llama'",
            "give the folder of Vicuna-7B-v1.5",
        )
    for key in _WIDENED:
        rows = state[key]
        state[key] = torch.cat((rows, rows.new_zeros(1, rows.shape[1])))
    config.pad_token_id = config.vocab_size
    config.vocab_size += 1
    return config, state


def check_shapes(model: DeltaVLMForConditionalGeneration, weights: Mapping[str, Tensor]) -> None:
    """Refuses weights that do not fit the model one to one.

    Raises:
        ModelError: Naming the first that is missing, left over or of another shape.
    """
    model_weights = model.state_dict()
    for key in sorted(model_weights.keys() ^ weights.keys()):
        problem = (
            "the release has no weight for" if key in model_weights else "the model has no use for"
        )
        raise ModelError(f"{problem} {key!r}", "check that the files belong together")
    for key, value in model_weights.items():
        if value.shape != weights[key].shape:
            raise ModelError(
                f"{key!r} has the shape {tuple(weights[key].shape)}, not {tuple(value.shape)}",
                "check that the files belong together",
            )


def _tokenizers(release: Release) -> tuple[Any, Any]:
    """The tokenizers of language model and Q-Former, as the released code sets them up."""
    words, instruction = _tokenizer(release.vicuna), _tokenizer(release.bert)
    words.add_special_tokens({"pad_token": PAD})
    words.add_special_tokens({"bos_token": START, "eos_token": START, "unk_token": START})
    words.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{START} $A", special_tokens=[(START, words.convert_tokens_to_ids(START))]
    )
    instruction.add_special_tokens({"bos_token": DECODE})
    return words, instruction


def _tokenizer(folder: Path) -> Any:
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read the tokenizer in {folder}", "check the folder") from error
