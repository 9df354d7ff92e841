"""The pixels of examples: two pictures, or the two frames of a video."""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geochg.errors import InputError
from geochg.extras import MissingExtraError
from geochg.safety.untrusted_text import cleaned

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from geochg.datasets.example import Example

    Pixels = NDArray[np.uint8]

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")
CODED_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm")
"""Videos that need PyAV; two-frame GIF, PNG, WebP and TIFF files do without."""

_ORIENTATION = 0x0112
"""EXIF tag of the orientation of a picture."""

_LYING = (5, 6, 7, 8)
"""Orientations that turn a picture by a quarter."""

_EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")


def load_pair(example: Example) -> tuple[Pixels, Pixels]:
    """The two pictures of an example.

    Returns:
        Before and after, `(3, height, width)` uint8 each: red, green, blue.

    Raises:
        InputError: If a file is missing or no 8-bit picture, the sizes differ, or a video has not
            two frames.
    """
    if example.video is not None:
        before, after = video_frames(example.video)
    elif example.before is not None and example.after is not None:
        before, after = picture(example.before), picture(example.after)
    else:
        raise InputError(f"{example.display_name} has neither two images nor a video", "name them")
    if before.shape != after.shape:
        raise InputError(
            f"{example.display_name}: {example.paths[-1].name} has {_size(after)} px, the image "
            f"before has {_size(before)}",
            "the images of a pair must be of one size",
        )
    return before, after


def picture(path: Path) -> Pixels:
    """The pixels of a picture file, `(3, height, width)` uint8.

    Raises:
        InputError: If it is missing, damaged, or not of 8 bit.
    """
    with open_picture(path) as image:
        return _pixels(image, path)


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width of an upright picture in pixels, read off its head.

    Raises:
        InputError: If it is missing or no picture.
    """
    with open_picture(path) as image:
        # Pillow gives TIFF files the size that they have upright.
        is_lying = image.format != "TIFF" and _orientation(image) in _LYING
        return (image.width, image.height) if is_lying else (image.height, image.width)


def open_picture(path: Path) -> Image:
    """A picture file, opened; its pixels are not read yet and may lie turned: see `upright`.

    Raises:
        InputError: If it is missing, no picture, or too large to be read whole.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # It warns at half the size at which it refuses, which is no news to anybody.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path)
    except Image.DecompressionBombError as error:
        greatest = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        size = re.search(r"\d+", str(error))
        raise InputError(
            f"{path} has {int(size[0]) if size else 0:,} pixels; pictures are read up to "
            f"{greatest:,}",
            "cut it into tiles first, for example with gdal_retile.py; rasters with a place on the "
            "ground may be of any size",
        ) from error
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}", "check the path") from error
    except (UnidentifiedImageError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as a picture",
            f"pictures are of 8 bit: {', '.join(PICTURE_SUFFIXES)}",
        ) from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}", "check it") from error


def upright_picture(image: Image, path: Path) -> Image:
    """A picture turned as its file says that it is to be held (EXIF orientation).

    Raises:
        InputError: If its pixels cannot be read.
    """
    from PIL import ImageOps

    try:
        if _orientation(image) == 1:
            image.load()
            return image
        return ImageOps.exif_transpose(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise _damage_error(path, error) from error


def upright_pixels(image: Image, path: Path, mode: str | None = None) -> Pixels:
    """The values of an upright picture, `(height, width)` or `(height, width, channels)`.

    Args:
        image: Picture that `open_picture` opened.
        path: Its file, for errors.
        mode: Pillow mode that it is converted to; None for its own.

    Raises:
        InputError: If its pixels cannot be read.
    """
    image = upright_picture(image, path)
    try:
        return np.asarray(image.convert(mode) if mode else image)
    except (OSError, ValueError, SyntaxError) as error:
        raise _damage_error(path, error) from error


def check_sizes(
    first: Path, shape: Sequence[int], others: Iterable[tuple[Path | None, Sequence[int]]]
) -> None:
    """Refuses files whose heights and widths differ from those of the first.

    Args:
        first: The first file.
        shape: Height and width of the first file.
        others: Other files with their heights and widths.

    Raises:
        InputError: If one differs.
    """
    for path, other in others:
        if tuple(other) != tuple(shape):
            raise InputError(
                f"{path} has {other[1]} x {other[0]} px, {first} has {shape[1]} x {shape[0]}",
                "the pictures of a pair and its masks must be of one size",
            )


def _orientation(image: Image) -> int:
    """The EXIF orientation of a picture: 1 is upright, also where EXIF is damaged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of damaged EXIF
            value = image.getexif().get(_ORIENTATION, 1)
    except (OSError, ValueError, SyntaxError, struct.error):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _damage_error(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} is damaged: {cleaned(error)}", "copy or download it again")


def _pixels(image: Image, path: Path) -> Pixels:
    if image.mode not in _EIGHT_BIT:
        raise InputError(
            f"{path} is not a picture of 8 bit (its mode is {image.mode})",
            "cut tiles of rasters with geochg dataset build, which takes any depth",
        )
    return np.ascontiguousarray(np.moveaxis(upright_pixels(image, path, "RGB"), -1, 0))


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[2]} x {pixels.shape[1]}"


# --- videos --------------------------------------------------------------------------------------


def video_frames(path: Path) -> tuple[Pixels, Pixels]:
    """The two frames of a video, `(3, height, width)` uint8 each.

    Args:
        path: A coded video (PyAV reads it), an animated GIF, PNG, WebP or TIFF file, or a folder
            of two pictures, the earlier first by name.

    Raises:
        InputError: If it is missing or damaged, has not two frames, or PyAV is needed and missing.
    """
    if path.is_dir():
        frames = _of_folder(path)
    elif path.suffix.lower() in CODED_SUFFIXES:
        frames = _of_video(path)
    else:
        frames = _of_animation(path)
    first_two = [frame for _, frame in zip(range(3), frames, strict=False)]
    if len(first_two) != 2:
        number = "more than two" if len(first_two) > 2 else str(len(first_two))
        raise InputError(f"{path} has {number} frames", "a pair is a video of two frames")
    return first_two[0], first_two[1]


def _of_folder(folder: Path) -> Iterable[Pixels]:
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
    )
    return (picture(path) for path in files)


def _of_animation(path: Path) -> Iterable[Pixels]:
    with open_picture(path) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            yield _pixels(image, path)


def _of_video(path: Path) -> Iterable[Pixels]:
    av = video_library()
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield np.ascontiguousarray(np.moveaxis(frame.to_ndarray(format="rgb24"), -1, 0))
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}", "check the path") from error
    except (av.FFmpegError, IndexError) as error:
        raise InputError(
            f"{path} cannot be read as a video: {error}", "copy it again, or convert it"
        ) from error


def video_library() -> Any:  # noqa: ANN401
    """PyAV, which reads and writes videos and is not installed with geochg.

    Raises:
        MissingExtraError: If it is missing.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtraError.of("av", "video") from error
    return av
