"""What is measured on a pair before its first tile is read, and then holds for every tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self, TypeVar, get_type_hints

from geochg.errors import OptionError
from geochg.options import AlignMode, typed_value
from geochg.tiling.alignment import Step, measure_alignment
from geochg.tiling.centring import Centring, is_wide
from geochg.tiling.pair import RasterPair, nothing_valid
from geochg.tiling.pair_checks import Remark
from geochg.tiling.radiometry import RadiometricMatch, Stretch
from geochg.tiling.read import ReadPlan
from geochg.tiling.sample import sample_values
from geochg.tiling.shift import Shift
from geochg.tiling.shift_field import ShiftField


@dataclass(frozen=True)
class Preparation:
    """The measurements of one run; they go into its journal, so that a resumed run shares them.

    Attributes:
        shift: The residual shift, None when it was not or could not be measured.
        field: The field of shifts that is taken instead of one; None where one serves.
        corrected: Whether reading takes the shift, or the field, out.
        match: How the after values map to the before values, None when that was not asked for.
        stretches: How each date is brought to display values, before first; None for a model that
            wants source values.
        centring: What is taken off the values of both dates because float32 does not tell them
            apart; None where it does.
    """

    shift: Shift | None = None
    field: ShiftField | None = None
    corrected: bool = False
    match: RadiometricMatch | None = None
    stretches: tuple[Stretch, Stretch] | None = None
    centring: Centring | None = None

    @property
    def matched(self) -> bool:
        """Whether the match is clear enough to be applied."""
        return self.match is not None and self.match.is_clear

    def plan(self, pair: RasterPair) -> ReadPlan:
        """How tiles of the pair are read."""
        plan = pair.plan()
        before = replace(plan.before, centring=self.centring)
        after = replace(plan.after, centring=self.centring)
        if self.field is not None and self.corrected:
            after = replace(after, displacement_px=self.field.median_px, field=self.field)
        elif self.shift is not None and self.corrected:
            after = replace(after, displacement_px=(self.shift.dx_px, self.shift.dy_px))
        if self.stretches is not None:
            before = replace(before, stretch=self.stretches[0])
            after = replace(after, stretch=self.stretches[1])
        elif self.matched:
            after = replace(after, match=self.match)
        return replace(plan, before=before, after=after)

    def to_dict(self) -> dict[str, Any]:
        """The measurements as plain JSON values, at full precision."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` gives, also after a round trip through JSON.

        Raises:
            ValueError: If it is something else.
        """
        if set(values) != {field.name for field in fields(cls)}:
            raise ValueError("the measurements are others")
        names = ("shift", "field", "match", "stretches", "centring")
        shift, field, match, stretches, centring = (values[name] for name in names)
        if not isinstance(values["corrected"], bool):
            raise ValueError("corrected is neither true nor false")
        is_pair = isinstance(stretches, list | tuple) and len(stretches) == 2
        if stretches is not None and not is_pair:
            raise ValueError("the stretches are not two")
        return cls(
            shift=None if shift is None else _measurement_of(Shift, shift),
            field=None if field is None else _measurement_of(ShiftField, field),
            corrected=values["corrected"],
            match=None if match is None else _measurement_of(RadiometricMatch, match),
            stretches=None
            if stretches is None
            else (_measurement_of(Stretch, stretches[0]), _measurement_of(Stretch, stretches[1])),
            centring=None if centring is None else _measurement_of(Centring, centring),
        )

    def remarks(self) -> tuple[Remark, ...]:
        """What the user should know of it."""
        if self.centring is None:
            return ()
        text = "values so large that 32-bit floats do not tell them apart are brought near zero"
        return (Remark(f"{text} by one step ({self.centring.text()})", warning=False),)

    def alignment(self, pixel_m: float) -> dict[str, Any] | None:
        """The shift or field found and what was done about it, rounded, as plain JSON values.

        Args:
            pixel_m: Side of a pixel on the ground.
        """
        if self.shift is None:
            return None
        field = None if self.field is None else _rounded(self.field.to_dict(pixel_m))
        return {
            "method": AlignMode.SHIFT if field is None else AlignMode.FIELD,
            **_rounded(self.shift.to_dict()),
            "field": field,
            "corrected": self.corrected,
        }

    def distance_in_words(self) -> str:
        """How far the dates lie apart, in words; empty where it is not clear, or not worth it."""
        if self.field is not None:
            least_px, greatest_px = self.field.range_px
            text = f"{least_px:.1f} to {greatest_px:.1f} px apart from place to place"
            return text if self.field.worth_correcting else ""
        if self.shift is None or not self.shift.worth_correcting:
            return ""
        return f"{self.shift.magnitude_px:.1f} px apart"

    def matching(self) -> dict[str, Any] | None:
        """The match found and whether it is applied, as plain JSON values."""
        return None if self.match is None else self.match.to_dict() | {"applied": self.matched}


def prepare(
    pair: RasterPair,
    align: AlignMode,
    *,
    pixels: Literal["values", "display"] = "values",
    match: bool = False,
    step: Step = lambda count, total: None,
) -> Preparation:
    """Measures a pair.

    Args:
        pair: The pair.
        align: How to measure and correct how the dates lie off each other.
        pixels: `display` for a model that looks at pictures.
        match: Whether to match the after values to the before values.
        step: Called before each window that is read, and after the last: windows done with, and
            all of them.

    Raises:
        InputError: If a raster cannot be opened again, a sample is needed and the two dates share
            no valid pixel that can be read, or their values lie too far apart.
    """
    preparation = Preparation(centring=_value_centring(pair))
    if align is not AlignMode.OFF:
        shift, field = measure_alignment(preparation.plan(pair), align, step)
        measured = field or shift
        is_worth = measured is not None and measured.worth_correcting
        corrected = is_worth and align is not AlignMode.REPORT
        preparation = replace(preparation, shift=shift, field=field, corrected=corrected)
    if not match and (pixels == "values" or set(pair.dtypes) == {"uint8"}):
        identity = Stretch.identity(pair.plan().before.band_count)
        return (
            preparation if pixels == "values" else replace(preparation, stretches=(identity,) * 2)
        )
    before, after = sample_values(preparation.plan(pair))
    if not before.size:
        raise nothing_valid(pair)
    if match:
        preparation = replace(preparation, match=RadiometricMatch.from_samples(before, after))
    if pixels == "display":
        before_stretch, after_stretch = map(Stretch.from_sample, (before, after), pair.dtypes)
        matched = (
            preparation.match.stretch(before_stretch)
            if preparation.match and preparation.matched
            else after_stretch
        )
        preparation = replace(preparation, stretches=(before_stretch, matched))
    return preparation


def _value_centring(pair: RasterPair) -> Centring | None:
    """What float32 needs taken off the values; a sample is read for types wider than it only."""
    if not is_wide(pair.dtypes):
        return None
    return Centring.from_samples(*sample_values(pair.plan(), as_stored=True))


def _rounded(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: round(value, 3) if isinstance(value, float) else value for key, value in facts.items()
    }


_Measured = TypeVar("_Measured", Shift, ShiftField, RadiometricMatch, Stretch, Centring)


def _measurement_of(kind: type[_Measured], values: object) -> _Measured:
    """A measurement from plain JSON values."""
    types = get_type_hints(kind)
    names = {field.name for field in fields(kind)}
    if not isinstance(values, dict) or set(values) != names:
        raise ValueError(f"the values of {kind.__name__} are others")
    try:
        return kind(**{name: typed_value(name, values[name], types[name]) for name in names})
    except OptionError as error:
        raise ValueError(f"{error.message}: {error.hint}") from error
