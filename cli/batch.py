"""`geochg batch`: a list of pairs in, one layer of changes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .pair_options import batch_options, options_of
from .shared_options import json_option, output_option
from .terminal import echo
from .tile_interrupts import stop_on_interrupt

if TYPE_CHECKING:
    from geochg.batch.batch_options import BatchOptions
    from geochg.batch.run import BatchResult

FAILED = 1
_MOST_NAMED = 20


@click.command()
@click.argument("pairs", metavar="PAIRS", type=click.Path(path_type=Path))
@output_option("Folder of the outputs; made if need be.", "FOLDER", required=True)
@batch_options
@json_option("what was done")
@click.pass_context
def batch(
    ctx: click.Context,
    /,
    pairs: Path,
    output: Path,
    as_json: bool,
    **_: Any,  # noqa: ANN401
) -> None:
    """Map what changed in many pairs, the rows of PAIRS, and merge it into one layer.

    PAIRS is a CSV file with the columns before, after and, where wanted, id and options of the
    analysis; JSON with such objects; or a static STAC catalogue whose items have the assets before
    and after. Paths start from its folder.

    FOLDER then holds changes.gpkg, areas.csv, scenes.csv, and scenes/ID.gpkg of each pair. The same
    command goes on where it was stopped, and runs those again that failed.

    \b
    Examples:
      geochg batch pairs.csv -o county
      geochg batch pairs.csv -o county --jobs 8 --retry 3 --classes building
      geochg batch catalog.json -o county --devices cuda:0,cuda:1 --model vlm:FOLDER
      geochg batch pairs.csv -o /shared/county --cluster tcp://10.0.0.5:8786
    """
    options, batch_settings = options_of(ctx), _batch_settings(ctx)

    from geochg.batch.run import analyze_batch

    from .progress import showing_progress

    with showing_progress() as listener, stop_on_interrupt() as cancel:
        result = analyze_batch(
            pairs, output, options, batch_settings, listener=listener, cancel=cancel
        )
    echo(_as_json(result) if as_json else _in_words(result))
    if result.failed:
        ctx.exit(FAILED)


def _batch_settings(ctx: click.Context) -> BatchOptions:
    """The options of the batch itself that were given by hand."""
    from geochg.batch.batch_options import BatchOptions

    names = [spec.name for spec in BatchOptions.specs()]
    values = {name: ctx.params[name] for name in names if ctx.params.get(name) is not None}
    return BatchOptions.from_dict(values)


def _as_json(result: BatchResult) -> str:
    facts = {
        "outputs": result.outputs.to_dict(),
        "features": {"count": result.features, "area_m2": result.area_m2},
        "scenes": {
            status: result.count(status) for status in ("done", "kept", "failed", "refused")
        },
        "failed": [
            {"scene": scene.id, "place": scene.place, "reason": scene.reason}
            for scene in result.failed
        ],
    }
    return json.dumps(facts, allow_nan=False)


def _in_words(result: BatchResult) -> str:
    from geochg.tasks.quantities import listed_area

    finished = result.count("done") + result.count("kept")
    kept_text = f" ({result.count('kept')} of them before)" if result.count("kept") else ""
    lines = [
        str(result.outputs.changes),
        str(result.outputs.areas),
        str(result.outputs.scenes),
        f"{finished} of {len(result.scenes)} scenes are finished{kept_text}: "
        f"{result.features} changes on {listed_area(result.area_m2)}",
    ]
    if not finished:
        lines = [str(result.outputs.scenes), f"none of {len(result.scenes)} scenes is finished"]
    failed = result.failed
    lines += [f"  {scene.name} {scene.status}: {scene.reason}" for scene in failed[:_MOST_NAMED]]
    if len(failed) > _MOST_NAMED:
        lines.append(f"  and {len(failed) - _MOST_NAMED} more; see scenes.csv")
    return "\n".join(lines)
