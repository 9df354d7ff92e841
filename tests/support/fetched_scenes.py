"""Scenes of a drawn catalogue, fetched with few words."""

import rasterio
from scene_catalog import box_text

from geochg.stac.date_window import DateWindow
from geochg.stac.fetch import fetch_scene
from geochg.stac.options import FetchOptions
from geochg.stac.search_area import SearchArea

HIDDEN = -32768


def fetch(folder, path, start="2020-06", end="", /, *, area=None, listener=None, **options):
    """Fetches the square of `scene_catalog` from a catalogue; clouds are not grown."""
    options = {"catalog": folder.url, "cloud_margin_m": 0, **options}
    return fetch_scene(
        None if options.get("like") and area is None else SearchArea.of(area or box_text()),
        DateWindow.of(start, end),
        path,
        FetchOptions(**options),
        listener=listener or (lambda event: None),
    )


def bands_of(path):
    """All values of a raster."""
    with rasterio.open(path) as image:
        return image.read()
