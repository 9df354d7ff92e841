"""How busy the machine is, so that limits of time hold for the code and not for its neighbours."""

import subprocess
import time

IDLE_S = 0.05
"""What starting Python takes on a machine with nothing else to do."""


def slowness(python):
    """How much slower than an idle machine this one starts a Python, at least 1."""
    start = time.perf_counter()
    subprocess.run([str(python), "-c", "pass"], check=True)
    return max(1.0, (time.perf_counter() - start) / IDLE_S)
