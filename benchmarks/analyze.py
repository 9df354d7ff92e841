"""`geochg analyze` end to end at growing sizes: time, tiles a second, peak memory.

python benchmarks/analyze.py [--model NAME] [--everywhere] [SIDE_PX ...]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import machine
from scenes import write_pair


def main(model: str, sides_px: list[int], *, everywhere: bool) -> None:
    """Prints one line a size."""
    print(machine.describe())
    print(f"model {model}")
    print("  side px     time  tiles/s  peak memory  changes")
    for side_px in sides_px:
        with tempfile.TemporaryDirectory() as folder:
            before, after = write_pair(Path(folder), side_px, everywhere=everywhere)
            output = Path(folder) / "changes.geojson"
            run = machine.measure(
                "-m", "geochg_cli", "analyze", str(before), str(after), "--model", model,
                "--bands", "red=1,green=2,blue=3,nir=4", "-o", str(output), "--json",
            )  # fmt: skip
        told = json.loads(run.stdout)
        tiles = told["geochg"]["tiles"]["total"]
        print(
            f"{side_px:9} {run.seconds:7.1f}s {tiles / run.seconds:8.1f} {run.peak_mb:9.0f} MB "
            f"{told['features']['count']:8}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="cva")
    parser.add_argument("--everywhere", action="store_true", help="changes in every tile")
    parser.add_argument("sides_px", type=int, nargs="*", default=[2048, 8192, 16384])
    arguments = parser.parse_args()
    main(arguments.model, arguments.sides_px, everywhere=arguments.everywhere)
