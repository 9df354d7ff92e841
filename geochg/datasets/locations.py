"""Pairs of images of one location from metadata, as GeoLLaVA pairs fMoW.

Images of a location are put in order of time; from the first, the next that is at least 12 months
later makes a pair, and the chain goes on from that one (Elgendi et al., GeoLLaVA).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from geochg.datasets.frames import PICTURE_SUFFIXES, picture_size
from geochg.datasets.splits import usual_split
from geochg.errors import InputError, OptionError
from geochg.files.text_file import json_value, read_table, read_text
from geochg.options import Options, option
from geochg.records import Task
from geochg.tasks import SPECS

COLUMNS = ("image", "location_id", "timestamp")


@dataclass(frozen=True)
class LocationOptions(Options):
    """Options of pairing images; the help of each option stands with its field."""

    least_months: int = option(
        12, "Least time between the dates of a pair, in months.", least=0, greatest=12_000
    )
    most_bytes: int = option(
        1_000_000, "Leave out larger image files; 0 for no limit.", least=0, greatest=10**12
    )
    least_px: int = option(
        0, "Leave out images with a shorter side; 0 for no limit.", least=0, greatest=10**6
    )
    most_px: int = option(
        0, "Leave out images with a longer side; 0 for no limit.", least=0, greatest=10**6
    )
    size_px: int = option(
        336,
        "Side of the square that both images are scaled to.",
        unit="px",
        least=16,
        greatest=8_192,
    )
    question: str = option(SPECS[Task.CAPTION].prompts[0], "Question to the captioner.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size_px % 2:
            raise OptionError(f"frames of {self.size_px} px", "give an even number from 16 on")
        if not self.question.strip():
            raise OptionError("the question is empty", "write the question of the rows")


@dataclass(frozen=True, slots=True)
class LocationImage:
    """An image of a location.

    Attributes:
        image: File of the image.
        location: Id of the place, unlike that of any other.
        taken: Date and time of the image.
        category: Category of the place in the metadata; may be empty.
        split: Split of the data set that it is in; may be empty.
    """

    image: Path
    location: str
    taken: datetime
    category: str = ""
    split: str = ""


def read_location_images(source: Path, images: Path | None = None) -> list[LocationImage]:
    """The images that a table, or a folder of fMoW's metadata files, names.

    Args:
        source: A CSV file with the columns `image` (or `img_filename`), `location_id`,
            `timestamp`, and if wanted `category` and `split`; or a folder with a `.json` file
            beside each image that holds these (fMoW's `timestamp`; the location is the file's
            folder where the file does not say it).
        images: Folder of the images of a table; that of the table when None.

    Raises:
        InputError: If it cannot be read, or an entry lacks what it needs.
    """
    if source.is_dir():
        read = list(_of_folder(source))
    elif source.is_file():
        read = list(_of_table(source, images or source.parent))
    else:
        raise InputError(f"there is no file or folder {source}", "check the path")
    if not read:
        raise InputError(f"{source} names no image", f"columns: {', '.join(COLUMNS)}")
    return read


def pairs_in_time(
    images: Iterable[LocationImage], least_months: int
) -> list[tuple[LocationImage, LocationImage]]:
    """The pairs of each location, in order of locations and time.

    Images of two splits make no pair, which would be of both.
    """
    groups: defaultdict[tuple[str, str], list[LocationImage]] = defaultdict(list)
    for image in images:
        groups[image.location, image.split].append(image)
    pairs = []
    for key in sorted(groups):
        last, *later_images = sorted(groups[key], key=lambda image: (image.taken, str(image.image)))
        for image in later_images:
            if image.taken >= _later(last.taken, least_months):
                pairs.append((last, image))
                last = image
    return pairs


def within_limits(
    images: Iterable[LocationImage], options: LocationOptions
) -> tuple[list[LocationImage], dict[str, int]]:
    """The images within the limits of size, and how many are left out, by reason.

    Raises:
        InputError: If an image is missing, or is no picture where its size in pixels matters.
    """
    kept_images, left_out_counts = [], Counter[str]()
    for image in images:
        if reason := _size_fault(image, options):
            left_out_counts[reason] += 1
        else:
            kept_images.append(image)
    return kept_images, dict(left_out_counts)


# --- reading -------------------------------------------------------------------------------------


def _of_table(source: Path, images: Path) -> Iterator[LocationImage]:
    table = read_table(source)
    names = set(table.columns)
    if "image" not in names and "img_filename" in names:
        names.add("image")
    if missing := set(COLUMNS) - names:
        raise InputError(
            f"{source} has no column {min(missing)!r}", f"columns: {', '.join(COLUMNS)}"
        )
    for number, row in table.rows():
        row_position = f"{source}, line {number}"
        name = row.get("image") or row.get("img_filename") or ""
        if not name:
            raise InputError(f"{row_position}: no image", "name a file")
        yield _location_image(row, images / name, row["location_id"], row_position)


def _of_folder(folder: Path) -> Iterator[LocationImage]:
    for file in sorted(folder.rglob("*.json")):
        if file.name.startswith("."):  # what macOS keeps beside files on other disks
            continue
        image = next((p for s in PICTURE_SUFFIXES if (p := file.with_suffix(s)).is_file()), None)
        if image is None:
            continue
        row = json_value(read_text(file), file, "copy it again")
        if not isinstance(row, dict):
            raise InputError(f"{file} holds no JSON object", 'it needs "timestamp"')
        # fMoW keeps the images of a location in a folder of its own: CATEGORY/LOCATION/.
        home = file.parent.relative_to(folder).as_posix()
        location_id = row.get("location_id")
        location = home if location_id is None else str(location_id).strip()
        boxes = row.get("bounding_boxes")
        if "category" not in row and isinstance(boxes, list):
            categories = [box.get("category") for box in boxes if isinstance(box, dict)]
            row["category"] = next((n for n in categories if n and n != "false_detection"), "")
        yield _location_image(row, image, location if location != "." else "", str(file))


def _location_image(
    row: Mapping[str, Any], image: Path, location: str, row_position: str
) -> LocationImage:
    if not location:
        raise InputError(f"{row_position}: no location_id", "images of one place share one")
    text = str(row.get("timestamp") or "").strip()
    try:
        capture_time = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{row_position}: the timestamp {text[:40]!r} is no date", "write 2016-05-31T10:00:00Z"
        ) from error
    if capture_time.tzinfo is None:
        capture_time = capture_time.replace(tzinfo=UTC)
    return LocationImage(
        image=image,
        location=location,
        taken=capture_time,
        category=str(row.get("category") or "").replace("_", " ").strip(),
        split=usual_split(str(row.get("split") or "").strip()),
    )


def _later(date: datetime, months: int) -> datetime:
    """The same day some months later; the last of the month where that has no such day."""
    years, month = divmod(date.month - 1 + months, 12)
    for day in range(date.day, 0, -1):
        try:
            return date.replace(year=date.year + years, month=month + 1, day=day)
        except ValueError:
            continue
    return date


def _size_fault(image: LocationImage, options: LocationOptions) -> str:
    """Why an image is left out; empty where it is not."""
    try:
        size = image.image.stat().st_size
    except OSError as error:
        raise InputError(
            f"there is no file {image.image}", "name the folder of the images with --images"
        ) from error
    if options.most_bytes and size > options.most_bytes:
        return "file too large"
    if options.least_px or options.most_px:
        sides = picture_size(image.image)
        if min(sides) < options.least_px:
            return "too few pixels"
        if options.most_px and max(sides) > options.most_px:
            return "too many pixels"
    return ""
