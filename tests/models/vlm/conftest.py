"""Tiny models of all the real classes, made once."""

import shutil
from functools import cache

import pytest
from vlm_factory import save_vlm

from geochg.models.vlm.backend import VlmModel
from geochg.models.vlm.options import VlmOptions


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """The folder of a model by its type, made once."""
    return cache(lambda kind: save_vlm(kind, tmp_path_factory.mktemp(kind)))


@pytest.fixture(scope="session")
def loaded(saved):
    """A model by its type, loaded once, with answers of at most 6 tokens."""
    return cache(lambda kind: VlmModel.load(str(saved(kind)), VlmOptions(max_tokens=6), "cpu"))


@pytest.fixture
def copy(saved, tmp_path):
    """A copy of LLaVA's folder, to be spoilt."""
    return shutil.copytree(saved("llava"), tmp_path / "copy")
