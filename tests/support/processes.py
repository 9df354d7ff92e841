"""Whether processes live on."""

import os
import time
from pathlib import Path


def gone(pid: int) -> bool:
    """Whether a process has ended; what waits for its parent to take note of that has."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return True
    except FileNotFoundError:  # ended meanwhile, or no Linux
        return Path("/proc/self").exists()
    return state == "Z"


def wait_until_gone(pid: int, seconds: float) -> None:
    """Fails if a process lives on."""
    deadline = time.monotonic() + seconds
    while not gone(pid):
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.05)
