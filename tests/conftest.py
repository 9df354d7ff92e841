"""Rasters made to order, for every room's tests."""

import os
import signal
import threading

# Tests run side by side; threads of torch that wait for each other by spinning would stop both.
# It must stand before torch is loaded, and the processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell has what it starts in the background ignore Ctrl-C, and nohup a lost terminal; all that
# tests start would do so too.
if threading.current_thread() is threading.main_thread():
    for name, usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import settings
from rasterio.enums import ColorInterp
from rasters import ORIGIN, UTM

# How long an example takes says more about the machine than about the code.
settings.register_profile("geochg", deadline=None)
settings.load_profile("geochg")

collect_ignore = ["qgis"]
"""These run in QGIS's Python: tests/qgis/run.sh."""

MARKER_PLUGIN = Path(__file__).parent / "models" / "marker_plugin"
"""Put this on sys.path or PYTHONPATH and there is a model `marker`; see geochg_marker.py."""

RasterFactory = Callable[..., Path]


@pytest.fixture
def marker_plugin(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes the model `marker` available to this test."""
    monkeypatch.syspath_prepend(MARKER_PLUGIN)
    return MARKER_PLUGIN


@pytest.fixture
def make_raster(tmp_path: Path) -> RasterFactory:
    """Writes a GeoTIFF: `make_raster("a.tif", data, crs=..., transform=..., nodata=..., ...)`.

    `data` is `(bands, height, width)` or `(height, width)`. `mask` is a boolean array of valid
    pixels, `alpha` likewise but as a band, `colors` and `names` describe the bands, `palette` maps
    indexes to colours, `gcps` is a list of control points with their CRS.
    """

    def make(
        name: str,
        data: np.ndarray,
        *,
        crs: str | None = UTM,
        transform: Affine | None = ORIGIN,
        nodata: float | None = None,
        mask: np.ndarray | None = None,
        alpha: np.ndarray | None = None,
        colors: list[ColorInterp] | None = None,
        names: list[str] | None = None,
        palette: dict[int, tuple[int, int, int, int]] | None = None,
        gcps: tuple[list, str] | None = None,
        tags: dict[str, str] | None = None,
        overviews: list[int] | None = None,
        **profile: object,
    ) -> Path:
        data = np.atleast_3d(data) if data.ndim == 3 else data[None]
        if alpha is not None:
            data = np.concatenate([data, (alpha * 255).astype(data.dtype)[None]])
            colors = [*(colors or [ColorInterp.gray] * (len(data) - 1)), ColorInterp.alpha]
        path = tmp_path / name
        settings = {
            "driver": "GTiff",
            "count": len(data),
            "height": data.shape[1],
            "width": data.shape[2],
            "dtype": data.dtype,
            "crs": crs,
            "transform": transform,
            "nodata": nodata,
        }
        if palette:
            settings["photometric"] = "palette"
        settings = {key: value for key, value in (settings | profile).items() if value is not None}
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(path, "w", **settings) as dataset,
        ):
            # Colours belong to the header, which the first pixels settle.
            if colors:
                dataset.colorinterp = colors
            if names:
                dataset.descriptions = names
            if palette:
                dataset.write_colormap(1, palette)
            dataset.write(data)
            if mask is not None:
                dataset.write_mask(mask)
            if gcps:
                dataset.gcps = gcps
            dataset.update_tags(**(tags or {}))
        if overviews:
            with rasterio.open(path, "r+") as dataset:
                dataset.build_overviews(overviews)
        return path

    return make


# --- a tiny DeltaVLM, made once: exporting takes a while -----------------------------------------


@pytest.fixture(scope="session")
def tiny_deltavlm():
    """A tiny model; one large weight is no number of half precision, all others are.

    Of this seed no two words are as likely as each other up to the last digit.
    """
    import torch
    from deltavlm_factory import tiny_model

    model = tiny_model(seed=3).half().float()
    with torch.no_grad():
        model.language_model.model.layers[0].mlp.up_proj.weight.mul_(1.0003)
    return model


@pytest.fixture(scope="session")
def plain_deltavlm(tiny_deltavlm, tmp_path_factory):
    """Its folder, which torch runs."""
    from deltavlm_factory import save

    return save(tiny_deltavlm, tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="session")
def exported_deltavlm(tiny_deltavlm, tmp_path_factory):
    """Its folder with the exports, which ONNX Runtime runs."""
    from deltavlm_factory import save

    from geochg.models.deltavlm.export import export

    folder = save(tiny_deltavlm, tmp_path_factory.mktemp("exported"))
    export(tiny_deltavlm, folder)
    return folder
