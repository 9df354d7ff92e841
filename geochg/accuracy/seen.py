"""What a run saw of its ground: told by its heatmap, or read of its images anew."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geochg.accuracy.draw import ReadValid
from geochg.errors import InputError, OptionError
from geochg.geometry.placement import crs_of
from geochg.options import AnalyzeOptions
from geochg.records import PixelWindow
from geochg.safety.untrusted_text import without_secrets
from geochg.tiling.bands import BandPurpose
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.pair import RasterPair, place_pair
from geochg.tiling.read import PairReader
from geochg.writers.recognition import METADATA_KEY

_SHAPING = ("bands", "resolution", "crs", "aoi", "nodata", "keep_collars", "dates")
"""Options that say which ground a run looks at."""


@contextmanager
def seen_in_heatmap(path: str, metadata: Mapping[str, Any], grid: GeoBox) -> Iterator[ReadValid]:
    """Gives what reads where a heatmap has values.

    Args:
        path: The heatmap of the run.
        metadata: The `geochg` member of the run's layer.
        grid: The grid of the run.

    Raises:
        InputError: If it cannot be read, or is of another run.
    """
    try:
        with rasterio.open(path) as dataset:
            _check_same_run(path, dataset.tags().get(METADATA_KEY), metadata)
            warped = WarpedVRT(
                dataset,
                crs=crs_of(grid).to_wkt(),
                transform=grid.affine,
                height=grid.shape[0],
                width=grid.shape[1],
                resampling=Resampling.nearest,
                nodata=dataset.nodata,
            )
            with warped:

                def read_valid(window: PixelWindow) -> NDArray[np.bool_]:
                    part = Window(
                        window.col_start, window.row_start, window.width_px, window.height_px
                    )
                    return np.asarray(warped.read_masks(1, window=part) > 0)

                yield read_valid
    except RasterioError as error:
        raise InputError(
            f"{without_secrets(path)} cannot be read", "give the heatmap that the run wrote"
        ) from error


def _check_same_run(path: str, text: str | None, metadata: Mapping[str, Any]) -> None:
    """Refuses the heatmap of another run."""
    try:
        facts = json.loads(text or "{}")
    except ValueError:
        facts = {}
    keys = ("sources", "grid", "model")
    if not isinstance(facts, dict) or any(facts.get(key) != metadata.get(key) for key in keys):
        raise InputError(
            f"{without_secrets(path)} is not the heatmap of the layer's run",
            "give the file that --heatmap named in that run",
        )


def images_read(
    metadata: Mapping[str, Any], grid: GeoBox, before: str = "", after: str = ""
) -> RasterPair:
    """The images of a run, on its grid.

    Args:
        metadata: The `geochg` member of the run's layer.
        grid: The grid of the run.
        before: The earlier image; empty for the one that the metadata tells.
        after: The later image, likewise.

    Raises:
        InputError: If an image is not there or not the one that the run read.
    """
    sources = metadata.get("sources") or {}
    names = {"before": before, "after": after}
    for key in names:
        names[key] = names[key] or str((sources.get(key) or {}).get("path") or "")
        if not names[key]:
            raise InputError(
                f"the layer does not tell its {key} image", f"name it with --{key} IMAGE"
            )
    values = {name: (metadata.get("options") or {}).get(name) for name in _SHAPING}
    run_options = {name: value for name, value in values.items() if value is not None}
    try:
        options = AnalyzeOptions.from_dict(run_options)
        with gdal_settings():
            placed_pair = place_pair(names["before"], names["after"], options)
            pair = placed_pair.with_bands(options, _purpose(metadata.get("bands") or []))
    except (InputError, OptionError) as error:
        raise InputError(
            f"the images of the run cannot be read: {error.message}",
            "name them with --before and --after, or give --heatmap",
        ) from error
    if pair.grid != grid:
        raise InputError(
            "the images have another grid than the run had",
            "name the images that the layer was made of with --before and --after",
        )
    return pair


def _purpose(names: Sequence[str]) -> BandPurpose:
    """What for the run chose its bands, told by those that it took."""
    if set(names) <= {"red", "green", "blue", "gray"}:
        return "rgb"
    return "rgb+nir" if set(names) <= {"red", "green", "blue", "nir"} else "all"


@contextmanager
def seen_in_images(pair: RasterPair) -> Iterator[ReadValid]:
    """Gives what reads where both images of a pair have data, within its area of interest."""
    with gdal_settings(), PairReader(pair.plan()) as reader:

        def read_valid(window: PixelWindow) -> NDArray[np.bool_]:
            valid = reader.read_values(window)[2]
            return valid if pair.area is None else valid & pair.area.mask(window)

        yield read_valid
