"""The images that a layer was made of, found again where they were or beside the layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from odc.geo.geobox import GeoBox

from geochg.errors import InputError, OptionError
from geochg.files.remote_files import is_remote
from geochg.options import AnalyzeOptions
from geochg.report.contents import DatedPicture
from geochg.report.metadata_text import sources_of
from geochg.report.of_run import alignments_of, options_of
from geochg.report.pictures import picture_name, pictures_of
from geochg.safety.untrusted_text import without_secrets
from geochg.tiling.footprints import lonlat_box
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.series_dates import with_given_dates
from geochg.tiling.source import RasterSource, read_source


class LayerImages:
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
            sources = self.sources(options)
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

    def sources(self, options: AnalyzeOptions) -> list[RasterSource | None]:
        """The image of each date; None for one that is gone, which the notes then say.

        Args:
            options: How the images are opened.

        Raises:
            InputError: If an image that was named cannot be used or shows another place.
        """
        return [self._source(number, options) for number in range(len(self._sources))]

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
