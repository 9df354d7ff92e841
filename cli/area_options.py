"""The options by which a run is told an area and two times in place of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from geochg.errors import OptionError
from geochg.options import Options
from geochg.stac.options import FetchOptions

from .scenes_options import fetch_options
from .shared_options import Command, field_options, path_option, with_options

_FETCHING = ("collection", "catalog", "max_cloud", "composite", "clouds")
"""Fields of `FetchOptions` that are options of such a run; its own options give the others."""


class AreaRequest(NamedTuple):
    """An area and two times.

    Attributes:
        area: The area, as `--aoi` takes it.
        times: The earlier or first time, and the later or last one.
        fetching: How scenes are fetched.
        folder: Where they are kept; None for beside the output.
        values: The command's further options that were given.
    """

    area: str
    times: tuple[str, str]
    fetching: FetchOptions
    folder: Path | None
    values: Mapping[str, Any]


@dataclass(frozen=True)
class AreaForm:
    """How a command is told an area and two times.

    Attributes:
        flags: The flags of both times, by their parameters.
        helps: What both are, for `--help`.
        example: The command without images.
        further: A class of further options of such a run; None for none.
    """

    flags: Mapping[str, str]
    helps: tuple[str, str]
    example: str
    further: type[Options] | None = None

    def options(self, command: Command) -> Command:
        """Adds the times, how scenes are fetched, and where they are kept, to a command."""
        times = [
            click.option(flag, name, metavar="DATE", help=text)
            for (name, flag), text in zip(self.flags.items(), self.helps, strict=True)
        ]
        scenes = path_option(
            "--scenes",
            "Keep the scenes that are fetched in this folder, and use those again that are there."
            "  [default: NAME_scenes beside the output]",
            "FOLDER",
        )
        further: list[Callable[[Command], Command]] = (
            [field_options(self.further)] if self.further is not None else []
        )
        return with_options([*times, *further, field_options(FetchOptions, *_FETCHING), scenes])(
            command
        )

    def request(
        self, ctx: click.Context, images: Sequence[str], aoi: str | None
    ) -> AreaRequest | None:
        """The area and the times of a command; None where it is given images.

        Args:
            ctx: The command's context.
            images: The images that were given.
            aoi: The area of interest.

        Raises:
            UsageError: If there are neither images nor times.
            OptionError: If there are both, or something is missing.
        """
        further = [spec.name for spec in self.further.specs()] if self.further is not None else []
        values = {
            name: ctx.params[name]
            for name in (*self.flags, *further, *_FETCHING, "scenes")
            if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        }
        if images:
            self._refuse_beside_images(values)
            return None
        if not values:
            raise click.UsageError(
                f"no images are given, and no times to fetch some: {self.example}", ctx
            )
        for name, flag in self.flags.items():
            if name not in values:
                both_flags = " and ".join(self.flags.values())
                raise OptionError(f"there is no {flag}", f"give both {both_flags}: {self.example}")
        if not aoi:
            raise OptionError(
                "there is no area to fetch scenes of", f"name one with --aoi: {self.example}"
            )
        start, end = (values[name] for name in self.flags)
        return AreaRequest(
            aoi,
            (start, end),
            fetch_options({name: values.get(name) for name in _FETCHING}),
            values.get("scenes"),
            {name: values[name] for name in further if name in values},
        )

    def _refuse_beside_images(self, values: Mapping[str, Any]) -> None:
        for name in values:
            flag = self.flags.get(name, f"--{name.replace('_', '-')}")
            raise OptionError(
                f"there are images, and {flag}, which is for scenes that are fetched",
                f"leave {flag} out, or the images: {self.example}",
            )
