"""The options of a batch that are not those of its scenes."""

from __future__ import annotations

from dataclasses import dataclass

from geochg.errors import OptionError
from geochg.option_fields import Options, option

MOST_JOBS = 1_024
"""Most local processes."""

USUAL_JOBS = 4
"""Most processes where the user names no number."""


@dataclass(frozen=True)
class BatchOptions(Options):
    """The options of a batch that are not those of its scenes."""

    jobs: int | None = option(
        None,
        "Processes on this machine, which share its processors; each loads the model once.",
        least=1,
        greatest=MOST_JOBS,
        usual=f"one a processor, at most {USUAL_JOBS}; 1 for models loaded from a source",
        shapes_result=False,
    )
    devices: tuple[str, ...] = option(
        (),
        "Devices such as `cuda:0,cuda:1`: one process on each, in place of --jobs and --device.",
        shapes_result=False,
    )
    cluster: str = option(
        "",
        "Address of the scheduler of a running Dask cluster, which sees the same files.",
        metavar="tcp://HOST:PORT",
        shapes_result=False,
    )
    spread: int = option(
        2_000,
        "On a cluster, share the tiles of a scene with more than so many among all workers.",
        least=1,
        greatest=1_000_000_000,
        metavar="TILES",
        shapes_result=False,
    )
    retry: int = option(
        1,
        "Further attempts at a scene that fails, when the others have had their turn.",
        least=0,
        greatest=100,
        shapes_result=False,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cluster and (self.jobs is not None or self.devices):
            flag = "--jobs" if self.jobs is not None else "--devices"
            raise OptionError(
                f"{flag} is about processes of this machine, --cluster about others",
                f"leave out {flag}: the cluster's own workers are used",
            )
        if self.devices and self.jobs is not None:
            raise OptionError(
                "--devices and --jobs both say how many processes there are",
                "leave out --jobs, or name a device twice for two processes on it",
            )
        if self.cluster and "://" not in self.cluster:
            raise OptionError(
                f"{self.cluster!r} is no address of a scheduler", "write --cluster tcp://HOST:PORT"
            )
