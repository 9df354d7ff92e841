"""For QGIS's Processing: a context, a model that makes points of changes, and a batch."""

import json
from pathlib import Path

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterRasterLayer,
    QgsProject,
)


def context_of_project() -> QgsProcessingContext:
    """A context in which algorithms find the layers of the project."""
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    return context


def write_model(path: Path) -> Path:
    """Writes the model `points_of_changes`: BEFORE and AFTER in, the layer POINTS out."""
    model = QgsProcessingModelAlgorithm("points of changes", "test")
    model.setName("points_of_changes")
    source = QgsProcessingModelChildParameterSource
    found = QgsProcessingModelChildAlgorithm("geochg:analyze")
    found.setChildId("found")
    for name in ("BEFORE", "AFTER"):
        model.addModelParameter(
            QgsProcessingParameterRasterLayer(name, name), QgsProcessingModelParameter(name)
        )
        found.addParameterSources(name, [source.fromModelParameter(name)])
    for name, value in (("MODEL", "cva"), ("MIN_AREA", 5000)):
        found.addParameterSources(name, [source.fromStaticValue(value)])
    model.addChildAlgorithm(found)
    points = QgsProcessingModelChildAlgorithm("native:centroids")
    points.setChildId("points")
    points.addParameterSources("INPUT", [source.fromChildOutput("found", "OUTPUT")])
    result = QgsProcessingModelOutput("POINTS")
    result.setChildId("points")
    result.setChildOutputName("OUTPUT")
    points.setModelOutputs({"POINTS": result})
    model.addChildAlgorithm(points)
    assert model.toFile(str(path))
    return path


def write_batch(path: Path, before: str, after: str, outputs: list[str]) -> Path:
    """Writes a batch of two rows, there and back, as QGIS's batch dialog loads it."""
    # The way back has the later image first.
    given = {
        "MODEL": repr("cva"),
        "MIN_AREA": "5000",
        "OPTIONS": repr(json.dumps({"dates_as_given": True})),
    }
    there = {"BEFORE": repr(before), "AFTER": repr(after)}
    back = {"BEFORE": there["AFTER"], "AFTER": there["BEFORE"]}
    rows = [
        {"PARAMETERS": {**given, **images}, "OUTPUTS": {"OUTPUT": repr(output)}}
        for images, output in zip((there, back), outputs, strict=True)
    ]
    path.write_text(json.dumps(rows))
    return path
