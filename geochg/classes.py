"""The table of classes of change: what each is called, drawn, coded and made of.

Everything else that is said of a class follows from its row here. A new class is a new row; its
place in the table is the order in which classes are listed, and its mask code is its own, so that
a row put between others recodes no mask.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ChangeClass:
    """One class of change.

    Attributes:
        name: The value of the property `class`.
        mask_code: Its value in masks of data sets, 1 to 7; 0 is no change.
        color: Its color on maps, `#rrggbb`. The table's are distinguishable in greyscale and by
            the color-blind as well as six can be (Okabe and Ito's set).
        rank: How specific it is: where one class gives way to another, the change is named after
            the one of higher rank, and of equal ones after the new.
        covers: Land covers (`geochg.records.LAND_COVER`) that it consists of; empty where it may
            consist of any.
        singular: One object of it, as answers write it.
        plural: Several of them.
        nouns: Nouns by which models name it, in singular.
        caption_nouns: Nouns that captions of data sets use, in singular.
        appeared: What those captions say of its appearance; see `datasets.captions.sentences`.
        disappeared: What they say of its disappearance.
        altered: What they say of its alteration.
    """

    name: str
    mask_code: int
    color: str
    rank: int
    covers: frozenset[str]
    singular: str
    plural: str
    nouns: tuple[str, ...]
    caption_nouns: tuple[str, ...]
    appeared: tuple[str, ...]
    disappeared: tuple[str, ...]
    altered: tuple[str, ...]


CHANGE_CLASSES = (
    ChangeClass(
        name="building",
        mask_code=1,
        color="#d55e00",
        rank=3,
        covers=frozenset({"building"}),
        singular="building",
        plural="buildings",
        nouns=(
            *("building", "house", "villa", "home", "structure", "residence", "apartment"),
            *("warehouse", "shed", "cottage", "bungalow", "dwelling", "garage", "factory"),
        ),
        caption_nouns=("building", "house", "residential building"),
        appeared=(
            *("{is} built", "{has} been built", "{has} been constructed", "newly {appears}"),
            *("{has} appeared", "{is} newly built", "{has} been erected"),
        ),
        disappeared=(
            *("{is} removed", "{has} been demolished", "{disappears}", "{has} been removed"),
            "{is} torn down",
        ),
        altered=("{is} replaced by {other}", "{has} been rebuilt", "{has} been replaced"),
    ),
    ChangeClass(
        name="road",
        mask_code=2,
        color="#cc79a7",
        rank=3,
        covers=frozenset({"road"}),
        singular="road",
        plural="roads",
        nouns=(
            *("road", "street", "path", "lane", "highway", "roadway", "avenue", "driveway"),
            *("track", "pathway"),
        ),
        caption_nouns=("road", "path", "street"),
        appeared=("{is} built", "{has} been built", "newly {appears}", "{has} been constructed"),
        disappeared=("{is} removed", "{has} disappeared", "{disappears}"),
        altered=("{has} been widened", "{is} widened"),
    ),
    ChangeClass(
        name="vegetation",
        mask_code=3,
        color="#009e73",
        rank=2,
        covers=frozenset({"low plants", "woody"}),
        singular="vegetation area",
        plural="vegetation areas",
        nouns=(
            *("tree", "forest", "lawn", "plant", "shrub", "bush", "vegetation", "grass"),
            *("grassland", "greenery", "woodland"),
        ),
        caption_nouns=("stand of trees", "patch of woodland", "group of trees"),
        appeared=("{has} been planted", "{is} planted", "{has} grown up", "newly {appears}"),
        disappeared=("{is} cleared", "{has} been cut down", "{disappears}", "{has} been removed"),
        altered=("{has} been burnt", "{is} burnt"),
    ),
    ChangeClass(
        name="water",
        mask_code=4,
        color="#0072b2",
        rank=3,
        covers=frozenset({"water"}),
        singular="water area",
        plural="water areas",
        nouns=("river", "lake", "pond", "stream", "reservoir", "water"),
        caption_nouns=("pond", "water body"),
        appeared=("newly {appears}", "{has} formed", "{has} appeared"),
        disappeared=("{has} dried up", "{disappears}", "{has} been drained"),
        altered=("{has} changed its shape",),
    ),
    ChangeClass(
        name="bare",
        mask_code=5,
        color="#e69f00",
        rank=1,
        covers=frozenset({"bare"}),
        singular="bare area",
        plural="bare areas",
        nouns=("bare", "bareland", "soil", "wasteland"),
        caption_nouns=("patch of bare land", "piece of bare soil", "construction site"),
        appeared=("newly {appears}", "{has} been cleared", "{has} appeared", "{is} dug up"),
        disappeared=("{has} been covered", "{disappears}"),
        altered=("{has} been reshaped",),
    ),
    ChangeClass(
        name="other",
        mask_code=6,
        color="#8c8c8c",
        rank=0,
        covers=frozenset(),
        singular="other object",
        plural="other objects",
        nouns=("object", "pool", "playground", "car", "vehicle"),
        caption_nouns=("object",),
        appeared=("newly {appears}", "{has} appeared", "{has} been added"),
        disappeared=("{disappears}", "{has} been removed"),
        altered=("{has} been altered",),
    ),
)
"""The classes that every reader of geochg's layers knows; a backend may add names to them."""

CLASS_BY_NAME = {change_class.name: change_class for change_class in CHANGE_CLASSES}
CLASSES = tuple(CLASS_BY_NAME)
"""Names of the classes in the order in which they are listed."""

LEGEND = [{"name": row.name, "color": row.color} for row in CHANGE_CLASSES]
"""Name and color of each class, as `qgis_plugin/classes.json` holds them."""

MASK_CLASSES = {0: "none"} | {row.mask_code: row.name for row in CHANGE_CLASSES}
"""Name of each value that masks of data sets hold."""
