"""What a tool of the server is, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from geochg.mcp_server.arguments import Schema
from geochg.mcp_server.calls import ToolCall
from geochg.mcp_server.grants import Grants
from geochg.mcp_server.kept_model import KeptModel
from geochg.records import Exchange

MOST_PLACES = 32
"""Places whose questions and answers are kept."""


@dataclass(frozen=True)
class ToolAnswer:
    """The answer of a tool.

    Attributes:
        text: The answer in words.
        values: The answer as plain JSON values.
        pictures: PNG files.
    """

    text: str
    values: Mapping[str, Any]
    pictures: Sequence[bytes] = ()


@dataclass
class Session:
    """What a server keeps between calls.

    Attributes:
        grants: What calls may use.
        model: The model of the last call.
        exchanges: Questions and answers so far, by what they were about.
    """

    grants: Grants
    model: KeptModel = field(default_factory=KeptModel)
    exchanges: dict[str, list[Exchange]] = field(default_factory=dict)

    def exchanges_about(self, place: str) -> list[Exchange]:
        """The questions and answers about a place, to be added to; the oldest places go."""
        exchanges = self.exchanges.pop(place, [])
        self.exchanges[place] = exchanges
        while len(self.exchanges) > MOST_PLACES:
            del self.exchanges[next(iter(self.exchanges))]
        return exchanges


@dataclass(frozen=True)
class Tool:
    """A tool that clients may call.

    Attributes:
        name: Its name.
        title: What people are shown.
        description: What models are told.
        input_schema: Schema of its arguments.
        output_schema: Schema of `ToolAnswer.values`.
        run: Answers a call, given its arguments without unknown ones and nulls.
        writes: Whether it writes files; it replaces those only that geochg wrote.
        reaches_out: Whether it may ask other machines, whatever was granted.
    """

    name: str
    title: str
    description: str
    input_schema: Schema
    output_schema: Schema
    run: Callable[[Session, ToolCall, Mapping[str, Any]], ToolAnswer]
    writes: bool = False
    reaches_out: bool = False


def object_schema(properties: Schema, required: Sequence[str] = ()) -> Schema:
    """The schema of an object with some properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def answer_schema(properties: Schema) -> Schema:
    """The schema of an answer: these properties are always there, and others may be."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def output_argument(text: str) -> Schema:
    """The schema of an argument that names a file to write.

    Args:
        text: What is written there.
    """
    rule = "a path within the folders of the server; what geochg did not write is never replaced"
    return {"type": "string", "description": f"{text}: {rule}."}
