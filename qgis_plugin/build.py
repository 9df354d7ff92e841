"""Builds the zip that QGIS and its plugin site take; not part of it.

python qgis_plugin/build.py [FOLDER]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

PACKAGE = "geochg_qgis"
SUFFIXES = {".py", ".svg", ".json", ".txt"}
HERE = Path(__file__).resolve().parent


def files() -> Iterator[Path]:
    """What belongs into the zip."""
    for path in sorted(HERE.rglob("*")):
        is_part = path.suffix in SUFFIXES or path.name == "LICENSE"
        if path.is_file() and is_part and path != Path(__file__).resolve():
            yield path


def build(folder: Path) -> Path:
    """Writes the zip; the same files give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{PACKAGE}.zip"
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        for path in files():
            name = f"{PACKAGE}/{path.relative_to(HERE).as_posix()}"
            archive.writestr(ZipInfo(name), path.read_bytes(), ZIP_DEFLATED)
    return target


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "dist"))
