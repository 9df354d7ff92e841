"""The parts of models by name, and the modules and parameters they mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from geochg.errors import ModelError, OptionError

if TYPE_CHECKING:
    from torch import nn

_LLAMA = r"(?:q|k|v|o|gate|up|down)_proj"

DELTAVLM: Mapping[str, str] = {
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
}
"""Regular expressions of module names in a DeltaVLM; `vision_top` depends on its depth."""

VLM: Mapping[str, str] = {
    "language": rf".*(?:language_model|text_model)\..*\.{_LLAMA}",
    "language_all": r".*(?:language_model|text_model)\..*|lm_head",
    "projector": r".*(?:multi_modal_projector|connector|merger|language_projection)(?:\..*)?",
    "qformer": r".*qformer\..*",
    "vision": r".*(?:vision_tower|vision_model|visual|video_tower|image_tower)\..*",
}
"""The same in models of transformers."""

PARTS: Mapping[str, Mapping[str, str]] = {"deltavlm": DELTAVLM, "vlm": VLM}
"""By the model's kind."""

PRUNED = r"(?:.*\.)?(?:language_model|text_model)\..*"
"""The modules that pruning cuts: the language model's, so neither vision nor what joins the two."""

_TOP_BLOCKS = 2
"""Blocks of the vision part that the released DeltaVLM trained."""

_SHOWN = 4
"""Names that a message gives as examples."""


def adapted_modules(model: nn.Module, kind: str, parts: Sequence[str]) -> list[str]:
    """The names of the linear and convolution layers of some parts, in the model's order.

    Args:
        model: The base.
        kind: `deltavlm` or `vlm`.
        parts: Names, or regular expressions that match whole module names.

    Raises:
        OptionError: If one is no regular expression.
        ModelError: If the model has no such layer.
    """
    layers = [
        name
        for name, module in model.named_modules()
        if _can_be_adapted(module) and not _is_output(name)
    ]
    return _of_parts(layers, model, kind, parts, "layers that can be adapted")


def tuned_parameters(model: nn.Module, kind: str, parts: Sequence[str]) -> list[str]:
    """The names of the parameters of some parts; see `adapted_modules`."""
    return _of_parts(
        [name for name, _ in model.named_parameters()], model, kind, parts, "parameters"
    )


def pruned_modules(model: nn.Module) -> list[str]:
    """The names of the linear layers that pruning cuts; the output layer is an embedding."""
    from torch import nn

    rule = re.compile(PRUNED)
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and rule.fullmatch(name) and not _is_output(name)
    ]


def _of_parts(
    names: Sequence[str], model: nn.Module, kind: str, parts: Sequence[str], what: str
) -> list[str]:
    found: set[str] = set()
    for part in parts:
        chosen = {name for name in names if _matches(_rule(model, kind, part), name)}
        if not chosen:
            raise ModelError(
                f"the base has no {what} in the part {part!r}",
                f"parts of a {kind}: {', '.join(PARTS[kind])}; or a regular expression of names "
                f"such as {', '.join(_examples(names))}",
            )
        found |= chosen
    return [name for name in names if name in found]


def _matches(rule: re.Pattern[str], name: str) -> bool:
    """Whether a rule means a module, or the module that a parameter belongs to."""
    return bool(rule.fullmatch(name) or rule.fullmatch(name.rpartition(".")[0]))


def _rule(model: nn.Module, kind: str, part: str) -> re.Pattern[str]:
    known = PARTS[kind]
    text = known.get(part, part) or _vision_top(model)
    try:
        return re.compile(text)
    except re.error as error:
        raise OptionError(
            f"{part!r} is neither a part of a {kind} nor a regular expression ({error})",
            f"parts: {', '.join(known)}",
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
    blocks = "|".join(str(last - back) for back in range(_TOP_BLOCKS) if last >= back)
    return rf"{re.escape(stem)}\.(?:{blocks})\..*"


def _can_be_adapted(module: nn.Module) -> bool:
    """Whether PEFT can: it makes layers of the same type, so subclasses of one's own are left.

    Convolutions in groups are left too: their adapters fit few ranks and cannot be merged.
    """
    from torch import nn

    kind = type(module)
    packed = isinstance(module, nn.Linear) and kind.__module__.startswith("bitsandbytes")
    whole = isinstance(module, nn.Conv2d) and module.groups == 1
    return packed or (kind is nn.Linear) or (kind is nn.Conv2d and whole)


def _is_output(name: str) -> bool:
    return name.rpartition(".")[2] == "lm_head"


def _examples(names: Sequence[str]) -> Iterator[str]:
    step = max(1, len(names) // _SHOWN)
    yield from _first(names[step // 2 :: step])


def _first(names: Iterable[str]) -> Iterator[str]:
    yield from (name for name, _ in zip(names, range(_SHOWN), strict=False))
