"""The 3x3 grid that windows are divided into."""

from __future__ import annotations

from geochg.records import GridCell, PixelWindow


def thirds(start: int, size_px: int) -> tuple[int, ...]:
    """The four edges of the thirds of a range; 256 px are cut at 85 and 171."""
    return tuple(start + round(size_px * i / 3) for i in range(4))


def grid_box(window: PixelWindow, cell: GridCell) -> PixelWindow:
    """A cell of a window's 3x3 grid; of a window below three pixels some cells are empty."""
    rows = thirds(window.row_start, window.height_px)
    cols = thirds(window.col_start, window.width_px)
    return PixelWindow(rows[cell.row], rows[cell.row + 1], cols[cell.col], cols[cell.col + 1])
