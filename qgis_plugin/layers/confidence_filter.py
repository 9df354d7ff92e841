"""The least confidence of the changes that a result shows: a term of its layer's filter.

The filter is the only record of it, which the project saves with the layer. A filter of the user's
own stays, in parentheses before the term. A change whose confidence was not measured is shown
wherever the slider stands.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from qgis.core import QgsVectorLayer

from geochg_qgis.i18n import tr
from geochg_qgis.link.errors import LinkError

_NUMBER = r"(?P<{}>[01](?:\.\d+)?)"
_TERM = re.compile(
    r"(?:(?P<user>.*) AND )?"
    rf'(?:\("confidence" >= {_NUMBER.format("least")} OR "confidence" IS NULL\)'
    # As plugins wrote it to whose workers each change had a confidence.
    rf'|"confidence" >= {_NUMBER.format("former_least")})',
    re.DOTALL,
)
_QUOTES = "'\"`"


class ConfidenceFilter(NamedTuple):
    """The two parts of a layer's filter.

    Attributes:
        user_filter: Filter of the user's; empty for none.
        percent: Least confidence that is shown, 0 for all changes.
    """

    user_filter: str
    percent: int

    def text(self) -> str:
        """The filter as QGIS takes it; empty for none."""
        if self.percent <= 0:
            return self.user_filter
        least = f"{self.percent / 100:.2f}"
        return self._joined(f'("confidence" >= {least} OR "confidence" IS NULL)')

    def text_below(self) -> str:
        """The filter of the changes that the slider hides."""
        return self._joined(f'"confidence" < {self.percent / 100:.2f}')

    def _joined(self, term: str) -> str:
        return f"({self.user_filter}) AND {term}" if self.user_filter else term


def confidence_filter(text: str) -> ConfidenceFilter:
    """The parts of a layer's filter; one that was not made here is all the user's."""
    match = _TERM.fullmatch(text.strip())
    if match is None:
        return ConfidenceFilter(text, 0)
    percent, user_filter = 100 * float(match["least"] or match["former_least"]), match["user"] or ""
    is_whole = abs(percent - round(percent)) < 1e-6
    if not is_whole or percent > 100 or (user_filter and not _is_in_parentheses(user_filter)):
        return ConfidenceFilter(text, 0)
    return ConfidenceFilter(user_filter[1:-1], round(percent))


def set_least_confidence(layer: QgsVectorLayer, percent: int) -> None:
    """Shows only changes of at least a confidence, among those the user's own filter shows.

    Raises:
        LinkError: If the layer cannot be filtered so.
    """
    former = confidence_filter(layer.subsetString())
    if former.user_filter.lstrip().lower().startswith("select "):
        raise LinkError(
            tr("The filter of {} is a query, which the slider cannot add to").format(layer.name()),
            tr("put the confidence into the query, or take it away (Layer, Filter)"),
        )
    if layer.isEditable():
        raise LinkError(
            tr("The result cannot be filtered while it is edited"),
            tr("save or discard the edits first"),
        )
    text = former._replace(percent=percent).text()
    if text != layer.subsetString() and not layer.setSubsetString(text):
        raise LinkError(
            tr("{} does not take the filter {}").format(layer.name(), text),
            tr("look at it under Layer, Filter"),
        )


def _is_in_parentheses(text: str) -> bool:
    """Whether the first parenthesis is closed by the last character; quoted ones do not count."""
    depth, quote = 0, ""
    for position, character in enumerate(text):
        if quote:
            # A doubled quote closes and opens again, which comes to the same.
            quote = "" if character == quote else quote
        elif character in _QUOTES:
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
        if depth == 0:
            return not quote and character == ")" and position == len(text) - 1
    return False
