"""`geochg dataset`: the group of its commands, and what its help loads."""

import subprocess
import sys

import pytest


def test_the_group_names_its_commands(geochg):
    code, out, _ = geochg("dataset", "--help")
    assert code == 0
    assert "build" in out
    assert geochg("dataset", "nosuch")[0] == 2


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        (["dataset"], "numpy"),
        (["dataset", "check"], "rasterio"),
        (["models"], "numpy"),
        (["models", "convert", "deltavlm"], "torch"),
    ],
)
def test_help_loads_nothing_heavy(command, unwanted):
    code = f"import sys, geochg_cli.main as m; m._run({[*command, '--help']})"
    check = f"{code}; sys.exit({unwanted!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage: geochg" in done.stdout
