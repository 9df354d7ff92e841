"""`geochg analyze --classes`, `--classes-file` and `--prompts`."""

import json

import pytest
from named_ground import PANELS, ground, paint
from vlm_factory import save_vlm


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_vlm("llava", tmp_path_factory.mktemp("model"))


def test_the_command_line_takes_classes_a_file_and_prompts(geochg, folder, make_raster, tmp_path):
    before, after = ground(64), ground(64)
    paint(after, PANELS, 8, 8, 30)
    pair = make_raster("before.tif", before), make_raster("after.tif", after)
    file, prompts, out = (tmp_path / name for name in ("own.toml", "prompts.toml", "out.geojson"))
    file.write_text('[[classes]]\nname = "solar panels"\ncolor = "#123456"\n')
    prompts.write_text('count = "Number of {things}?"\n')
    code, _, errors = geochg(
        "analyze", *pair, "-o", out, "--tile-size", 64, "--model", f"vlm:{folder}",
        "--model-option", "max_tokens=4", "--align", "off", "--classes-file", file,
        "--prompts", prompts,
    )  # fmt: skip
    assert code == 0, errors
    facts = json.loads(out.read_text())["geochg"]
    assert facts["classes"] == [{"name": "solar panels", "color": "#123456"}]
    assert facts["colors"] == {"solar panels": "#123456"}
    assert facts["questions"]["count"] == "Number of {things}?"
    assert "solar panels" in facts["questions"]["presence"]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--classes", "solar panels"], "builtin knows no class 'solar panels'"),
        (["--classes", "a,,b"], "nothing stands beside a comma of 'a,,b' in --classes"),
        (["--classes", ","], "nothing stands beside a comma of ','"),
        (["--bands", "1,"], "nothing stands beside a comma of '1,' in --bands"),
        (["--classes", "x" * 200], "has 200 characters"),
        (["--classes", "road,Roads"], "'road' and 'Roads', which mean the same"),
        (["--classes-file", "none.toml"], "cannot read the class file"),
        (["--classes-file", "own.toml"], "unknown key 'colour'"),
    ],
)
def test_classes_that_make_no_sense_end_with_one_line(
    refused, make_raster, tmp_path, monkeypatch, arguments, names
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text('[[classes]]\nname = "a"\ncolour = "red"\n')
    pair = make_raster("before.tif", ground(64)), make_raster("after.tif", ground(64))
    refused("analyze", *pair, "-o", tmp_path / "out.geojson", *arguments, names=names)
