"""A scheduler and workers of Dask, each a process of its own that tests may kill."""

import json
import subprocess
import sys
import time
from pathlib import Path


class DaskCluster:
    """A cluster on 127.0.0.1.

    Args:
        folder: Folder for its files.
        environment: Environment of its processes.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder, self._environment = folder, environment
        self.address = ""
        self.workers: list[subprocess.Popen] = []
        self.scheduler: subprocess.Popen | None = None

    def start(self, workers: int = 2, port: int = 0) -> None:
        """Starts the scheduler and its workers."""
        file = self._folder / f"scheduler{time.monotonic_ns()}.json"
        self.scheduler = self._process(
            "scheduler", "--host", "127.0.0.1", "--port", str(port),
            "--scheduler-file", str(file),
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not (file.exists() and file.stat().st_size):
            assert time.monotonic() < deadline
            assert self.scheduler.poll() is None
            time.sleep(0.05)
        self.address = json.loads(file.read_text())["address"]
        for _ in range(workers):
            self.add_worker()

    def add_worker(self) -> None:
        """Starts a worker of one thread."""
        options = ("--nthreads", "1", "--no-nanny", "--host", "127.0.0.1", "--death-timeout", "60")
        local = ("--local-directory", str(self._folder))
        self.workers.append(self._process("worker", self.address, *options, *local))

    def kill_worker(self, number: int = 0) -> None:
        """Kills one worker."""
        process = self.workers.pop(number)
        process.kill()
        process.wait()

    def kill_scheduler(self) -> None:
        """Kills the scheduler; its workers then end by themselves."""
        assert self.scheduler is not None
        self.scheduler.kill()
        self.scheduler.wait()

    def close(self) -> None:
        """Ends all of its processes."""
        for process in (*self.workers, self.scheduler):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        self.workers = []

    def _process(self, kind: str, *options: str) -> subprocess.Popen:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options]
        command += ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
        return subprocess.Popen(
            command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
