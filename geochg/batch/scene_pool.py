"""Where scenes are run: the contract of local processes and of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from geochg.batch.scene_runner import SceneOutcome, SceneTask


@dataclass(frozen=True)
class SceneProgress:
    """Tiles of a scene that is under way.

    Attributes:
        id: The scene.
        done: Tiles that are finished.
        total: Tiles in all.
    """

    id: str
    done: int
    total: int


class ScenePool(Protocol):
    """Runs scenes side by side, and tells what came of each."""

    def has_room(self) -> bool:
        """Whether another scene can be taken now."""

    def submit(self, task: SceneTask) -> None:
        """Takes a scene."""

    def messages(self, timeout_s: float) -> Iterator[SceneOutcome | SceneProgress]:
        """What came since it was asked last; waits for the first message at most so long.

        Raises:
            RunError: If no scene can be run there any more.
        """

    def stop(self) -> None:
        """Asks the scenes under way to stop at their next tile; their outcomes still come."""

    def close(self) -> None:
        """Ends what was started for it."""
