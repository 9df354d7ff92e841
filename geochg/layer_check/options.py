"""The options of a check: every one is a field here, as those of `analyze` are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from geochg.class_list import ClassList
from geochg.errors import OptionError
from geochg.option_fields import Options, option
from geochg.options import AnalyzeOptions

VERDICT_LAYER = "verdict"
"""The name of the layer that is written, where no other is given."""

PRESENT_FROM, GONE_TO = 0.6, 0.5
"""Probability from which on an object is there, and up to which it is gone; chosen on places that
the built-in model was trained on (`benchmarks/check.py`)."""


@dataclass(frozen=True)
class CheckOptions(Options):
    """The options of `geochg check`; the help of each one stands with its field."""

    class_name: str = option(
        "building",
        "What the polygons are: a class of the model, or any words for models that take them, "
        "such as `solar panel`.",
        flag="--class",
    )
    model: str = option(
        "builtin", "The model that judges, NAME or NAME:SOURCE; see `geochg models`."
    )
    model_options: Mapping[str, Any] = option(
        {},
        "An option of the model's own; may be given several times.",
        flag="--model-option",
        metavar="NAME=VALUE",
    )
    present_from: float = option(
        PRESENT_FROM,
        "Probability, 0 to 1, from which on the object of a polygon is called present.",
        least=0,
        greatest=1,
    )
    gone_to: float = option(
        GONE_TO,
        "Probability, 0 to 1, up to which it is called gone; between the two nothing can be told.",
        least=0,
        greatest=1,
    )
    missing: bool = option(True, "Look for ground of the class that no polygon maps, too.")
    min_area_m2: float | None = option(
        None,
        "Leave out missing ground below this area, in square metres.",
        unit="m²",
        least=0,
        greatest=1e15,
        usual="a third of the median polygon",
    )
    regularize: bool = option(
        False, "Square the outlines of missing buildings, as `analyze --regularize` does."
    )
    most_shift_m: float = option(
        10.0,
        "Largest shift between layer and image that is looked for, in metres; 0 for none.",
        unit="m",
        least=0,
        greatest=1000,
        flag="--most-shift",
    )
    bands: tuple[str, ...] = option(
        (),
        "Bands to use, by number, name, colour or role=number: `red=1,green=2,blue=3,nir=4`.",
        usual="what the model wants",
    )
    nodata: tuple[str, ...] = option(
        (),
        "The value that means no measurement; `none` where none does.",
        usual="as the files say",
        metavar="VALUE",
    )
    keep_collars: bool = option(
        False, "Take black or white that fills up an image to its frame for ground."
    )
    allow_remote: bool = option(
        False,
        "Let files on this machine name rasters elsewhere (a VRT of an address), and fetch those.",
        shapes_result=False,
    )
    device: str = option("auto", "auto, cpu, cuda, cuda:1 or mps.", shapes_result=False)
    output_layer: str = option(
        VERDICT_LAYER, "Name of the layer that is written.", shapes_result=False
    )
    resume: bool = option(
        False,
        "Go on with a check whose model was asked about polygons one by one.",
        is_saved=False,
        shapes_result=False,
    )
    overwrite: bool = option(
        False,
        "Also replace files and layers that geochg did not write.",
        is_saved=False,
        shapes_result=False,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.class_name.strip():
            raise OptionError("no class is named", "say what the polygons are: --class building")
        if self.gone_to >= self.present_from:
            raise OptionError(
                f"--gone-to {self.gone_to:g} is not below --present-from {self.present_from:g}",
                "leave room between the two for what cannot be told",
            )
        (name,) = ClassList.of_names((self.class_name,), "--class").names
        object.__setattr__(self, "class_name", name)

    def reading(self) -> AnalyzeOptions:
        """The options by which an image is opened and read, and the model is loaded."""
        names = ("bands", "nodata", "keep_collars", "allow_remote", "model", "device")
        values = {name: getattr(self, name) for name in names}
        return AnalyzeOptions(
            **values, model_options=self.model_options, classes=(self.class_name,)
        )
