"""Makes `geochg_qgis` importable from the folder it is kept in, as QGIS sees it when installed."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from zipfile import ZipFile, ZipInfo

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


def small_wheel(folder: Path) -> Path:
    """A wheel called geochg that holds nothing of it, for zips whose wheel nobody installs."""
    wheel = folder / "geochg-0.1.0-py3-none-any.whl"
    with ZipFile(wheel, "w") as archive:
        for name, text in (
            ("METADATA", "Metadata-Version: 2.1\nName: geochg\nVersion: 0.1.0\n"),
            ("WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
            ("RECORD", ""),
        ):
            archive.writestr(ZipInfo(f"geochg-0.1.0.dist-info/{name}"), text)
    return wheel
