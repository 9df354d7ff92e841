"""What a run is begun with, as plain values, by which it goes on or counts as done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geochg.datasets.examples import Example


def data_facts(examples: Sequence[Example]) -> dict[str, Any]:
    """What was learned from: checksums of the rows and of the names and sizes of the pictures."""
    files = sorted({example.origin.file for example in examples if example.origin is not None})
    pictures = sorted({path for example in examples for path in example.paths})
    sizes = [(path.name, path.stat().st_size if path.is_file() else 0) for path in pictures]
    return {
        "files": {file.name: _digest([file.read_bytes()]) for file in files},
        "rows": len(examples),
        "said": _digest(_said(examples)),
        "pictures": len(pictures),
        "picture_sizes": _digest([json.dumps(sizes).encode()]),
    }


def difference(former: object, now: Mapping[str, Any]) -> str:
    """What of a run is not as it was, in words; empty where all is.

    Args:
        former: The facts or the card of a run, as a file of its holds them.
        now: See `Plan.facts`.
    """
    was = _part(former)
    if _part(was.get("base")).get("checksum") != now["base"]["checksum"]:
        return "another base"
    plain = json.loads(json.dumps(now))
    for name in ("training", "validation"):
        if was.get(name) != plain[name]:
            return f"other {name} rows or pictures"
    options = _part(was.get("options"))
    for name, value in plain["options"].items():
        if name not in options or options[name] != value:
            return f"another {name.replace('_', ' ')}"
    # A card does not tell it, since the number of processes is no part of a result.
    if was.get("processes", plain["processes"]) != plain["processes"]:
        return "another number of processes"
    return ""


def _part(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _said(examples: Sequence[Example]) -> Iterable[bytes]:
    for example in examples:
        turns = [(turn.question, turn.answer) for turn in example.turns]
        yield json.dumps([example.id, [path.name for path in example.paths], turns]).encode()


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return f"sha256:{digest.hexdigest()}"
