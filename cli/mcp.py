"""`geochg mcp`: the library for assistants, kept to some folders."""

from __future__ import annotations

from pathlib import Path

import click

from .interrupts import interrupts_raised
from .shared_options import PATH, path_option


@click.command()
@click.argument("folders", nargs=-1, required=True, type=PATH, metavar="FOLDER...")
@click.option(
    "--allow-model",
    "models",
    multiple=True,
    metavar="NAME[:SOURCE]",
    help="Let calls use this model too, as --model names it; may be given several times.",
)
@click.option(
    "--allow-raster",
    "rasters",
    multiple=True,
    metavar="NAME",
    help="Let calls read this raster too, named exactly so: an address, or any name of GDAL's; may "
    "be given several times.",
)
@click.option(
    "--allow-network",
    "network",
    is_flag=True,
    help="Let calls fetch scenes from the catalogues that `geochg scenes collections` lists.",
)
@path_option(
    "--options",
    "Options that every run starts from, such as the model.",
    "FILE.toml",
    "options_file",
)
def mcp(
    folders: tuple[Path, ...],
    models: tuple[str, ...],
    rasters: tuple[str, ...],
    network: bool,
    options_file: Path | None,
) -> None:
    """Serve an assistant over stdin and stdout by the Model Context Protocol.

    Its calls read and write files within the FOLDERs only, use the models that come with geochg,
    and ask no other machine; whatever else they may use is named here. docs/mcp.md describes the
    tools and how to register the command.

    \b
    Examples:
      geochg mcp ~/rasters
      geochg mcp ~/rasters ~/results --allow-model vlm:/models/qwen
    """
    from geochg.mcp_server.grants import Grants
    from geochg.mcp_server.serve import serve_process
    from geochg.options import AnalyzeOptions

    options = AnalyzeOptions.from_toml(options_file) if options_file else AnalyzeOptions()
    grants = Grants.of(folders, options, models, rasters, network=network)
    with interrupts_raised():
        serve_process(grants)
