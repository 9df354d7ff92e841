"""What a run says, on stderr: a bar on a terminal, only warnings elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from geochg.events import Event, Listener, Notice
from geochg.events import Progress as ProgressEvent

_STAGES = {
    "shift": "measuring the shift",
    "survey": "looking at the pair",
    "batch": "running scenes",
    "tiles": "asking about tiles",
    "dates": "reading dates",
    "places": "watching places",
    "polygons": "judging polygons",
    "write": "writing",
    "clouds": "looking for clouds",
    "scenes": "fetching scenes",
    "evaluate": "asking about pairs",
    "scored": "scoring pairs",
    "cut": "cutting tiles",
    "looked": "looking at pairs",
    "written": "writing pairs",
    "training": "training",
}


class _Rate(ProgressColumn):
    """Units a second."""

    def render(self, task: Task) -> Text:
        """The rate, blank until it is known."""
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


@contextmanager
def showing_progress() -> Iterator[Listener]:
    """Gives a listener that shows a bar with rate and time left on a terminal, else warnings."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    rows = {}

    def listen(event: Event) -> None:
        if isinstance(event, Notice) and (event.warning or console.is_terminal):
            kind = "warning" if event.warning else "note"
            # Text of a file's own must not be read as rich markup.
            console.print(f"{kind}: {event.message}", markup=False, highlight=False, soft_wrap=True)
        elif isinstance(event, ProgressEvent):
            if event.stage not in rows:
                rows[event.stage] = bar.add_task(
                    _STAGES.get(event.stage, event.stage), total=event.total, completed=event.done
                )
            bar.update(rows[event.stage], completed=event.done, total=event.total)

    with bar:
        yield listen
