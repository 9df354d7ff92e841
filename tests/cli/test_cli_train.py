"""`geochg train compact`: the recipe with a tiny model on a tiny folder of labelled imagery."""

import json

import pytest
from click.testing import CliRunner

from geochg_cli.group import geochg


def run(*arguments):
    return CliRunner().invoke(geochg, ["train", "compact", *map(str, arguments)])


SMALL = (
    "--frozen-steps", 2, "--opened-steps", 2, "--batch-size", 2, "--pairs", 6,
    "--language-steps", 2, "--vocabulary", 400,
)  # fmt: skip


def tiny_compact(vocab_size):
    from deltavlm_factory import LITE, tiny_config

    config = tiny_config(image_mean=(0.5,) * 3, image_std=(0.5,) * 3, stretch=True)
    config.dense_config.classes = ("building", "road", "vegetation", "water", "bare")
    assert config.vision_config.widths == LITE["widths"]
    config.qformer_config.vocab_size = config.text_config.vocab_size = vocab_size
    return config


@pytest.fixture(scope="module")
def small():
    """The recipe of a tiny model, without the ImageNet weights, on small pairs."""
    from geochg.training.builtin import calibration, language_pairs, pairs, recipe

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "compact_config", tiny_compact)
        patch.setattr(recipe, "load_imagenet_weights", lambda backbone: None)
        patch.setattr(calibration, "PAIRS_PER_KIND", 2)
        for module in (language_pairs, pairs):
            patch.setattr(module, "SIDE_PX", 64)
        yield patch


@pytest.fixture(scope="module")
def imagery(tmp_path_factory):
    from labelled_ground import floods, masked_folder

    root = tmp_path_factory.mktemp("imagery")
    floods(root)
    masked_folder(root, "rio_buildings", images=6)
    return root


@pytest.fixture(scope="module")
def made(small, imagery, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    result = run(
        "-o", folder / "model", "--work", folder / "work", "--real-dir", imagery, "--json", *SMALL
    )
    assert result.exit_code == 0, (result.output, result.exception)
    return folder, json.loads(result.stdout.splitlines()[-1])


def test_a_small_recipe_makes_a_model_that_answers(made):
    from deltavlm_factory import tile
    from scipy.special import expit

    from geochg.models.deltavlm.calibration import Calibration
    from geochg.models.deltavlm.runtime.onnx_vision import OnnxVision
    from geochg.models.registry import load_model
    from geochg.records import Task
    from geochg.tasks import ask

    folder, told = made
    model = load_model(f"deltavlm:{folder / 'model'}", {}, "cpu")
    assert isinstance(model.vision, OnnxVision)
    saved = json.loads((folder / "model" / "config.json").read_text(encoding="utf-8"))
    assert saved["dense_config"]["calibration"] == told["calibration"]
    cuts = Calibration.from_dict(told["calibration"])
    (answers,) = model.answer([tile()], [ask(Task.PRESENCE), ask(Task.LOCATE)])
    assert answers[1].layers_at().shape == (16, 64, 64)
    ((found,),) = model.answer([tile()], [ask(Task.LOCATE)])
    cut = cuts.cuts(model.detector.survey([tile()], None).typical_logit, None).change
    assert found.threshold == pytest.approx(expit(cut), abs=1e-5)


def test_the_work_folder_tells_how_it_was_made(made):
    folder, told = made
    facts = json.loads((folder / "work" / "made.json").read_text(encoding="utf-8"))
    assert facts["calibration"] == told["calibration"]
    assert facts["options"]["frozen_steps"] == 2


def test_the_weights_are_half_precision(made):
    from safetensors.torch import load_file

    folder, _ = made
    weights = load_file(folder / "model" / "model.safetensors")
    assert {str(part.dtype) for part in weights.values() if part.is_floating_point()} == {
        "torch.float16"
    }


def test_the_same_again_goes_on_from_what_is_there(made, imagery, small):
    from geochg.training.builtin import recipe

    folder, told = made

    def refuse(*_):
        raise AssertionError("the vision part was trained again")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "train_vision", refuse)
        # It takes a while, and was done before.
        patch.setattr(recipe, "export", lambda model, folder: None)
        patch.setattr(recipe, "quantise_compact", lambda folder, grounds: None)
        result = run(
            "-o", folder / "again", "--work", folder / "work", "--real-dir", imagery, "--json",
            *SMALL,
        )  # fmt: skip
    assert result.exit_code == 0, (result.output, result.exception)
    again = json.loads(result.stdout.splitlines()[-1])
    assert again["calibration"] == told["calibration"]
    weights = [(folder / name / "model.safetensors").read_bytes() for name in ("model", "again")]
    assert weights[0] == weights[1]
    assert (folder / "model" / "encoder_int8.onnx").is_file()


