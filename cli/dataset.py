"""`geochg dataset`: folders of pairs to train and test on."""

from __future__ import annotations

import click

from .group import LazyGroup

COMMANDS = {
    "build": "Make instruction rows from pairs with masks or a review.",
    "pairs": "Pair the images of one location by their metadata, as of fMoW.",
    "check": "Look for what is wrong with a data set.",
}
"""Name and one line of each command; the command itself lives in `dataset_NAME.py`."""


@click.group(cls=LazyGroup, summaries=COMMANDS, prefix="dataset_")
def dataset() -> None:
    """Make folders of pairs to train and test on.

    \b
    Examples:
      geochg dataset build mytown --rasters 2015.tif 2018.tif buildings.gpkg
      geochg dataset check mytown
    """
