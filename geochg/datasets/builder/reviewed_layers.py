"""Reviewed change layers as pairs with masks: their images are found again, layers add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochg.datasets.builder.pictures import safe_name
from geochg.datasets.builder.reviewed_scene import ReviewedScene, reviewed_scene
from geochg.datasets.builder.verdicts import (
    JudgedChange,
    has_verdicts,
    judged_changes,
    layer_label,
    map_of_verdicts,
)
from geochg.datasets.captions.truth import CLASS_NAMES
from geochg.errors import InputError, OptionError
from geochg.geometry.polygons_only import areas
from geochg.options import AlignMode, AnalyzeOptions
from geochg.pipeline.reviewed_layer import read_changes
from geochg.report.layer_images import LayerImages
from geochg.report.metadata_text import sources_of
from geochg.tasks.quantities import area_in_words
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.pair import PlacedPair, RasterPair, place_pair
from geochg.writers.layer_metadata import read_metadata

if TYPE_CHECKING:
    import geopandas as gpd
    from odc.geo.geobox import GeoBox

_HOW_READ = (
    *("bands", "resolution", "crs", "aoi", "align", "match"),
    *("nodata", "keep_collars", "dates"),
)
"""Options of a run that say how its images were read."""

_BY_HAND = "name them by hand: --rasters BEFORE AFTER LAYER"


@dataclass(frozen=True, eq=False)
class _Layer:
    """A reviewed layer as it was read."""

    text: str
    label: str
    file: Path
    metadata: Mapping[str, Any]
    frame: gpd.GeoDataFrame
    grid: GeoBox
    notes: tuple[str, ...]

    def images_key(self) -> tuple[object, ...]:
        """What layers of one pair of images on one grid have in common."""
        facts = [
            (Path(str(source.get("path"))).name, source.get("size_bytes"), source.get("acquired"))
            for _, source in sources_of(self.metadata)
        ]
        return (str(self.grid.crs), self.grid.transform, tuple(self.grid.shape), *facts)


def reviewed_scenes(
    layers: Sequence[str],
    coding: Mapping[str, int],
    *,
    all_reviewed: bool = False,
    allow_remote: bool = False,
) -> list[ReviewedScene]:
    """Opens reviewed layers with their images; reads no pixels.

    Layers of one pair of images become one scene: what one leaves open another decides, and where
    they contradict each other nothing is known.

    Args:
        layers: Layers of `analyze`, with `|layername=NAME` behind them where there are several.
        coding: Class indexes by names that are no classes of geochg's.
        all_reviewed: Whether what was neither accepted nor drawn is unchanged.
        allow_remote: Whether images on this machine may name sources elsewhere.

    Raises:
        InputError: If a layer is no change layer of a pair that geochg wrote, nobody decided on
            any of its changes, or its images are gone, are others or lie otherwise.
    """
    groups: dict[tuple[object, ...], list[_Layer]] = {}
    for text in layers:
        layer = _read(text)
        groups.setdefault(layer.images_key(), []).append(layer)
    return [
        _scene(group, coding, all_reviewed=all_reviewed, allow_remote=allow_remote)
        for group in groups.values()
    ]


def _read(text: str) -> _Layer:
    label = layer_label(text)
    try:
        name, metadata = read_metadata(text)
    except InputError as error:
        if "none is named" in error.message:
            raise InputError(error.message, f"name one: {label}|layername=NAME") from error
        if not Path(text.partition("|")[0]).is_file():
            raise
        raise InputError(
            f"{label} does not tell its images: it was saved in a way that loses what geochg "
            "writes into its layers, or is another's",
            _BY_HAND,
        ) from error
    if "sample_of" in metadata:
        raise InputError(
            f"{label} is a sample for an assessment", "give the change layer with its review"
        )
    images = len(sources_of(metadata))
    if images > 2:
        raise InputError(
            f"{label} is of {images} images, and rows are made of two",
            "review a layer of two of them",
        )
    frame, grid = read_changes(text)
    if grid is None or images < 2:
        raise InputError(f"{label} does not tell its images and their grid", _BY_HAND)
    polygons, note = areas(frame.geometry.to_numpy())
    frame = frame.set_geometry(polygons, crs=frame.crs)
    frame = frame[~frame.geometry.is_empty].reset_index(drop=True)
    if not has_verdicts(frame):
        raise InputError(
            f"{label} has no verdicts",
            "accept, reject or draw changes in it first, in the panel or in its field 'review'",
        )
    notes = (*((f"{label}: {note}",) if note else ()), *_unseen_notes(label, metadata))
    return _Layer(text, label, Path(name.file), metadata, frame, grid, notes)


def _unseen_notes(label: str, metadata: Mapping[str, Any]) -> list[str]:
    not_seen_m2 = metadata.get("not_seen_m2")
    if isinstance(not_seen_m2, int | float) and not_seen_m2 > 0:
        hidden = area_in_words(not_seen_m2)
        return [f"{label}: cloud, shadow or snow hid {hidden}, whose changes nobody could see"]
    return []


def _is_complete(layer: _Layer) -> bool:
    """Whether all tiles were answered, so that all ground was looked at."""
    tiles = layer.metadata.get("tiles")
    return not (isinstance(tiles, Mapping) and tiles.get("failed"))


def _scene(
    group: Sequence[_Layer],
    coding: Mapping[str, int],
    *,
    all_reviewed: bool,
    allow_remote: bool,
) -> ReviewedScene:
    first = group[0]
    options = _options_of(first, allow_remote=allow_remote)
    pair = _pair(first, options)
    changes: list[list[JudgedChange]] = [
        judged_changes(layer.frame, pair.grid, layer.label, coding) for layer in group
    ]
    verdict_map = map_of_verdicts(
        changes,
        " and ".join(dict.fromkeys(layer.label for layer in group)),
        all_reviewed=all_reviewed,
        is_complete=all(map(_is_complete, group)),
    )
    notes = [remark.text for remark in pair.remarks if remark.warning]
    return reviewed_scene(
        pair,
        verdict_map,
        safe_name(first.file.stem),
        align=AlignMode(options.align),
        match=options.match,
        wanted_classes=_wanted_classes(first, coding),
        notes=[*notes, *(note for layer in group for note in layer.notes)],
    )


def _wanted_classes(layer: _Layer, coding: Mapping[str, int]) -> list[str]:
    """The classes that the run looked for, as those of masks; empty where it was all of them."""
    facts = layer.metadata.get("options")
    names = facts.get("classes") if isinstance(facts, Mapping) else None
    names = names or [
        row.get("name") for row in layer.metadata.get("classes") or () if isinstance(row, Mapping)
    ]
    return [CLASS_NAMES[coding[name]] if name in coding else str(name) for name in names]


def _options_of(layer: _Layer, *, allow_remote: bool) -> AnalyzeOptions:
    """The options by which the images are read as the run read them."""
    facts = layer.metadata.get("options")
    facts = facts if isinstance(facts, Mapping) else {}
    values = {name: facts[name] for name in _HOW_READ if facts.get(name) is not None}
    try:
        # Whatever their dates say, the run has taken them in this order.
        return AnalyzeOptions.from_dict(
            {**values, "dates_as_given": True, "allow_remote": allow_remote}
        )
    except OptionError as error:
        raise InputError(
            f"{layer.label} tells options that make no sense: {error.message}", _BY_HAND
        ) from error


def _pair(layer: _Layer, options: AnalyzeOptions) -> RasterPair:
    """The images on the grid of the run, as pictures.

    Raises:
        InputError: If one is gone or another one, or they lie otherwise than they did.
    """
    images = LayerImages(layer.metadata, layer.file, layer.grid, {}, lambda name: True)
    with gdal_settings():
        sources = [source for source in images.sources(options) if source is not None]
        if len(sources) < 2:
            raise InputError(
                f"an image of {layer.label} cannot be used: {images.notes[0].rstrip('.')}",
                f"put it back or beside the layer, or {_BY_HAND}",
            )
        placed_pair = place_pair(sources[0].path, sources[1].path, options)
        if placed_pair.grid != layer.grid:
            raise InputError(
                f"the images of {layer.label} have another grid than its run had",
                "analyze them again and review that layer",
            )
        return _picture_pair(placed_pair, options)


def _picture_pair(placed_pair: PlacedPair, options: AnalyzeOptions) -> RasterPair:
    """The pair with the bands of a picture; those that the run compared may be others."""
    try:
        return placed_pair.with_bands(options, "rgb")
    except (InputError, OptionError):
        if not options.bands:
            raise
    return placed_pair.with_bands(replace(options, bands=()), "rgb")
