"""Makes `geochg_qgis` importable from the folder it is kept in, as QGIS sees it when installed."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent.parent / "qgis_plugin"


def load_plugin_package() -> None:
    """Registers the package under its installed name."""
    if "geochg_qgis" in sys.modules:
        return
    spec = spec_from_file_location(
        "geochg_qgis", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    module = module_from_spec(spec)
    sys.modules["geochg_qgis"] = module
    spec.loader.exec_module(module)
