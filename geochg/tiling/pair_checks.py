"""What is remarkable about two rasters as a pair: the one place that tells it or refuses it.

Each check is a pure function from what is known of the two rasters to remarks. `analyze`, `ask`,
`info`, `dataset build`, the worker and the QGIS panel all show the same ones.
"""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from odc.geo.geobox import GeoBox

from geochg.errors import InputError
from geochg.events import Notice
from geochg.safety.untrusted_text import without_secrets
from geochg.tiling.acquisition_time import GIVEN, period_of, tells_writing
from geochg.tiling.bands import Band, BandChoice
from geochg.tiling.collar import Collar
from geochg.tiling.grid import COARSER_FROM, pixel_area_m2, pixel_m
from geochg.tiling.scaling import is_packed, packed_otherwise
from geochg.tiling.source import RasterSource

_MOST_COMPARED_BYTES = 1 << 30  # larger files are compared here and there
_SAMPLES, _SAMPLE_BYTES = 64, 1 << 16

SMALL_SHARE = 0.1
"""Sharing less than this much of the smaller image is remarkable."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a pair that its user should know.

    Attributes:
        message: What is remarkable, naming the images; one line.
        hint: What the user can do about it; one line, may be empty.
        warning: Whether the result may be worth little because of it.
        refused: Whether the pair is not analysed because of it.
    """

    message: str
    hint: str = ""
    warning: bool = True
    refused: bool = False

    @property
    def text(self) -> str:
        """The message and the hint as one line."""
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def notice(self) -> Notice:
        """The remark for a listener."""
        return Notice(self.text, warning=self.warning)

    def to_dict(self) -> dict[str, Any]:
        """The remark as plain JSON values."""
        return asdict(self)


def refuse(remarks: Iterable[Remark]) -> None:
    """Does nothing unless one of the remarks refuses the pair.

    Raises:
        InputError: If a remark refuses the pair, with the remark's message and hint.
    """
    for remark in remarks:
        if remark.refused:
            raise InputError(remark.message, remark.hint)


def refuse_types(source: RasterSource, numbers: Sequence[int]) -> None:
    """Does nothing unless a band in use holds what cannot be compared.

    Args:
        source: The raster.
        numbers: The bands in use, from 1.

    Raises:
        InputError: If a band holds complex numbers.
    """
    for number in numbers:
        dtype = source.bands[number - 1].dtype
        if dtype.startswith("complex"):
            raise InputError(
                f"band {number} of {source.label} holds complex numbers ({dtype}), which have no "
                "order to compare",
                "make an image of their amplitude first: gdal_calc.py -A IN.tif "
                '--calc="numpy.abs(A)" --type=Float32 --outfile=OUT.tif',
            )


def source_remarks(
    before: RasterSource, after: RasterSource, *, dates_as_given: bool
) -> tuple[Remark, ...]:
    """What the two rasters say of themselves that does not go together.

    Args:
        before: The raster that was given as the earlier one.
        after: The raster that was given as the later one.
        dates_as_given: Whether the user knows better than the files when they were taken.
    """
    return (
        *order_remarks(before, after, dates_as_given=dates_as_given),
        *identity_remarks(before, after),
        *page_remarks(before, after),
    )


def grid_remarks(before: RasterSource, after: RasterSource, grid: GeoBox) -> tuple[Remark, ...]:
    """What is remarkable about the two rasters on their common grid."""
    return (*resolution_remarks(before, after, grid), *overlap_remarks(before, after, grid))


def pixel_remarks(
    before: RasterSource,
    after: RasterSource,
    collars: tuple[tuple[Collar, ...], tuple[Collar, ...]],
) -> tuple[Remark, ...]:
    """What the pixels of the two rasters are, though their files say otherwise or nothing."""
    return (
        *alpha_remarks(before, after),
        *lossy_remarks(before, after),
        *collar_remarks(before, after, collars),
    )


