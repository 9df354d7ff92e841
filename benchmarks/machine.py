"""What a number was measured on, and how much memory a process took."""

from __future__ import annotations

import platform
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil


def describe() -> str:
    """Processor, cores, memory, system and Python, on one line."""
    return (
        f"{_processor()}, {psutil.cpu_count()} cores, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}"
    )


@dataclass(frozen=True)
class Measured:
    """One process, start to end.

    Attributes:
        seconds: Wall-clock time.
        peak_mb: Highest resident memory seen, sampled every 20 ms, in 10^6 bytes.
        stdout: What it printed.
    """

    seconds: float
    peak_mb: float
    stdout: str


def measure(*arguments: str) -> Measured:
    """Runs a Python command in a process of its own and watches it."""
    start = time.perf_counter()
    process = psutil.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    peak = [0]
    watcher = threading.Thread(target=_watch, args=(process, peak))
    watcher.start()
    stdout, _ = process.communicate()
    seconds = time.perf_counter() - start
    watcher.join()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return Measured(seconds, peak[0] / 1e6, stdout)


def _watch(process: psutil.Popen, peak: list[int]) -> None:
    try:
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            peak[0] = max(peak[0], process.memory_info().rss)
            time.sleep(0.02)
    except psutil.NoSuchProcess:
        pass


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
