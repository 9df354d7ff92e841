"""The pixels of examples: two pictures, or the two frames of a video."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geochg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from geochg.datasets.example import Example

    Pixels = NDArray[np.uint8]

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")
CODED_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm")
"""Videos that need PyAV; two-frame GIF, PNG, WebP and TIFF files do without."""

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
        raise InputError(f"{example.named} has neither two images nor a video", "name them")
    if before.shape != after.shape:
        raise InputError(
            f"{example.named}: {example.paths[-1].name} has {_size(after)} px, the image before "
            f"has {_size(before)}",
            "the images of a pair must be of one size",
        )
    return before, after


def picture(path: Path) -> Pixels:
    """The pixels of a picture file, `(3, height, width)` uint8.

    Raises:
        InputError: If it is missing, damaged, or not of 8 bit.
    """
    with opened(path) as image:
        return _pixels(image, path)


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture in pixels, read off its head.

    Raises:
        InputError: If it is missing or no picture.
    """
    with opened(path) as image:
        return image.height, image.width


def opened(path: Path) -> Image:
    """A picture file, opened; its pixels are not read yet.

    Raises:
        InputError: If it is missing or no picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(path)
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}", "check the path") from error
    except (UnidentifiedImageError, Image.DecompressionBombError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as a picture",
            f"pictures are of 8 bit: {', '.join(PICTURE_SUFFIXES)}",
        ) from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}", "check it") from error


def _pixels(image: Image, path: Path) -> Pixels:
    if image.mode not in _EIGHT_BIT:
        raise InputError(
            f"{path} is not a picture of 8 bit (its mode is {image.mode})",
            "cut tiles of rasters with geochg dataset build, which takes any depth",
        )
    try:
        values = np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(
            f"{path} is damaged: {' '.join(str(error).split())}", "copy or download it again"
        ) from error
    return np.ascontiguousarray(np.moveaxis(values, -1, 0))


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
    with opened(path) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            yield _pixels(image, path)


def _of_video(path: Path) -> Iterable[Pixels]:
    av = video_library(path)
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


def video_library(path: Path) -> Any:  # noqa: ANN401
    """PyAV, which is not installed with geochg.

    Raises:
        InputError: If it is missing.
    """
    try:
        import av
    except ImportError as error:
        raise InputError(
            f"{path} is a video, and PyAV, which reads them, is not installed",
            'install it: pip install "geochg[video]"; two-frame GIF or PNG files need nothing',
        ) from error
    return av
