"""Talking about one place of a pair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import shapely
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from geochg.errors import OptionError
from geochg.geometry.placement import crs_of
from geochg.models.base import ChangeModel, backend_errors
from geochg.models.chat.converse import converse
from geochg.models.chat.rule_based import reply
from geochg.models.loading import check_tells_of_one, load_configured_model
from geochg.options import AlignMode, AnalyzeOptions
from geochg.pipeline.imagery import pair_for
from geochg.pipeline.map_features import map_view
from geochg.pipeline.views import view_of_pair, whole_tile
from geochg.records import Exchange, Task, Tile
from geochg.safety.untrusted_text import printable, printable_pieces
from geochg.tiling.aoi import square_around
from geochg.tiling.footprints import footprint, in_crs, lonlat_box
from geochg.tiling.gdal import gdal_settings
from geochg.tiling.image import place_image
from geochg.tiling.pair import PlacedPair, RasterPair, place_pair

if TYPE_CHECKING:
    from geochg.tiling.raster_input import RasterLike

FARTHEST_LON = 540.0
FARTHEST_LAT = 90.0
"""Degrees beyond which there is no place; longitudes may be counted on past the antimeridian."""

MASK_VIEW_PX = 1024
"""A model that answers pixel by pixel can be shown more than a tile at once."""


@dataclass
class PairDialogue:
    """A dialogue about one place of a pair, or of one image; the model sees it as one tile.

    Attributes:
        model: The model that answers.
        pair: The pair, cut to the place.
        tile: The tile that the model sees.
        exchanges: Questions and answers so far.
    """

    model: ChangeModel
    pair: RasterPair
    tile: Tile
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def outline(self) -> list[tuple[float, float]]:
        """The outline of the place: longitudes and latitudes in degrees, the first again as last.

        Longitudes may be counted on past the antimeridian.
        """
        grid = self.pair.grid
        box = lonlat_box(grid)
        middle = (box.west + box.east) / 2
        ring = in_crs(footprint(grid), crs_of(grid), CRS("EPSG:4326"), middle)
        return [(float(lon), float(lat)) for lon, lat in shapely.get_coordinates(ring)]

    def ask(self, question: str, features: str | None = None) -> Iterator[str]:
        """Asks the model and gives its answer in pieces; a whole answer joins the exchanges.

        Control codes are taken out of the answer.

        Args:
            question: The question.
            features: A change layer of the pair, `FILE|layername=NAME`. What rules answer for a
                model that outlines comes from its features then, so that numbers, areas and places
                are those of the map.

        Raises:
            OptionError: If nothing is asked.
            InputError: If the change layer cannot be used.
            ModelError: If the model answers no free questions.
            RunError: If the model fails.
        """
        question_text = " ".join(printable(question).split())
        if not question_text:
            raise OptionError("nothing is asked", "write a question")
        pieces = []
        for piece in printable_pieces(self._answer(question_text, features)):
            pieces.append(piece)
            yield piece
        self.exchanges.append(Exchange(question_text, "".join(pieces).strip()))

    def _answer(self, question: str, features: str | None) -> Iterator[str]:
        """The answer as a model or a map gives it."""
        if features is not None and self.model.answers_by_rules:
            yield reply(question, map_view(features, self.pair.grid))
            return
        with backend_errors(self.model):
            yield from converse(self.model, self.tile, self.pair.facts, self.exchanges, question)


def open_dialogue(
    before: RasterLike,
    after: RasterLike,
    options: AnalyzeOptions | None = None,
    *,
    geobox: GeoBox | None = None,
    at: tuple[float, float] | None = None,
    model: ChangeModel | None = None,
) -> PairDialogue:
    """Opens a pair for questions about it.

    The place is the whole of what the dates share, or the area of interest, at a resolution at
    which the model can see it at once; or a tile around a point at full resolution.

    Args:
        before: The earlier raster; see `analyze`.
        after: The later raster.
        options: As for `analyze`; the defaults when None.
        geobox: Grid of the numpy arrays among the two.
        at: Longitude and latitude of a point, in degrees; None for the whole.
        model: The model that `load_configured_model` gives for these options; loaded when None.
            While the dialogue goes on it must not be used for another pair.

    Raises:
        OptionError: If both a point and an area are given, or an option does not fit.
        InputError: If a raster cannot be used, or nothing is there.
        ModelError: If the model cannot be used.
        RunError: If the place cannot be read.
    """
    options = options or AnalyzeOptions()
    _check_place(options, at)
    with gdal_settings():
        # What is wrong with the images is said before a model is loaded or asked.
        placed_pair = place_pair(before, after, options, geobox=geobox)
    return _opened(placed_pair, options, at, model)


def open_image_dialogue(
    image: RasterLike,
    options: AnalyzeOptions | None = None,
    *,
    geobox: GeoBox | None = None,
    at: tuple[float, float] | None = None,
    model: ChangeModel | None = None,
) -> PairDialogue:
    """Opens a single image for questions about it; see `open_dialogue`.

    Args:
        image: The raster; see `analyze`.
        options: As for `analyze`; the defaults when None.
        geobox: Grid of a numpy array.
        at: Longitude and latitude of a point, in degrees; None for the whole.
        model: The model that `load_configured_model` gives for these options; loaded when None.
            While the dialogue goes on it must not be used for another pair.

    Raises:
        OptionError: Also if the model compares two images only.
        GeochgError: Otherwise as `open_dialogue` does.
    """
    options = replace(options or AnalyzeOptions(), align=AlignMode.OFF, match=False)
    _check_place(options, at)
    with gdal_settings():
        placed_image = place_image(image, options, geobox=geobox)
    return _opened(placed_image, options, at, model)


def _check_place(options: AnalyzeOptions, at: tuple[float, float] | None) -> None:
    if at is not None and options.aoi is not None:
        raise OptionError("both a point and an area are given", "leave out one of them")
    if at is not None and not (abs(at[0]) <= FARTHEST_LON and abs(at[1]) <= FARTHEST_LAT):
        raise OptionError(
            f"there is no place {at[0]:g},{at[1]:g}",
            "give longitude and latitude in degrees, such as 55.17,24.98",
        )


def _opened(
    placed_pair: PlacedPair,
    options: AnalyzeOptions,
    at: tuple[float, float] | None,
    model: ChangeModel | None,
) -> PairDialogue:
    """A dialogue about rasters that are on their grid."""
    with gdal_settings():
        square = None if at is None else square_around(placed_pair.grid, at, options.tile_size_px)
    model = model or load_configured_model(options)
    if placed_pair.is_alone:
        check_tells_of_one(model, Task.QUESTION)
    with gdal_settings():
        pair = pair_for(placed_pair, options, model)
        if square is None:
            least_px = MASK_VIEW_PX if model.capabilities.location == "mask" else 0
            pair = view_of_pair(pair, options, max(least_px, options.tile_size_px))
        else:
            pair = replace(pair, grid=square)
        tile = whole_tile(pair, options, model.capabilities.pixels)
    with backend_errors(model):
        model.survey(pair.facts, [tile] if model.capabilities.surveys else [])
    return PairDialogue(model, pair, tile)
