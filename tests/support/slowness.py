"""How busy the machine is, so that limits of time hold for the code and not for its neighbours."""

import os
import subprocess
import time

IDLE_S = 0.05
"""What starting Python takes on a machine with nothing else to do."""

PATIENCE = 1.0 if os.environ.get("GEOCHG_STRICT_TIMES") else 3.0
"""A neighbour's burst between two measurements shall not fail the gate; set GEOCHG_STRICT_TIMES to
hold the code to its limits, on a machine that does nothing else."""


def slowness(python):
    """By how much limits are stretched: as this machine starts a Python slower, and by PATIENCE."""
    start = time.perf_counter()
    subprocess.run([str(python), "-c", "pass"], check=True)
    return PATIENCE * max(1.0, (time.perf_counter() - start) / IDLE_S)
