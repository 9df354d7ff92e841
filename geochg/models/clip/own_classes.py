"""The classes of a user, among the kinds of ground that a place may show besides."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from geochg.class_list import ClassList, folded_name
from geochg.models.clip.classes import usual_classes


def own_classes(values: Mapping[str, Any]) -> ClassList:
    """The classes of a user, and unless these are complete, geochg's kinds of ground behind them.

    Told apart from nothing else, any place would show one of them.

    Args:
        values: As `ClassList.to_dict` gives them.

    Raises:
        InputError: If they make no sense.
    """
    class_list = ClassList.from_dict(values, "--classes")
    if _is_all_there_is(class_list):
        return class_list
    words = {
        folded_name(word) for item in class_list.classes for word in (item.name, *item.synonyms)
    }
    phrases = {item.phrase for item in class_list.classes}
    further_classes = (
        item
        for item in usual_classes().classes
        if folded_name(item.name) not in words and item.phrase not in phrases
    )
    return replace(class_list, classes=(*class_list.classes, *further_classes))


def asked_names(values: Mapping[str, Any]) -> tuple[str, ...]:
    """The output classes of a user before a background; none where all kinds of ground count.

    Args:
        values: As `ClassList.to_dict` gives them; empty where the user names no classes.

    Raises:
        InputError: If they make no sense.
    """
    if not values:
        return ()
    class_list = ClassList.from_dict(values, "--classes")
    return () if _is_all_there_is(class_list) else class_list.names


def _is_all_there_is(class_list: ClassList) -> bool:
    """Whether nothing else is told apart; one class alone leaves nothing to tell it from."""
    return class_list.complete and len(class_list.classes) > 1
