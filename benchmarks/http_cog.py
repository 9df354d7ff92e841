"""Reading a small area of large COGs from a server: requests, bytes and time.

    python benchmarks/http_cog.py [--model cva] [--side 20000] [--latency 30] [--rounds 3]

Two COGs of `--side` squared pixels, made of an example pair laid side by side, are served on this
machine by a server that waits before it answers each request. An area of interest of 1 % in their
middle is asked for. `of the area` is what was sent, as a share of what those blocks of full
resolution weigh in both files that the area touches; `twice` is what was sent more than once;
`from disk` is how long the same command takes on the files themselves. Times are the best of the
rounds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import machine
import numpy as np
import rasterio
import rasterio.shutil
from rasterio.warp import transform_bounds
from rasterio.windows import Window

EXAMPLES = Path(__file__).parents[1] / "examples"
DATES = {"before.tif": "ponds_2012.tif", "after.tif": "ponds_2014.tif"}
BLOCK_PX = 512
AREA_SIDE = 0.1
"""Side of the area of interest as a share of the image's."""


class Request(NamedTuple):
    """What was asked for: a path, and the half-open range of bytes that was sent of it."""

    path: str
    start: int
    stop: int


class CogHandler(BaseHTTPRequestHandler):
    """Serves ranges of the files in a folder, each after a while, and notes what it served."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(
        self, *arguments: object, folder: Path, latency_s: float, requests: list[Request]
    ) -> None:
        self.folder, self.latency_s, self.requests = folder, latency_s, requests
        super().__init__(*arguments)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *arguments: object) -> None:
        pass

    def _answer(self, *, with_body: bool) -> None:
        time.sleep(self.latency_s)
        path = self.folder / self.path.strip("/")
        if not path.is_file():
            self.requests.append(Request(self.path, 0, 0))
            self.send_error(404)
            return
        size = path.stat().st_size
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last or size - 1) + 1, size)
        self.requests.append(Request(self.path, start, stop if with_body else start))
        self.send_response(206 if "Range" in self.headers else 200)
        if "Range" in self.headers:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if with_body:
            with path.open("rb") as file:
                file.seek(start)
                self.wfile.write(file.read(stop - start))


@contextmanager
def serve(folder: Path, latency_s: float) -> Iterator[tuple[str, list[Request]]]:
    """A server of a folder for as long as it lasts: its address, and what is asked of it."""
    requests: list[Request] = []
    handler = partial(CogHandler, folder=folder, latency_s=latency_s, requests=requests)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()


def write_cogs(folder: Path, side_px: int) -> None:
    """Writes both dates as COGs: blocks of 512 px, overviews, without losses."""
    for name, example in DATES.items():
        with rasterio.open(EXAMPLES / example) as raster:
            image, profile = raster.read([1, 2, 3]), raster.profile
        row = np.concatenate([image, image[:, :, ::-1]], axis=2)
        mosaic = np.concatenate([row, row[:, ::-1]], axis=1)
        source = folder / f"whole_{name}"
        profile |= {"height": side_px, "width": side_px, "count": 3, "blockxsize": BLOCK_PX}
        profile |= {"blockysize": BLOCK_PX, "compress": "zstd", "zstd_level": 1, "nodata": None}
        with rasterio.open(source, "w", **profile, photometric="rgb") as raster:
            for top in range(0, side_px, BLOCK_PX):
                rows = np.arange(top, min(top + BLOCK_PX, side_px)) % mosaic.shape[1]
                strip = mosaic[:, rows][:, :, np.arange(side_px) % mosaic.shape[2]]
                raster.write(strip, window=Window(0, top, side_px, len(rows)))
        options = {"BLOCKSIZE": BLOCK_PX, "COMPRESS": "ZSTD", "LEVEL": 1, "PREDICTOR": "YES"}
        rasterio.shutil.copy(
            source, folder / name, driver="COG", NUM_THREADS="ALL_CPUS", RESAMPLING="average",
            **options,
        )  # fmt: skip
        source.unlink()


def area_window(side_px: int) -> Window:
    """The area of interest in pixels."""
    start, length = int(side_px * (1 - AREA_SIDE) / 2), int(side_px * AREA_SIDE)
    return Window(start, start, length, length)


def write_area(path: Path, raster: Path, side_px: int) -> None:
    """Writes the area of interest as GeoJSON."""
    with rasterio.open(raster) as dataset:
        box = dataset.window_bounds(area_window(side_px))
        west, south, east, north = transform_bounds(dataset.crs, "EPSG:4326", *box)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))


def area_bytes(raster: Path, side_px: int) -> int:
    """What the blocks of full resolution weigh that the area of interest touches."""
    window = area_window(side_px)
    with rasterio.open(raster) as dataset:
        first, last = window.col_off // BLOCK_PX, (window.col_off + window.width - 1) // BLOCK_PX
        return sum(
            int(dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=1))
            for row in range(first, last + 1)
            for col in range(first, last + 1)
        )


def repeated_bytes(requests: list[Request]) -> int:
    """Bytes that were sent more than once, counted as often as that was for nothing."""
    total = 0
    for path in {request.path for request in requests}:
        end = 0
        for _, start, stop in sorted(request for request in requests if request.path == path):
            total += max(0, min(end, stop) - start)
            end = max(end, stop)
    return total


def main(model: str, side_px: int, latency_ms: float, rounds: int) -> None:
    """Prints the table."""
    print(machine.describe())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_cogs(folder, side_px)
        area = folder / "area.geojson"
        write_area(area, folder / "before.tif", side_px)
        weight = sum(area_bytes(folder / date, side_px) for date in DATES)
        sizes = " and ".join(f"{(folder / date).stat().st_size / 1e6:.0f} MB" for date in DATES)
        print(f"model {model}, {side_px:,} px a side ({sizes}), {latency_ms:g} ms a request")
        print(f"the blocks of the area weigh {weight / 1e6:.1f} MB in both files")
        print("  command  requests     sent  of the area    twice    time  from disk")
        for command in ("info", "analyze"):
            options = ["--model", model, "--aoi", str(area)]
            if command == "analyze":
                options += ["-o", str(folder / "changes.geojson"), "--overwrite"]
            disk_s = seconds(command, [str(folder / date) for date in DATES], options, rounds)
            with serve(folder, latency_ms / 1000) as (address, requests):
                served_s = seconds(
                    command, [f"{address}/{date}" for date in DATES], options, rounds
                )
            sent = sum(request.stop - request.start for request in requests) / rounds
            # No round knows of those before it, as each is a process of its own.
            twice = repeated_bytes(requests[: len(requests) // rounds])
            print(
                f"  {command:7} {len(requests) // rounds:9} {sent / 1e6:5.1f} MB"
                f" {100 * sent / weight:10.0f} % {twice / 1e6:5.1f} MB {served_s:5.1f} s"
                f" {disk_s:8.1f} s",
                flush=True,
            )


def seconds(command: str, names: list[str], options: list[str], rounds: int) -> float:
    """The least time that a command of geochg takes in some rounds."""
    run = ["-m", "geochg_cli", command, *names, *options]
    return min(machine.measure(*run).seconds for _ in range(rounds))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="cva")
    parser.add_argument("--side", type=int, default=20_000, help="pixels along a side")
    parser.add_argument("--latency", type=float, default=30, help="milliseconds a request")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    main(given.model, given.side, given.latency, given.rounds)
