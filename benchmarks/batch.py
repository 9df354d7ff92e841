"""`geochg batch`: one process against two, and what a scheduler carries for thousands of scenes.

    python benchmarks/batch.py speed [--scenes 16] [--side 3]
    python benchmarks/batch.py simulate [--scenes 10000] [--workers 8]

`speed` runs scenes of `--side` squared blocks of 256 px with the built-in model: by one process on
one processor, by two on one each, and by one on all. The overhead of a scene is what the last took
beyond the analyses alone, for each of its scenes: start, model, records and the merged layer. It
takes two minutes or so on two cores with nothing else to do; how many cores other programs kept
busy meanwhile stands beside each time, and with more than a few hundredths the ratios say little.

`simulate` runs the real client, scheduler and workers of Dask over the loopback with a stub in the
place of the analysis, so that all that is left is what a scene costs beside it; the bytes are those
of the loopback, so nothing else may use it meanwhile.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Event as Flag

import machine
import psutil
from builtin_speed import PONDS, Scene, write_scene

from geochg.batch import cluster, cluster_tasks
from geochg.batch.scene_checks import BatchScene
from geochg.batch.scene_runner import SceneOutcome, SceneState, SceneTask
from geochg.batch.scheduling import run_scenes
from geochg.options import AnalyzeOptions

WARNING = "the images lie 0.4 px off each other (corrected); " * 2


def speed(scenes: int, side: int) -> None:
    """Prints the time of each way to run the scenes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before, after = write_scene(folder, Scene(PONDS, 1), side)
        rows = []
        for number in range(scenes):
            pair = [folder / f"{path.stem}_{number}.tif" for path in (before, after)]
            for source, copy in zip((before, after), pair, strict=True):
                shutil.copyfile(source, copy)
            rows.append(f"s{number},{pair[0]},{pair[1]}")
        listed = folder / "pairs.csv"
        listed.write_text("\n".join(["id,before,after", *rows]) + "\n")
        print("way                                     time   a scene   others' cores", flush=True)
        one_s, _ = _timed("one process, one processor", listed, scenes, 1, one_core=True)
        two_s, _ = _timed("two processes, one processor each", listed, scenes, 2)
        all_s, overhead_s = _timed("one process, all processors", listed, scenes, 1)
        print(f"two against one: {one_s / two_s:.2f}x; against one on all: {all_s / two_s:.2f}x")
        print(f"overhead of a scene: {overhead_s / scenes:.2f} s")


def _timed(
    way: str, listed: Path, scenes: int, jobs: int, *, one_core: bool = False
) -> tuple[float, float]:
    """Seconds of a batch, and those beyond its analyses where these ran one after another."""
    out = listed.parent / "out"
    command = [sys.executable, "-m", "geochg_cli", "batch", str(listed), "-o", str(out)]
    command += ["--jobs", str(jobs)]
    if one_core:  # its process and all of its threads
        command = ["taskset", "-c", "0", *command]
    start, others = time.perf_counter(), _others_s()
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - start
    others_cores = (_others_s() - others) / seconds
    print(f"{way:36} {seconds:6.1f}s {seconds / scenes:8.2f}s {others_cores:15.2f}", flush=True)
    with (out / "scenes.csv").open() as file:
        analyses = [float(row["seconds"]) for row in csv.DictReader(file)]
    shutil.rmtree(out)
    # The first analysis has waited for the model, which is no part of one.
    return seconds, seconds - sum(analyses) + analyses[0] - statistics.median(analyses)


def _others_s() -> float:
    """Processor time of all programs but the batches, which have ended; what a host takes, too."""
    machine_times, own = psutil.cpu_times(), os.times()
    idle = machine_times.idle + getattr(machine_times, "iowait", 0.0)
    guests = getattr(machine_times, "guest", 0.0) + getattr(machine_times, "guest_nice", 0.0)
    return sum(machine_times) - idle - guests - own.children_user - own.children_system


class StubRunner:
    """Gives the outcome of a usual scene at once."""

    def run(self, task: SceneTask, *words: object) -> SceneOutcome:
        """An outcome with a record of usual size."""
        files = [{"path": task.scene.before, "size_bytes": 10**9, "modified_ns": 10**18}] * 2
        record = {
            "asked": {"options": task.scene.options.shaping(), "version": "0"}, "files": files,
            "layer": files[0], "crs": "EPSG:32633", "features": 100, "area_m2": 1e5,
            "tiles": dict.fromkeys(("total", "read", "changed", "failed"), 100),
            "caption": "x" * 120, "has_zones": False, "warnings": [WARNING], "seconds": 9.99,
            "host": "worker",
        }  # fmt: skip
        return SceneOutcome(task.scene.id, SceneState.DONE, record=record)


def simulate(scenes: int, workers: int) -> None:
    """Prints what a scene costs beside its analysis."""
    from distributed import LocalCluster

    cluster_tasks._runner = StubRunner
    options, folder = AnalyzeOptions(), Path("/shared/out")
    tasks = [
        SceneTask(folder, BatchScene(f"s{n:05}", f"/shared/b{n}", f"/shared/a{n}", options))
        for n in range(scenes)
    ]  # fmt: skip
    count = [0]

    def take(finished: object) -> None:
        count[0] += 1

    with (
        tempfile.TemporaryDirectory() as name,
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=False, protocol="tcp",
            host="127.0.0.1", dashboard_address=None,
        ) as local,
        cluster.open_cluster(local.scheduler_address, Path(name), 2_000) as pool,
    ):  # fmt: skip
        process, loopback = psutil.Process(os.getpid()), psutil.net_io_counters(pernic=True)["lo"]
        cpu, start = process.cpu_times(), time.perf_counter()
        run_scenes(tasks, pool, 0, take, lambda event: None, Flag(), total=scenes)
        seconds = time.perf_counter() - start
        used, after = process.cpu_times(), psutil.net_io_counters(pernic=True)["lo"]
        cpu_s = used.user + used.system - cpu.user - cpu.system
        sent = after.bytes_sent - loopback.bytes_sent
        packets = after.packets_sent - loopback.packets_sent
    assert count[0] == scenes
    print(f"{scenes} scenes on {workers} workers: {seconds:.1f} s, {scenes / seconds:.0f} a second")
    print(f"a scene: {1e3 * cpu_s / scenes:.2f} ms of a core (client, scheduler and worker)")
    print(
        f"a scene: {sent / scenes:,.0f} bytes, {packets / scenes:.1f} packets; {sent / 1e6:.1f} MB"
    )
    print(f"peak memory of all: {process.memory_info().rss / 1e6:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("speed", "simulate"))
    parser.add_argument("--scenes", type=int)
    parser.add_argument("--side", type=int, default=3)
    parser.add_argument("--workers", type=int, default=8)
    arguments = parser.parse_args()
    print(machine.describe())
    if arguments.what == "speed":
        speed(arguments.scenes or 16, arguments.side)
    else:
        simulate(arguments.scenes or 10_000, arguments.workers)
