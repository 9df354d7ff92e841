"""What is measured on a pair before its first tile is read, and then holds for every tile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self, TypeVar, get_type_hints

from geochg.errors import OptionError
from geochg.options import AlignMode, typed_value
from geochg.tiling.centring import Centring, is_wide
from geochg.tiling.pair import RasterPair, nothing_valid
from geochg.tiling.pair_checks import Remark
from geochg.tiling.radiometry import RadiometricMatch, Stretch
from geochg.tiling.read import PairReader, ReadPlan
from geochg.tiling.sample import patch_windows, sample_values, shift_patches
from geochg.tiling.shift import Shift, measure_shift

Step = Callable[[int, int], None]
"""Told before each unit of work and after the last: units done, and all; may raise to stop."""

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Preparation:
    """The measurements of one run; they go into its journal, so that a resumed run shares them.

    Attributes:
        shift: The residual shift, None when it was not or could not be measured.
        corrected: Whether reading takes the shift out.
        match: How the after values map to the before values, None when that was not asked for.
        stretches: How each date is brought to display values, before first; None for a model that
            wants source values.
        centring: What is taken off the values of both dates because float32 does not tell them
            apart; None where it does.
    """

    shift: Shift | None = None
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
        if self.shift is not None and self.corrected:
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
        names = ("shift", "match", "stretches", "centring")
        shift, match, stretches, centring = (values[name] for name in names)
        if not isinstance(values["corrected"], bool):
            raise ValueError("corrected is neither true nor false")
        is_pair = isinstance(stretches, list | tuple) and len(stretches) == 2
        if stretches is not None and not is_pair:
            raise ValueError("the stretches are not two")
        return cls(
            shift=None if shift is None else _measurement_of(Shift, shift),
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
        return (Remark(f"{text}, alike at both dates ({self.centring.text()})", warning=False),)

    def alignment(self) -> dict[str, Any] | None:
        """The shift found and what was done about it, rounded, as plain JSON values."""
        if self.shift is None:
            return None
        facts = {
            key: round(value, 3) if isinstance(value, float) else value
            for key, value in self.shift.to_dict().items()
        }
        return facts | {"corrected": self.corrected}

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
        align: Whether to measure a residual shift, and to correct it when it is clear.
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
        with PairReader(preparation.plan(pair)) as reader:
            windows = list(patch_windows(pair.grid))
            shift = measure_shift(shift_patches(reader, _tell_steps(windows, step)))
            # The first windows may have been enough.
            step(len(windows), len(windows))
        clear = shift is not None and shift.worth_correcting
        corrected = clear and align is AlignMode.AUTO
        preparation = replace(preparation, shift=shift, corrected=corrected)
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


def _tell_steps(items: Iterable[_Item], step: Step) -> Iterator[_Item]:
    item_list = list(items)
    for done_count, item in enumerate(item_list):
        step(done_count, len(item_list))
        yield item


_Measured = TypeVar("_Measured", Shift, RadiometricMatch, Stretch, Centring)


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
