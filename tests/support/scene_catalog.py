"""Catalogues of drawn scenes: files of bands and masks, and the STAC that tells of them."""

import json
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.warp import transform_bounds

S2 = "sentinel-2-l2a"
BANDS = ("red", "green", "blue", "nir")
# A corner of pixels in UTM zone 33, in the middle of which lies PLACE.
LEFT, TOP, SIDE_PX = 500_000, 5_100_000, 64
CLEAR, CLOUD, SHADOW, NOTHING = 4, 9, 3, 0


def box_text(left=LEFT, top=TOP, width_m=640, height_m=640, crs="EPSG:32633"):
    """A box of UTM as --aoi takes it, which a grid of UTM covers exactly."""
    return f"{crs};{left},{top - height_m},{left + width_m},{top}"


class CatalogFolder:
    """One catalogue below the root of the server.

    Items name files relative to themselves, which lie beside the API's answers too.
    """

    def __init__(self, root, name, port):
        self.path = Path(root) / name
        self.path.mkdir()
        self.base = f"http://127.0.0.1:{port}/{name}"
        self.url = f"{self.base}/stac"
        self.items, self.collections, self.faults = [], [], []
        self.api = {"methods": ["POST", "GET"], "page": 10}
        self.add_collection(S2)

    def add_collection(self, name, **members):
        entry = {
            "type": "Collection",
            "stac_version": "1.0.0",
            "id": name,
            "description": name,
            "license": "CC-BY-SA-3.0-IGO",
            "links": [],
            "extent": {
                "spatial": {"bbox": [[-180, -90, 180, 90]]},
                "temporal": {"interval": [["2015-06-23T00:00:00Z", None]]},
            },
        }
        self.collections.append({**entry, **members})

    def add_scene(
        self,
        name,
        day,
        value=1000,
        classes=CLEAR,
        *,
        left=LEFT,
        top=TOP,
        side_px=SIDE_PX,
        crs="EPSG:32633",
        cloud_cover=None,
        bands=BANDS,
        time="10:00:00",
        collection=S2,
        properties=None,
        dtype="uint16",
        nodata=0,
    ):
        """A scene whose bands are `value`, `value` + 1 and so on; either may be an array.

        Or they are what `value` has under their names.
        """
        transform = Affine(10, 0, left, 0, -10, top)
        self.write_asset(f"{name}/scl.tif", classes, transform, crs, side_px, "uint8", 0)
        for number, band in enumerate(bands):
            if isinstance(value, dict):
                values = value[band]
            else:
                values = np.asarray(value) + number * (np.asarray(value) > 0)
            self.write_asset(f"{name}/{band}.tif", values, transform, crs, side_px, dtype, nodata)
        bounds = (left, top - 10 * side_px, left + 10 * side_px, top)
        west, south, east, north = transform_bounds(crs, "EPSG:4326", *bounds)
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        assets = {
            key: {
                "href": f"{self.base}/{name}/{key}.tif",
                "type": "image/tiff; application=geotiff",
                "proj:shape": [side_px, side_px],
            }
            for key in (*bands, "scl")
        }
        cloud = {} if cloud_cover is None else {"eo:cloud_cover": cloud_cover}
        item = {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": name,
            "collection": collection,
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "bbox": [west, south, east, north],
            "properties": {"datetime": f"{day}T{time}Z", **cloud, **(properties or {})},
            "links": [],
            "assets": assets,
        }
        self.items.append(item)
        return item

    def write_asset(self, name, values, transform, crs, side_px, dtype="uint16", nodata=0):
        values = np.asarray(values)
        values = np.broadcast_to(values, (1, side_px, side_px)) if values.ndim < 3 else values
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        size = {"height": values.shape[1], "width": values.shape[2], "count": len(values)}
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            crs=crs,
            transform=transform,
            dtype=dtype,
            nodata=nodata,
            tiled=True,
            blockxsize=64,
            blockysize=64,
            compress="deflate",
            **size,
        ) as file:
            file.write(values.astype(dtype))
            file.colorinterp = [ColorInterp.gray, *[ColorInterp.undefined] * (len(values) - 1)]

    def save(self, **api):
        """Writes what the API answers with; returns its address."""
        self.api.update(api)
        for name in ("items", "collections", "faults", "api"):
            (self.path / f"{name}.json").write_text(json.dumps(getattr(self, name)))
        return self.url

    def save_static(self):
        """Writes a static catalogue: a root, the collections below it, items below these."""
        self.save()
        root = self.path / "static"
        children = []
        for entry in self.collections:
            items = [item for item in self.items if item["collection"] == entry["id"]]
            links = []
            for item in items:
                _write(root / entry["id"] / "items" / f"{item['id']}.json", _relative(item))
                links.append({"rel": "item", "href": f"./items/{item['id']}.json"})
            up = [{"rel": "root", "href": "../catalog.json"}]
            _write(root / entry["id"] / "collection.json", {**entry, "links": links + up})
            children.append({"rel": "child", "href": f"{entry['id']}/collection.json"})
        content = {"type": "Catalog", "stac_version": "1.0.0", "id": "static", "description": "x"}
        _write(root / "catalog.json", {**content, "links": children})
        return root / "catalog.json"

    @property
    def requests(self):
        """What was asked for, a line a request."""
        log = self.path / "requests.log"
        return log.read_text().splitlines() if log.exists() else []


def _relative(item):
    """An item whose files are named from its own place."""
    assets = {
        key: {**asset, "href": f"../../../{item['id']}/{key}.tif"}
        for key, asset in item["assets"].items()
    }
    return {**item, "assets": assets}


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
