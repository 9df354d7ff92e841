"""The change layers of all scenes in one GeoPackage, copied in parts of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochg.batch.scene_records import ScenePaths, SceneRecord
from geochg.errors import RunError
from geochg.features.layer import COLUMN_TYPES, FRAME_ROWS
from geochg.geometry.geodesy import map_polygons
from geochg.options import CHANGES_LAYER
from geochg.safety.untrusted_text import cleaned

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

MAP_CRS = "EPSG:4326"
"""CRS of the merged layer where the scenes have several."""

SCENE_COLUMN, SCENE_ID_COLUMN = "scene", "id_in_scene"


@dataclass(frozen=True)
class LayerScene:
    """A finished scene, whose layer is merged.

    Attributes:
        id: Its id.
        record: Its record.
    """

    id: str
    record: SceneRecord


def merged_crs(scenes: Iterable[LayerScene]) -> str:
    """The CRS of the merged layer: that of all scenes, or `MAP_CRS` where they have several."""
    crs_names = {scene.record.crs for scene in scenes}
    return crs_names.pop() if len(crs_names) == 1 else MAP_CRS


def scene_frames(folder: Path, scene: LayerScene) -> Iterator[GeoDataFrame]:
    """The features of a scene, as its layer holds them now, in tables of bounded size.

    Columns: those of `FeatureLayer.frame` that are there, lists as JSON text. At least one table.

    Raises:
        RunError: If the layer cannot be read.
    """
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    path = ScenePaths.of(folder, scene.id).layer
    try:
        info = pyogrio.read_info(path, layer=CHANGES_LAYER)
        names = [name for name in COLUMN_TYPES if name in info["fields"]]
        rows = int(info["features"])
        for start in range(0, max(rows, 1), FRAME_ROWS):
            frame = pyogrio.read_dataframe(
                path,
                layer=CHANGES_LAYER,
                columns=names,
                skip_features=start,
                max_features=FRAME_ROWS,
            )
            yield frame.assign(**{name: frame[name].astype(_stored_type(name)) for name in names})[
                [*names, "geometry"]
            ]
    except (DataSourceError, DataLayerError, KeyError, ValueError, TypeError) as error:
        raise RunError(
            f"cannot read the layer of the scene {scene.id}, {path}: {cleaned(error)}",
            "delete that file and give the same command again",
        ) from error


def _stored_type(name: str) -> str:
    """The type of a column in a GeoPackage; whole numbers of any column may be missing there."""
    kind = COLUMN_TYPES[name]
    return {"object": "string", "int64": "Int64"}.get(kind, kind)


class MergedFrames:
    """The tables of the merged layer, one scene after the other.

    Args:
        folder: Folder of the batch.
        scenes: The finished scenes, in the order of the list; at least one.
        crs: CRS of the merged layer, see `merged_crs`.

    Attributes:
        features: Number of features so far.
    """

    def __init__(self, folder: Path, scenes: Iterable[LayerScene], crs: str) -> None:
        self.features = 0
        self._folder, self._scenes, self._crs = folder, list(scenes), crs
        self._is_mapped = len({scene.record.crs for scene in self._scenes}) > 1

    def __iter__(self) -> Iterator[tuple[LayerScene, GeoDataFrame]]:
        """The scenes and their tables; those without a row are left out behind the first of all.

        Raises:
            RunError: If the layer of a scene cannot be read.
        """
        for scene in self._scenes:
            for frame in scene_frames(self._folder, scene):
                yield scene, self._merged_table(scene, frame)
                self.features += len(frame)

    def _merged_table(self, scene: LayerScene, frame: GeoDataFrame) -> GeoDataFrame:
        """A table with numbers that are unique in the merged layer, in its CRS."""
        import pandas as pd

        if self._is_mapped:
            frame = self._on_map(frame)
        ids = pd.Series(range(self.features + 1, self.features + len(frame) + 1), dtype="int64")
        columns: dict[str, Any] = {
            "id": ids.set_axis(frame.index),
            SCENE_COLUMN: pd.Series([scene.id] * len(frame), dtype="string", index=frame.index),
            SCENE_ID_COLUMN: frame["id"],
        }
        others = [name for name in frame if name not in (*columns, "geometry")]
        return frame.assign(**columns)[[*columns, *others, "geometry"]]

    @staticmethod
    def _on_map(frame: GeoDataFrame) -> GeoDataFrame:
        """A table in longitude and latitude; all of its shapes have several parts, or could."""
        import numpy as np
        import shapely

        polygons = map_polygons(frame.geometry.to_numpy(), frame.crs)
        parts, index = shapely.get_parts(polygons, return_index=True)
        shapes = np.empty(len(polygons), dtype=object)
        if len(polygons):
            shapely.multipolygons(parts, indices=index, out=shapes)
        frame = frame.set_geometry(frame.geometry.set_crs(MAP_CRS, allow_override=True))
        frame["geometry"] = shapes
        return frame
