"""Of which scenes of a catalogue an image was made: the tag that a fetched scene carries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from geochg.safety.untrusted_text import printable

SCENE_TAG = "geochg"
"""Name of the tag, which holds a JSON object."""

SCENE_KIND = "scene"
"""What its member `kind` says of a fetched scene."""

_LONGEST_TAG, _LONGEST_TEXT, _MOST_SCENES = 2**22, 500, 1000
_TEXTS = ("collection", "catalog", "licence", "attribution", "composite", "clouds")
_SCENE_TEXTS = ("id", "datetime", "licence")


def scene_facts(tags: Mapping[str, str]) -> dict[str, Any]:
    """What a fetched scene says of itself, for the provenance of an output.

    Args:
        tags: Tags of the file, which anybody may have written.

    Returns:
        Empty where it is no fetched scene. Else texts `collection`, `catalog`, `licence`,
        `attribution`, `composite` and `clouds`, as far as they are told; `window`, its first and
        its last day; `hidden_share`, 0-1, of the area that it does not show; and `scenes`, each
        with `id`, `datetime` and `licence`.
    """
    members = tag_members(tags)
    facts: dict[str, Any] = _texts_of(members, _TEXTS)
    scenes = members.get("scenes")
    scenes = scenes[:_MOST_SCENES] if isinstance(scenes, list) else []
    facts["scenes"] = [_texts_of(scene, _SCENE_TEXTS) for scene in scenes if _is_object(scene)]
    window = members.get("window")
    if isinstance(window, list) and len(window) == 2 and all(isinstance(d, str) for d in window):
        facts["window"] = [printable(day)[:_LONGEST_TEXT] for day in window]
    share = members.get("hidden_share")
    if isinstance(share, float | int) and 0 <= share <= 1:
        facts["hidden_share"] = float(share)
    return facts if members else {}


def tag_members(tags: Mapping[str, str]) -> dict[str, Any]:
    """The members of the tag as they stand there; empty where it is no fetched scene.

    Args:
        tags: Tags of the file.
    """
    text = tags.get(SCENE_TAG, "")
    if not text or len(text) > _LONGEST_TAG:
        return {}
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return members if _is_object(members) and members.get("kind") == SCENE_KIND else {}


def _texts_of(members: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Those of some members that are texts and say something."""
    texts = {name: members.get(name) for name in names}
    return {
        name: printable(text)[:_LONGEST_TEXT]
        for name, text in texts.items()
        if isinstance(text, str) and text
    }


def _is_object(value: object) -> bool:
    return isinstance(value, dict)
