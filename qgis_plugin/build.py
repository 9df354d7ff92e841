"""Builds the zip that QGIS and its plugin site take; not part of it.

python qgis_plugin/build.py --repository https://HOST/PATH --email NAME@HOST [FOLDER]
python qgis_plugin/build.py --local [FOLDER]

The zip for a machine holds geochg's wheel. That for the plugin site, which takes no binaries, names
the address of the release where the wheel lies, and its checksum.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

PACKAGE, RELEASE = "geochg_qgis", "release.txt"
SUFFIXES = {".py", ".svg", ".json", ".txt"}
HERE = Path(__file__).resolve().parent
METADATA = HERE / "metadata.txt"

_REPOSITORY = re.compile(r"https://(?!(?:[\w-]+\.)*example\.)[\w-]+(?:\.[\w-]+)+/[\w./~-]+")
_EMAIL = re.compile(r"[\w.+-]+@(?!(?:[\w-]+\.)*example\.)[\w-]+(?:\.[\w-]+)+")
"""Neither takes the hosts that RFC 2606 sets aside for examples."""


def files() -> Iterator[Path]:
    """Files of the zip."""
    for path in sorted(HERE.rglob("*")):
        is_part = path.suffix in SUFFIXES or path.name == "LICENSE"
        if path.is_file() and is_part and path != Path(__file__).resolve():
            yield path


def metadata(version: str) -> str:
    """The metadata of this folder, with the version of pyproject.toml."""
    return METADATA.read_text(encoding="utf-8").replace("VERSION", version)


def published_metadata(template: str, repository: str, email: str) -> str:
    """The metadata for the plugin site.

    Args:
        template: Metadata with places for the addresses, as `metadata` gives it.
        repository: Address of the repository.
        email: Address of its developers.

    Raises:
        ValueError: If an address is missing, or an example.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise ValueError(f"{repository!r} is no https address of a repository")
    if not _EMAIL.fullmatch(email):
        raise ValueError(f"{email!r} is no email address")
    return template.replace("REPOSITORY", repository.rstrip("/")).replace("EMAIL", email)


def local_metadata(template: str) -> str:
    """The metadata for this machine alone, which needs no addresses."""
    lines = template.splitlines(keepends=True)
    return "".join(line for line in lines if "REPOSITORY" not in line and "EMAIL" not in line)


def release(wheel: Path, address: str = "") -> str:
    """The geochg that the plugin installs, as a line of requirements with a checksum.

    Args:
        wheel: Wheel of geochg.
        address: Address from which it is fetched; empty where it lies in the zip.
    """
    checksum = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"geochg @ {address or wheel.name} --hash=sha256:{checksum}\n"


def release_address(repository: str, wheel: Path) -> str:
    """The address of a wheel among the releases of a repository, as GitHub and others have it."""
    version = wheel.name.split("-")[1]
    return f"{repository.rstrip('/')}/releases/download/v{version}/{wheel.name}"


def build(target: Path, filled: str, wheel: Path, address: str = "") -> Path:
    """Writes the zip; the same files give the same bytes.

    Args:
        target: Path of the zip.
        filled: Metadata with all addresses.
        wheel: Wheel of geochg.
        address: Address from which the plugin fetches it; empty to put it into the zip.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        for path in files():
            name = f"{PACKAGE}/{path.relative_to(HERE).as_posix()}"
            content = filled.encode("utf-8") if path == METADATA else path.read_bytes()
            archive.writestr(ZipInfo(name), content, ZIP_DEFLATED)
        line = release(wheel, address)
        archive.writestr(ZipInfo(f"{PACKAGE}/{RELEASE}"), line, ZIP_DEFLATED)
        if not address:
            archive.writestr(ZipInfo(f"{PACKAGE}/{wheel.name}"), wheel.read_bytes(), ZIP_DEFLATED)
    return target


def build_wheel(folder: Path) -> Path:
    """Builds the wheel of this repository into a folder."""
    # What earlier builds left there would become part of it.
    shutil.rmtree(HERE.parent / "build" / "lib", ignore_errors=True)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(HERE.parent)], check=True)
    return next(folder.glob("geochg-*.whl"))


def known_addresses(project: Mapping[str, Any]) -> tuple[str, str]:
    """Repository and email of the table `project` of pyproject.toml; each may be empty."""
    urls = {name.lower(): url for name, url in project.get("urls", {}).items()}
    emails = [author["email"] for author in project.get("authors", ()) if "email" in author]
    return urls.get("repository", ""), next(iter(emails), "")


def _project() -> Mapping[str, Any]:
    # Here, because it came with Python 3.11, and the rest of this folder runs on older ones.
    import tomllib

    with (HERE.parent / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Builds the zip of the QGIS plugin.")
    parser.add_argument("folder", type=Path, nargs="?", default=HERE.parent / "dist")
    parser.add_argument("--repository", default="", help="else that of pyproject.toml")
    parser.add_argument("--email", default="", help="else that of pyproject.toml")
    parser.add_argument("--local", action="store_true", help="for this machine alone")
    parser.add_argument("--wheel", type=Path, help="geochg's wheel; else it is built")
    parser.add_argument("--release", default="", help="address of the wheel; else of REPOSITORY")
    return parser.parse_args()


def main() -> Path:
    """Builds the zip that the command line asks for."""
    arguments = _arguments()
    project = _project()
    template = metadata(project["version"])
    if arguments.local:
        wheel = arguments.wheel or build_wheel(arguments.folder)
        return build(arguments.folder / f"{PACKAGE}-local.zip", local_metadata(template), wheel)
    repository, email = known_addresses(project)
    try:
        filled = published_metadata(
            template, arguments.repository or repository, arguments.email or email
        )
    except ValueError as error:
        sys.exit(
            f"{error}: the plugin site lists both\n"
            "make plugin REPOSITORY=https://HOST/PATH EMAIL=NAME@HOST builds for it,\n"
            "make plugin-local for this machine alone"
        )
    wheel = arguments.wheel or build_wheel(arguments.folder)
    address = arguments.release or release_address(arguments.repository or repository, wheel)
    print(f"{wheel} must lie at {address}", file=sys.stderr)
    return build(arguments.folder / f"{PACKAGE}.zip", filled, wheel, address)


if __name__ == "__main__":
    print(main())
