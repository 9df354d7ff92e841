"""Whether the settings of a model folder can be meant, before anything is built by them."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from geochg.errors import ModelError
from geochg.models.model_files import HINT, count_tensors, saved_json

_MOST_NESTED = 30
_LAYERS = frozenset(
    {"num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers"}
    | {"depth", "depths"}
)
_HEADS = frozenset({"num_attention_heads", "num_key_value_heads", "num_heads", "n_head", "n_heads"})
_WIDTHS = frozenset(
    {"hidden_size", "hidden_sizes", "intermediate_size", "d_model", "embed_dim", "embedding_size"}
    | {"encoder_hidden_size", "projection_dim", "head_dim", "width", "widths"}
)
_PIXELS = frozenset({"image_size", "patch_size", "patch_stride", "stride_px"})
_RANGES: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(_HEADS, (1, 4096)),
    **dict.fromkeys(_WIDTHS, (1, 2**20)),
    **dict.fromkeys(_PIXELS, (1, 2**14)),
    "vocab_size": (1, 2**24),
    "max_position_embeddings": (1, 2**31),
    "num_query_tokens": (1, 2**16),
    "max_prompt_tokens": (1, 2**20),
    "language_batch": (1, 2**16),
}
"""Least and greatest of what sizes arrays; far beyond any model there is."""

_EPSILON = re.compile(r"(?:^|_)eps(?:ilon)?$")
_MOST_EPSILON = 1.0
"""Greatest epsilon of a layer norm; a large one makes all values alike."""

_DENSE = "dense_config"
_TABLES = frozenset({"text_config", "vision_config", "qformer_config", _DENSE})
_SHARES = re.compile(r"(?:^|_)threshold$")
_LEAST_CONTRAST, _MOST_BRIGHT = 0.05, 2000.0
"""Between black and white, and for either, as a model is given them: most have 4 and 3."""

_KEPT_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
_KEPT_RANGES = {
    "num_beams": (1, 64),
    "max_new_tokens": (1, 100_000),
    "min_new_tokens": (0, 1000),
    "max_length": (1, 1_000_000),
    "length_penalty": (-100, 100),
    "repetition_penalty": (1e-2, 100),
    "no_repeat_ngram_size": (0, 1000),
}
"""Generation settings that are kept, with their least and greatest value. The rest that
transformers knows (other models to guess ahead, code from the hub, caches, times, words to stop at)
belongs to those who call it."""

_LEAST_SIDE_PX = 8
_LONGEST_PATTERN = 4000
_MOST_REPEATS = 8


def check_settings(values: Mapping[str, Any], folder: Path, tensors: int, hint: str = HINT) -> None:
    """Refuses a configuration whose numbers no model has.

    Args:
        values: The settings of `config.json`.
        folder: The model's folder, for the message.
        tensors: Number of tensors in the weights: no model has more layers.
        hint: Advice for the user.

    Raises:
        ModelError: Naming the setting.
    """
    for path, value in _members(values, folder, hint):
        name = path[-1]
        least, greatest = (1, tensors) if name in _LAYERS else _RANGES.get(name, (0, 0))
        # Some families give a size as height and width.
        sizes = list(value.values()) if isinstance(value, Mapping) else _as_list(value)
        sizes = [size for size in sizes if size is not None]
        sound = bool(sizes) and all(
            type(size) is int and least <= size <= greatest for size in sizes
        )
        if greatest and value is not None and not sound:
            raise ModelError(
                f"{folder} cannot be loaded: {name} {str(value)[:40]!r} is no whole number from "
                f"{least} to {greatest:,}",
                hint,
            )
        is_dense, is_dropout = _DENSE in path, name.endswith("dropout")
        for applies, low, high, rule in (
            (_EPSILON.search(name), 0, _MOST_EPSILON, "a small number from 0 on"),
            (is_dropout and not isinstance(value, bool), 0, 1, "a number from 0 to 1"),
            (is_dense and name == "color_weight", 0, 1e3, "a number from 0 to 1,000"),
            (is_dense and _SHARES.search(name), 0, 1, "a number from 0 to 1"),
            (is_dense and name == "temperature", 1e-3, 1e3, "a number above zero"),
        ):
            if applies and not _is_given(value, low, high):
                raise _senseless(folder, name, value, rule, hint)
        if name in _TABLES and not isinstance(value, Mapping | None):
            raise _senseless(folder, name, value, "a table of settings", hint)


def check_normalisation(values: Mapping[str, Any], folder: Path, hint: str = HINT) -> None:
    """Refuses settings by which images would not become numbers.

    Args:
        values: A processor's configuration: `image_mean`, `image_std`, `size`, `crop_size`.
        folder: The model's folder, for the message.
        hint: Advice for the user.

    Raises:
        ModelError: Naming the setting.
    """
    for part in ("image_processor", "video_processor"):
        if isinstance(values.get(part), Mapping):
            check_normalisation(values[part], folder, hint)
    for name, least in (("image_mean", -1e4), ("image_std", 1e-6)):
        bands = values.get(name)
        if bands is None:
            continue
        numbers = _as_list(bands)
        if len(numbers) not in (1, 3) or not all(is_number(n, least, 1e4) for n in numbers):
            above = " above zero" if least > 0 else ""
            raise _senseless(folder, name, bands, f"finite numbers{above}, one or three", hint)
    _check_contrast(values, folder, hint)
    # Families that count pixels in all, as Qwen does, have their edges squared in `size`.
    for name, greatest_px in (("size", 2**28), ("crop_size", 2**14)):
        sizes = values.get(name)
        for side in sizes.values() if isinstance(sizes, Mapping) else [sizes]:
            if not _is_given(side, _LEAST_SIDE_PX, greatest_px):
                raise _senseless(folder, name, sizes, "sizes in pixels", hint)


def _check_contrast(values: Mapping[str, Any], folder: Path, hint: str) -> None:
    """Refuses settings, each sound by itself, that make all images alike."""
    rescale = values.get("rescale_factor")
    if not _is_given(rescale, 1e-9, 1e3):
        raise _senseless(
            folder, "rescale_factor", rescale, "a number above zero, such as 1/255", hint
        )
    factor = 1.0 if values.get("do_rescale") is False else rescale or 1 / 255
    means, spreads = [0.0], [1.0]
    if values.get("do_normalize") is not False:
        means = _as_list(0.0 if values.get("image_mean") is None else values["image_mean"])
        spreads = _as_list(1.0 if values.get("image_std") is None else values["image_std"])
    for mean, spread in zip_longest(means, spreads, fillvalue=None):
        mean = means[0] if mean is None else mean
        spread = spreads[0] if spread is None else spread
        black, white = (-mean / spread, (255 * factor - mean) / spread)
        if white - black < _LEAST_CONTRAST or max(abs(black), abs(white)) > _MOST_BRIGHT:
            raise ModelError(
                f"{folder} cannot be loaded: its settings make images from {black:g} (black) to "
                f"{white:g} (white), which no model sees",
                hint,
            )


def check_generation(values: Mapping[str, Any], folder: Path, hint: str = HINT) -> None:
    """Refuses generation settings by which an answer would never end.

    Args:
        values: The settings of `generation_config.json`.
        folder: The model's folder, for the message.
        hint: Advice for the user.

    Raises:
        ModelError: Naming the setting.
    """
    for name, (least, greatest) in _KEPT_RANGES.items():
        value = values.get(name)
        is_sound = _is_given(value, least, greatest)
        if not is_sound or (isinstance(value, float) and not name.endswith("_penalty")):
            rule = f"a number from {least:g} to {greatest:,}"
            raise _senseless(folder, name, value, rule, hint)


def restrict_generation(model: Any, folder: Path, hint: str = HINT) -> None:
    """Takes from a model's generation settings whatever is not known here.

    Args:
        model: A model of transformers, changed in place.
        folder: The model's folder, for the message.
        hint: Advice for the user.

    Raises:
        ModelError: If a setting is out of its range.
    """
    from transformers import GenerationConfig

    saved_settings = model.generation_config
    kept_settings = {
        name: getattr(saved_settings, name, None) for name in (*_KEPT_TOKENS, *_KEPT_RANGES)
    }
    check_generation(kept_settings, folder, hint)
    given_settings = {name: value for name, value in kept_settings.items() if value is not None}
    model.generation_config = GenerationConfig(**given_settings)  # type: ignore[no-untyped-call]


def check_settings_files(
    folder: Path, weights: Sequence[Path], processor_files: Sequence[str], hint: str = HINT
) -> None:
    """Checks `config.json` and the files that say how images are prepared.

    Args:
        folder: The model's folder.
        weights: See `weight_files`.
        processor_files: Names of the files about images, those that exist.
        hint: Advice for the user.

    Raises:
        ModelError: As `check_settings` and `check_normalisation`.
    """
    check_settings(saved_json(folder / "config.json", hint), folder, count_tensors(weights), hint)
    for name in processor_files:
        check_normalisation(saved_json(folder / name, hint), folder, hint)


def check_pattern(pattern: str, label: str, hint: str = HINT) -> None:
    """Refuses a regular expression that is none, or that may take for ever.

    Args:
        pattern: As it stands in a file.
        label: File and setting, for the message.
        hint: Advice for the user.

    Raises:
        ModelError: If the pattern is refused; the message says why.
    """
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ModelError(f"{label} is no regular expression: {error}", hint) from error
    repeats, nested = _repeats(pattern)
    if nested or repeats > _MOST_REPEATS or len(pattern) > _LONGEST_PATTERN:
        raise ModelError(f"{label} is a regular expression that may take for ever", hint)


def _repeats(pattern: str) -> tuple[int, bool]:
    """Number of parts of a pattern that repeat without end, and whether one holds another."""
    count, nested = 0, False
    open_groups: list[bool] = []
    last_repeats = False
    for token in re.findall(
        r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d*,\}|[()*+]|.", pattern, re.DOTALL
    ):
        if token == "(":
            open_groups.append(False)
            last_repeats = False
        elif token == ")":
            last_repeats = open_groups.pop() if open_groups else False
            if last_repeats and open_groups:
                open_groups[-1] = True
        elif token in ("*", "+") or (token[0] == "{" and len(token) > 1):
            count, nested = count + 1, nested or last_repeats
            if open_groups:
                open_groups[-1] = True
            last_repeats = False
        else:
            last_repeats = False
    return count, nested


def _members(
    values: Mapping[str, Any], folder: Path, hint: str, outer: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every setting with the names that lead to it, outermost first."""
    if len(outer) > _MOST_NESTED:
        raise ModelError(f"the settings in {folder} are nested too deeply", hint)
    for name, value in values.items():
        path = (*outer, str(name))
        yield path, value
        if isinstance(value, Mapping):
            yield from _members(value, folder, hint, path)


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_given(value: object, least: float, greatest: float) -> bool:
    """Whether a setting is left out or such a number."""
    return value is None or is_number(value, least, greatest)


def is_number(value: object, least: float, greatest: float) -> bool:
    """Whether a value is a finite number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and least <= value <= greatest


def _senseless(folder: Path, name: str, value: object, rule: str, hint: str) -> ModelError:
    return ModelError(
        f"{folder} cannot be loaded: {name} {str(value)[:60]!r}, where {rule} should stand", hint
    )
