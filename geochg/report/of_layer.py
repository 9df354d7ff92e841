"""A report of a layer that geochg wrote: its images are found again, or the report says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from odc.geo.geobox import GeoBox

from geochg.errors import InputError
from geochg.features.review import without_rejected
from geochg.geometry.vector_file import LayerName, read_layer
from geochg.report.contents import REPORT_SUFFIXES, ReportContents
from geochg.report.layer_images import LayerImages
from geochg.report.of_run import title_of
from geochg.report.page import report_page
from geochg.safety.untrusted_text import without_secrets
from geochg.writers.checks import Output, check_outputs
from geochg.writers.layer_metadata import grid_of, read_metadata
from geochg.writers.staging import write_output

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from pandas import DataFrame


class LayerReport(NamedTuple):
    """What was written.

    Attributes:
        path: The report.
        features: Features in it.
        pictures: Dates that it shows.
        notes: What it says of itself, such as that an image is gone.
    """

    path: Path
    features: int
    pictures: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain JSON values."""
        return {
            "report": str(self.path),
            "features": self.features,
            "pictures": self.pictures,
            "notes": list(self.notes),
        }


def report_layer(
    layer: str,
    path: Path,
    *,
    images: Mapping[int, str] | None = None,
    title: str = "",
    with_rejected: bool = True,
    zones: DataFrame | None = None,
    overwrite: bool = False,
    step: Callable[[], None] = lambda: None,
    may_read: Callable[[str], bool] = lambda name: True,
) -> LayerReport:
    """Writes the report of a layer.

    Args:
        layer: The layer, with `|layername=NAME` behind it where its file has several.
        path: The report, `.html`.
        images: Names of images by the number of their date, from 0; negative ones count from the
            last. They stand in place of those that the layer names.
        title: The heading; one that tells the dates when empty.
        with_rejected: Whether changes that a reviewer rejected are shown, struck through.
        zones: The table of zones that stands in the report; None for none.
        overwrite: Whether a file may be replaced that geochg did not write.
        step: Called between parts of the work; may raise to stop.
        may_read: Whether an image that the layer names may be opened; of those in `images` it is
            not asked.

    Raises:
        InputError: If the layer is none of geochg's, an image that was named cannot be used or
            shows another place, or the report cannot be written there.
        OptionError: If an image is named for a date that the layer does not have.
        RunError: If the report cannot be written.
    """
    name, metadata = read_metadata(layer)
    grid = _grid_of(layer, metadata)
    inputs = [Path(name.file), *map(Path, (images or {}).values())]
    check_outputs([Output(path, REPORT_SUFFIXES)], inputs, overwrite=overwrite)
    frame = _features(name, with_rejected=with_rejected)
    images_found = LayerImages(metadata, Path(name.file), grid, images or {}, may_read)
    contents = ReportContents(
        title=title or title_of(metadata),
        frames=lambda: [frame],
        metadata=metadata,
        grid=grid,
        pictures=images_found.pictures(),
        zones=zones,
        notes=tuple(images_found.notes),
    )
    page = report_page(contents, step)
    write_output(path, lambda staged: staged.write_bytes(page), overwrite=overwrite)
    return LayerReport(path, len(frame), len(contents.pictures), tuple(images_found.notes))


def _grid_of(layer: str, metadata: Mapping[str, Any]) -> GeoBox:
    """The grid of the run that made a layer.

    Raises:
        InputError: If the layer is none of changes, or does not tell it.
    """
    if "sample_of" in metadata:
        raise InputError(
            f"{without_secrets(layer)} is a sample for an assessment",
            "give the change layer that it was drawn of, or judge it by geochg assess",
        )
    if (grid := grid_of(metadata)) is None:
        raise InputError(
            f"{without_secrets(layer)} does not tell the grid of its run",
            "give a layer as geochg wrote it",
        )
    return grid


def _features(name: LayerName, *, with_rejected: bool) -> GeoDataFrame:
    """The features of a layer.

    Raises:
        InputError: If they cannot be read or are none of a map.
    """
    frame = read_layer(name)
    shown_name = without_secrets(name.file)
    if getattr(frame, "crs", None) is None:
        raise InputError(
            f"{shown_name} has no coordinate reference system", "give the layer as geochg wrote it"
        )
    if "tile" in frame.columns:
        raise InputError(
            f"{shown_name} is a layer of tiles", "name the layer of changes of that run"
        )
    if not with_rejected:
        frame = without_rejected(frame)
    # FlatGeobuf keeps features in an order of its own.
    return frame.sort_values("id", kind="stable") if "id" in frame.columns else frame
