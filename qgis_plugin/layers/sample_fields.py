"""The attributes of a sample's units, and their values."""

from __future__ import annotations

from geochg_qgis.layers.result_fields import CHANGES

NUMBER = "id"
"""Field of a unit's number."""

REFERENCE_CLASS = "reference_class"
"""Field of the class of what changed, as a person saw it; nothing where nothing changed."""

REFERENCE_CHANGE = "reference_change"
"""Field of what happened to it: one of `REFERENCE_CHANGES`, or nothing."""

NOTE = "note"

UNCHANGED = "unchanged"

REFERENCE_CHANGES = (UNCHANGED, *CHANGES)

SAMPLE_FIELDS = (NUMBER, REFERENCE_CLASS, REFERENCE_CHANGE)
"""Fields by which a layer may be a sample."""


def is_judgement(name: str, change: str) -> bool:
    """Whether a class and a change are a judgement, by the rule of `geochg assess`.

    Args:
        name: What stands in `REFERENCE_CLASS`; may be empty.
        change: What stands in `REFERENCE_CHANGE`; may be empty.
    """
    name, change = name.strip().lower(), change.strip().lower()
    if change == UNCHANGED or (not change and name == UNCHANGED):
        return True
    return change in CHANGES and name not in ("", UNCHANGED)
