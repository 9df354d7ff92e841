"""Parameters of requests, brought to the types the library takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from geochg.options import AnalyzeOptions
from geochg.pipeline.outputs import Outputs
from geochg.worker.messages import WRONG_PARAMETERS, MessageError
from geochg.worker.paths import RequestFolder

_PAIR = ("before", "after", "options", "folder")

_FARTHEST = 1e6  # degrees from which on a number is no longitude and no latitude


class PairParameters(NamedTuple):
    """What every request about a pair carries.

    Attributes:
        before: GDAL's name of the earlier raster, with an absolute path.
        after: GDAL's name of the later raster, with an absolute path.
        options: What to do; files in them have absolute paths.
    """

    before: str
    after: str
    options: AnalyzeOptions

    @classmethod
    def of(cls, parameters: Mapping[str, Any], *others: str) -> Self:
        """Reads them.

        Args:
            parameters: The parameters of the request.
            *others: Names of parameters that the method knows besides.

        Raises:
            MessageError: If one is missing, unknown or of another type, or a path is relative and
                no folder is named that it starts from.
            OptionError: If the options make no sense.
        """
        check_known(parameters, (*_PAIR, *others))
        folder = RequestFolder.of(parameters)
        return cls(
            _raster(parameters, "before", folder),
            _raster(parameters, "after", folder),
            _options(parameters, folder),
        )


class SeriesParameters(NamedTuple):
    """What a request about two images or more carries.

    Attributes:
        images: GDAL's names of the rasters, the earliest first, with absolute paths.
        options: What to do; files in them have absolute paths.
    """

    images: list[str]
    options: AnalyzeOptions

    @classmethod
    def of(cls, parameters: Mapping[str, Any], *others: str) -> Self:
        """Reads `images`, or `before` and `after`; see `PairParameters.of`."""
        if "images" not in parameters:
            before, after, options = PairParameters.of(parameters, *others)
            return cls([before, after], options)
        if names := sorted({"before", "after"} & set(parameters)):
            raise MessageError(
                WRONG_PARAMETERS,
                f"there are images, and {names[0]} too",
                "give images, or before and after",
            )
        check_known(parameters, ("images", "options", "folder", *others))
        images = parameters["images"]
        if not isinstance(images, list):
            raise _wrong("images", "a list of rasters")
        folder = RequestFolder.of(parameters)
        return cls(
            [raster_of(image, "images", folder) for image in images],
            _options(parameters, folder),
        )


def check_known(parameters: Mapping[str, Any], known_names: tuple[str, ...]) -> None:
    """Refuses parameters that a method does not know.

    Raises:
        MessageError: If there is one.
    """
    if unknown := sorted(set(parameters) - set(known_names)):
        raise MessageError(
            WRONG_PARAMETERS,
            f"unknown parameter {', '.join(map(repr, unknown))}",
            f"known parameters: {', '.join(known_names) or 'none'}",
        )


def outputs_of(
    parameters: Mapping[str, Any], kinds: tuple[str, ...] = tuple(Outputs.__dataclass_fields__)
) -> Outputs:
    """The files that are to be written.

    Args:
        parameters: The parameters of a request.
        kinds: Names of the files that it may ask for.

    Raises:
        MessageError: If they are none, or a path is relative and no folder is named.
    """
    outputs = parameters.get("outputs")
    if not isinstance(outputs, Mapping) or not outputs:
        raise _wrong("outputs", f"an object with some of {', '.join(kinds)}")
    check_known(outputs, kinds)
    folder = RequestFolder.of(parameters)
    return Outputs(**{kind: Path(folder.file(text_of(outputs, kind))) for kind in outputs})


def text_of(parameters: Mapping[str, Any], name: str) -> str:
    """A text that must be there and say something.

    Raises:
        MessageError: If it is not, or is no text.
    """
    value = parameters.get(name)
    if not _is_text(value):
        raise _wrong(name, "a text without control codes")
    return str(value)


def layer_of(parameters: Mapping[str, Any], name: str) -> str:
    """A vector layer, with an absolute path, and with its name and filter behind it.

    Raises:
        MessageError: If it is missing or no text, or its path is relative and no folder is named.
    """
    file, mark, layer = text_of(parameters, name).partition("|")
    return f"{RequestFolder.of(parameters).file(file)}{mark}{layer}"


def texts_of(parameters: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts, each of which says something.

    Raises:
        MessageError: If it is something else.
    """
    value = parameters.get(name)
    if not isinstance(value, list) or not all(map(_is_text, value)):
        raise _wrong(name, "a list of texts without control codes")
    return value


