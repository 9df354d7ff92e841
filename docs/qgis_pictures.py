"""Makes small copies for docs/qgis.md of the screenshots that the desktop test takes.

make test-qgis && python docs/qgis_pictures.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
SCREENSHOTS = HERE.parent / "build" / "desktop"
NAMES = (
    "panel",
    "running",
    "result",
    "swipe",
    "change",
    "accuracy",
    "ask",
    "setup",
    "model",
    "bands",
)
WIDTH_PX = 1000
STEP = 5
"""Step between colour values: each is at most 2 of 256 off, and the files a third smaller."""


def main() -> None:
    """Writes docs/qgis/*.png, in full colour: 256 colours make bands in imagery."""
    for name in NAMES:
        image = Image.open(SCREENSHOTS / f"{name}.png").convert("RGB")
        if image.width > WIDTH_PX:
            height_px = round(image.height * WIDTH_PX / image.width)
            image = image.resize((WIDTH_PX, height_px), Image.Resampling.LANCZOS)
        coarser = image.point([STEP * round(value / STEP) for value in range(256)] * 3)
        coarser.save(HERE / "qgis" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
