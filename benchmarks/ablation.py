"""What each source of labelled ground, and the pretrained encoder, do for the built-in model.

    python benchmarks/ablation.py --real-dir FOLDER --kinds FOLDER --work FOLDER
        [--steps 100] [--markdown FILE]

Trains the frozen pass of the vision stage once with everything, and once without each source;
calibrates on held-out ground; scores the maps of `--kinds` as `geochg evaluate` does. What is in
`--work` is not done again. The runs are far shorter than the recipe: only their differences tell.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from geochg.datasets.ground.labelled import LabelledGround
from geochg.datasets.ground.series import all_grounds, split_grounds
from geochg.datasets.kinds import kinds_of
from geochg.evaluation.map_measures import map_measures
from geochg.evaluation.map_scores import score_lines, scored_pairs
from geochg.events import ignore
from geochg.models.base import ModelIdentity
from geochg.models.builtin import BuiltinModel
from geochg.models.deltavlm.modeling import DeltaVLMForConditionalGeneration
from geochg.models.deltavlm.options import DeltaVLMOptions
from geochg.models.deltavlm.processing import DeltaVLMProcessor
from geochg.models.deltavlm.runtime.torch_vision import TorchVision
from geochg.models.deltavlm.sizes import compact_config
from geochg.options import AnalyzeOptions
from geochg.training.builtin.pretrained import load_imagenet_weights
from geochg.training.builtin.recipe import HEAD_RATE, calibrate
from geochg.training.builtin.vision_stage import VisionOptions, train_vision

ALL, RANDOM = "everything", "no ImageNet weights"

SOURCES = {
    "buildings": ("oam", "massachusetts", "rio", "spacenet", "spacenet7", "atlanta"),
    "land cover, roads": ("dubai", "vegas", "gsi"),
    "fields, lakes": ("farm", "naip", "chip"),
    "floods": ("flood",),
    "Sentinel-2, clouds": ("s2", "seasons", "cloud"),
    "forest, landslides": ("forest",),
}
"""Kinds of ground that are left out together, by what they are."""

METRICS = ("cell_auroc", "cell_f1", "pixel_f1")

Scores = dict[str, dict[str, float | None]]
"""By kind and metric."""


def trained(
    grounds: Sequence[LabelledGround], folder: Path, steps: int, pretrained: bool
) -> DeltaVLMForConditionalGeneration:
    """A model after the frozen pass."""
    torch.manual_seed(0)
    model = DeltaVLMForConditionalGeneration(compact_config(2000))
    if pretrained:
        load_imagenet_weights(model.vision.model)
    options = VisionOptions(steps, learning_rate=HEAD_RATE, save_steps=max(1, steps // 8))
    train_vision(model, grounds, folder, options)
    return model.eval()


def scored(model: DeltaVLMForConditionalGeneration, kinds: Path) -> Scores:
    """The scores of a calibrated model."""
    vision = TorchVision(model, DeltaVLMProcessor(model.config, None, None))
    asked = BuiltinModel(
        vision, _no_language, DeltaVLMOptions(), ModelIdentity("ablation", "ablation", "ablation")
    )
    found = {}
    for kind in kinds_of(kinds):
        options = AnalyzeOptions(classes=kind.classes)
        pairs = [map_measures(pair, asked, options, ignore) for pair in kind.pairs]
        line = score_lines(scored_pairs(pairs))[0]
        found[kind.name] = {metric: line.values[metric] for metric in METRICS}
    return found


def markdown(results: dict[str, Scores]) -> str:
    """A table: AUROC of cells / cell F1 / pixel F1."""
    kinds = list(results[ALL])
    lines = [f"| Trained with | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|"]
    for name, scores in results.items():
        cells = [
            " / ".join(
                "-" if (v := scores[k][m]) is None else f"{v:.2f}".removeprefix("0")
                for m in METRICS
            )
            for k in kinds
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real-dir", type=Path, required=True)
    parser.add_argument("--kinds", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    learned, held_out = split_grounds(all_grounds(arguments.real_dir))
    left_out = {ALL: (), RANDOM: (), **{f"no {name}": kinds for name, kinds in SOURCES.items()}}
    results: dict[str, Scores] = {}
    for name, kinds in left_out.items():
        file = arguments.work / name.replace(" ", "_") / "scores.json"
        if not file.exists():
            grounds = [ground for ground in learned if ground.kind not in kinds]
            model = trained(grounds, file.parent, arguments.steps, name != RANDOM)
            calibrate(model, held_out)
            file.write_text(json.dumps(scored(model, arguments.kinds)), encoding="utf-8")
        results[name] = json.loads(file.read_text(encoding="utf-8"))
        print(markdown(results), flush=True)
    if arguments.markdown:
        arguments.markdown.write_text(markdown(results), encoding="utf-8")


def _no_language() -> None:
    raise AssertionError("the language model is not asked")


if __name__ == "__main__":
    main()
