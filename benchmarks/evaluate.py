"""The scores of each task on drawn pairs, for docs/evaluate.md.

    python benchmarks/evaluate.py [--pairs 200] [--model builtin] [--docs docs/evaluate.md]

Draws pairs with `geochg dataset world`, asks the model with `geochg evaluate` and prints the
tables; `--docs` writes them between the marks `<!-- tables -->` and `<!-- /tables -->` of a file.
METEOR needs pycocoevalcap and Java.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import machine
from drawn_pairs import FIRST_SEED

UNCHANGED_SHARE = 0.5
"""Half of the pairs, so that both kinds weigh the same."""


def tables(model: str, pairs: int) -> str:
    """The machine, the time, and the scores as Markdown."""
    with tempfile.TemporaryDirectory() as temporary:
        world, report = Path(temporary) / "world", Path(temporary) / "scores.md"
        machine.measure(
            *("-m", "geochg_cli", "dataset", "world", str(world)),
            *("--count", str(pairs), "--seed", str(FIRST_SEED)),
            *("--unchanged-share", str(UNCHANGED_SHARE), "--workers", "2"),
        )
        took = machine.measure(
            *("-m", "geochg_cli", "evaluate", "--model", model),
            *(str(world / "world.json"), str(world / "world_captions.json")),
            *("--markdown", str(report)),
        )
        scores = report.read_text(encoding="utf-8")
    lines = scores.replace("\n## ", "\n### ").splitlines()[3:]
    measured = (
        f"`{model}` on {pairs} pairs of 256 px (`geochg dataset world --seed {FIRST_SEED}"
        f" --unchanged-share {UNCHANGED_SHARE}`), measured on {machine.describe()}: "
        f"{took.seconds:.0f} s with start and scoring, {took.peak_mb:,.0f} MB beside METEOR's Java."
    )
    return f"{measured}\n" + "\n".join(lines)


def fill(docs: Path, text: str) -> None:
    """Writes the text between the marks."""
    head, mark, rest = docs.read_text(encoding="utf-8").partition("<!-- tables -->\n")
    _, end, tail = rest.partition("<!-- /tables -->")
    if not mark or not end:
        raise SystemExit(f"{docs}: no block <!-- tables --> to fill")
    docs.write_text(f"{head}{mark}{text}\n{end}{tail}", encoding="utf-8")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--docs", type=Path)
    arguments = parser.parse_args()
    text = tables(arguments.model, arguments.pairs)
    print(text)
    if arguments.docs is not None:
        fill(arguments.docs, text)


if __name__ == "__main__":
    main()
