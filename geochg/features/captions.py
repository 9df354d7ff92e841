"""Sentences about a change, a tile and a pair, from nothing but the facts of the map.

Which of several wordings is used depends on the facts alone, so equal runs say the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from geochg.features.facts import Facts
from geochg.noun_forms import singular_of
from geochg.records import Change
from geochg.tasks.quantities import area_in_words, number_in_words

_STOOD = {
    "water": "where there was water",
    "road": "where there was a road or paved ground",
    "building": "where a building stood",
}
"""Land covers of `land_cover.PROVEN` only, as in the next tables."""
_LEFT = {
    "water": "water covers the place now",
    "road": "the place is a road or paved ground now",
    "building": "a building stands there now",
}
_BESIDE = {
    "water": "beside water",
    "road": "beside a road or paved ground",
    "building": "beside a building",
}
_MOST_CLAUSES = 3


def feature_caption(facts: Facts) -> str:
    """One sentence about a change, such as "About 230 m² of buildings now stand ...".

    What is None among the facts is left out.
    """
    words = _WORDS.get(facts.class_name, _stuff)(facts)
    templates = _TEMPLATES[words.kind, facts.change]
    usable = [text for text in templates if facts.area_m2 is not None or "{area}" not in text]
    # A number that depends on the facts alone, alike on all machines.
    number = round(facts.area_m2 or 0) + 7 * (facts.count or 0) + len(facts.place)
    text = usable[number % len(usable)].format(**words.values())
    return f"{text[0].upper()}{text[1:]}."


# --- words of a change ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Words:
    """The words that a wording is filled with: its kind, and the subject without a capital."""

    facts: Facts
    kind: str
    subject: str
    is_plural: bool

    def values(self) -> dict[str, str]:
        """The gaps of the wordings, each with what goes before it."""
        facts, plural = self.facts, self.is_plural
        area = "" if facts.area_m2 is None else f"about {area_in_words(facts.area_m2)}"
        in_all = " in all" if (facts.count or 1) > 1 else ""
        return {
            "what": self.subject,
            "of": f" of {area}{in_all}" if area else "",
            "on": f" on {area}" if area else "",
            "from": f" from {area}" if area else "",
            "area": area,
            "where": place_phrase(facts.place),
            "stood": f" {_STOOD[facts.before]}" if facts.before in _STOOD else "",
            "left": f"; {_LEFT[facts.after]}" if facts.after in _LEFT else "",
            "beside": f", {_BESIDE[facts.beside]}" if facts.beside in _BESIDE else "",
            "has": "have" if plural else "has",
            "was": "were" if plural else "was",
            "is": "are" if plural else "is",
            "s": "" if plural else "s",
        }


def place_phrase(place_name: str) -> str:
    """Where in the area: `in the north-east of the area`, `across the area`."""
    return f"in the {place_name} of the area" if place_name else "across the area"


def _buildings(facts: Facts) -> _Words:
    """Buildings by their area: their number is too often wrong to be told as a fact."""
    area = "" if facts.area_m2 is None else f"about {area_in_words(facts.area_m2)} of "
    return _Words(facts, "building", f"{area}buildings", is_plural=True)


def _roads(facts: Facts) -> _Words:
    count = facts.count or 1
    if facts.is_long:
        kind, single, plural = "road", "a stretch of road", "stretches of road"
    else:
        kind, single, plural = "paved", "a paved area", "paved areas"
    subject = single if count == 1 else f"{number_in_words(count)} {plural}"
    return _Words(facts, kind, subject, count > 1)


def _stuff(facts: Facts) -> _Words:
    """What is not counted: vegetation, water, ground, surface, and what others name."""
    name = facts.class_name
    if name not in ("vegetation", "water", "bare", "other"):
        return _Words(facts, "named", name, is_plural=name != singular_of(name))
    subject = {"bare": "bare ground", "other": "the surface"}.get(name, name)
    return _Words(facts, name, subject, is_plural=False)


_WORDS = {"building": _buildings, "road": _roads}


# --- wordings ------------------------------------------------------------------------------------


_BUILT = ("{what} now stand {where}{stood}{beside}", "{where}, {what} {was} built{stood}{beside}")
_LAID = (
    "{where}, {what}{of} {was} laid{stood}{beside}",
    "{what}{of} {has} appeared {where}{stood}{beside}",
)
_DEMOLISHED = (
    "{what} {was} removed {where}{beside}{left}",
    "{where}, {what} {has} disappeared{beside}{left}",
)
_TORN_UP = (
    "{what}{of} {was} removed {where}{beside}{left}",
    "{where}, {what}{of} {has} disappeared{beside}{left}",
)
_REBUILT = ("{what} {was} altered {where}{beside}", "{where}, {what} {has} changed{beside}")
_RELAID = ("{what}{of} {where} {was} altered{beside}", "{where}, {what}{of} {has} changed{beside}")
_GONE = "{what} {has} disappeared{from} {where}{beside}{left}"
_CHANGED = ("{what} {has} changed{on} {where}{beside}", "{where}, {what} {was} altered{on}{beside}")


_APPEARED = {
    "building": _BUILT,
    "road": _LAID,
    "paved": _LAID,
    "vegetation": (
        "{what} {has} grown{on} {where}{stood}{beside}",
        "{where}, {what} now cover{s} {area}{stood}{beside}",
    ),
    "water": (
        "{what} now covers {area} {where}{stood}{beside}",
        "{where}, {what} has appeared{on}{stood}{beside}",
    ),
    "bare": (
        "{what} has appeared{on} {where}{stood}{beside}",
        "{where}, the ground is now bare{on}{stood}{beside}",
    ),
    "named": ("{what} {has} appeared{on} {where}{stood}{beside}",),
    "other": ("something new has appeared{on} {where}{stood}{beside}",),
}
_DISAPPEARED = {
    "building": _DEMOLISHED,
    **dict.fromkeys(("road", "paved"), _TORN_UP),
    "vegetation": (_GONE, "{where}, {what} {is} gone{from}{beside}{left}"),
    "water": (_GONE, "{where}, {what} has withdrawn{from}{beside}{left}"),
    "bare": (_GONE, "{where}, {what} is gone{from}{beside}{left}"),
    "named": (_GONE,),
    "other": ("something has disappeared{from} {where}{beside}{left}",),
}
_ALTERATIONS = {
    "building": _REBUILT,
    **dict.fromkeys(("road", "paved"), _RELAID),
    **dict.fromkeys(("vegetation", "water", "bare", "named", "other"), _CHANGED),
}
_TEMPLATES: dict[tuple[str, str], tuple[str, ...]] = {
    (kind, str(change)): wordings
    for change, by_kind in (
        (Change.APPEARED, _APPEARED),
        (Change.DISAPPEARED, _DISAPPEARED),
        (Change.ALTERED, _ALTERATIONS),
    )
    for kind, wordings in by_kind.items()
}


# --- tiles and pairs -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChangeTotal:
    """All changes of one class and direction in a tile or a pair.

    Attributes:
        class_name: What changed.
        change: One of `Change`.
        area_m2: Ground area of all of them; None where that is not known.
        count: Separate objects; None for what is not counted, 0 where only parts of some lie there.
    """

    class_name: str
    change: str
    area_m2: float | None
    count: int | None


def tile_caption(
    kinds: Sequence[ChangeTotal], seen_share: float = 1.0, *, has_others: bool = False
) -> str:
    """One sentence about a tile.

    Args:
        kinds: What changed in it.
        seen_share: Share of its valid ground that the model saw, 0-1.
        has_others: Whether anything else changed, too small or too unsure to be kept.
    """
    if kinds:
        return f"In this tile, {_clauses(kinds)}."
    if has_others:
        return "Nothing of the size and certainty asked for changed in this tile."
    if seen_share <= 0:
        return "The ground of this tile was not seen."
    return f"Nothing changed in this tile{' where the ground was seen' * (seen_share < 1)}."


def pair_caption(kinds: Sequence[ChangeTotal], not_seen_m2: float = 0.0) -> str:
    """One or two sentences about the whole area.

    Args:
        kinds: What changed in it.
        not_seen_m2: Ground that the model did not see.
    """
    sentence = f"In the area analysed, {_clauses(kinds)}." if kinds else ""
    hidden = f" About {area_in_words(not_seen_m2)} of it was not seen." if not_seen_m2 else ""
    return (sentence or "Nothing changed in the area analysed.") + hidden


def _clauses(kinds: Sequence[ChangeTotal]) -> str:
    """The largest changes, joined to a list."""
    ranked = sorted(
        kinds, key=lambda total: (-(total.area_m2 or 0), total.class_name, total.change)
    )
    clauses = [_clause(total) for total in ranked[:_MOST_CLAUSES]]
    if len(ranked) > _MOST_CLAUSES:
        clauses.append("there are smaller changes")
    return clauses[0] if len(clauses) == 1 else f"{', '.join(clauses[:-1])}, and {clauses[-1]}"


def _clause(kinds: ChangeTotal) -> str:
    subject = {
        "building": "buildings",
        "road": "road or paved ground",
        "bare": "bare ground",
        "other": "the surface",
    }.get(kinds.class_name, kinds.class_name)
    verb, on = {
        str(Change.APPEARED): ("appeared", "on"),
        str(Change.DISAPPEARED): ("disappeared", "from"),
    }.get(kinds.change, ("changed", "on"))
    area = "" if kinds.area_m2 is None else f" {on} about {area_in_words(kinds.area_m2)}"
    return f"{subject} {verb}{area}"
