"""Pairs of locations on disk: two-frame videos or two images, and LLaVA rows."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geochg.datasets.builder.pictures import safe_name
from geochg.datasets.examples import PICTURES
from geochg.datasets.frames import picture, video_library
from geochg.datasets.locations import LocationImage, LocationOptions
from geochg.errors import InputError, ModelError, RunError
from geochg.events import Listener, Progress, ignore
from geochg.files.new_files import make_folder_aside
from geochg.models.base import ChangeModel, backend_errors
from geochg.records import Question, Reply, Task, Tile

VIDEO, IMAGES = "<video>\n", "<image> <image> "
"""Marks before the question of a row."""

METADATA_QUESTION = (
    "What kind of place do the two images show, and how much time lies between them?"
)
"""Question that metadata alone can answer."""

FRAMES_PER_SECOND = 1


class WrittenPairs(NamedTuple):
    """Numbers of the pairs.

    Attributes:
        rows: Number of rows by split.
        unanswered: Number of pairs left out because the captioner gave no answer.
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
    listener: Listener = ignore,
) -> WrittenPairs:
    """Writes pairs with LLaVA rows; both frames are scaled to one size.

    A pair to which the captioner gives no answer is left out. The folder appears whole or not at
    all. It holds `SPLIT.json` for each split that the metadata tells, or `train.json`, and
    `videos/a-b.mp4` or `images/a-b_1.png`, `images/a-b_2.png`.

    Args:
        folder: Folder to make; must not exist, or be empty.
        pairs: Pairs that `pairs_in_time` gives.
        options: Size of the frames, and the question for the captioner.
        videos: Whether to write videos, which needs PyAV.
        captioner: Describes what changed; when None, rows ask what the metadata answers.
        listener: Receives the progress in pairs.

    Raises:
        InputError: If there is no pair, an image cannot be read, or PyAV is needed and missing.
        ModelError: If the captioner takes no free questions.
        RunError: If the captioner fails, or answers about no pair.
    """
    if not pairs:
        raise InputError("no two images make a pair", "lower --least-months, or raise the limits")
    if videos:
        video_library()
    if captioner and Task.QUESTION not in captioner.capabilities.tasks:
        raise ModelError(
            f"the model {captioner.name} takes no free questions", "see `geochg models`"
        )
    rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    names: Counter[str] = Counter()
    with make_folder_aside(folder) as partial:
        for number, (before, after) in enumerate(pairs):
            listener(Progress("written", number, len(pairs)))
            frames = [scaled_picture(picture(p.image), options.size_px) for p in (before, after)]
            turn = _turn(before, after, frames, captioner, options.question)
            if turn is not None:
                name = _unique_name(f"{before.image.stem}-{after.image.stem}", names)
                files = (_write_video if videos else _write_images)(partial, name, frames)
                row = {"id": name, **files, **_facts(before, after)}
                row["conversations"] = _dialogue(turn, VIDEO if videos else IMAGES)
                rows[before.split or "train"].append(row)
        if captioner is not None and not rows:
            raise RunError(
                f"the model {captioner.name} answered about none of {len(pairs)} pairs",
                "look at its answers with geochg ask, or name another model",
            )
        listener(Progress("written", len(pairs), len(pairs)))
        for split, of_split in rows.items():
            file = partial / f"{safe_name(split)}.json"
            file.write_text(json.dumps(of_split, indent=1) + "\n", encoding="utf-8")
    counts = {split: len(of_split) for split, of_split in sorted(rows.items())}
    return WrittenPairs(counts, len(pairs) - sum(counts.values()))


def _unique_name(text: str, names: Counter[str]) -> str:
    """A file name for a text; counts it among the names that are taken."""
    name = safe_name(text)
    names[name.casefold()] += 1
    count = names[name.casefold()]
    return name if count == 1 else f"{name}.{count}"


def _facts(before: LocationImage, after: LocationImage) -> dict[str, Any]:
    return {
        "location_id": before.location,
        "category": before.category,
        "dates": [before.taken.date().isoformat(), after.taken.date().isoformat()],
    }


def _dialogue(turn: tuple[str, str], mark: str) -> list[dict[str, str]]:
    question, answer = turn
    return [{"from": "human", "value": f"{mark}{question}"}, {"from": "gpt", "value": answer}]


def scaled_picture(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """A picture scaled to a square, `(3, side, side)` uint8."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(np.moveaxis(pixels, 0, -1)))
    small = np.asarray(image.resize((side_px, side_px), Image.Resampling.BICUBIC))
    return np.ascontiguousarray(np.moveaxis(small, -1, 0))


def _write_images(folder: Path, name: str, frames: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
    from PIL import Image

    (folder / "images").mkdir(exist_ok=True)
    names = [f"images/{name}_{number}.png" for number in (1, 2)]
    for file, pixels in zip(names, frames, strict=True):
        Image.fromarray(np.moveaxis(pixels, 0, -1)).save(folder / file, compress_level=3)
    return {"image": names}


def _write_video(folder: Path, name: str, frames: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
    file = folder / "videos" / f"{name}.mp4"
    file.parent.mkdir(exist_ok=True)
    av = video_library()
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
    counts = zip(divmod(months, 12), ("year", "month"), strict=True)
    span = (
        " and ".join(f"{n} {noun}{'' if n == 1 else 's'}" for n, noun in counts if n)
        or "less than a month"
    )
    category = f"They show: {before.category}. " if before.category else ""
    first, second = (f"{image.taken:%Y-%m}" for image in (before, after))
    return f"{category}They were taken in {first} and {second}: {span} apart."


def _turn(
    before: LocationImage,
    after: LocationImage,
    frames: Sequence[NDArray[np.uint8]],
    captioner: ChangeModel | None,
    question: str,
) -> tuple[str, str] | None:
    """Question and answer about a pair; None where no answer came."""
    if captioner is None:
        return METADATA_QUESTION, _metadata_answer(before, after)
    answer = _model_answer(captioner, frames, question)
    return (question, answer) if answer else None


def _model_answer(model: ChangeModel, frames: Sequence[NDArray[np.uint8]], question: str) -> str:
    """The answer of a model about two frames; empty where no answer came."""
    tile = Tile.of_pair(frames[0], frames[1])
    with backend_errors(model):
        model.survey(PICTURES, [])
        (answers,) = model.answer([tile], [Question(Task.QUESTION, question)])
    reply = answers[0] if isinstance(answers, Sequence) else None
    return " ".join(reply.text.split()) if isinstance(reply, Reply) else ""
