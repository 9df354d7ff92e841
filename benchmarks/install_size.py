"""What `pip install geochg` takes: the wheel's size, MB of each package, time to the demo's layer.

Builds the wheel, installs it alone into a new environment and maps the example pair there:

    python benchmarks/install_size.py [--wheels FOLDER]

With `--wheels`, a folder of the base's wheels (`pip download -c constraints.txt -d FOLDER .`), the
time leaves out the download. Exits with 1 where the wheel or the environment is larger than it may
be, or holds a package of an extra: the gate runs this.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import Distribution, distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOST_WHEEL_MB = 25
MOST_MB = 620
"""Of the site-packages without pip, bytecode included; see docs/using.md for what is in it."""

ABSENT = {
    *("accelerate", "av", "bitsandbytes", "huggingface_hub", "onnx", "openai", "opencv-python"),
    *("opencv-python-headless", "peft", "psutil", "pyarrow", "safetensors", "scipy", "tokenizers"),
    *("torch", "transformers"),
}
"""Packages that come with extras only."""

_TOOLS = {"pip", "setuptools"}
_BLOCK_BYTES = 512


def run(*command: str | Path, folder: Path = ROOT) -> None:
    """Runs a command, which must succeed."""
    subprocess.run([str(part) for part in command], cwd=folder, check=True)


def build_wheel(folder: Path) -> Path:
    """Builds the wheel of this repository into a folder."""
    # setuptools takes what an earlier build left, also modules that are gone since.
    shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT)
    (wheel,) = folder.glob("geochg-*.whl")
    return wheel


def install(wheel: Path, environment: Path, wheels: Path | None) -> Path:
    """Makes an environment that holds the wheel and what it needs; gives its Python."""
    run(sys.executable, "-m", "venv", environment)
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    offline = ["--no-index", "--find-links", wheels] if wheels else []
    constraints = ["--constraint", ROOT / "constraints.txt"]
    run(python, "-m", "pip", "install", "--quiet", *constraints, *offline, wheel)
    return python


def package_mb(package: Distribution) -> float:
    """Megabytes (10^6) on disk of the files of a package."""
    paths = {Path(str(file.locate())) for file in package.files or []}
    return sum(map(disk_bytes, paths)) / 1e6


def disk_bytes(path: Path) -> int:
    """Bytes that a file takes on disk; its length where the system does not tell."""
    if not path.is_file():
        return 0
    status = path.stat()
    blocks = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else blocks * _BLOCK_BYTES


def map_demo(python: Path, folder: Path) -> None:
    """Maps the example pair away from the repository, where only the wheel can be imported."""
    dates = (ROOT / "examples" / f"dubai_{year}.tif" for year in (2015, 2018))
    layer = folder / "changes.geojson"
    run(
        python,
        "-m",
        "geochg_cli",
        "analyze",
        *dates,
        "--min-area",
        "2000",
        "-o",
        layer,
        folder=folder,
    )
    if not layer.stat().st_size:
        sys.exit("the demo wrote no layer")


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path)
    wheels = parser.parse_args().wheels
    with tempfile.TemporaryDirectory(prefix="geochg-size-") as name:
        folder = Path(name)
        wheel = build_wheel(folder)
        begin_s = time.monotonic()
        python = install(wheel, folder / "environment", wheels and wheels.resolve())
        installed_s = time.monotonic() - begin_s
        places = [str(path) for path in (folder / "environment").rglob("site-packages")]
        packages = [p for p in distributions(path=places) if p.name.lower() not in _TOOLS]
        sizes = {package.name: package_mb(package) for package in packages}
        map_demo(python, folder)
        layer_s = time.monotonic() - begin_s
        wheel_mb = wheel.stat().st_size / 1e6
    total = sum(sizes.values())
    print("| package | MB |\n|---|---|")
    for package, size in sorted(sizes.items(), key=lambda item: -item[1]):
        print(f"| {package} | {size:.1f} |")
    print(f"| **all** | **{total:.0f}** |\n")
    print(
        f"wheel {wheel_mb:.1f} MB; installed after {installed_s:.0f} s, "
        f"the layer after {layer_s:.0f} s"
    )
    if unwanted := sorted(ABSENT & sizes.keys()):
        sys.exit(f"the base installs {', '.join(unwanted)}")
    if wheel_mb > MOST_WHEEL_MB or total > MOST_MB:
        sys.exit(f"larger than {MOST_WHEEL_MB} MB (the wheel) or {MOST_MB} MB (installed)")


if __name__ == "__main__":
    main()
