"""How backends are found, whoever brings them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from geochg.errors import ModelError, OptionError
from geochg.models.base import ChangeModel
from geochg.models.registry import backends, load_model

GOOD = """
from geochg.models.detectors.cva import CvaModel

class Model(CvaModel):
    name = 'foreign'
"""


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Installs a distribution: `distribution("dist", {"entry": "module:Class"}, module="...")`."""

    def install(name: str, entries: dict[str, str], **modules: str) -> None:
        index = tmp_path / name
        info = index / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{entry} = {target}" for entry, target in entries.items()]
        (info / "entry_points.txt").write_text("\n".join(["[geochg.models]", *lines]))
        for module, text in modules.items():
            (index / f"{module}.py").write_text(text)
            monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(index)

    return install


def broken(name: str) -> str | None:
    (result,) = [backend for backend in backends() if backend.name == name]
    return result.broken


def test_ours_are_there():
    result = {backend.name: backend for backend in backends()}
    assert result["irmad"].broken is None
    assert result["cva"].capabilities.location == "mask"
    assert [*result] == sorted(result)
    json.dumps([backend.to_dict() for backend in result.values()])


def test_loads_by_name():
    model = load_model("irmad", {"max_iterations": 3}, "auto")
    assert isinstance(model, ChangeModel)
    assert model.name == "irmad"


def test_a_foreign_backend_is_as_good_as_ours(distribution):
    distribution("alien", {"foreign": "alien_good:Model"}, alien_good=GOOD)
    assert broken("foreign") is None
    assert load_model("foreign", {}, "cpu").identity.id == "foreign"


BODY = """
    name, summary = "foreign", "a backend of others"
    @property
    def identity(self): return ModelIdentity("foreign", "sha256:0")
    def answer(self, tiles, questions): return []
"""
START = """
from dataclasses import dataclass, replace
from geochg.models.base import Capabilities, ChangeModel, ModelIdentity
from geochg.options import Options
CAN = Capabilities(tasks=frozenset(), location="mask", pixels="values", bands="all")
@dataclass(frozen=True)
class Own(Options):
    level: int = 3
"""
CONTRACTS = {
    "parameters of the class": """
class Model(ChangeModel[Own]):
    backend_capabilities = CAN
    def __init__(self, options): self.options = options
    @property
    def capabilities(self): return replace(CAN, batch_tiles=self.options.level)
    @classmethod
    def load(cls, source, options, device): return cls(options)
""",
    "attributes of the class": """
class Model(ChangeModel):
    capabilities, options_type = replace(CAN, batch_tiles=5), Own
    @classmethod
    def load(cls, source, options, device): return cls()
""",
    "attributes of the object": """
class Model(ChangeModel):
    capabilities, options_type = CAN, Own
    def __init__(self, options): self.capabilities = replace(CAN, batch_tiles=options.level)
    @classmethod
    def load(cls, source, options, device): return cls(options)
""",
    "a class between": """
class Between(ChangeModel[Own]):
    backend_capabilities = replace(CAN, batch_tiles=5)
    @classmethod
    def load(cls, source, options, device): return cls()
class Model(Between):
    pass
""",
}


@pytest.mark.parametrize("contract", list(CONTRACTS))
def test_backends_say_in_several_ways_what_they_are(distribution, contract):
    body = CONTRACTS[contract].rstrip() + BODY
    distribution("alien", {"foreign": "alien_good:Model"}, alien_good=START + body)
    assert broken("foreign") is None
    (caught,) = [backend for backend in backends() if backend.name == "foreign"]
    assert caught.capabilities.location == "mask"
    assert load_model("foreign", {"level": 5}, "cpu").capabilities.batch_tiles == 5
    assert load_model("foreign", {"level": 5}, "cpu").how_it_runs == frozenset()
    with pytest.raises(OptionError, match="'level' cannot be 'high'"):
        load_model("foreign", {"level": "high"}, "cpu")


@pytest.mark.parametrize(
    ("target", "text", "reason"),
    [
        ("alien_mod:Model", "import no_such_module", "ModuleNotFoundError: No module named"),
        ("alien_mod:Model", "raise RuntimeError('a\\nb')", "RuntimeError: a"),
        ("alien_mod:Model", "raise ValueError", "ValueError"),
        ("alien_mod:Missing", "", "AttributeError: "),
        ("alien_mod:Model", "Model = 3", "3 is not a class derived from ChangeModel"),
        ("alien_mod:Model", "class Model: pass", "not a class derived from ChangeModel"),
        ("alien_mod:Model", GOOD, "calls itself 'foreign'"),
        (
            "alien_mod:Model",
            "from geochg.models.base import ChangeModel as C\nclass Model(C): name = 'sick'",
            "does not define summary, backend_capabilities, options_type, answer, identity, load",
        ),
    ],
)
def test_a_broken_backend_is_listed_with_its_reason_and_breaks_no_other(
    distribution, target, text, reason
):
    distribution("alien", {"sick": target}, alien_mod=text)
    assert reason in broken("sick")
    assert "\n" not in broken("sick")
    assert broken("cva") is None
    with pytest.raises(ModelError, match="'sick' is broken"):
        load_model("sick", {}, "auto")
    assert load_model("cva", {}, "auto").name == "cva"


def test_two_packages_that_claim_one_name_are_refused_openly(distribution):
    distribution("first", {"foreign": "alien_good:Model"}, alien_good=GOOD)
    distribution("second", {"foreign": "alien_other:Model"}, alien_other=GOOD)
    assert broken("foreign") == (
        "several packages bring it: first (alien_good:Model), second (alien_other:Model)"
    )
    with pytest.raises(ModelError, match="several packages"):
        load_model("foreign", {}, "auto")


@pytest.mark.parametrize("reference", ["nonsense", "", ":x", "CVA"])
def test_an_unknown_name_is_refused_with_the_known_ones(reference):
    with pytest.raises(ModelError) as error:
        load_model(reference, {}, "auto")
    assert "cva" in error.value.hint
    assert "irmad" in error.value.hint


def test_the_source_reaches_the_backend():
    with pytest.raises(ModelError, match=r"'http://host:8000/v1#name'"):
        load_model("cva:http://host:8000/v1#name", {}, "auto")


def test_unknown_options_are_refused():
    with pytest.raises(OptionError, match="unknown option 'colour'"):
        load_model("cva", {"colour": 1}, "auto")


def test_listing_the_backends_loads_nothing_heavy(marker_plugin):
    code = (
        "import sys; from geochg.models.registry import backends;"
        "names = [b.name for b in backends() if not b.broken];"
        "heavy = [m for m in ('torch', 'rasterio', 'geopandas', 'scipy') if m in sys.modules];"
        "print(names, heavy)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(marker_plugin)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "'marker'" in done.stdout
    assert done.stdout.endswith("[]\n")
