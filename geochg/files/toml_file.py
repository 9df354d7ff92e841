"""Files that users write."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from geochg.errors import InputError
from geochg.files.text_file import read_text


def read_toml(path: Path, what: str, hint: str) -> dict[str, Any]:
    """What a TOML file holds.

    Args:
        path: The file.
        what: It is, for the message: `options`, `prompts`.
        hint: How such a file is written.

    Raises:
        InputError: If it cannot be read or is not TOML.
    """
    text = read_text(path, f"the {what} file")
    try:
        return tomllib.loads(text)
    # Beside its own error: whole numbers of thousands of digits, and tables nested as deep.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a TOML file: {error}", hint) from error
