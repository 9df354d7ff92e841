"""A report of a layer that geochg wrote: its images are found again, or the report says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from odc.geo.geobox import GeoBox

from geochg.errors import InputError, OptionError
from geochg.features.review import without_rejected
from geochg.files.remote_files import is_remote
from geochg.geometry.vector_file import LayerName, read_layer
from geochg.options import AnalyzeOptions
from geochg.report.contents import REPORT_SUFFIXES, DatedPicture, ReportContents
from geochg.report.metadata_text import sources_of
from geochg.report.of_run import alignments_of, options_of, title_of
from geochg.report.page import report_page
from geochg.report.pictures import picture_name, pictures_of
from geochg.safety.untrusted_text import without_secrets
from geochg.tiling.footprints import lonlat_box
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.series_dates import with_given_dates
from geochg.tiling.source import RasterSource, read_source
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
    images_found = _FoundImages(metadata, Path(name.file), grid, images or {}, may_read)
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


class _FoundImages:
    """The images that a layer names, looked for where they were and beside the layer.

    Args:
        metadata: The layer's.
        layer: Its file.
        grid: The grid of its run.
        named_images: Images by the number of their date, as the user names them.
        may_read: Whether one of the others may be opened.
    """

    def __init__(
        self,
        metadata: Mapping[str, Any],
        layer: Path,
        grid: GeoBox,
        named_images: Mapping[int, str],
        may_read: Callable[[str], bool],
    ) -> None:
        self._may_read = may_read
        self._metadata, self._folder, self._grid = metadata, layer.resolve().parent, grid
        self._sources = [source for _, source in sources_of(metadata)]
        count = len(self._sources)
        for number in named_images:
            if not -count <= number < count:
                dates = "one image" if count == 1 else f"{count} images"
                raise OptionError(
                    f"there is no image {number + 1} of a layer of {dates}",
                    "leave it out, or name the layer of another run",
                )
        self._named = {number % count: image for number, image in named_images.items()}
        self.notes: list[str] = []

    def pictures(self) -> tuple[DatedPicture, ...]:
        """The dates; none where an image is missing, which the notes then say.

        Raises:
            InputError: If an image that was named cannot be used or shows another place.
        """
        options = options_of(self._metadata)
        with gdal_settings():
            sources = [self._source(number, options) for number in range(len(self._sources))]
            open_sources = [source for source in sources if source is not None]
            if len(open_sources) < len(sources) or not sources:
                self.notes.append("The report has no pictures, as not all images were found.")
                return ()
            try:
                dated = with_given_dates(open_sources, options.dates)
                return pictures_of(dated, self._grid, options, alignments_of(self._metadata))
            except (InputError, OptionError) as error:
                self.notes.append(f"The report has no pictures: {error.message}.")
                return ()

    def _source(self, number: int, options: AnalyzeOptions) -> RasterSource | None:
        """An image; None where it is gone or another one, which the notes then say."""
        facts = self._sources[number]
        reading = options.of_dates(len(self._sources))[number]
        if number in self._named:
            source = read_source(self._named[number], reading)
            self._check_place(source)
            self.notes += [f"{text}; it was named by hand." for text in _differences(source, facts)]
            return source
        name = str(facts.get("path") or "")
        shown_name = picture_name(name)
        if is_remote(name):
            self.notes.append(f"{shown_name} lies on another machine, and was not asked for.")
            return None
        differences: list[str] = []
        for candidate in self._candidates(name):
            try:
                source = read_source(candidate, reading)
            except InputError as error:
                differences.append(error.message)
                continue
            differing = list(_differences(source, facts))
            if not differing:
                return source
            differences += differing
        reason = differences[0] if differences else f"{shown_name} was not found"
        self.notes.append(f"{reason}.")
        return None

    def _candidates(self, name: str) -> Iterator[str]:
        """Where an image may lie: at its path, and under its name beside the layer."""
        file = _file_within(name) or name
        # What is no file here, such as a network share, is not asked because a layer names it.
        paths = [] if _leads_away(file) else [self._folder / file]
        for path in dict.fromkeys([*paths, self._folder / picture_name(file)]):
            candidate = name.replace(file, str(path))
            if file and _is_file(path) and self._may_read(candidate):
                yield candidate

    def _check_place(self, source: RasterSource) -> None:
        """Refuses an image of another place."""
        box, grid_box = lonlat_box(source.geobox), lonlat_box(self._grid)
        is_apart = (
            box.east < grid_box.west
            or grid_box.east < box.west
            or box.north < grid_box.south
            or grid_box.north < box.south
        )
        # On either side of the antimeridian longitudes may be a turn apart.
        if is_apart and not max(abs(box.west - grid_box.west), abs(box.east)) > 180:
            raise InputError(
                f"{without_secrets(source.label)} does not show the place of the layer",
                "name the image that the layer was made of",
            )


def _differences(source: RasterSource, facts: Mapping[str, Any]) -> Iterator[str]:
    """By what an image is another one than the run read, in words."""
    name, size = picture_name(source.label), facts.get("size_bytes")
    if isinstance(size, int) and source.size_bytes is not None and size != source.size_bytes:
        yield (
            f"{name} is not the file that the run read: it has {source.size_bytes:,} bytes, and "
            f"had {size:,}"
        )
    acquired = facts.get("acquired")
    if acquired and source.acquired and source.acquired != acquired:
        yield (
            f"{name} is not the image that the run read: it was taken {source.acquired}, and the "
            f"other {without_secrets(str(acquired))}"
        )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file system takes
        return False


def _leads_away(name: str) -> bool:
    r"""Whether a path is one of a network share (`\\host\share`) or of GDAL's own."""
    return name.startswith(("\\\\", "//", "/vsi", "<"))


def _file_within(name: str) -> str:
    """The file in a name such as `NETCDF:"a.nc":band`; empty where there is none."""
    parts = name.split('"')
    return parts[1] if len(parts) == 3 else ""
