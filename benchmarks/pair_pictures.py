"""Pictures of a pair and its change layer, drawn as the README's is and small enough for git."""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib import pyplot as plt

sys.path.append(str(Path(__file__).parents[1] / "docs"))

from picture import drawing


def save_picture(before: Path, after: Path, changes: Path, out: Path) -> None:
    """Writes a JPEG 1620 px wide, of 150 to 250 kB."""
    figure = drawing(before, after, changes)
    figure.savefig(out, dpi=120, pil_kwargs={"quality": 80})
    plt.close(figure)
