"""`geochg models`: which change models there are."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON on stdout.")
def models(as_json: bool) -> None:
    """List the change models that --model takes.

    \b
    Examples:
      geochg models
      geochg models --json
    """
    from geochg.models.registry import backends

    found = backends()
    if as_json:
        click.echo(json.dumps([backend.to_dict() for backend in found]))
        return
    width = max((len(backend.name) for backend in found), default=0)
    for backend in found:
        text = f"broken: {backend.broken}" if backend.broken else backend.summary
        click.echo(f"{backend.name:{width}}  {text}")
