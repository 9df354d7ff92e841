"""`geochg table`: a change layer in, its numbers and areas out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geochg.options import AnalyzeOptions

from .shared_options import (
    field_options,
    json_option,
    output_option,
    overwrite_option,
    path_option,
)
from .terminal import echo

if TYPE_CHECKING:
    from geochg.pipeline.layer_tables import LayerTables

_MOST_ROWS = 30
"""Most rows that are told in words."""


@click.command()
@click.argument("layer")
@output_option(
    "Numbers and areas by class, direction, land cover before and after, and zone.", "PATH.csv"
)
@path_option("--zones-table", "Numbers and areas by zone, class and direction.", "PATH.csv")
@click.option(
    "--layer", "layer_name", metavar="NAME", help="The layer, where the file has several of them."
)
@field_options(AnalyzeOptions, "zones", "zone_name", "allow_remote")
@overwrite_option
@json_option("the tables")
def table(
    layer: str,
    output: Path | None,
    zones_table: Path | None,
    layer_name: str | None,
    zones: str | None,
    zone_name: str | None,
    allow_remote: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Sum up the changes of LAYER, which geochg wrote, as they were reviewed since.

    Changes that a reviewer rejected in QGIS are left out, those of another class count as that.

    \b
    Examples:
      geochg table changes.gpkg -o from_to.csv
      geochg table changes.gpkg --zones parcels.gpkg --zones-table parcels.csv
      geochg table project.gpkg --layer changes_2024 --json
    """
    from geochg.pipeline.layer_tables import layer_tables, write_layer_tables

    text = layer if layer_name is None else f"{layer}|layername={layer_name}"
    tables = layer_tables(text, zones or "", zone_name or "", allow_remote=allow_remote)
    write_layer_tables(
        tables, text, zones or "", table=output, zones_table=zones_table, overwrite=overwrite
    )
    for remark in tables.remarks:
        echo(f"warning: {remark}", err=True)
    paths = {"table": output, "zones_table": zones_table}
    files = {name: str(path) for name, path in paths.items() if path is not None}
    echo(_as_json(tables, files) if as_json else "\n".join(_in_words(tables, files)))


def _as_json(tables: LayerTables, files: dict[str, str]) -> str:
    return json.dumps({"outputs": files, **tables.to_dict()}, allow_nan=False)


def _in_words(tables: LayerTables, files: dict[str, str]) -> Iterator[str]:
    from geochg.tasks.quantities import listed_area

    yield from files.values()
    rows = tables.sums.from_to() if tables.sums.zones is None else tables.sums.rows()
    number = "features" if "features" in rows else "count"
    rejected_text = f", {tables.rejected:,} rejected" if tables.rejected else ""
    yield f"{tables.features:,} changes{rejected_text}"
    records = rows.astype(object).where(rows.notna(), None).to_dict("records")
    for row in records[:_MOST_ROWS]:
        kind = " ".join(str(row[name]) for name in ("class", "change") if row[name])
        covers = [row.get(name) for name in ("before_class", "after_class")]
        from_to = f" ({' to '.join(name or 'unknown' for name in covers)})" if any(covers) else ""
        zone = "" if tables.sums.zones is None else f"{row['zone'] or 'outside all zones'}: "
        amount = f"{row[number]:,}, {listed_area(row['area_m2'])}"
        yield f"  {zone}{kind or 'no change'}{from_to}: {amount}"
    if len(records) > _MOST_ROWS:
        yield f"  and {len(records) - _MOST_ROWS:,} more rows"
