"""Change layers with a review: analysed for true, with features and verdicts made to order."""

import json
from pathlib import Path

import numpy as np
from rasters import ORIGIN, put, texture

import geochg

SIDE_PX = 192


def pair(folder, seed=0):
    """Two rasters of which nothing is alike where `boxes` of a layer say so."""
    folder.mkdir(parents=True, exist_ok=True)
    before = texture(SIDE_PX, SIDE_PX, 3, seed)
    after = before.copy()
    after[:, 8:40, 8:40] = 255 - after[:, 8:40, 8:40]
    colors = {"photometric": "RGB"}
    return put(folder / "before.tif", before, **colors), put(folder / "after.tif", after, **colors)


def analysed(folder, seed=0, name="changes.geojson"):
    """The layer of a run on a pair in the folder."""
    before, after = pair(folder, seed)
    options = geochg.AnalyzeOptions(model="cva", align="off", tile_size_px=96)
    geochg.analyze(before, after, options, outputs=geochg.Outputs(features=folder / name))
    content = json.loads((folder / name).read_text(encoding="utf-8"))
    for source in content["geochg"]["sources"].values():
        # As after a move: the images are found beside the layer.
        source["path"] = f"gone/{Path(source['path']).name}"
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder / name


def box(rows, cols):
    """A polygon in longitude and latitude around pixels."""
    from pyproj import Transformer

    corners = [(cols[0], rows[0]), (cols[0], rows[1]), (cols[1], rows[1]), (cols[1], rows[0])]
    to_degrees = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True)
    ring = [list(to_degrees.transform(*(ORIGIN * corner))) for corner in (*corners, corners[0])]
    return {"type": "Polygon", "coordinates": [ring]}


def change(number, rows, cols, review, **more):
    """A feature: a building that appeared, unless `more` says else."""
    values = {"id": number, "class": "building", "change": "appeared", "review": review}
    return {"type": "Feature", "properties": values | more, "geometry": box(rows, cols)}


def rewritten(layer, features, target=None):
    """The layer with other features, in another place where wanted."""
    content = json.loads(layer.read_text(encoding="utf-8"))
    content["features"] = list(features)
    target = target or layer
    target.write_text(json.dumps(content), encoding="utf-8")
    return target


def mask_of(rows, cols, shape=(SIDE_PX, SIDE_PX)):
    """Where pixels of a box are."""
    inside = np.zeros(shape, bool)
    inside[slice(*rows), slice(*cols)] = True
    return inside
