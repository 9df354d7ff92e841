"""`geochg dataset pairs`: pairs of one location from metadata, as of fMoW."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from geochg.datasets.locations import LocationOptions
from geochg.extras import is_installed

from .new_folder import check_new_folder, failures_named
from .shared_options import PATH, device_option, field_options, images_option, json_option
from .terminal import echo


@click.command()
@click.argument("metadata", type=PATH)
@click.argument("folder", type=PATH)
@images_option("Where the images of a table are; beside it when left out.")
@field_options(LocationOptions)
@click.option(
    "--videos/--no-videos",
    default=None,
    help="Write two-frame videos (needs PyAV), or two images; videos where PyAV is installed.",
)
@click.option(
    "--captioner",
    metavar="MODEL",
    help="A model that describes what changed; without one, rows ask what the metadata answers.",
)
@device_option("auto", "Device of the captioner: auto, cpu, cuda, cuda:1 or mps.")
@json_option("what was made")
def pairs(
    metadata: Path,
    folder: Path,
    images: Path | None,
    videos: bool | None,
    captioner: str | None,
    device: str,
    as_json: bool,
    **params: Any,  # noqa: ANN401
) -> None:
    """Pair the images of one location by METADATA, into FOLDER, as GeoLLaVA pairs fMoW.

    METADATA is a CSV file with the columns image, location_id and timestamp (and category, split),
    or a folder with fMoW's metadata file beside each image. From each image, the next one at least
    12 months later makes a pair, and the chain goes on from that one. Rows are in LLaVA's format.

    \b
    Examples:
      geochg dataset pairs fmow/train pairs
      geochg dataset pairs shots.csv pairs --images shots --no-videos --least-months 6
    """
    from geochg.datasets.location_pairs import write_pairs
    from geochg.datasets.locations import pairs_in_time, read_location_images, within_limits
    from geochg.models.registry import load_model

    from .progress import showing_progress

    options = LocationOptions.from_dict(params)
    check_new_folder(folder)
    model = None if captioner is None else load_model(captioner, {}, device)
    kept_images, left_out_counts = within_limits(read_location_images(metadata, images), options)
    in_time = pairs_in_time(kept_images, options.least_months)
    as_videos = is_installed("av") if videos is None else videos
    with showing_progress() as listener, failures_named(folder):
        written_pairs = write_pairs(
            folder, in_time, options, videos=as_videos, captioner=model, listener=listener
        )
    summary = {
        "folder": str(folder),
        "images": len(kept_images),
        "left_out": left_out_counts,
        "videos": as_videos,
        "pairs": written_pairs.rows,
        "unanswered": written_pairs.unanswered,
    }
    echo(json.dumps(summary) if as_json else _in_words(summary))


def _in_words(summary: dict[str, Any]) -> str:
    kind = "videos of two frames" if summary["videos"] else "pairs of images"
    lines = [summary["folder"]]
    lines += [f"{split}: {number} {kind}" for split, number in summary["pairs"].items()]
    lines += [
        f"left out: {number} images, {reason}" for reason, number in summary["left_out"].items()
    ]
    if summary["unanswered"]:
        lines.append(
            f"left out: {summary['unanswered']} pairs that the captioner did not answer about"
        )
    return "\n".join(lines)