@pytest.mark.parametrize(
    ("flag", "value"), [("--language-steps", 12), ("--batch-size", 3), ("--opened-steps", 5)]
)
def test_a_recipe_goes_on_only_as_it_was_begun(made, imagery, flag, value):
    folder, _ = made
    given = dict(zip(SMALL[::2], SMALL[1::2], strict=True))
    other = [part for pair in ({**given, flag: value}).items() for part in pair]
    result = run("-o", folder / "other", "--work", folder / "work", "--real-dir", imagery, *other)
    assert f"differs in {flag} ({given[flag]}, not {value})\n" in str(result.exception)
    assert not (folder / "other").exists()


def test_bad_folders_are_refused(tmp_path, imagery):
    (tmp_path / "there").mkdir()
    new = ("-o", tmp_path / "new", "--work", tmp_path / "w", "--real-dir")
    for arguments, told in (
        (
            ("-o", tmp_path / "there", "--work", tmp_path / "w", "--real-dir", imagery),
            "exists already",
        ),
        (
            ("-o", tmp_path / "new", "--work", tmp_path / "new", "--real-dir", imagery),
            "lie in each other",
        ),
        ((*new, "nowhere"), "nowhere"),
        ((*new, imagery, "--start", tmp_path / "there"), "model.safetensors"),
    ):
        result = run(*arguments)
        assert result.exception is not None
        assert told in str(result.exception)
    assert not (tmp_path / "w").exists()


def test_imagery_must_be_named():
    result = run("-o", "new", "--work", "work")
    assert result.exit_code == 2
    assert "--real-dir" in result.output


def test_a_folder_without_labelled_imagery_is_refused(tmp_path, small):
    (tmp_path / "empty").mkdir()
    result = run("-o", tmp_path / "m", "--work", tmp_path / "w", "--real-dir", tmp_path / "empty")
    assert "holds no labelled imagery" in str(result.exception)
    assert not (tmp_path / "m").exists()
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    "theirs", ["thesis.docx", "frozen.safetensors", "pairs/before.npy", "checkpoint-7/whole"]
)
def test_a_folder_of_the_users_own_is_no_work_folder(tmp_path, imagery, small, theirs):
    work = tmp_path / "mine"
    (work / theirs).parent.mkdir(parents=True)
    (work / theirs).write_bytes(b"mine")
    there = sorted(tmp_path.rglob("*"))
    result = run("-o", tmp_path / "m", "--work", work, "--real-dir", imagery, *SMALL)
    assert f"holds {theirs.partition('/')[0]}, which no run of geochg made" in str(result.exception)
    assert sorted(tmp_path.rglob("*")) == there
    assert (work / theirs).read_bytes() == b"mine"


def test_a_file_is_no_work_folder(tmp_path, imagery, small):
    (tmp_path / "w").write_text("mine")
    result = run("-o", tmp_path / "m", "--work", tmp_path / "w", "--real-dir", imagery, *SMALL)
    assert "is a file" in str(result.exception)


@pytest.mark.parametrize("left", ["", ".recipe.json", "recipe.json"])
def test_a_work_folder_that_is_new_or_its_own_is_taken(tmp_path, small, left):
    from geochg.training.builtin.options import CompactOptions
    from geochg.training.builtin.recipe import RECIPE_STATE, begin_recipe

    work = tmp_path / "w"
    work.mkdir()
    if left:
        (work / left).write_text("{}")
    begin_recipe(work, CompactOptions())
    assert (
        json.loads((work / RECIPE_STATE).read_text())["batch_size"] == CompactOptions().batch_size
    )


@pytest.mark.parametrize("state", [{}, {"a": [1, 2]}, [1]])
def test_a_work_folder_that_does_not_tell_how_it_was_begun_is_refused(tmp_path, small, state):
    from geochg.errors import GeochgError
    from geochg.training.builtin.options import CompactOptions
    from geochg.training.builtin.recipe import RECIPE_STATE, begin_recipe

    (tmp_path / "frozen.safetensors").write_bytes(b"weights")
    (tmp_path / RECIPE_STATE).write_text(json.dumps(state))
    with pytest.raises(GeochgError, match=RECIPE_STATE) as caught:
        begin_recipe(tmp_path, CompactOptions())
    assert caught.value.exit_code == 2
    assert "start anew" in caught.value.hint
