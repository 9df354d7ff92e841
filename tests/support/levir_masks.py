"""Pairs of pictures with masks coded as those of LEVIR-MCI."""

import numpy as np
from PIL import Image
from rasters import texture

from geochg.datasets.builder.options import BuildOptions, class_coding

CODING = class_coding(BuildOptions().coding)


def write_pair(folder, name, mask, seed=0):
    for side in ("A", "B", "label"):
        (folder / side).mkdir(parents=True, exist_ok=True)
    height, width = mask.shape
    for number, side in enumerate("AB"):
        pixels = np.moveaxis(texture(height, width, 3, 2 * seed + number), 0, -1)
        Image.fromarray(pixels).save(folder / side / f"{name}.png")
    Image.fromarray(mask.astype(np.uint8)).save(folder / "label" / f"{name}.png")


def levir_mask():
    """Two buildings in the top left cell, one of them with a courtyard and a shed in it; a road."""
    mask = np.zeros((90, 90), np.uint8)
    mask[2:14, 2:14] = 255
    mask[5:11, 5:11] = 0
    mask[7:9, 7:9] = 255
    mask[18:24, 18:24] = 255
    mask[40:46, :] = 128
    return mask


ALL_TRAIN = BuildOptions(shares=(1.0, 0.0, 0.0))
