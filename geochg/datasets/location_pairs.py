"""Pairs of locations on disk: two-frame videos or two images, and LLaVA rows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.builder.pictures import safe_name
from geochg.datasets.examples import PICTURES
from geochg.datasets.frames import picture, video_library
from geochg.datasets.locations import LocationImage, LocationOptions
from geochg.errors import InputError, ModelError, RunError
from geochg.files.new_files import make_folder_aside
from geochg.models.base import ChangeModel, backend_errors
from geochg.records import PixelWindow, Question, Reply, Task, Tile, TileWindow

VIDEO, IMAGES = "<video>\n", "<image> <image> "
"""What stands before the question of a row."""

METADATA_QUESTION = (
    "What kind of place do the two images show, and how much time lies between them?"
)
"""What metadata alone can answer."""

FRAMES_PER_SECOND = 1

Progress = Callable[[int, int], None]
"""Told how many pairs are done, and how many there are."""


class WrittenPairs(NamedTuple):
    """What came of the pairs.

    Attributes:
        rows: By split.
        unanswered: Pairs left out because the captioner gave no answer.
    """

    rows: dict[str, int]
    unanswered: int


def write_pairs(
    folder: Path,
    pairs: Sequence[tuple[LocationImage, LocationImage]],
    options: LocationOptions,
    *,
    videos: bool,
    captioner: ChangeModel | None = None,
    progress: Progress | None = None,
) -> WrittenPairs:
    """Writes pairs with LLaVA rows; both frames are scaled to one size.

    A pair to which the captioner gives no answer is left out. The folder appears whole or not at
    all. It holds `SPLIT.json` for each split that the metadata tells, or `train.json`, and
    `videos/a-b.mp4` or `images/a-b_1.png`, `images/a-b_2.png`.

    Args:
        folder: Where to; must not exist, or be empty.
        pairs: From `chained`.
        options: Size of the frames, and the question for the captioner.
        videos: Whether to write videos, which needs PyAV.
        captioner: Describes what changed; when None, rows ask what the metadata answers.
        progress: Called before each pair, and at the end.

    Raises:
        InputError: If there is no pair, an image cannot be read, or PyAV is needed and missing.
        ModelError: If the captioner takes no free questions.
        RunError: If the captioner fails, or answers about no pair.
    """
    if not pairs:
        raise InputError("no two images make a pair", "lower --least-months, or raise the limits")
    if videos:
        video_library(folder)
    if captioner is not None and Task.QUESTION not in captioner.capabilities.tasks:
        raise ModelError(
            f"the model {captioner.name} takes no free questions", "see `geochg models`"
        )
    rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    seen: defaultdict[str, int] = defaultdict(int)
    unanswered = 0
    with make_folder_aside(folder) as place:
        for number, (before, after) in enumerate(pairs):
            if progress is not None:
                progress(number, len(pairs))
            frames = [
                scaled_picture(picture(shot.image), options.size_px) for shot in (before, after)
            ]
            turn = _turn(before, after, frames, captioner, options.question)
            if turn is None:
                unanswered += 1
                continue
            name = safe_name(f"{before.image.stem}-{after.image.stem}")
            seen[name.casefold()] += 1
            if (again := seen[name.casefold()]) > 1:
                name = f"{name}.{again}"
            written = _video(place, name, frames) if videos else _images(place, name, frames)
            known = {
                "location_id": before.location,
                "category": before.category,
                "dates": [before.taken.date().isoformat(), after.taken.date().isoformat()],
            }
            talk = [
                {"from": "human", "value": f"{VIDEO if videos else IMAGES}{turn[0]}"},
                {"from": "gpt", "value": turn[1]},
            ]
            rows[before.split or "train"].append(
                {"id": name, **written, **known, "conversations": talk}
            )
        if captioner is not None and not rows:
            raise RunError(
                f"the model {captioner.name} answered about none of {len(pairs)} pairs",
                "look at what it says with geochg ask, or name another model",
            )
        if progress is not None:
            progress(len(pairs), len(pairs))
        for part, some in rows.items():
            text = json.dumps(some, indent=1) + "\n"
            (place / f"{safe_name(part)}.json").write_text(text, encoding="utf-8")
    return WrittenPairs({part: len(some) for part, some in sorted(rows.items())}, unanswered)


def scaled_picture(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """A picture scaled to a square, `(3, side, side)` uint8."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(np.moveaxis(pixels, 0, -1)))
    small = np.asarray(image.resize((side_px, side_px), Image.Resampling.BICUBIC))
    return np.ascontiguousarray(np.moveaxis(small, -1, 0))


def _images(folder: Path, name: str, frames: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
    from PIL import Image

    (folder / "images").mkdir(exist_ok=True)
    names = [f"images/{name}_{number}.png" for number in (1, 2)]
    for file, pixels in zip(names, frames, strict=True):
        Image.fromarray(np.moveaxis(pixels, 0, -1)).save(folder / file, compress_level=3)
    return {"image": names}


def _video(folder: Path, name: str, frames: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
    file = folder / "videos" / f"{name}.mp4"
    file.parent.mkdir(exist_ok=True)
    av = video_library(file)
    height_px, width_px = frames[0].shape[1:]
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        # Nearly without loss: the difference between the frames is what is learnt from.
        stream.options = {"crf": "10"}
        for pixels in frames:
            values = np.ascontiguousarray(np.moveaxis(pixels, 0, -1))
            for packet in stream.encode(av.VideoFrame.from_ndarray(values, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return {"video": f"videos/{file.name}"}


def _metadata_answer(before: LocationImage, after: LocationImage) -> str:
    months = (after.taken.year - before.taken.year) * 12 + after.taken.month - before.taken.month
    months -= after.taken.day < before.taken.day
    years, rest = divmod(months, 12)
    spans = [_many(years, "year"), _many(rest, "month")]
    span = " and ".join(part for part in spans if part) or "less than a month"
    place = f"They show: {before.category}. " if before.category else ""
    first, second = (f"{shot.taken:%Y-%m}" for shot in (before, after))
    return f"{place}They were taken in {first} and {second}: {span} apart."


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""


def _turn(
    before: LocationImage,
    after: LocationImage,
    frames: Sequence[NDArray[np.uint8]],
    captioner: ChangeModel | None,
    question: str,
) -> tuple[str, str] | None:
    """What is asked and answered about a pair; None where no answer came."""
    if captioner is None:
        return METADATA_QUESTION, _metadata_answer(before, after)
    said = _model_answer(captioner, frames, question)
    return (question, said) if said else None


def _model_answer(model: ChangeModel, frames: Sequence[NDArray[np.uint8]], question: str) -> str:
    """What a model says of two frames; empty where no answer came."""
    height_px, width_px = frames[0].shape[1:]
    window = PixelWindow(0, height_px, 0, width_px)
    valid = np.ones((height_px, width_px), bool)
    tile = Tile(TileWindow(0, 0, 0, window, window), frames[0], frames[1], valid)
    with backend_errors(model):
        model.survey(PICTURES, [])
        (answers,) = model.answer([tile], [Question(Task.QUESTION, question)])
    said = None if not isinstance(answers, Sequence) else answers[0]
    return " ".join(said.text.split()) if isinstance(said, Reply) else ""
