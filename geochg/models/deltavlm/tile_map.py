"""The map of a tile, and the answers in words that go with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from geochg.geometry.hysteresis import presence_of
from geochg.models.chat.dialogue import TileDialogue
from geochg.records import Answer, Dialogue, Outlines, Presence, Tile


@dataclass(frozen=True, eq=False)
class TileMap:
    """The outlines of a tile, and its presence, which is made when a question needs it."""

    outlines: Outlines
    tile: Tile

    @cached_property
    def presence(self) -> Presence:
        """Whether the tile changed, as its outlines say."""
        return presence_of(self.outlines, self.tile.valid)


def text_answer(dialogue: TileDialogue, tile_map: TileMap | None) -> Answer:
    """The language model's answer; a dialogue's presence has the map's probability."""
    answer = dialogue.answer()
    if tile_map is not None and isinstance(answer, Dialogue):
        probability = tile_map.presence.probability
        return replace(answer, presence=replace(answer.presence, probability=probability))
    return answer
