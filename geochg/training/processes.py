"""The processes that train together, and the devices and precision that they compute in."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta

from geochg.errors import OptionError

PATIENCE = timedelta(hours=2)
"""The time for which processes wait for the first one; pruning a large base takes minutes."""


def world_size() -> int:
    """The number of processes that were started together; 1 unless a launcher says otherwise."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process writes what all of them make."""
    return int(os.environ.get("RANK", "0")) == 0


def local_device(device: str) -> str:
    """The device of this process: where several train on GPUs, each takes the one of its number.

    The launcher's number, by which the Trainer goes too; else all would load onto the first.
    """
    if device == "cuda" and world_size() > 1:
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return device


def fast_bf16() -> bool:
    """Whether bfloat16 is faster here than float32: on GPUs, and CPUs with AVX512-BF16."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return "avx512_bf16" in torch.backends.cpu.get_cpu_capability().lower()


def make_on_first(name: str, make: Callable[[], None]) -> None:
    """Lets the first process make what all need, and the others wait for it.

    It needs no process group, so that it works before the Trainer sets one up.

    Args:
        name: Name of what is made; nothing is made twice under one name.
        make: Function that makes it.
    """
    if world_size() == 1:
        make()
        return
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store, _, _ = next(rendezvous("env://"))
    # A launcher that starts anew after a failure may keep its store.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    shared = PrefixStore(f"geochg/{attempt}", store)
    # Nothing is made while another process still looks at what was there before.
    if shared.add(f"{name}/here", 1) == world_size():
        shared.set(f"{name}/all here", "1")
    shared.wait([f"{name}/all here"], PATIENCE)
    if is_first():
        make()
        shared.set(f"{name}/made", "1")
    shared.wait([f"{name}/made"], PATIENCE)


def dry_run_processes(expected: int | None) -> int:
    """The number of processes that a run would have, as a dry run in one process counts them.

    Args:
        expected: The value of `--processes`; None for one.

    Raises:
        OptionError: If several were started.
    """
    if world_size() > 1:
        raise OptionError(
            "a dry run takes one process, whatever the run takes",
            "start it without torchrun, with --dry-run and --processes",
        )
    return expected or 1


def check_processes(expected: int | None) -> int:
    """The number of processes, where it is the one that is expected.

    Args:
        expected: The value of `--processes`; None for any.

    Raises:
        OptionError: If it is another.
    """
    started = world_size()
    if expected is not None and started != expected:
        raise OptionError(
            f"{expected} processes are expected, but this is one of {started}",
            f"start with: torchrun --nproc-per-node {expected} -m geochg_cli train ... "
            "(accelerate launch --cpu starts only one)",
        )
    return started
