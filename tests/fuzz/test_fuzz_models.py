"""Settings of whole model folders, of which one or two are not what they were."""

import contextlib
import json
import shutil

import pytest
from clip_factory import save as save_clip
from clip_factory import tiny_clip
from fuzz_rounds import fuzz
from fuzz_values import JSON, SCALARS, told
from hypothesis import strategies as st
from vlm_factory import save_vlm

import geochg.models.clip.backend
import geochg.models.vlm.backend  # noqa: F401  (heavy: not within the time of the fuzz)
from geochg.errors import GeochgError
from geochg.models.registry import load_model

FAMILIAR = st.sampled_from([0, 1, -1, 2, 3, 7, 16, 33, 0.5, -0.5, "cpu", "gelu", "float16", [], {}])
"""Values that are like those meant, and so come further."""


def leaves(value, path=()):
    """The places of all members of a JSON value."""
    members = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        members = enumerate(value[:4])
    for key, inner in members:
        yield (*path, key)
        yield from leaves(inner, (*path, key))


def with_member(value, path, new):
    """The same with another value at a place; None for that place takes it away."""
    key, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        copy[key] = with_member(copy[key], rest, new)
    elif new == "taken away" and isinstance(copy, dict):
        del copy[key]
    else:
        copy[key] = new
    return copy


@pytest.mark.parametrize("kind", ["clip", "vlm"])
def test_settings_of_models(tmp_path, kind):
    whole, spoilt = tmp_path / "whole", tmp_path / "spoilt"
    if kind == "clip":
        save_clip(tiny_clip(), whole)
    else:
        save_vlm("llava", whole)
    files = {
        path.name: json.loads(path.read_text()) for path in sorted(whole.glob("*config*.json"))
    }
    places = [(name, place) for name, values in files.items() for place in leaves(values)]
    shutil.copytree(whole, spoilt)

    def check(drawn):
        changed = dict(files)
        for (name, place), value in drawn:
            with contextlib.suppress(KeyError, IndexError, TypeError):
                changed[name] = with_member(changed[name], place, value)
        for name, values in changed.items():
            (spoilt / name).write_text(json.dumps(values))
        try:
            model = load_model(f"{kind}:{spoilt}", {}, "cpu")
        except GeochgError as error:
            told(error)
        else:
            assert model.identity.checksum

    values = FAMILIAR | SCALARS | JSON | st.just("taken away")
    changes = st.lists(st.tuples(st.sampled_from(places), values), min_size=1, max_size=2)
    fuzz(changes, check, most=60)