def order_remarks(
    before: RasterSource, after: RasterSource, *, dates_as_given: bool
) -> Iterator[Remark]:
    """Tells that the newer image was given first, where both files are dated.

    It is refused when both tell the same kind of time and lie more than a day apart: files that
    were written one after the other say little about when their images were taken. Dates that
    their user gave are refused however close they are.
    """
    first, second = period_of(before.acquired), period_of(after.acquired)
    if first is None or second is None or not first.is_after(second):
        return
    dates = f"{_name(before)} ({first.text}) is newer than {_name(after)} ({second.text})"
    if dates_as_given:
        yield Remark(f"{dates} by their tags; they are taken in the order given", warning=False)
        return
    are_given = before.dated_by == after.dated_by == GIVEN
    is_sure = tells_writing(before.dated_by) == tells_writing(after.dated_by)
    yield Remark(
        f"{dates} but is given as BEFORE",
        "swap them, or add --dates-as-given if the dates are wrong",
        refused=are_given or (is_sure and first.is_days_after(second)),
    )


def identity_remarks(before: RasterSource, after: RasterSource) -> Iterator[Remark]:
    """Tells that one raster was given as both dates."""
    hint = "give the image of another date"
    if not is_one_raster(before.path, after.path):
        if copies := _copies_text(before, after):
            yield Remark(f"{_name(before)} and {_name(after)} {copies}", hint)
        return
    if pages := before.pages or after.pages:
        hint = f"name two of its pages: {_listed_pages(pages)}"
    yield Remark(f"both dates are the same file, {_name(before)}: nothing can differ", hint)


def page_remarks(before: RasterSource, after: RasterSource) -> Iterator[Remark]:
    """Tells that a file holds further rasters, of which none was named."""
    if is_one_raster(before.path, after.path):
        return
    for source in (before, after):
        if source.pages:
            yield Remark(
                f"{_name(source)} holds {len(source.pages)} pages, of which the first is used",
                f"name another as {_listed_pages(source.pages[1:])}",
            )


def resolution_remarks(before: RasterSource, after: RasterSource, grid: GeoBox) -> Iterator[Remark]:
    """Tells that one date cannot show what the other shows, and at what they are compared."""
    before_m, after_m, grid_m = (pixel_m(geobox) for geobox in (before.geobox, after.geobox, grid))
    coarser_m = max(before_m, after_m)
    if coarser_m < COARSER_FROM * min(before_m, after_m):
        return
    sizes = f"{_name(before)} has pixels of {before_m:.3g} m, {_name(after)} of {after_m:.3g} m"
    if grid_m * COARSER_FROM < coarser_m:
        coarser = before if before_m > after_m else after
        yield Remark(
            f"{sizes}: at a resolution of {grid_m:.3g} m, what {_name(coarser)} cannot show reads "
            "as change",
            "leave out --resolution to compare them at what both can show",
        )
        return
    yield Remark(f"{sizes}: they are compared at a resolution of {grid_m:.3g} m")


def overlap_remarks(before: RasterSource, after: RasterSource, grid: GeoBox) -> Iterator[Remark]:
    """Tells that two images share next to nothing."""
    shared_m2 = _ground_m2(grid)
    smaller_m2 = min(_ground_m2(before.geobox), _ground_m2(after.geobox))
    if shared_m2 < SMALL_SHARE * smaller_m2:
        yield Remark(
            f"{_name(before)} and {_name(after)} share {shared_m2 / smaller_m2:.1%} of the smaller "
            "image only",
            "check that both show the same place",
        )


def band_remarks(bands: BandChoice) -> tuple[Remark, ...]:
    """What was assumed, and what was found, of which bands go together."""
    notes = (Remark(bands.note),) if bands.note else ()
    return (*notes, *((Remark(bands.finding, warning=False),) if bands.finding else ()))


def packing_remarks(
    before: RasterSource, after: RasterSource, bands: BandChoice
) -> Iterator[Remark]:
    """Tells that the two dates are packed by different scales or offsets, and are unpacked."""
    first = next(packed_otherwise(before.bands_of(bands.before), after.bands_of(bands.after)), None)
    if first is None:
        return
    text = ", ".join(
        _packing_text(*packing) for packing in zip((before, after), first, strict=True)
    )
    text = f"values are stored by different scales: {text}; they are compared as physical values"
    missing = [s for s, b in zip((before, after), first, strict=True) if not is_packed(b)]
    if not missing:
        yield Remark(text, warning=False)
        return
    yield Remark(
        text,
        f"if the values of {_name(missing[0])} are packed too, write that into it: "
        f"gdal_edit.py -scale S -offset O {_name(missing[0])}",
    )


