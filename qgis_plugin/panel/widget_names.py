"""Object names, names for screen readers, tool tips and mnemonics of the panel's widgets."""

from __future__ import annotations

from typing import Any

from geochg_qgis.i18n import tr
from geochg_qgis.panel.layouts import name_file_widget, name_widget, set_focus_order


def name_widgets(dock: Any) -> None:  # noqa: ANN401 - it imports this module
    """Names the widgets of the dock that have no names of their own; tips that are there stay."""
    for widget, name, label, tip in _names(dock):
        name_widget(widget, f"Geochg{name}", label, widget.toolTip() or tip)
    name_file_widget(
        dock.options.output, "GeochgOutput", tr("Save as"), tr("The file of the result")
    )
    for page in (dock.tabs.widget(tab).widget() for tab in range(dock.tabs.count())):
        set_focus_order(page)


def _names(dock: Any) -> tuple[tuple[Any, str, str, str], ...]:  # noqa: ANN401
    run, ask, pair = dock.run_widget, dock.ask, dock.pair
    options, area = dock.options, dock.area
    return (
        (pair.before, "Before", tr("Before"), tr("The earlier image")),
        (pair.after, "After", tr("After"), tr("The later image")),
        (area.kind, "Area", tr("Area"), tr("What part of the images is analysed")),
        (options.device, "Device", tr("Device"), tr("Where the model runs")),
        (options.heatmap, "Heatmap", tr("Heatmap"), tr("Adds a raster of the probabilities")),
        (run.run_button, "Run", tr("Run"), tr("Begin the analysis")),
        (run.cancel_button, "Cancel", tr("Cancel"), tr("Stop; what is done is kept")),
        (run.info, "Info", tr("About the pair"), tr("What the pair is, and how long it takes")),
        (
            dock.setup_note.button,
            "FirstSetUp",
            tr("Set up"),
            tr("Choose or install the Python of geochg"),
        ),
        (dock.worker.button, "SetUp", tr("Set up"), tr("Choose or install the Python of geochg")),
        (ask.pick, "Pick", tr("Choose a place on the map"), tr("Then click the map")),
        (ask.places, "Places", tr("Places"), tr("The places that were asked about")),
        (ask.copy, "Copy", tr("Copy"), tr("Copies this conversation")),
        (ask.delete, "Delete", tr("Delete"), tr("Deletes this conversation")),
        (ask.transcript, "Transcript", tr("Conversation"), tr("Questions and answers")),
        (ask.question, "Question", tr("Question"), tr("A question about the place")),
        (ask.send, "Ask", tr("Ask"), tr("Ask the question")),
        (ask.stop, "Stop", tr("Stop"), tr("Stop the answer")),
    )
