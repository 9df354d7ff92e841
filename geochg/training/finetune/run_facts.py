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


def compared(facts: object, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What two runs must share to be the same one, by name; see `files.same_run`.

    Args:
        facts: The facts or the card of a run, as a file of its holds them; of another version they
            may lack some.
        asked: The facts of the run that is asked for, see `Plan.facts`; only what they tell of is
            compared.
    """
    known = _part(facts)
    options = _part(known.get("options"))
    return {
        "base": [_part(known.get("base")).get("checksum")],
        **{f"{name} rows or pictures": known.get(name) for name in ("training", "validation")},
        **{name.replace("_", " "): options[name] for name in asked["options"] if name in options},
        # A card does not tell it, since the number of processes is no part of a result.
        "number of processes": known.get("processes", asked["processes"]),
    }


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
