"""`geochg dataset world`: pairs of a synthetic world, in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from geochg.datasets.world.options import WorldOptions
from geochg.errors import InputError, OptionError, RunError
from geochg.events import Progress

from .new_folder import check_new_folder, failures_named
from .shared_options import PATH, json_option, overwrite_option, setting
from .terminal import echo

_DEFAULTS = WorldOptions()

MOST_ON_SHEET = 12
"""How many of the first pairs a contact sheet shows."""

MOST_PAIRS = 10**8
"""Pairs that one folder may hold."""


@click.command()
@click.argument("folder", type=PATH)
@setting("--count", 100, "Pairs to write.")
@setting("--seed", 0, "Of the first pair; the others have the numbers after it.")
@setting("--size", _DEFAULTS.size_px, "Side of the square images, in pixels.")
@click.option(
    "--gsd",
    type=float,
    nargs=2,
    metavar="MIN MAX",
    default=(_DEFAULTS.gsd_min_m, _DEFAULTS.gsd_max_m),
    show_default=True,
    help="Ground size of a pixel in fine pairs, in metres.",
)
@setting(
    "--coarse-share",
    _DEFAULTS.coarse_share,
    "Share of pairs with pixels of about 10 m, like Sentinel-2's.",
)
@setting("--unchanged-share", _DEFAULTS.unchanged_share, "Share of pairs in which nothing changed.")
@setting(
    "--reversed-share",
    _DEFAULTS.reversed_share,
    "Share of changed pairs shown backwards, so that things disappear.",
)
@click.option(
    "--real-dir",
    metavar="FOLDER",
    help="Real imagery to draw on in some of the pairs; geochg/datasets/world/textures.py says "
    "how it is laid out.",
)
@click.option(
    "--validation",
    is_flag=True,
    help="Take the real imagery that is held out for validation, not the rest.",
)
@click.option(
    "--sheet",
    type=PATH,
    metavar="FILE.png",
    help=f"Also draw the first {MOST_ON_SHEET} pairs with their masks, to look at.",
)
@setting("--workers", 1, "Drawing processes.")
@overwrite_option
@json_option("what was made")
def world(
    folder: Path,
    count: int,
    seed: int,
    workers: int,
    sheet: Path | None,
    overwrite: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401
) -> None:
    """Draw pairs of a synthetic world into FOLDER, which must not exist.

    Each pair is two pictures of one place, masks of what changed and how, captions, and
    instruction rows in the format of ChangeChat-105k (world.json). The same seed and options give
    the same files, whatever the number of workers.

    \b
    Examples:
      geochg dataset world pairs --count 1000 --workers 4
      geochg dataset world small --count 24 --size 128 --sheet small.png
      geochg dataset world towns --gsd 0.3 0.6 --coarse-share 0 --seed 50000
    """
    _require(0 < count <= MOST_PAIRS, f"count {count}", f"it must lie between 1 and {MOST_PAIRS:,}")
    _require(0 <= seed <= 2**62, f"seed {seed}", f"it must lie between 0 and {2**62:,}")
    _require(0 < workers <= 1_024, f"workers {workers}", "it must lie between 1 and 1,024")
    options = _options(given)
    check_new_folder(folder)
    if sheet is not None:
        _check_sheet(sheet, overwrite=overwrite)
    _write(folder, seed, count, options, workers)
    if sheet is not None:
        seeds = range(seed, seed + min(count, MOST_ON_SHEET))
        _write_sheet(sheet, seeds, options, workers, overwrite=overwrite)
    made = _made(folder, sheet)
    echo(json.dumps(made) if as_json else _in_words(made))


def _require(holds: bool, what: str, rule: str) -> None:
    if not holds:
        raise OptionError(what, rule)


def _options(given: Mapping[str, Any]) -> WorldOptions:
    values = dict(given)
    values["size_px"] = values.pop("size")
    values["gsd_min_m"], values["gsd_max_m"] = values.pop("gsd")
    options = WorldOptions.from_dict(values)
    if options.real_dir is None:
        _require(not options.validation, "--validation without --real-dir", "add --real-dir FOLDER")
    elif not Path(options.real_dir).is_dir():
        raise InputError(f"there is no folder {options.real_dir}", "check --real-dir")
    return options


def _check_sheet(sheet: Path, *, overwrite: bool) -> None:
    from geochg.writers.checks import Output, check_outputs

    check_outputs([Output(sheet, (".png",))], [], overwrite=overwrite)


def _write(folder: Path, seed: int, count: int, options: WorldOptions, workers: int) -> None:
    from geochg.datasets.world.write import write_dataset

    from .progress import showing_progress

    with showing_progress() as listener, failures_named(folder), _ended_workers_named(folder):
        write_dataset(
            folder,
            seed,
            count,
            options,
            workers,
            lambda done, total: listener(Progress("pairs", done, total)),
        )


@contextmanager
def _ended_workers_named(folder: Path) -> Iterator[None]:
    try:
        yield
    except BrokenExecutor as error:
        raise RunError(
            f"cannot make {folder}: a drawing process was ended from outside",
            "it may have run out of memory: ask for fewer --workers",
        ) from error


def _write_sheet(
    sheet: Path, seeds: range, options: WorldOptions, workers: int, *, overwrite: bool
) -> None:
    from geochg.datasets.world.generate import generate
    from geochg.datasets.world.sheet import contact_sheet
    from geochg.writers.staging import Staging

    # A row of the sheet that is not full would be left out.
    columns = 2 if len(seeds) % 2 == 0 else 1
    with Staging(overwrite=overwrite) as staging:
        with staging.write(sheet) as path:
            contact_sheet(generate(seeds, options, workers), path, columns)
        staging.commit()


def _made(folder: Path, sheet: Path | None) -> dict[str, Any]:
    facts = json.loads((folder / "world_facts.json").read_text(encoding="utf-8"))
    return {
        "folder": str(folder),
        "sheet": None if sheet is None else str(sheet),
        "pairs": len(facts),
        "changed": sum(pair["changeflag"] for pair in facts),
        "real": sum(pair["family"].startswith("real_") for pair in facts),
    }


def _in_words(made: Mapping[str, Any]) -> str:
    paths = [made[name] for name in ("folder", "sheet") if made[name]]
    told = f"{made['pairs']} pairs, {made['changed']} changed, {made['real']} on real imagery"
    return "\n".join([*paths, told])
