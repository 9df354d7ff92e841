"""BERTScore (Zhang et al. 2020) with an encoder of one's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from geochg.errors import InputError
from geochg.evaluation.optional_packages import metric_module

_HINT = "name a folder with the config.json, weights and tokenizer of an encoder such as BERT"


def bert_layers(folder: Path) -> int:
    """The layer that is compared: the one bert-score knows as best by the name, else the last.

    Raises:
        InputError: If the folder holds no encoder.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        layers = config["num_hidden_layers"]
    except OSError as error:
        raise InputError(f"{folder} holds no model: {error.strerror}", _HINT) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / 'config.json'} is of no encoder", _HINT) from error
    if "t5" in str(folder) or str(folder).startswith("scibert"):
        # bert-score goes by what the path looks like.
        raise InputError(f"bert-score takes {folder} for another kind of model", "rename it")
    known: dict[str, int] = metric_module("bert_score.utils").model2layers
    return known.get(folder.resolve().name, int(layers))


def bert_f1(said: Sequence[str], references: Sequence[Sequence[str]], folder: Path) -> list[float]:
    """BERTScore F of each text, about 0-1, the best over its references; 0 where nothing is said.

    Not rescaled: what two unrelated sentences get depends on the encoder.

    Args:
        said: The texts.
        references: Of each; at least one.
        folder: Of the encoder.

    Raises:
        InputError: If there is no encoder in the folder.
        OptionError: If bert-score is not installed.
    """
    layers = bert_layers(folder)
    from geochg.models.library_guards import quiet_libraries

    bert_score = metric_module("bert_score")
    scores = [0.0] * len(said)
    places = [place for place, text in enumerate(said) if text.strip()]
    if not places:
        return scores
    try:
        with quiet_libraries():
            _, _, found = bert_score.score(
                [said[place] for place in places],
                [list(references[place]) for place in places],
                model_type=str(folder),
                num_layers=layers,
            )
    except (OSError, ValueError, AssertionError, OverflowError) as error:
        line = " ".join(str(error).split())
        raise InputError(f"{folder} cannot be used as an encoder: {line}", _HINT) from error
    for place, value in zip(places, found.tolist(), strict=True):
        scores[place] = value
    return scores
