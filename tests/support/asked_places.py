"""Places that tests of the panel ask about, whatever the map shows."""

from geochg_qgis.panel.dialogues import PlaceDialogue


def start_at(ask, lon: float, lat: float) -> None:
    """Begins a dialogue about a place, or shows the one that is there, as a click does."""
    ask._start(PlaceDialogue(lon, lat), ask._dialogues_at(lon, lat))
