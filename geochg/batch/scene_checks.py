"""The rows of a list, checked as a whole before the first scene is run."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geochg.batch.option_cells import OF_THE_WHOLE
from geochg.batch.pair_list import ListedPair
from geochg.errors import GeochgError, OptionError
from geochg.files.new_files import MOST_BYTES, ROOM_BYTES
from geochg.files.remote_files import is_remote
from geochg.models.registry import find_backend
from geochg.options import AnalyzeOptions
from geochg.pipeline.named_files import NamesFrom, is_named_file
from geochg.safety.untrusted_text import cleaned, without_secrets
from geochg.tasks.prompts import check_prompts

_BARRED = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that Windows gives to devices."""

_LONGEST_ID_BYTES = MOST_BYTES - ROOM_BYTES - len(".gpkg")


@dataclass(frozen=True)
class BatchScene:
    """A scene of a batch: a pair that can be run.

    Attributes:
        id: Its id, which names its files.
        before: GDAL's name of the earlier raster, with an absolute path.
        after: GDAL's name of the later raster.
        options: Options of its analysis; files in them have absolute paths.
    """

    id: str
    before: str
    after: str
    options: AnalyzeOptions


@dataclass(frozen=True)
class RefusedRow:
    """A row of a list that cannot be run.

    Attributes:
        place: Where it stands: `line 3`.
        id: Its id; may be empty.
        reason: Why, in one line.
    """

    place: str
    id: str
    reason: str


def checked_scenes(
    rows: Sequence[ListedPair], options: AnalyzeOptions
) -> tuple[list[BatchScene], list[RefusedRow]]:
    """The scenes that can be run, and the rows that cannot.

    A row without an id has its number in the list, such as `0003`.

    Args:
        rows: The rows of the list.
        options: Options of all scenes; those of a row count instead. Relative paths in them start
            from the folder that this process runs in.
    """
    base = NamesFrom(Path.cwd()).options(options)
    width = max(4, len(str(len(rows))))
    ids = [row.id or f"{n:0{width}}" for n, row in enumerate(rows, start=1)]
    counts = Counter(map(_folded_id, ids))
    checked_options = _CheckedOptions(base)
    scenes, refused_rows = [], []
    for row, scene_id in zip(rows, ids, strict=True):
        fault = row.fault or _id_fault(scene_id)
        if not fault and counts[_folded_id(scene_id)] > 1:
            fault = f"the id {scene_id!r} stands {counts[_folded_id(scene_id)]} times in the list"
        if not fault:
            before, after = _raster(row, "before"), _raster(row, "after")
            scene_options, fault = checked_options.of_row(row)
        if not fault:
            allow = scene_options.allow_remote
            fault = _raster_fault("before", before, row.folder, allow_remote=allow)
            fault = fault or _raster_fault("after", after, row.folder, allow_remote=allow)
        if fault:
            refused_rows.append(RefusedRow(row.place, cleaned(row.id, 80), cleaned(fault, 400)))
        else:
            scenes.append(BatchScene(scene_id, before, after, scene_options))
    return scenes, refused_rows


def _folded_id(scene_id: str) -> str:
    """An id as file systems without cases compare it."""
    return unicodedata.normalize("NFC", scene_id).casefold()


def _id_fault(scene_id: str) -> str:
    """Why an id can name no file; empty where it can."""
    shown_id = cleaned(repr(scene_id), 60)
    try:
        length = len(scene_id.encode())
    except UnicodeEncodeError:
        return f"the id {shown_id} holds half of a character"
    if match := _BARRED.search(scene_id):
        return f"the id {shown_id} can name no file: it holds {match[0]!r}"
    if scene_id != scene_id.strip() or scene_id.startswith(".") or scene_id.endswith("."):
        return f"the id {shown_id} can name no file: a dot or a blank stands at one end"
    if _DEVICES.fullmatch(scene_id):
        return f"the id {shown_id} can name no file on Windows"
    if length > _LONGEST_ID_BYTES:
        return f"the id {shown_id} has {length} bytes, of at most {_LONGEST_ID_BYTES}"
    return ""


def _raster(row: ListedPair, name: str) -> str:
    """A raster of a row with an absolute path; empty where the row has none."""
    text = str(getattr(row, name))
    return NamesFrom(row.folder.absolute()).raster(text) if text else ""


def _raster_fault(label: str, name: str, folder: Path, *, allow_remote: bool) -> str:
    """Why a raster cannot be read, as far as that is known without opening it."""
    if not name:
        return f"it has no {label!r}"
    if "\0" in name:
        return f"{label} holds a NUL character"
    if is_remote(name):
        if allow_remote:
            return ""
        return f"{label} lies elsewhere: {without_secrets(name)} (add --allow-remote to fetch it)"
    # GDAL's names of parts of files, and documents given as text, are left to GDAL.
    is_plain = not name.startswith(("/vsi", "<")) and Path(name).is_absolute()
    if is_plain and not is_named_file(folder, name):
        return f"{label} is not there: {without_secrets(name)}"
    return ""


class _CheckedOptions:
    """Options of rows over those of all scenes; equal ones are checked once.

    Args:
        base: Options of all scenes.
    """

    def __init__(self, base: AnalyzeOptions) -> None:
        self._base = base
        self._known: dict[str, tuple[AnalyzeOptions, str]] = {}

    def of_row(self, row: ListedPair) -> tuple[AnalyzeOptions, str]:
        """The options of a row, and what is wrong with them; empty where nothing is."""
        try:
            key = json.dumps([str(row.folder), row.options], sort_keys=True)
        except (TypeError, ValueError):
            return self._base, "its options are no plain values of JSON"
        if key not in self._known:
            self._known[key] = self._checked_options(row.options, row.folder)
        return self._known[key]

    def _checked_options(
        self, row_options: Mapping[str, Any], folder: Path
    ) -> tuple[AnalyzeOptions, str]:
        try:
            options = self._merged_options(row_options, folder)
            check_prompts(options.prompts)
            for model in filter(None, (options.model, options.clue_model)):
                find_backend(model)
            return options, ""
        except GeochgError as error:
            return self._base, ": ".join(filter(None, (error.message, error.hint)))

    def _merged_options(self, row_options: Mapping[str, Any], folder: Path) -> AnalyzeOptions:
        if not row_options:
            return self._base
        if barred := sorted(OF_THE_WHOLE & row_options.keys()):
            raise OptionError(f"the option {barred[0]!r} is none of a single pair", "leave it out")
        base = self._base.to_dict()
        merged = AnalyzeOptions.from_dict({**base, **row_options})
        placed_options = NamesFrom(folder.absolute()).options(merged).to_dict()
        # Paths of the command line start from its folder, those of a row from the list's.
        return AnalyzeOptions.from_dict(
            {**base, **{name: placed_options[name] for name in row_options}}
        )


def first_faults(refused_rows: Iterable[RefusedRow], limit: int = 10) -> str:
    """The first rows that cannot be run, in one line."""
    rows = list(refused_rows)
    texts = [f"{row.place}: {row.reason}" for row in rows[:limit]]
    further = f" and {len(rows) - limit} more" if len(rows) > limit else ""
    return "; ".join(texts) + further