def _packing_text(source: RasterSource, band: Band) -> str:
    if not is_packed(band):
        return f"{_name(source)} as they are (band {band.number})"
    return f"{_name(source)} x {band.scale:g} {band.offset:+g} (band {band.number})"


def alpha_remarks(before: RasterSource, after: RasterSource) -> Iterator[Remark]:
    """Tells that a band marked as alpha is taken for data."""
    for source in (before, after):
        if source.measured_alpha:
            yield Remark(
                f"band {source.measured_alpha} of {_name(source)} is marked as alpha but varies "
                "like an image: it is taken for data, such as infrared, and not for a mask",
                warning=False,
            )


def lossy_remarks(before: RasterSource, after: RasterSource) -> Iterator[Remark]:
    """Tells that holes are told by a value that compression has blurred."""
    for source in (before, after):
        if source.lossy and source.mask == "nodata":
            yield Remark(
                f"{_name(source)} tells its holes by a nodata value, which its compression "
                f"({source.lossy}) blurs: edges of holes may be taken for data",
                "give it a mask instead: nearblack -setmask -near 20 -of GTiff -o OUT.tif IN.tif",
            )


def collar_remarks(
    before: RasterSource,
    after: RasterSource,
    collars: tuple[tuple[Collar, ...], tuple[Collar, ...]],
) -> Iterator[Remark]:
    """Tells that a part of an image is one value up to its edge, and is left out."""
    for source, found_collars in zip((before, after), collars, strict=True):
        for collar in found_collars:
            kind, words = (
                ("the one value ", f"gdal_edit.py -a_nodata {collar.value:g}")
                if not collar.spread
                else ("noise about ", "nearblack -setmask" + " -white" * (collar.value > 0))
            )
            yield Remark(
                f"{collar.share:.1%} of {_name(source)} is a collar: {kind}{collar.value:g} up to "
                "the image's edge, without a nodata value; it is left out",
                f"declare it, as {words} does, or take it for ground with --keep-collars",
            )


def is_one_raster(before: str, after: str) -> bool:
    """Whether two names lead to one raster: equal names, or one file under two of them."""
    if before == after:
        return True
    try:
        return Path(before).is_file() and os.path.samefile(before, after)
    except (OSError, ValueError):  # a GDAL name that no file system takes, or one of no file
        return False


def _copies_text(before: RasterSource, after: RasterSource) -> str:
    """What two files of the same bytes are called; empty where they differ."""
    size_bytes = before.size_bytes
    # What a small text names may differ where it lies.
    if not size_bytes or size_bytes != after.size_bytes or before.driver == "VRT":
        return ""
    try:
        if not _samples_agree(before.path, after.path, size_bytes):
            return ""
        if size_bytes > _MOST_COMPARED_BYTES:
            return f"seem to be copies of one file: they hold the same in {_SAMPLES} places"
        is_same = filecmp.cmp(before.path, after.path, shallow=False)
    except OSError:
        return ""
    return "are copies of one file: nothing can differ" if is_same else ""


def _samples_agree(before: str, after: str, size_bytes: int) -> bool:
    """Whether two files of one size hold the same bytes at both ends and in between."""
    last = max(0, size_bytes - _SAMPLE_BYTES)
    with Path(before).open("rb") as first, Path(after).open("rb") as second:
        for sample in range(_SAMPLES):
            for file in (first, second):
                file.seek(last * sample // (_SAMPLES - 1))
            if first.read(_SAMPLE_BYTES) != second.read(_SAMPLE_BYTES):
                return False
    return True


def _ground_m2(grid: GeoBox) -> float:
    height_px, width_px = grid.shape
    return pixel_area_m2(grid) * height_px * width_px


def _name(source: RasterSource) -> str:
    return without_secrets(source.label)


def _listed_pages(pages: tuple[str, ...]) -> str:
    shown_pages = " and ".join(pages[:2])
    return f"{shown_pages}, ..." if len(pages) > 2 else shown_pages
