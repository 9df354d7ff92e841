"""How far the dates of a pair lie off each other: by one shift, or by a field of shifts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from geochg.options import AlignMode
from geochg.records import PixelWindow
from geochg.tiling.field_fitting import fit_field, is_uneven
from geochg.tiling.read import PairReader, ReadPlan
from geochg.tiling.sample import (
    field_windows,
    patch_windows,
    quick_patch_windows,
    shift_patches,
)
from geochg.tiling.shift import (
    MIN_WINDOWS,
    Shift,
    common_shift,
    is_settled,
    match_patch,
    match_patches,
)
from geochg.tiling.shift_field import ShiftField

Step = Callable[[int, int], None]
"""Told before each unit of work and after the last: units done, and all; may raise to stop."""

_CENTRED_FROM_PX = 2.0
"""Common shifts from here on are taken out before small windows, of short reach, are matched."""


def measure_alignment(
    plan: ReadPlan, mode: AlignMode, step: Step
) -> tuple[Shift | None, ShiftField | None]:
    """The common shift of a pair, and the field where that is to be taken instead.

    A field is looked for where windows hint at one, or where `mode` asks for it.

    Args:
        plan: How the pair is read, nothing taken out.
        mode: Whether one shift or a field is wanted.
        step: Called before each window that is read, and after the last.

    Returns:
        The shift, None where nothing can be matched; and the field, None where one shift serves:
        the field is not clear, or not clearly better, which `FIELD` does not ask for.
    """
    windows = _Windows(plan, mode, step)
    may_be_field = mode in (AlignMode.AUTO, AlignMode.REPORT)
    shift = field = None
    with PairReader(plan) as reader:
        for squares in windows.large:
            matches = match_patches(shift_patches(reader, windows.announce(squares)))
            shift = common_shift(matches)
            if is_settled(matches):
                break
            if shift is not None and may_be_field and is_uneven(matches, shift):
                may_be_field = False  # another look would match the same small windows
                field = _clear_field(plan, shift, windows)
                if field is not None and field.is_better:
                    break
                field = None
    if shift is not None and mode is AlignMode.FIELD:
        field = _clear_field(plan, shift, windows)
    windows.end()
    return shift, field


def _clear_field(plan: ReadPlan, shift: Shift, windows: _Windows) -> ShiftField | None:
    """The field of small windows; None where it is not clear."""
    center = _taken_out(shift)
    after = replace(plan.after, displacement_px=center)
    with PairReader(replace(plan, after=after)) as reader:
        patches = shift_patches(reader, windows.announce(windows.small))
        matches = [match.moved(*center) for patch in patches if (match := match_patch(patch))]
    (height_px, width_px), (rows, cols) = plan.grid.shape, windows.small_lattice
    field = fit_field(matches, shift, (height_px, width_px), (rows + 1, cols + 1))
    return field if field is not None and field.is_clear else None


def _taken_out(shift: Shift) -> tuple[float, float]:
    """Whole pixels of a shift that are taken out before small windows are matched."""
    if shift.windows_used < MIN_WINDOWS or shift.magnitude_px < _CENTRED_FROM_PX:
        return 0.0, 0.0
    return float(round(shift.dx_px)), float(round(shift.dy_px))


class _Windows:
    """The windows that may be read, and how many of them were."""

    def __init__(self, plan: ReadPlan, mode: AlignMode, step: Step) -> None:
        self.large = quick_patch_windows(plan.grid), list(patch_windows(plan.grid))
        self.small, self.small_lattice = field_windows(plan.grid)
        if mode is AlignMode.SHIFT:
            self.small = []
        self._total = sum(map(len, (*self.large, self.small)))
        self._done = 0
        self._step = step

    def announce(self, windows: Sequence[PixelWindow]) -> Iterator[PixelWindow]:
        """Gives some of them, and tells of each before it is read."""
        for window in windows:
            self._step(self._done, self._total)
            self._done += 1
            yield window

    def end(self) -> None:
        """Tells that the others are not needed."""
        self._step(self._total, self._total)
