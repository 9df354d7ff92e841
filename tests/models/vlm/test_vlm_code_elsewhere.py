"""Models whose code is not in transformers: what is said of them, and what is not."""

import json

import pytest
from rasters import texture
from vlm_factory import MAKERS

from geochg.errors import ModelError
from geochg.models.model_folder import inspect_model_folder
from geochg.models.registry import load_model
from geochg.models.vlm.code_elsewhere import refuse_code_elsewhere
from geochg_cli.main import main

MINICPM_25 = {
    "architectures": ["MiniCPMV"],
    "auto_map": {"AutoModel": "modeling_minicpmv.MiniCPMV"},
    "model_type": "minicpmv",
    "version": "2.5",
}
VILA = {
    "architectures": ["LlavaLlamaModel"],
    "model_type": "llava_llama",
    "llm_cfg": {"model_type": "llama"},
    "mm_projector_cfg": {"mm_projector_type": "mlp_downsample"},
}
ELSEWHERE = {
    "MiniCPM-V 2.5": (MINICPM_25, "a MiniCPM-V 2.5,", "MiniCPM-V 4.6 or 4.7 (minicpmv4_6"),
    "MiniCPM-V 2.6": ({**MINICPM_25, "version": 2.6}, "a MiniCPM-V 2.6,", "minicpmv4_6"),
    "MiniCPM-V": ({**MINICPM_25, "version": "\x1b[31m"}, "a MiniCPM-V,", "minicpmv4_6"),
    "MiniCPM-o": ({**MINICPM_25, "model_type": "minicpmo"}, "a MiniCPM-o 2.5,", "minicpmv4_6"),
    "VILA 1.5": (VILA, "a VILA,", "LLaVA-OneVision (llava_onevision)"),
    "VILA of the type llava": ({**VILA, "model_type": "llava"}, "a VILA,", "llava_onevision"),
    "NVILA": ({"architectures": ["VILAForCausalLM"], "model_type": "x"}, "a VILA,", "llava_one"),
    "vila": ({"model_type": "vila"}, "a VILA,", "llava_onevision"),
    "LLaVA 1.6": (
        {"architectures": ["LlavaLlamaForCausalLM"], "model_type": "llava_llama"},
        "a LLaVA in the form of its authors,",
        "llava-hf",
    ),
    "LLaVA 1.5": (
        {"architectures": ["LlavaLlamaForCausalLM"], "model_type": "llava"},
        "a LLaVA in the form of its authors,",
        "llava-hf",
    ),
    "another": (
        {"model_type": "internvl_chat", "auto_map": {"AutoModel": "modeling_internvl.Chat"}},
        "a model of type 'internvl_chat',",
        "--model openai:http://HOST:PORT/v1#NAME",
    ),
}


def write(folder, settings):
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize(("settings", "name", "way_out"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_it_is_refused_with_the_reason_and_the_ways_out(tmp_path, settings, name, way_out):
    write(tmp_path, settings)
    for look in (inspect_model_folder, lambda folder: load_model(f"vlm:{folder}", {}, "cpu")):
        try:
            error = look(tmp_path).broken
        except ModelError as caught:
            error = caught
        assert f"holds {name} whose code is not in transformers" in error.message
        assert way_out in error.hint
        assert "--model openai:http://HOST:PORT/v1#NAME" in error.hint
        assert "\n" not in error.message + error.hint
        assert "\x1b" not in error.message


def test_the_command_ends_with_one_line_and_one_hint(tmp_path, make_raster, capsys):
    pair = [str(make_raster(f"{n}.tif", texture(64, 64, 3) // n)) for n in (1, 2)]
    folder = tmp_path / "model"
    folder.mkdir()
    write(folder, MINICPM_25)
    command = ["analyze", *pair, "-o", str(tmp_path / "c.geojson"), "--model", f"vlm:{folder}"]
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 2
    assert "a MiniCPM-V 2.5, whose code is not in transformers" in told[0]
    assert "take MiniCPM-V 4.6 or 4.7" in told[1]
    assert not (tmp_path / "c.geojson").exists()


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_what_transformers_has_is_not_refused(saved, kind):
    refuse_code_elsewhere(saved(kind))


@pytest.mark.parametrize("settings", [{"model_type": "llava_next"}, {"model_type": "bert"}, {}])
def test_other_types_are_told_as_before(tmp_path, settings):
    refuse_code_elsewhere(write(tmp_path, settings))
    with pytest.raises(ModelError, match="which is not known here"):
        load_model(f"vlm:{tmp_path}", {}, "cpu")


def test_the_weights_of_a_hub_id_are_not_fetched_in_vain(tmp_path, monkeypatch):
    """Only the settings are fetched of a model that cannot be opened."""
    fetched = []

    def download(source, *, revision, allow_patterns, ignore_patterns):
        fetched.append(list(allow_patterns))
        return str(write(tmp_path, MINICPM_25))

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(ModelError, match=r"a MiniCPM-V 2\.5"):
        load_model("vlm:openbmb/MiniCPM-Llama3-V-2_5", {}, "cpu")
    assert fetched == [["config.json"]]
