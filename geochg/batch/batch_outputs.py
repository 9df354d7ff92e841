"""What a batch leaves: one merged layer, areas by class, and the state of each scene.

All three are written aside and moved to their places together.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochg import __version__
from geochg.batch.merged_layer import LayerScene, MergedFrames, merged_crs
from geochg.batch.scene_records import ScenePaths, SceneRecord
from geochg.errors import RunError
from geochg.features.layer import FRAME_ROWS
from geochg.files.table_columns import BATCH_AREA_COLUMNS, BATCH_SCENE_COLUMNS, ZONE_COLUMNS
from geochg.files.text_file import read_table
from geochg.options import CHANGES_LAYER
from geochg.safety.untrusted_text import printable, without_secrets
from geochg.tasks.quantities import rounded_value
from geochg.writers.checks import Output, check_outputs
from geochg.writers.layers import write_frames
from geochg.writers.output_files import OutputFiles
from geochg.writers.staging import Staging
from geochg.writers.tables import row_cells

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_Kind = tuple[str, str, str]
"""Zone, class and direction of changes; the zone is empty where there are none."""


@dataclass(frozen=True)
class SceneStatus:
    """What came of a row of the list.

    Attributes:
        id: Id of the scene; may be empty where the row was refused.
        status: `done`, `kept` (it was finished before), `failed`, or `refused` with the list.
        reason: Why it failed or was refused.
        attempts: Number of attempts in this run.
        place: Where it stands in the list, of refused rows.
        before: The earlier raster.
        after: The later raster.
        record: What came out, where it is finished.
    """

    id: str
    status: str
    reason: str = ""
    attempts: int = 0
    place: str = ""
    before: str = ""
    after: str = ""
    record: SceneRecord | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.id or self.place


@dataclass(frozen=True)
class BatchOutputs(OutputFiles):
    """The files of a batch in its folder.

    Attributes:
        changes: The merged layer.
        areas: Areas by scene, zone, class and direction.
        scenes: The state of each row of the list.
    """

    changes: Path
    areas: Path
    scenes: Path

    @classmethod
    def of(cls, folder: Path) -> BatchOutputs:
        """The files in a folder."""
        return cls(folder / "changes.gpkg", folder / "areas.csv", folder / "scenes.csv")

    def check(self, inputs: Iterable[Path], *, overwrite: bool) -> None:
        """Refuses, before the first scene, what could not be written at the end.

        Raises:
            InputError: If something lies there that may not be replaced.
        """
        outputs = [
            Output(self.changes, (".gpkg",), CHANGES_LAYER),
            Output(self.areas, (".csv",)),
            Output(self.scenes, (".csv",)),
        ]
        check_outputs(outputs, inputs, overwrite=overwrite)


@dataclass(frozen=True)
class MergedTotals:
    """Number and area of all features."""

    features: int
    area_m2: float


def write_batch(
    folder: Path, statuses: Sequence[SceneStatus], *, overwrite: bool = False
) -> MergedTotals:
    """Writes the merged layer, the areas and the states.

    Without a finished scene the states alone are written.

    Args:
        folder: Folder of the batch.
        statuses: What came of each row, in the order of the list.
        overwrite: Whether what geochg did not write may be replaced.

    Raises:
        RunError: If the layer of a scene cannot be read, or a file cannot be written.
        InputError: If something lies there that may not be replaced.
    """
    outputs = BatchOutputs.of(folder)
    scenes = [LayerScene(status.id, status.record) for status in statuses if status.record]
    totals = MergedTotals(0, 0.0)
    with Staging(overwrite=overwrite) as staging:
        with staging.write(outputs.scenes) as path:
            _write_table(path, BATCH_SCENE_COLUMNS, map(_status_cells, statuses))
        if scenes:
            with (
                staging.write(outputs.areas) as areas_path,
                areas_path.open("w", encoding="utf-8", newline="") as areas_file,
            ):
                table = AreaTable(folder, csv.writer(areas_file, lineterminator="\n"))
                with staging.write(outputs.changes, CHANGES_LAYER) as path:
                    crs = merged_crs(scenes)
                    frames = MergedFrames(folder, scenes, crs)
                    facts = _facts(statuses, scenes, crs)
                    write_frames(
                        _joined_tables(table.sum_up(frames)), path, facts, layer=CHANGES_LAYER
                    )
                totals = MergedTotals(frames.features, table.area_m2)
        staging.commit()
    return totals


class AreaTable:
    """Areas by scene, zone, class and direction, written scene by scene.

    Args:
        folder: Folder of the batch.
        writer: Writes the rows.

    Attributes:
        area_m2: Area of all features so far.
    """

    def __init__(self, folder: Path, writer: Any) -> None:  # noqa: ANN401
        self.area_m2 = 0.0
        self._folder, self._writer = folder, writer
        self._sums: dict[_Kind, list[float]] = {}
        writer.writerow(BATCH_AREA_COLUMNS)

    def sum_up(self, frames: MergedFrames) -> Iterator[GeoDataFrame]:
        """The tables, whose features are summed up on the way."""
        current: LayerScene | None = None
        for scene, frame in frames:
            if current is not None and scene is not current:
                self._close(current)
            current = scene
            kinds = zip(frame["class"], frame["change"], frame["area_m2"], strict=True)
            for class_name, change, area_m2 in kinds:
                self._sums.setdefault(("", str(class_name), str(change)), []).append(float(area_m2))
            yield frame
        if current is not None:
            self._close(current)

    def _close(self, scene: LayerScene) -> None:
        """Writes the rows of a scene; one without changes or zones has one row, of 0."""
        rows = [
            (*kind, len(areas), rounded_value(math.fsum(areas), 1))
            for kind, areas in sorted(self._sums.items())
        ]
        self.area_m2 = math.fsum([self.area_m2, *(area for *_, area in rows)])
        self._sums = {}
        if scene.record.has_zones:
            self._copy_zones(scene)
            return
        for row in rows or [("", "", "", 0, 0.0)]:
            self._writer.writerow(row_cells((scene.id, *row)))

    def _copy_zones(self, scene: LayerScene) -> None:
        """Writes the rows of the table of zones that was made with the layer of a scene."""
        table = read_table(ScenePaths.of(self._folder, scene.id).zones)
        if table.columns != ZONE_COLUMNS:
            raise RunError(
                f"{table.path} is not the table of zones that geochg wrote",
                "delete it and give the same command again",
            )
        for _, cells in table.rows():
            self._writer.writerow([*row_cells([scene.id]), *cells.values()])


def _joined_tables(frames: Iterable[GeoDataFrame]) -> Iterator[GeoDataFrame]:
    """Tables of about `FRAME_ROWS` features, of small ones; an empty one only where all are."""
    import pandas as pd

    parts: list[GeoDataFrame] = []
    first, has_rows = None, False
    for frame in frames:
        first = frame if first is None else first
        if frame.empty:
            continue
        parts.append(frame)
        if sum(map(len, parts)) >= FRAME_ROWS:
            yield pd.concat(parts, ignore_index=True)
            parts, has_rows = [], True
    if parts:
        yield pd.concat(parts, ignore_index=True)
    elif first is not None and not has_rows:
        yield first


def _facts(
    statuses: Sequence[SceneStatus], scenes: Sequence[LayerScene], crs: str
) -> dict[str, Any]:
    """The `geochg` member of the merged layer; that of each scene's layer tells more."""
    missing = [status.name for status in statuses if status.record is None]
    return {
        "version": __version__,
        "batch": {
            "scenes": len(scenes),
            "missing": len(missing),
            "missing_scenes": missing[:100],
            "crs": printable(crs),
        },
    }


def _status_cells(status: SceneStatus) -> tuple[Any, ...]:
    record = status.record
    results: tuple[Any, ...] = ("",) * 9
    if record is not None:
        results = (
            record.features,
            record.area_m2,
            record.tiles.get("total", ""),
            record.tiles.get("changed", ""),
            record.tiles.get("failed", ""),
            record.seconds,
            record.host,
            record.caption,
            "; ".join(record.warnings),
        )
    names = map(without_secrets, (status.before, status.after))
    return (
        status.id,
        status.status,
        status.reason,
        status.attempts,
        status.place,
        *results,
        *names,
    )


def _write_table(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        for row in rows:
            writer.writerow(row_cells(row))
