"""Sentences about a change, a tile and a pair, from nothing but the facts of the map.

Which of several wordings is used depends on the facts alone, so equal runs say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from geochg.features.facts import Facts
from geochg.records import Change
from geochg.tasks.quantities import area_in_words, number_in_words

_GREW = {
    "bare": "where the ground was bare",
    "low plants": "where low plants grew",
    "woody": "where trees or shrubs grew",
    "water": "where there was water",
    "road": "where there was a road or paved ground",
    "building": "where a building stood",
}
_LEFT = {
    "bare": "bare ground remains",
    "low plants": "low plants grow there now",
    "woody": "trees or shrubs grow there now",
    "water": "water covers the place now",
    "road": "the place is a road or paved ground now",
    "building": "a building stands there now",
}
_BESIDE = {
    "bare": "beside bare ground",
    "low plants": "beside low plants",
    "woody": "beside trees or shrubs",
    "water": "beside water",
    "road": "beside a road or paved ground",
    "building": "beside a building",
}
_COVER = {
    "bare": "bare ground",
    "low plants": "low plants",
    "woody": "trees or shrubs",
    "water": "water",
    "road": "paved ground",
    "building": "buildings",
}
_PLURAL_COVERS = ("low plants", "woody", "building")
_OBJECTS = ("building", "road")
_MOST_CLAUSES = 3


def feature_caption(facts: Facts) -> str:
    """One sentence about a change, such as "A building of about 230 m² stands ...".

    Args:
        facts: What is known of it; what is None is not spoken of.
    """
    words = _objects(facts) if facts.class_name in _OBJECTS else _stuff(facts)
    templates = _TEMPLATES[words.kind, facts.change]
    usable = [wording for wording, needs in templates if needs(facts)]
    chosen = usable[_fingerprint(facts) % len(usable)]
    text = chosen.format(**words.values())
    return f"{text[0].upper()}{text[1:]}."


def _fingerprint(facts: Facts) -> int:
    """A number that depends on the facts alone, alike on all machines."""
    return round(facts.area_m2 or 0) + 7 * (facts.count or 0) + len(facts.place)


# --- words of a change ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Words:
    """What a wording is filled with.

    Attributes:
        facts: Of the change.
        kind: Which wordings suit it.
        what: The thing, without a capital.
        is_plural: Whether its verb is in the plural.
        became: What it is now, where the wording speaks of both dates.
    """

    facts: Facts
    kind: str
    what: str
    is_plural: bool
    became: str = ""

    def values(self) -> dict[str, str]:
        """The gaps of the wordings, each with what goes before it."""
        facts, plural = self.facts, self.is_plural
        area = "" if facts.area_m2 is None else f"about {area_in_words(facts.area_m2)}"
        in_all = " in all" if (facts.count or 1) > 1 else ""
        return {
            "what": self.what,
            "became": self.became,
            "of": f" of {area}{in_all}" if area else "",
            "on": f" on {area}" if area else "",
            "from": f" from {area}" if area else "",
            "area": area,
            "where": place_phrase(facts.place),
            "grew": f" {_GREW[facts.before]}" if facts.before else "",
            "left": f"; {_LEFT[facts.after]}" if facts.after else "",
            "beside": f", {_BESIDE[facts.beside]}" if facts.beside else "",
            "has": "have" if plural else "has",
            "was": "were" if plural else "was",
            "is": "are" if plural else "is",
            "s": "" if plural else "s",
        }


def place_phrase(place: str) -> str:
    """Where in the area: `in the north-east of the area`, `across the area`."""
    return f"in the {place} of the area" if place else "across the area"


def _objects(facts: Facts) -> _Words:
    count = facts.count or 1
    if facts.class_name == "building":
        kind, one, several = "building", "a building", "buildings"
    elif facts.is_long:
        kind, one, several = "road", "a stretch of road", "stretches of road"
    else:
        kind, one, several = "paved", "a paved area", "paved areas"
    what = one if count == 1 else f"{number_in_words(count)} {several}"
    return _Words(facts, kind, what, count > 1)


def _stuff(facts: Facts) -> _Words:
    """What is not counted: vegetation by its kind, water, ground, surface."""
    name = facts.class_name
    cover = facts.before if facts.change == Change.DISAPPEARED else facts.after
    if facts.change == Change.ALTERED and _differs(facts):
        was, now = _COVER[facts.before or ""], _COVER[facts.after or ""]
        return _Words(facts, "became", was, facts.before in _PLURAL_COVERS, now)
    if name == "vegetation" and cover is not None:
        return _Words(facts, "vegetation", _COVER[cover], is_plural=True)
    kind = name if name in ("vegetation", "water", "bare", "other") else "named"
    what = {"bare": "bare ground", "other": "the surface"}.get(name, name)
    return _Words(facts, kind, what, is_plural=False)


def _differs(facts: Facts) -> bool:
    return None not in (facts.before, facts.after) and facts.before != facts.after


# --- wordings ------------------------------------------------------------------------------------


def _always(_: Facts) -> bool:
    return True


def _has_area(facts: Facts) -> bool:
    return facts.area_m2 is not None


def _has_before(facts: Facts) -> bool:
    """Without it the wording would say what is there, and not that it is new."""
    return facts.before is not None


class _Wording(NamedTuple):
    text: str
    needs: Callable[[Facts], bool] = _always


_BUILT = (
    "{where}, {what}{of} {was} %s{grew}{beside}",
    "{what}{of} {has} appeared {where}{grew}{beside}",
)
_REMOVED = (
    _Wording("{what}{of} {was} removed {where}{beside}{left}"),
    _Wording("{where}, {what}{of} {has} disappeared{beside}{left}"),
)
_ALTERED = (
    _Wording("{what}{of} {where} {was} altered{beside}"),
    _Wording("{where}, {what}{of} {has} changed{beside}"),
)
_GONE = _Wording("{what} {has} disappeared{from} {where}{beside}{left}")
_CHANGED = (
    _Wording("{what} {has} changed{on} {where}{beside}"),
    _Wording("{where}, {what} {was} altered{on}{beside}"),
)


def _built(stands: str, built: str) -> tuple[_Wording, ...]:
    return (
        _Wording(f"{{what}}{{of}} {stands} {{where}}{{grew}}{{beside}}", _has_before),
        *(_Wording(text % built if "%s" in text else text) for text in _BUILT),
    )


_APPEARED = {
    "building": _built("stand{s}", "built"),
    "road": _built("run{s}", "laid"),
    "paved": _built("lie{s}", "laid"),
    "vegetation": (
        _Wording("{what} {has} grown{on} {where}{grew}{beside}"),
        _Wording("{where}, {what} now cover{s} {area}{grew}{beside}", _has_area),
    ),
    "water": (
        _Wording("{what} now covers {area} {where}{grew}{beside}", _has_area),
        _Wording("{where}, {what} has appeared{on}{grew}{beside}"),
    ),
    "bare": (
        _Wording("{what} has appeared{on} {where}{grew}{beside}"),
        _Wording("{where}, the ground is now bare{on}{grew}{beside}"),
    ),
    "named": (_Wording("{what} has appeared{on} {where}{grew}{beside}"),),
    "other": (_Wording("something new has appeared{on} {where}{grew}{beside}"),),
}
_DISAPPEARED = {
    **dict.fromkeys(("building", "road", "paved"), _REMOVED),
    "vegetation": (_GONE, _Wording("{where}, {what} {is} gone{from}{beside}{left}")),
    "water": (_GONE, _Wording("{where}, {what} has withdrawn{from}{beside}{left}")),
    "bare": (_GONE, _Wording("{where}, {what} is gone{from}{beside}{left}")),
    "named": (_GONE,),
    "other": (_Wording("something has disappeared{from} {where}{beside}{left}"),),
}
_ALTERATIONS = {
    **dict.fromkeys(("building", "road", "paved"), _ALTERED),
    **dict.fromkeys(("vegetation", "water", "bare", "named", "other"), _CHANGED),
    "became": (
        _Wording("{what} gave way to {became}{on} {where}{beside}"),
        _Wording("{where}, {what} gave way to {became}{on}{beside}"),
    ),
}
_TEMPLATES: dict[tuple[str, str], tuple[_Wording, ...]] = {
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
class Kinds:
    """All changes of one class and direction in a tile or a pair.

    Attributes:
        class_name: What changed.
        change: One of `Change`.
        area_m2: Of all of them; None where that is not known.
        count: Separate objects; None for what is not counted, 0 where only parts of some lie there.
    """

    class_name: str
    change: str
    area_m2: float | None
    count: int | None


def tile_caption(
    kinds: Sequence[Kinds], seen_share: float = 1.0, *, has_others: bool = False
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


def pair_caption(kinds: Sequence[Kinds], not_seen_m2: float = 0.0) -> str:
    """One or two sentences about the whole area.

    Args:
        kinds: What changed in it.
        not_seen_m2: Ground that the model did not see.
    """
    told = f"In the area analysed, {_clauses(kinds)}." if kinds else ""
    hidden = f" About {area_in_words(not_seen_m2)} of it was not seen." if not_seen_m2 else ""
    return (told or "Nothing changed in the area analysed.") + hidden


def _clauses(kinds: Sequence[Kinds]) -> str:
    """The largest changes, joined to a list."""
    ranked = sorted(kinds, key=lambda each: (-(each.area_m2 or 0), each.class_name, each.change))
    clauses = [_clause(each) for each in ranked[:_MOST_CLAUSES]]
    if len(ranked) > _MOST_CLAUSES:
        clauses.append("there are smaller changes")
    return clauses[0] if len(clauses) == 1 else f"{', '.join(clauses[:-1])}, and {clauses[-1]}"


def _clause(kinds: Kinds) -> str:
    what = {
        "building": _buildings(kinds.count),
        "road": "road or paved ground",
        "bare": "bare ground",
        "other": "the surface",
    }.get(kinds.class_name, kinds.class_name)
    verb, on = {
        str(Change.APPEARED): ("appeared", "on"),
        str(Change.DISAPPEARED): ("disappeared", "from"),
    }.get(kinds.change, ("changed", "on"))
    area = "" if kinds.area_m2 is None else f" {on} about {area_in_words(kinds.area_m2)}"
    return f"{what} {verb}{area}"


def _buildings(count: int | None) -> str:
    if count is None:
        return "buildings"
    if count == 0:
        return "part of a building"
    return f"{number_in_words(count)} building{'s' * (count > 1)}"
