"""How the images of a result are known again: by source, checksum of the header, and date."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer

from geochg_qgis.i18n import tr
from geochg_qgis.layers.layer_source import gdal_name
from geochg_qgis.link.dates import date_in
from geochg_qgis.link.errors import LinkError

BEFORE, AFTER = "geochg/before", "geochg/after"
"""Properties of a result: the identities of its images, as JSON."""

_HEADER_BYTES = 65_536
_checksums: dict[tuple[str, int, int], str] = {}  # by path, time of the last change and size


class ImageIdentity(NamedTuple):
    """What an image is known by, in any project.

    Attributes:
        source: Absolute GDAL name, or provider and address of a layer that no file stands behind.
        checksum: Checksum of header and size of the file; empty where there is none.
        date: Date in the name of the layer or file, as sortable text; may be empty.
        name: Name of the layer, for the user.
    """

    source: str
    checksum: str
    date: str
    name: str

    @classmethod
    def of(cls, layer: QgsRasterLayer) -> ImageIdentity:
        """The identity of a layer, whose file is read."""
        source = image_source(layer)
        return cls(source, header_checksum(source), _date(layer), layer.name())

    @classmethod
    def from_text(cls, text: object) -> ImageIdentity | None:
        """An identity that `to_text` wrote; None for any other text."""
        try:
            values = json.loads(str(text))
        except ValueError:
            return None
        is_identity = isinstance(values, dict) and set(values) == set(cls._fields)
        if not is_identity or not all(isinstance(value, str) for value in values.values()):
            return None
        return cls(**values)

    def to_text(self) -> str:
        """The identity as JSON."""
        return json.dumps(self._asdict(), ensure_ascii=False)

    def layer_among(self, layers: Iterable[QgsRasterLayer]) -> QgsRasterLayer | None:
        """The layer that shows this image; None where none does.

        The source counts first, unless the file is another one by checksum and date; then the
        checksum, and of several files with one the date.
        """
        candidates = list(layers)
        for layer in candidates:
            if image_source(layer) == self.source and self._may_be(layer):
                return layer
        if not self.checksum:
            return None
        matches = [
            layer
            for layer in candidates
            if header_checksum(image_source(layer)) == self.checksum and self._fits_date(layer)
        ]
        return min(matches, key=lambda layer: _date(layer) != self.date, default=None)

    def _may_be(self, layer: QgsRasterLayer) -> bool:
        """Whether what lies at the source may still be this image."""
        checksum = header_checksum(self.source)
        is_same_file = not self.checksum or not checksum or checksum == self.checksum
        return is_same_file or self._fits_date(layer)

    def _fits_date(self, layer: QgsRasterLayer) -> bool:
        date = _date(layer)
        return not date or not self.date or date == self.date


class ImageMissing(LinkError):
    """An image of a result is not in the project.

    Args:
        result: The result.
        role: `BEFORE` or `AFTER`.
    """

    def __init__(self, result: QgsMapLayer, role: str) -> None:
        identity = ImageIdentity.from_text(result.customProperty(role))
        name = identity.name if identity else result.name()
        text = tr("The earlier image") if role == BEFORE else tr("The later image")
        super().__init__(
            tr("{0} of this result, {1}, is not in the project").format(text, name),
            tr("press “Find it…” and choose its file, or add it to the project"),
        )
        self.result_id, self.role = result.id(), role


def image_source(layer: QgsRasterLayer) -> str:
    """What a layer shows: the absolute GDAL name, or provider and address."""
    if layer.providerType() == "gdal":
        name = gdal_name(layer)
        return os.path.normpath(name) if os.path.isabs(name) else name
    return f"{layer.providerType()} {layer.source()}"


def header_checksum(path: str) -> str:
    """Checksum of a file's size, its start and some of its middle; empty where there is none."""
    if not os.path.isabs(path) or path.startswith("/vsi"):
        return ""
    try:
        status = os.stat(path)
        key = (path, status.st_mtime_ns, status.st_size)
        if key not in _checksums:
            digest = hashlib.sha256(str(status.st_size).encode("ascii"))
            with open(path, "rb") as file:
                digest.update(file.read(_HEADER_BYTES))
                # The pixels of two dates may begin alike, with nodata.
                file.seek(status.st_size // 2)
                digest.update(file.read(_HEADER_BYTES))
            _checksums[key] = digest.hexdigest()
        return _checksums[key]
    except OSError:
        return ""


def images_in_project() -> list[QgsRasterLayer]:
    """The raster layers of the project that can be read."""
    layers = QgsProject.instance().mapLayers().values()
    return [layer for layer in layers if isinstance(layer, QgsRasterLayer) and layer.isValid()]


def source_layer(result: QgsMapLayer, role: str) -> QgsRasterLayer | None:
    """The image of a result at a date (`BEFORE`, `AFTER`), if it is in the project."""
    identity = ImageIdentity.from_text(result.customProperty(role))
    return identity.layer_among(images_in_project()) if identity else None


def source_pair(result: QgsMapLayer) -> tuple[QgsRasterLayer, QgsRasterLayer]:
    """The two images of a result, the earlier first.

    Raises:
        ImageMissing: If one is not in the project.
    """
    pair = []
    for role in (BEFORE, AFTER):
        layer = source_layer(result, role)
        if layer is None:
            raise ImageMissing(result, role)
        pair.append(layer)
    return pair[0], pair[1]


def _date(layer: QgsRasterLayer) -> str:
    return date_in(layer.name()) or date_in(Path(image_source(layer)).stem)
