"""Our augmentation beside that of kornia and albumentations: time, bands, pairs in step, seeds.

    pip install kornia albumentations
    python benchmarks/augmentation_libraries.py

Times are of the processor, on one thread, for pictures of 256 px: a date with the seasons, light
and sensors of `geochg train compact`, and a pair with its masks in the frames of `geochg train`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import cv2
import numpy as np
import torch

from geochg.records import Task
from geochg.tasks import SPECS
from geochg.training.builtin.augmentation import varied_date
from geochg.training.finetune.augmentation import Augmentation, augmented_sample
from geochg.training.finetune.sample import ChangeMasks, Sample

SIDE_PX, DEGREES, LEAST_SHARE, ROUNDS = 256, 20, 0.6, 100
# Libraries give the share of the area that a crop keeps.
CROP = {"size": (SIDE_PX, SIDE_PX), "scale": (LEAST_SHARE**2, 1.0), "ratio": (1.0, 1.0)}


def photometric() -> dict[str, tuple[Any, ...]]:
    """The transforms that come nearest to ours, by library."""
    import albumentations as A
    import kornia.augmentation as K

    return {
        "albumentations": (
            A.RandomGamma((50, 200), p=1),
            A.ColorJitter(p=1),
            A.RandomToneCurve(0.1, p=1),
            A.GaussianBlur(p=1),
            A.GaussNoise((0.005, 0.035), p=1),
            A.ImageCompression(quality_range=(35, 92), p=1),
            A.RandomFog(p=1),
        ),
        "kornia": (
            K.RandomGamma((0.5, 2.0), p=1.0),
            K.ColorJitter(0.4, 0.4, 0.4, 0.03, p=1.0),
            K.RandomGaussianBlur((7, 7), (0.4, 1.5), p=1.0),
            K.RandomGaussianNoise(0.0, 0.02, p=1.0),
            K.RandomJPEG((35.0, 92.0), p=1.0),
            K.RandomPlasmaBrightness(p=1.0),
        ),
    }


def milliseconds(step: Callable[[], Any]) -> str:
    """The mean time of the processor for a step, once it is warm."""
    step()
    begun = time.process_time()
    for _ in range(ROUNDS):
        step()
    return f"{(time.process_time() - begun) / ROUNDS * 1000:.1f} ms"


def shown(library: str, transform: Callable[..., Any], image: np.ndarray) -> object:
    """An image `(height, width, bands)` after one transform of a library."""
    if library == "albumentations":
        import albumentations as A

        return A.Compose([transform])(image=image)["image"]
    return transform(torch.from_numpy(image.transpose(2, 0, 1)[None].copy()))


def compare_dates(image: np.ndarray) -> None:
    """Prints the time for a date, and which transforms refuse a near infrared."""
    rng = np.random.default_rng(0)
    for bands in (3, 4):
        date = np.ascontiguousarray(image[..., :bands])
        print(
            f"a date of {bands} bands, ours:", milliseconds(lambda d=date: varied_date(d, rng, 1))
        )
    color = np.ascontiguousarray(image[..., :3])
    for library, transforms in photometric().items():
        # As ours, each is done about every other time.
        took = milliseconds(
            lambda lib=library, all_=transforms: [
                shown(lib, transform, color) for transform in all_ if rng.random() < 0.5
            ]
        )
        refused = []
        for transform in transforms:
            try:
                shown(library, transform, image)
            except Exception:
                refused.append(type(transform).__name__)
        print(f"a date of 3 bands, {library}: {took}; 4 bands are refused by {', '.join(refused)}")


def compare_pairs(image: np.ndarray) -> None:
    """Prints the time for a pair with masks, and what the libraries make of it."""
    import albumentations as A
    import kornia.augmentation as K

    before = (255 * image[..., :3]).astype(np.uint8)
    after, classes = before[::-1].copy(), np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    classes[10:80, 100:180] = 2
    directions = classes // 2
    dates = (np.ascontiguousarray(date.transpose(2, 0, 1)) for date in (before, after))
    prompts = SPECS[Task.PRESENCE].prompts
    masks = ChangeMasks(classes, directions)
    sample = Sample(tuple(dates), Task.PRESENCE, prompts, ("Yes",), masks)
    rng, frames = np.random.default_rng(0), Augmentation(LEAST_SHARE, DEGREES)
    print("a pair, ours:", milliseconds(lambda: augmented_sample(sample, frames, rng)))

    rotate = A.Rotate(DEGREES, crop_border=True, p=1)
    names = {"after": "image", "directions": "mask"}
    alb = A.Compose([rotate, A.RandomResizedCrop(**CROP, p=1)], additional_targets=names)
    pair = {"image": before, "after": after, "mask": classes, "directions": directions}
    print("a pair, albumentations:", milliseconds(lambda: alb(**pair)))
    same = []
    for _ in range(2):
        alb.set_random_seed(7)
        same.append(alb(**pair)["mask"])
    print("  the same by a seed:", bool((same[0] == same[1]).all()))
    small = A.Compose([A.Rotate((45, 45), crop_border=True, p=1)])(image=before[:200])["image"]
    print(f"  a rotation of {SIDE_PX} x 200 px that makes no pixel up leaves {small.shape[1::-1]}")

    turn = K.AugmentationSequential(
        K.RandomRotation(float(DEGREES), p=1.0),
        K.RandomResizedCrop(**CROP, p=1.0),
        data_keys=["input", "input", "mask", "mask"],
    )
    tensors = [torch.from_numpy(d.transpose(2, 0, 1)[None] / 255).float() for d in (before, after)]
    tensors += [
        torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (classes, directions)
    ]
    print("a pair, kornia:", milliseconds(lambda: turn(*tensors)))
    ones = [torch.ones_like(tensor) for tensor in tensors]
    made_up = np.mean([float((turn(*ones)[0] < 0.99).float().mean()) for _ in range(ROUNDS)])
    print(f"  {made_up:.1%} of its pixels are in no picture")


def main() -> None:
    """Prints the comparison."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    coarse = rng.random((16, 16, 4)).astype(np.float32)
    image = cv2.resize(coarse, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    image = np.clip(image + rng.normal(0, 0.02, image.shape), 0, 1).astype(np.float32)
    compare_dates(image)
    compare_pairs(image)


if __name__ == "__main__":
    main()
