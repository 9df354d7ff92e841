import json

import pytest
from click.testing import CliRunner

from geochg_cli.group import geochg


def run(*arguments):
    return CliRunner().invoke(geochg, ["train", "compact", *map(str, arguments)])


SMALL = (
    "--pairs", 12, "--calibration-pairs", 6, "--crop-steps", 2, "--crop-batch", 2,
    "--whole-steps", 2, "--whole-batch", 2, "--speak-steps", 2, "--vocabulary", 400,
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    result = run("-o", folder / "model", "--work", folder / "work", "--json", *SMALL)
    assert result.exit_code == 0, result.output
    return folder, json.loads(result.stdout.splitlines()[-1])


def test_a_small_recipe_makes_a_model_that_answers(made):
    from tile_factory import make_tile, one_window

    from geochg.models.deltavlm.onnx_eyes import OnnxEyes
    from geochg.models.registry import load_model
    from geochg.records import Task
    from geochg.tasks import ask

    folder, told = made
    model = load_model(f"deltavlm:{folder / 'model'}", {}, "cpu")
    dense = model.eyes.head
    saved = (folder / "model" / "config.json").read_text(encoding="utf-8")
    assert dense.threshold == told["threshold"]
    assert json.loads(saved)["dense_config"]["temperature"] == pytest.approx(told["temperature"])
    assert isinstance(model.eyes, OnnxEyes)
    assert model.eyes.head.threshold == told["threshold"]
    (answers,) = model.answer([make_tile(one_window())], [ask(Task.PRESENCE), ask(Task.LOCATE)])
    assert answers[1].probability.shape == (15, 256, 256)


def test_the_weights_are_half_precision_and_small(made):
    from safetensors.torch import load_file

    folder, _ = made
    weights = load_file(folder / "model" / "model.safetensors")
    assert {str(part.dtype) for part in weights.values() if part.is_floating_point()} == {
        "torch.float16"
    }
    assert (folder / "model" / "model.safetensors").stat().st_size < 25e6


def test_the_same_again_goes_on_from_what_is_there(made, monkeypatch):
    from geochg.training import compact

    folder, told = made

    def refuse(*_):
        raise AssertionError("the eyes were trained again")

    monkeypatch.setattr(compact, "learn_to_see", refuse)
    result = run("-o", folder / "again", "--work", folder / "work", "--json", *SMALL)
    assert result.exit_code == 0, result.output
    again = json.loads(result.stdout.splitlines()[-1])
    assert {**again, "folder": ""} == {**told, "folder": ""}
    weights = [(folder / name / "model.safetensors").read_bytes() for name in ("model", "again")]
    assert weights[0] == weights[1]


def test_a_recipe_goes_on_only_as_it_was_begun(made):
    folder, _ = made
    again = ("-o", folder / "other", "--work", folder / "work")
    other = [12 if value == 2 and SMALL[at - 1] == "--speak-steps" else value
             for at, value in enumerate(SMALL)]  # fmt: skip
    result = run(*again, *other)
    assert "was begun with --speak-steps 2, not 12" in str(result.exception)
    assert not (folder / "other").exists()


def test_bad_folders_are_refused(tmp_path):
    (tmp_path / "there").mkdir()
    for arguments, told in (
        (("-o", tmp_path / "there", "--work", tmp_path / "w"), "exists already"),
        (("-o", tmp_path / "new", "--work", tmp_path / "new"), "lie in each other"),
        (("-o", tmp_path / "new", "--work", tmp_path / "w", "--real-dir", "nowhere"), "nowhere"),
        (
            ("-o", tmp_path / "new", "--work", tmp_path / "w", "--start", tmp_path / "there"),
            "model.safetensors",
        ),
    ):
        result = run(*arguments)
        assert result.exception is not None
        assert told in str(result.exception)
    assert not (tmp_path / "w").exists()
