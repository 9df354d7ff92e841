"""The geochg that this plugin installs: in its folder, or at an address, known by its checksum."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent.parent
_RELEASE = "release.txt"

LOCK = _FOLDER / "requirements.txt"
"""Versions and checksums of all that geochg needs, for every platform."""

_LINE = re.compile(r"geochg @ (\S+) --hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Release:
    """A wheel of geochg.

    Attributes:
        address: Address of the wheel, also where it is a file (`file:///...`).
        checksum: SHA-256 of the wheel.
    """

    address: str
    checksum: str

    @classmethod
    def of_plugin(cls, folder: Path = _FOLDER) -> Release | None:
        """The release that the plugin's zip holds or names; None for a plugin that has none.

        Args:
            folder: Folder of the plugin.
        """
        try:
            match = _LINE.fullmatch((folder / _RELEASE).read_text(encoding="utf-8").strip())
        except OSError:
            return None
        if match is None:
            return None
        is_address = "://" in match[1]
        return cls(match[1] if is_address else (folder / match[1]).resolve().as_uri(), match[2])

    @property
    def wheel_name(self) -> str:
        """File name of the wheel."""
        return self.address.rpartition("/")[2]

    @property
    def version(self) -> str:
        """Version of geochg."""
        parts = self.wheel_name.split("-")
        return parts[1] if len(parts) > 1 else "?"

    @property
    def is_fetched(self) -> bool:
        """Whether the wheel is fetched over the network."""
        return not self.address.startswith("file:")

    def within(self, wheels: Path | None) -> Release:
        """The release, its wheel taken from a folder of wheels where it lies there."""
        if wheels is None or not (wheels / self.wheel_name).is_file():
            return self
        return Release((wheels / self.wheel_name).resolve().as_uri(), self.checksum)

    def requirement(self) -> str:
        """The line of a requirements file."""
        return f"geochg @ {self.address} --hash=sha256:{self.checksum}\n"

    def with_larger_models(self) -> str:
        """The package with what the larger models need, for the command line of pip."""
        return f"geochg[vlm] @ {self.address}#sha256={self.checksum}"
