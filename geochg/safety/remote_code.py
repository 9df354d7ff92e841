"""Keeps the libraries beneath from fetching code while they are imported."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

IMPORTED_PACKAGE = "bitsandbytes"
"""On processors with AVX512-BF16 it fetches code from the hub while it is imported."""

HIDDEN_PACKAGE = "kernels"
"""The package by which it does so (`kernels-community`); where that is missing, it warns."""


class KernelsHider(MetaPathFinder):
    """Finds bitsandbytes and hides `kernels` from it, whoever imports it.

    peft does, and by it transformers' Trainer, also where nothing is quantised.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of bitsandbytes; None for every other package."""
        if fullname != IMPORTED_PACKAGE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            _hide_while_loading(spec.loader)
        return spec


def prevent_fetched_code() -> None:
    """Puts a `KernelsHider` before all other finders of modules, once."""
    if not any(isinstance(finder, KernelsHider) for finder in sys.meta_path):
        sys.meta_path.insert(0, KernelsHider())


def _hide_while_loading(loader: Loader) -> None:
    load = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        with _hide_package(HIDDEN_PACKAGE), _silent(IMPORTED_PACKAGE):
            load(module)

    loader.exec_module = exec_module  # type: ignore[method-assign]


@contextmanager
def _hide_package(package: str) -> Iterator[None]:
    """Lets imports of a package fail, also where it was imported before."""
    before = sys.modules.get(package)
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]
        if before is not None:
            sys.modules[package] = before


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Lets a logger and those under it tell of errors only."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
