"""Whether processes live on."""

import os
import time


def gone(pid: int) -> bool:
    """Whether a process has ended, and whoever started it knows."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until_gone(pid: int, seconds: float) -> None:
    """Fails if a process lives on."""
    deadline = time.monotonic() + seconds
    while not gone(pid):
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.05)
