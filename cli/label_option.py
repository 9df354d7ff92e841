"""`--labels` of commands that ask about single images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from geochg.class_list import ClassList
from geochg.label_lists import SHIPPED_LISTS, list_path

from .shared_options import CommaSeparated

if TYPE_CHECKING:
    from geochg.options import AnalyzeOptions

LABELS_TEXT = (
    f"a class file, {', '.join(SHIPPED_LISTS[:-1])} or {SHIPPED_LISTS[-1]} for a list that comes "
    "with geochg, or names with commas between them."
)
"""How labels are named, for help pages."""


def with_labels(options: AnalyzeOptions, labels: str | None) -> AnalyzeOptions:
    """The options with the labels of a file, of a shipped list, or as they are named."""
    if labels is None:
        return options
    path = list_path(labels)
    if path.suffix.lower() == ".toml" or path.exists():
        return replace(options, classes_file=labels, classes=())
    names = ClassList.of_names(CommaSeparated().convert(labels, None, None), "--labels").names
    return replace(options, classes=names, classes_file="")
