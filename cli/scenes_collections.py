"""`geochg scenes collections`: the catalogues and collections that are tables."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from .shared_options import json_option
from .terminal import echo


@click.command()
@click.option(
    "--edit",
    is_flag=True,
    help="Make a copy of the table in your folder of settings, for you to edit, and tell where.",
)
@json_option("the collections")
def collections(edit: bool, as_json: bool) -> None:
    """List the catalogues and collections that are tables, with their bands; asks nobody.

    Other collections can be named too, where their items tell which asset is which band.

    \b
    Examples:
      geochg scenes collections
      geochg scenes collections --edit
    """
    from geochg.stac.known import copy_for_user, read_known_catalogs, user_file

    if edit:
        copy_for_user()
    tables = read_known_catalogs()
    if as_json:
        facts = {
            "file": str(user_file()),
            "catalogs": [asdict(entry) for entry in tables.catalogs.values()],
            "collections": [
                {
                    **{key: getattr(entry, key) for key in ("id", "catalog", "title", "licence")},
                    "bands": list(entry.bands),
                    "resolution_m": entry.resolution_m,
                    "has_mask": entry.mask is not None,
                }
                for entry in tables.collections
            ],
        }
        echo(json.dumps(facts, ensure_ascii=False))
        return
    for catalog in tables.catalogs.values():
        echo(f"{catalog.name}  {catalog.url}")
        for entry in tables.collections:
            if entry.catalog in (catalog.name, catalog.url):
                clouds = "" if entry.mask is not None else "; no cloud mask"
                echo(f"  {entry.id}: {entry.title}")
                echo(f"    {', '.join(entry.bands)}{clouds}")
    state = "your own table" if user_file().is_file() else "--edit makes a copy of the table at"
    echo(f"{state} {user_file()}", err=True)