def flag_of(parameters: Mapping[str, Any], name: str) -> bool:
    """Whether something is wanted; it is not where nothing is said.

    Raises:
        MessageError: If it is neither true nor false.
    """
    value = parameters.get(name, False)
    if not isinstance(value, bool):
        raise _wrong(name, "true or false")
    return value


def point_of(parameters: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    """Longitude and latitude in degrees, or None.

    Raises:
        MessageError: If it is neither.
    """
    value = parameters.get(name)
    if value is None:
        return None
    if not (isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))):
        raise _wrong(name, "longitude and latitude, two numbers")
    return float(value[0]), float(value[1])


def exchanges_of(parameters: Mapping[str, Any], name: str) -> tuple[tuple[str, str], ...]:
    """Questions and answers, oldest first.

    Raises:
        MessageError: If they are something else.
    """
    value = parameters.get(name, [])
    if not isinstance(value, list) or not all(map(_is_exchange, value)):
        raise _wrong(name, "a list of questions and answers, two texts each")
    return tuple((question, answer) for question, answer in value)


def analyze_options_of(parameters: Mapping[str, Any]) -> AnalyzeOptions:
    """The options of an analysis; files in them have absolute paths.

    Raises:
        MessageError: If they are no object, or a path is relative and no folder is named.
        OptionError: If they make no sense.
    """
    return _options(parameters, RequestFolder.of(parameters))


def _options(parameters: Mapping[str, Any], folder: RequestFolder) -> AnalyzeOptions:
    options = parameters.get("options", {})
    if not isinstance(options, Mapping):
        raise _wrong("options", "an object")
    return folder.options(AnalyzeOptions.from_dict(options))


def _raster(parameters: Mapping[str, Any], name: str, folder: RequestFolder) -> str:
    """A raster by the name of its parameter; see `raster_of`."""
    return raster_of(parameters.get(name), name, folder)


def raster_of(value: object, name: str, folder: RequestFolder) -> str:
    """A raster: its name, or an object of its path and the CRS it is to be taken in.

    Raises:
        MessageError: If it is neither.
    """
    if _is_text(value):
        return folder.raster(str(value))
    if not isinstance(value, Mapping) or set(value) != {"path", "crs"}:
        raise _wrong(name, "a text, or an object of path and crs")
    path, crs = folder.raster(text_of(value, "path")), text_of(value, "crs")
    if "?" in path:
        raise MessageError(
            WRONG_PARAMETERS,
            f"{path} cannot be taken in another CRS: its name holds a question mark",
            "write the CRS into a copy of the raster, and name that",
        )
    # GDAL's own way to say so: https://gdal.org/drivers/raster/vrt.html, "vrt:// connection". It
    # knows no escapes. An ampersand would end the CRS, and can only stand in a name within it.
    return f"vrt://{path}?a_srs={crs.replace('&', '+')}"


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    # Whole numbers may be longer than a float can tell.
    return -_FARTHEST <= value <= _FARTHEST


def _is_text(value: object) -> bool:
    """Whether a value is a text that says something and that files can be named by."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        return False
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _is_exchange(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(v, str) for v in value)


def _wrong(name: str, expected_form: str) -> MessageError:
    return MessageError(
        WRONG_PARAMETERS, f"parameter {name!r} does not fit", f"give {expected_form}"
    )
