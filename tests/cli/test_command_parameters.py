"""The function of each command takes what its options give."""

import inspect

import click
import pytest

from geochg_cli.group import geochg


def commands(command, path=()):
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        yield from commands(command.get_command(context, name), (*path, name))


@pytest.mark.parametrize(("path", "command"), list(commands(geochg)))
def test_a_command_takes_what_its_options_give(path, command):
    parameters = inspect.signature(inspect.unwrap(command.callback)).parameters.values()
    names = {option.name for option in command.params if option.expose_value}
    needed = {p.name for p in parameters if p.kind is not p.VAR_KEYWORD and p.default is p.empty}
    assert needed <= names | {"ctx"}
    if all(p.kind is not p.VAR_KEYWORD for p in parameters):
        assert names <= {p.name for p in parameters}
