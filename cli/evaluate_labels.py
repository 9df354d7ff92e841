"""`geochg evaluate --labels`: labels of single images beside the true ones."""

from __future__ import annotations

import click

from .evaluate_files import asking_values, check_files, write_report
from .label_option import with_labels


def evaluate_labels(ctx: click.Context) -> None:
    """Asks a model about the labels of images, and scores its answers."""
    params = ctx.params
    files = {"output": params["output"], "markdown": params["markdown_file"]}
    sources = params["sources"]
    check_files(files, [*sources, params["prompts_file"]], overwrite=params["overwrite"])

    from geochg.datasets.labelled_images import known_labels, labelled_images
    from geochg.evaluation.label_report import label_report
    from geochg.evaluation.tables import in_words
    from geochg.models.loading import check_classes, check_tells_of_one, load_configured_model
    from geochg.options import AnalyzeOptions
    from geochg.records import Task
    from geochg.tasks.scene import usual_labels

    from .progress import showing_progress

    values = asking_values(params)
    asking = {name: values[name] for name in ("model", "model_options", "device")}
    options = with_labels(AnalyzeOptions.from_dict(asking), params["labels"])
    labels = options.class_list or usual_labels()
    read_images = [
        image for source in sources for image in labelled_images(source, params["images"])
    ]
    images = known_labels(read_images, labels, skip_unknown=params["skip_unknown_labels"])
    model = load_configured_model(options)
    check_tells_of_one(model, Task.PRESENCE)
    check_classes(options, model)
    with showing_progress() as listener:
        report = label_report(
            images,
            labels,
            model,
            prompts=values.get("prompts"),
            batch_size=params["batch_size"],
            listener=listener,
        )
    model_id = model.identity.id
    unknown = len(read_images) - len(images)
    facts = {
        "model": dict(report.identity),
        "model_options": dict(options.model_options),
        "labels": list(labels.names),
        "images": {"scored": report.items, "left_out": unknown},
        **report.to_dict(),
    }
    lines = [model_id, *in_words([report])]
    if unknown:
        lines.insert(1, f"{unknown} images left out: they have labels that are not in the list")
    write_report(params, files, model_id, [report], facts, lines)
