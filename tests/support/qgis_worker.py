"""The Python that holds geochg, for tests that run under QGIS's."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
WORKER_PYTHON = Path(os.environ.get("GEOCHG_TEST_PYTHON", ROOT / ".venv" / "bin" / "python"))
