"""`geochg dataset build`: instruction rows from pairs with masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geochg.datasets.builder.options import BuildOptions, class_coding
from geochg.errors import OptionError
from geochg.events import Notice

from .new_folder import check_new_folder, failures_named
from .shared_options import PATH, CommaSeparated, device_option, field_options, json_option
from .terminal import echo

if TYPE_CHECKING:
    from geochg.datasets.builder.captioner import Captioner
    from geochg.datasets.builder.scene import MaskedScene

_DEFAULTS = BuildOptions()


@click.command()
@click.argument("folder", type=PATH)
@click.option(
    "--pairs",
    multiple=True,
    type=PATH,
    metavar="FOLDER",
    help="A folder with A/, B/ and label/ (and direction/), or with train/, val/, test/ of these.",
)
@click.option(
    "--rasters",
    multiple=True,
    nargs=3,
    metavar="BEFORE AFTER MASK",
    help="Two rasters and what changed between them: a raster, or polygons with a field "
    "'class' (and 'change').",
)
@click.option(
    "--reviewed",
    multiple=True,
    metavar="LAYER",
    help="A change layer of analyze whose changes were accepted, rejected, relabelled or drawn, in "
    "QGIS or by a program; its images are found where the layer says they are.",
)
@click.option(
    "--classes",
    "coding",
    type=CommaSeparated(),
    default=",".join(_DEFAULTS.coding),
    show_default=True,
    metavar="VALUE=CLASS,...",
    help="How the masks are coded; 0 is no change.",
)
@click.option(
    "--shares",
    type=float,
    nargs=3,
    default=_DEFAULTS.shares,
    show_default=True,
    metavar="TRAIN VAL TEST",
    help="How much goes to each split.",
)
@field_options(BuildOptions)
@click.option(
    "--captioner",
    metavar="MODEL",
    help="A model that writes free questions and answers, given what was counted; those that "
    "contradict it are dropped. As --model of analyze.",
)
@device_option("auto", "Device of the captioner: auto, cpu, cuda, cuda:1 or mps.")
@json_option("what was made")
def build(
    folder: Path,
    pairs: tuple[Path, ...],
    rasters: tuple[tuple[str, str, str], ...],
    reviewed: tuple[str, ...],
    captioner: str | None,
    device: str,
    as_json: bool,
    **params: Any,  # noqa: ANN401
) -> None:
    """Make instruction rows of all six tasks from pairs with masks or a review, into FOLDER.

    Rows are in the format of ChangeChat-105k, split so that neighbours never straddle train and
    test. The same pairs and options give the same files (a captioner apart).

    \b
    Examples:
      geochg dataset build rows --pairs Levir-MCI-dataset/images
      geochg dataset build mytown --rasters 2015.tif 2018.tif buildings.gpkg --tile-size 224
      geochg dataset build whu --pairs WHU-CD --classes 255=building --shares 0.8 0 0.2
      geochg dataset build mine --reviewed changes.gpkg --tile-size 128 --block 1
    """
    options = BuildOptions.from_dict(params)
    if not pairs and not rasters and not reviewed:
        raise OptionError(
            "there are no pairs",
            "give --pairs FOLDER, --rasters BEFORE AFTER MASK or --reviewed LAYER",
        )
    check_new_folder(folder)
    # A model that cannot be loaded is told before the pairs are read.
    writer = _captioner(captioner, device)
    scenes = _scenes(pairs, rasters, reviewed, options)
    summary = _build(folder, scenes, options, writer)
    echo(json.dumps({"folder": str(folder), **summary}) if as_json else _in_words(folder, summary))


def _scenes(
    pairs: tuple[Path, ...],
    rasters: tuple[tuple[str, str, str], ...],
    reviewed: tuple[str, ...],
    options: BuildOptions,
) -> list[MaskedScene]:
    from geochg.datasets.builder.pictures import picture_scenes

    coding = class_coding(options.coding)
    scenes: list[MaskedScene] = [
        scene for folder in pairs for scene in picture_scenes(folder, coding)
    ]
    if rasters:
        from geochg.datasets.builder.rasters import raster_scene

        scenes += [
            raster_scene(
                *files,
                coding,
                options.align,
                dates_as_given=options.dates_as_given,
                allow_remote=options.allow_remote,
                all_reviewed=options.all_reviewed,
            )
            for files in rasters
        ]
    if reviewed:
        from geochg.datasets.builder.reviewed_layers import reviewed_scenes

        scenes += reviewed_scenes(
            reviewed,
            coding,
            all_reviewed=options.all_reviewed,
            allow_remote=options.allow_remote,
        )
    return scenes


def _captioner(reference: str | None, device: str) -> Captioner | None:
    if reference is None:
        return None
    from geochg.datasets.builder.captioner import Captioner
    from geochg.models.registry import load_model

    return Captioner(load_model(reference, {}, device))


def _build(
    folder: Path, scenes: list[MaskedScene], options: BuildOptions, captioner: Captioner | None
) -> dict[str, Any]:
    from geochg.datasets.builder.build import build_dataset

    from .progress import showing_progress

    with showing_progress() as listener, failures_named(folder):
        for note in dict.fromkeys(note for scene in scenes for note in scene.notes):
            listener(Notice(note, warning=True))
        return build_dataset(folder, scenes, options, captioner, listener)


def _in_words(folder: Path, summary: dict[str, Any]) -> str:
    lines = [str(folder)]
    for split, facts in summary["splits"].items():
        lines.append(
            f"{split}: {facts['rows']} rows about {facts['tiles']} tiles, "
            f"{facts['changed']} changed"
            + (f", {facts['known_in_parts']} known in parts" if "known_in_parts" in facts else "")
        )
    left_out_counts = {reason: number for reason, number in summary["left_out"].items() if number}
    if left_out_counts:
        reasons = ", ".join(f"{number} {reason}" for reason, number in left_out_counts.items())
        lines.append(f"left out: {reasons}")
    if summary["captioner"] is not None:
        dropped = summary["captioner"]["dropped"]
        reasons = ", ".join(f"{number} {reason}" for reason, number in dropped.items())
        lines.append(f"answers dropped: {reasons or 'none'}")
    return "\n".join(lines)
