"""Makes the pictures of docs/qgis.md small, from those that the desktop test takes.

make test-qgis && python docs/qgis_pictures.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
TAKEN = HERE.parent / "build" / "desktop"
SHOWN = ("panel", "running", "result", "swipe", "change", "ask", "setup")
WIDTH_PX = 1000
STEP = 5
"""Of the values that are kept, of 256: 2 off at most, which no one sees, saves a third."""


def main() -> None:
    """Writes docs/qgis/*.png, in full colour: 256 colours make bands in imagery."""
    for name in SHOWN:
        picture = Image.open(TAKEN / f"{name}.png").convert("RGB")
        if picture.width > WIDTH_PX:
            height_px = round(picture.height * WIDTH_PX / picture.width)
            picture = picture.resize((WIDTH_PX, height_px), Image.Resampling.LANCZOS)
        coarser = picture.point([STEP * round(value / STEP) for value in range(256)] * 3)
        coarser.save(HERE / "qgis" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
