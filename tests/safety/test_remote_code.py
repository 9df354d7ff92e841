"""bitsandbytes fetches no code while it is imported, and does not say that it could not."""

import importlib
import os
import subprocess
import sys

import pytest

from geochg.safety.remote_code import KernelsHider, prevent_fetched_code

FETCHES = """
import logging
try:
    from kernels import get_kernel
    get_kernel("kernels-community/quantization-bitsandbytes")
except Exception as error:
    logging.getLogger("bitsandbytes.backends.cpu.ops").warning("Failed to load: %s", error)
"""
"""What bitsandbytes does on a processor with AVX512-BF16."""


@pytest.fixture
def packages(monkeypatch, tmp_path):
    """Stand-ins for `kernels`, bitsandbytes and peft, which imports it as a library would."""
    for name, text in {
        "kernels.py": "fetched = []\nget_kernel = fetched.append\n",
        "bitsandbytes/__init__.py": FETCHES,
        "bitsandbytes/nn.py": "class Linear4bit: ...\n",
        "peft.py": "import bitsandbytes as bnb\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [each for each in sys.modules if each.split(".")[0] in ("bitsandbytes", "peft")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "kernels", raising=False)
    yield tmp_path
    for name in ("bitsandbytes", "bitsandbytes.nn", "peft", "kernels"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("imported", ["bitsandbytes", "bitsandbytes.nn", "peft"])
@pytest.mark.parametrize("earlier", [False, True], ids=["kernels later", "kernels earlier"])
def test_nothing_is_fetched_whoever_imports_it(packages, caplog, imported, earlier):
    kernels = importlib.import_module("kernels") if earlier else None
    importlib.import_module(imported)
    assert sys.modules["bitsandbytes"].__file__ == str(packages / "bitsandbytes" / "__init__.py")
    assert caplog.records == []
    after = importlib.import_module("kernels")
    assert after.fetched == []
    assert kernels in (None, after)


def test_without_the_hider_the_stand_in_fetches(packages, monkeypatch):
    others = [each for each in sys.meta_path if not isinstance(each, KernelsHider)]
    monkeypatch.setattr(sys, "meta_path", others)
    importlib.import_module("peft")
    assert importlib.import_module("kernels").fetched


def test_the_hider_is_put_there_once_and_finds_nothing_else(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [])
    prevent_fetched_code()
    prevent_fetched_code()
    (hider,) = sys.meta_path
    assert hider.find_spec("peft", None) is None


@pytest.mark.parametrize(
    "imported", ["geochg.training.checkpoints", "geochg.training.finetune.trainer", "peft"]
)
def test_the_real_ones_are_imported_in_silence(imported, tmp_path):
    pytest.importorskip("bitsandbytes")
    # transformers imports `kernels` too, to see which version is installed.
    (tmp_path / "kernels.py").write_text(
        "__version__ = '0.12'\ndef get_kernel(*_, **__): raise SystemExit('fetched')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import geochg, {imported}, sys; print(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "bitsandbytes.backends.cpu.ops" in done.stdout.split()
    assert "kernel" not in done.stderr
